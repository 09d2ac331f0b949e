//! Edits of files that were made by chance or written by people, through the journal: on one layer and on two, with others who write to the file meanwhile.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]
#![cfg(unix)]

mod generated;

use std::fs;
use std::path::{Path, PathBuf};

use generated::{file, piece};
use polywire_client_files::{Journal, JournalError, Layer, Setting, Wanted};
use proptest::prelude::*;
use tempfile::TempDir;

struct Place {
    _folder: TempDir,
    journal: Journal,
    file: PathBuf,
}

/// What others write behind everything.
const THEIRS: &str = "\n[projects.\"/home/me\"]\ntrust_level = \"trusted\"\n";

/// Values in places that generated files have, too.
fn wanted(model: &str) -> Wanted {
    let table = ["model_providers", "polywire"];
    let below =
        |keys: &[&str], value: toml::Value| Setting::new(&[&table[..], keys].concat(), value);
    let features = toml::Table::from_iter([("compact".to_owned(), "no".into())]);
    Wanted {
        settings: vec![
            Setting::new(&["model"], model).along_with(&["a"]),
            Setting::new(&["a"], "polywire"),
            below(&["b"], model.into()),
            below(&["features"], features.into()),
            below(&["auth", "command"], "polywire".into()),
            below(&["auth", "args"], vec!["token", model].into()),
        ],
        tables: vec![table.map(str::to_owned).to_vec()],
    }
}

impl Place {
    fn with(content: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        fs::write(&file, content).unwrap();
        Self {
            journal: Journal::new(folder.path().join("edits")),
            file,
            _folder: folder,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(&self.file).unwrap()
    }

    fn apply(&self, layer: Layer, model: &str) -> Result<(), JournalError> {
        let plan = match layer {
            Layer::Lasting => self.journal.plan_apply(&self.file, layer, &wanted(model)),
            Layer::Session => self.journal.plan_session(&self.file, &wanted(model)),
        }?;
        self.journal.carry_out(&plan, None)
    }

    fn restore(&self, layer: Layer) {
        let plan = self.journal.plan_restore(&self.file, layer).unwrap();
        let plan = plan.unwrap();
        assert_eq!(plan.kept(), []);
        self.journal.carry_out(&plan, None).unwrap();
    }

    /// Others write to the file. What is there afterwards, if it was this before.
    fn append(&self, is_busy: bool) -> &'static str {
        let theirs = if is_busy { THEIRS } else { "" };
        fs::write(&self.file, [&self.bytes(), theirs.as_bytes()].concat()).unwrap();
        theirs
    }
}

fn with(bytes: &[u8], more: &str) -> Vec<u8> {
    [bytes, more.as_bytes()].concat()
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Every TOML file below a folder, but for what cargo has built.
fn collected(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            if kind.is_dir() && entry.file_name() != "target" {
                open.push(path);
            } else if kind.is_file() && path.extension().is_some_and(|kind| kind == "toml") {
                found.push(path);
            }
        }
    }
    found
}

/// The files of this repository: manifests, presets, settings, and the fixtures of these tests.
#[test]
fn what_people_wrote_comes_back_to_the_byte() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut edited = 0;
    for path in collected(&repository) {
        let before = fs::read(&path).unwrap();
        let place = Place::with(&before);
        // A fixture may have a value where a table has to be.
        if place.apply(Layer::Lasting, "one").is_err() {
            assert_eq!(shown(&place.bytes()), shown(&before), "{}", path.display());
            continue;
        }
        let lasting = place.bytes();
        place.apply(Layer::Session, "two").unwrap();
        let has_theirs = shown(&before).contains("/home/me");
        let theirs = place.append(before.ends_with(b"\n") && !has_theirs);
        place.restore(Layer::Session);
        assert_eq!(
            shown(&place.bytes()),
            shown(&with(&lasting, theirs)),
            "{}",
            path.display()
        );
        place.restore(Layer::Lasting);
        assert_eq!(
            shown(&place.bytes()),
            shown(&with(&before, theirs)),
            "{}",
            path.display()
        );
        edited += 1;
    }
    assert!(edited > 80, "{edited}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_applied_is_taken_back_to_the_byte(
        pieces in prop::collection::vec((piece(), any::<bool>(), any::<bool>()), 0..14),
        has_mark: bool,
        is_finished: bool,
        layers in prop::sample::select(vec![
            &[Layer::Lasting][..],
            &[Layer::Session],
            &[Layer::Lasting, Layer::Session],
        ]),
        is_busy: bool,
        again: bool,
    ) {
        // A last line without an end is not the same when others go on behind it.
        let before = file(&pieces, has_mark, is_finished || is_busy);
        prop_assume!(!is_busy || before.ends_with(b"\n"));
        let place = Place::with(&before);
        let mut forms = vec![before.clone()];
        for (layer, model) in layers.iter().zip(["one", "two"]) {
            // A value where a table has to be, for example.
            if place.apply(*layer, model).is_err() {
                prop_assert_eq!(shown(&place.bytes()), shown(forms.last().unwrap()));
                return Ok(());
            }
            if again && *layer == Layer::Lasting {
                place.apply(*layer, "once more").unwrap();
            }
            forms.push(place.bytes());
        }
        let theirs = place.append(is_busy);
        for layer in layers.iter().rev() {
            forms.pop();
            place.restore(*layer);
            prop_assert_eq!(shown(&place.bytes()), shown(&with(forms.last().unwrap(), theirs)));
        }
        prop_assert!(place.journal.open_edits().unwrap().is_empty());
    }
}
