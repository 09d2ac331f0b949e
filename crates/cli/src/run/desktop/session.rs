//! The configuration of Codex for as long as Desktop runs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use polywire_client_files::{Journal, JournalError, Layer, replace_atomically};
use polywire_credentials::Secret;
use polywire_settings::{Paths, Settings};
use serde::{Deserialize, Serialize};

use super::app::App;
use super::processes::KnownProcess;
use crate::codex::checks;
use crate::codex::configuration_file::{ConfigurationFile, journal};
use crate::codex::preview::{self, Purpose};
use crate::codex::wanted::{TokenSource, wanted};
use crate::logging::note;

/// How often an edit is begun anew when somebody else has just written to the file.
const ATTEMPTS: usize = 5;

/// What is remembered with the edit, so that whoever finds it later knows whether it is still needed.
#[derive(Serialize, Deserialize)]
struct Note {
    /// The `polywire run` that made it.
    run: Option<KnownProcess>,
    /// What was started.
    app: PathBuf,
}

impl Note {
    /// Whether `run` is there, or else the Desktop that it started.
    fn is_needed(&self) -> bool {
        self.run.as_ref().is_some_and(KnownProcess::is_alive)
            || !App::at(self.app.clone()).running().is_empty()
    }
}

/// An edit that is taken back when Desktop has ended.
pub(super) struct Session {
    journal: Journal,
    file: PathBuf,
    token_file: PathBuf,
}

impl Session {
    /// Has Codex use this gateway.
    pub(super) fn begin(
        app: &App,
        settings: &Settings,
        gateway: SocketAddr,
        token: Option<&Secret>,
        model: &str,
    ) -> anyhow::Result<Self> {
        let file = ConfigurationFile::find(None)?;
        let journal = journal(&settings.paths);
        let open = journal.open_edits()?;
        let mut ours = open.iter().filter(|edit| edit.file == file.path);
        anyhow::ensure!(
            !ours.any(|edit| edit.layer == Layer::Session),
            "{} is in use by another `polywire run codex-desktop`\nhint: end that one first",
            file.path.display()
        );
        let has_our_edit = open.iter().any(|edit| edit.file == file.path);
        checks::check(&file, has_our_edit)?;
        let token_file = token_file(&settings.paths);
        let source = token_source(&token_file, token)?;
        let wanted = wanted(gateway, model, &source);
        let note = serde_json::to_string(&Note {
            run: KnownProcess::own(),
            app: app.program().to_owned(),
        })?;
        let session = Self {
            journal,
            file: file.path,
            token_file,
        };
        let begun = again_when_changed(|| {
            let journal = &session.journal;
            let plan = journal.plan_apply(&session.file, Layer::Session, &wanted)?;
            journal.carry_out(&plan, Some(note.clone()))
        });
        if begun.is_err() {
            remove_token(&session.token_file);
        }
        begun?;
        Ok(session)
    }

    /// The file that is edited.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Takes the edit back.
    pub(super) fn end(self) -> anyhow::Result<()> {
        remove_token(&self.token_file);
        Ok(take_back(&self.journal, &self.file)?)
    }
}

/// Takes back the edits of sessions that have ended without doing so, as after a crash. What cannot be taken back is told, and tried again the
/// next time.
pub(crate) fn recover(paths: &Paths) {
    let journal = journal(paths);
    let open = match journal.open_edits() {
        Ok(open) => open,
        Err(error) => return tell_failure(&error),
    };
    for edit in open.iter().filter(|edit| edit.layer == Layer::Session) {
        let left = edit
            .note
            .as_deref()
            .and_then(|note| serde_json::from_str::<Note>(note).ok());
        if left.is_some_and(|note| note.is_needed()) {
            continue;
        }
        match take_back(&journal, &edit.file) {
            Ok(()) => {
                remove_token(&token_file(paths));
                note(format_args!(
                    "{}: took back what was left of a Codex Desktop session that had not ended well",
                    edit.file.display()
                ));
            }
            Err(error) => tell_failure(&error),
        }
    }
}

fn tell_failure(error: &JournalError) {
    note(format_args!(
        "warning: what was left of a Codex Desktop session is not taken back: {error}"
    ));
}

fn take_back(journal: &Journal, file: &Path) -> Result<(), JournalError> {
    again_when_changed(|| {
        let Some(plan) = journal.plan_restore(file, Layer::Session)? else {
            return Ok(());
        };
        journal.carry_out(&plan, None)?;
        for kept in plan.kept() {
            note(format_args!(
                "note: {}: {}",
                file.display(),
                preview::kept(kept, Purpose::Restore)
            ));
        }
        Ok(())
    })
}

/// Desktop writes to its configuration too, and may do so at the same moment.
fn again_when_changed(edit: impl Fn() -> Result<(), JournalError>) -> Result<(), JournalError> {
    let mut done = edit();
    for _ in 1..ATTEMPTS {
        match done {
            Err(JournalError::Changed { .. }) => done = edit(),
            Ok(()) | Err(_) => break,
        }
    }
    done
}

/// The token is in a file of ours as long as Desktop runs, and Codex reads it from there. The gateway may be one of this run alone, whose
/// token `polywire token` does not know.
fn token_source(file: &Path, token: Option<&Secret>) -> anyhow::Result<TokenSource> {
    let Some(token) = token else {
        return Ok(TokenSource::NoneNeeded);
    };
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("the folder {} could not be made", folder.display()))?;
    }
    replace_atomically(file, token.reveal().as_bytes(), 0o600)?;
    let words = ["cat".to_owned(), file.display().to_string()];
    Ok(TokenSource::Command(words.to_vec()))
}

fn token_file(paths: &Paths) -> PathBuf {
    paths.state_dir.join("desktop-token")
}

fn remove_token(file: &Path) {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => note(format_args!(
            "warning: {} holds the token of a gateway that has ended, and could not be removed: {error}",
            file.display()
        )),
        Ok(()) | Err(_) => {}
    }
}
