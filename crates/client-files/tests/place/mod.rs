//! A client's file, and the journal of edits of it.

#![allow(dead_code, reason = "every test program uses a part of it")]

use std::fs;
use std::path::PathBuf;

use polywire_client_files::{Journal, Kept, Layer, Setting, Wanted};
use tempfile::TempDir;

pub(crate) const USERS: &str =
    "# mine\nmodel = 'gpt' # best\n\n[mcp_servers.docs]\ncommand = \"docs\"\n";

pub(crate) struct Place {
    pub(crate) folder: TempDir,
    pub(crate) journal: Journal,
    pub(crate) file: PathBuf,
}

impl Place {
    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            journal: Journal::new(folder.path().join("state/polywire/edits")),
            file: folder.path().join("client/config.toml"),
            folder,
        }
    }

    pub(crate) fn with(content: &[u8]) -> Self {
        let place = Self::empty();
        fs::create_dir(place.file.parent().unwrap()).unwrap();
        fs::write(&place.file, content).unwrap();
        place
    }

    pub(crate) fn apply(&self, wanted: &Wanted) -> Vec<Kept> {
        let plan = self
            .journal
            .plan_apply(&self.file, Layer::Lasting, wanted)
            .unwrap();
        self.journal.carry_out(&plan, None).unwrap();
        plan.kept().to_vec()
    }

    pub(crate) fn restore(&self) -> Vec<Kept> {
        let plan = self
            .journal
            .plan_restore(&self.file, Layer::Lasting)
            .unwrap()
            .unwrap();
        self.journal.carry_out(&plan, None).unwrap();
        assert!(self.journal.open_edits().unwrap().is_empty());
        plan.kept().to_vec()
    }

    pub(crate) fn text(&self) -> String {
        fs::read_to_string(&self.file).unwrap()
    }

    /// What a user or the client itself does meanwhile.
    pub(crate) fn edit(&self, edit: impl FnOnce(&str) -> String) {
        fs::write(&self.file, edit(&self.text())).unwrap();
    }
}

pub(crate) fn wanted(model: &str) -> Wanted {
    let table = ["providers", "ours"];
    let below = |key: &'static str| [table[0], table[1], key];
    Wanted {
        settings: vec![
            Setting::new(&["model"], model),
            Setting::new(&["provider"], "ours"),
            Setting::new(&below("name"), "ours"),
            Setting::new(&below("url"), format!("http://localhost/{model}")),
            Setting::new(&["providers", "ours", "auth", "command"], "ours"),
            Setting::new(&["providers", "ours", "auth", "args"], vec!["token"]),
        ],
        tables: vec![table.map(str::to_owned).to_vec()],
    }
}
