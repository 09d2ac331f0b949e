//! Edits of the settings file: every byte that an edit is not about stays, and nothing is written that would not work.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use polywire_settings::{Edit, EditError, Overrides, SettingsError, TomlValue, load};
use proptest::prelude::*;

struct Home {
    _folder: tempfile::TempDir,
    environment: BTreeMap<String, String>,
    file: PathBuf,
}

impl Home {
    fn new(settings: Option<&[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().display().to_string();
        let file = folder.path().join(".config/polywire/config.toml");
        if let Some(settings) = settings {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, settings).unwrap();
        }
        Self {
            _folder: folder,
            environment: BTreeMap::from([("HOME".to_owned(), home)]),
            file,
        }
    }

    fn edit(
        &self,
        change: impl FnOnce(&mut Edit<'_>) -> Result<(), EditError>,
    ) -> Result<bool, EditError> {
        let overrides = Overrides::default();
        let mut edit = Edit::begin(&overrides, &self.environment)?;
        change(&mut edit)?;
        edit.save()
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(&self.file).unwrap()
    }
}

/// Pieces of settings as people write them, each with its line ends still to choose.
fn pieces() -> impl Strategy<Value = String> {
    let top = proptest::sample::subsequence(
        vec![
            "# mine, all mine\n\n",
            "log = 'debug' # for now\n",
            "strict=true\n",
            "default_provider   =   \"one\"\n",
        ],
        0..=4,
    );
    let tables = proptest::sample::subsequence(
        vec![
            "[server] # here\nlisten = \"127.0.0.1:4999\"\n\n",
            "[aliases]\nfast = \"one/a\" # quick\n\"codex-auto-review\" = 'one/b'\n",
            "\n# two\n[providers.two]\n  kind = \"chat\"\n  base_url = 'http://127.0.0.1:2/v1'\n  profile = { stop_max = 1, }\n",
            "[providers]\nthree = { preset = \"groq\", key = { env = \"K\" } }\n",
            "[providers.four]\npreset = \"zai\"\n\n[providers.four.headers]\nx-a = \"1\"\n\n\n",
            "[providers.five]\npreset = \"vllm\"\nmodels = [ \"a\", # one\n  { id = \"b\", images = true },\n]\n",
            "[routes.main]\ntargets = [\"one/a\",\n\t\"one/b\"]\n",
            "# the end",
        ],
        0..=8,
    );
    (top, tables, any::<bool>(), any::<bool>()).prop_map(|(top, tables, crlf, mark)| {
        let one = "\n[providers.one]\nkind = \"chat\"\nbase_url = \"http://127.0.0.1:1/v1\"\n";
        let text = format!("{}{one}{}", top.concat(), tables.concat());
        // A comment at the end must not swallow the next piece; the line end there is chosen freely.
        let text = if crlf {
            text.replace('\n', "\r\n")
        } else {
            text
        };
        if mark {
            format!("\u{feff}{text}")
        } else {
            text
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// A provider is added with several values, one is changed, and it is removed: the file is as it was, but for the empty line and
    /// the line end that were put before the new table.
    #[test]
    fn what_is_added_and_removed_leaves_the_file(text in pieces()) {
        let home = Home::new(Some(text.as_bytes()));
        let before = load(&Overrides::default(), &home.environment).unwrap();
        home.edit(|edit| {
            edit.set(&["providers", "new", "preset"], "zai")?;
            edit.set_raw(&["providers", "new", "key"], "{ keyring = true }")?;
            edit.set(&["providers", "new", "headers", "x-b"], "2")
        }).unwrap();
        let added = home.bytes();
        prop_assert!(added.starts_with(text.as_bytes()) || text.contains("[providers]"), "{}", String::from_utf8_lossy(&added));
        let after = load(&Overrides::default(), &home.environment).unwrap();
        prop_assert_eq!(after.catalog.providers.len(), before.catalog.providers.len() + 1);
        home.edit(|edit| {
            edit.set(&["providers", "new", "preset"], "groq")
        }).unwrap();
        home.edit(|edit| edit.remove(&["providers", "new"]).map(drop)).unwrap();
        let removed = String::from_utf8(home.bytes()).unwrap();
        prop_assert_eq!(removed.trim_end(), text.trim_end());
        let after = load(&Overrides::default(), &home.environment).unwrap();
        prop_assert_eq!(after.catalog, before.catalog);
    }

    /// One value is changed: every line but its own stays.
    #[test]
    fn one_value_is_one_line(text in pieces()) {
        let home = Home::new(Some(text.as_bytes()));
        home.edit(|edit| edit.set(&["providers", "one", "base_url"], "http://127.0.0.1:11/v1")).unwrap();
        let expected = text.replace("\"http://127.0.0.1:1/v1\"", "\"http://127.0.0.1:11/v1\"");
        prop_assert_eq!(home.bytes(), expected.into_bytes());
    }

    /// Models are added to a list and taken out again: the file is as it was, to the byte.
    #[test]
    fn lists_go_back_to_the_byte(text in pieces(), names in proptest::collection::vec("[a-zA-Z/:. -]{1,12}", 1..6)) {
        prop_assume!(text.contains("providers.five"));
        let home = Home::new(Some(text.as_bytes()));
        let path = ["providers", "five", "models"];
        let mut names = names;
        names.sort();
        names.dedup();
        names.retain(|name| name != "a" && name != "b");
        let raw: Vec<String> = names.iter().map(|name| polywire_settings::toml_text(name)).collect();
        home.edit(|edit| edit.add_items(&path, &raw)).unwrap();
        let settings = load(&Overrides::default(), &home.environment).unwrap();
        let listed = settings.catalog.provider("five").unwrap().models.len();
        prop_assert_eq!(listed, 2 + names.len());
        let is_new = |item: &TomlValue| item.as_str().is_some_and(|item| names.iter().any(|name| name == item));
        home.edit(|edit| edit.remove_items(&path, is_new)).unwrap();
        prop_assert_eq!(home.bytes(), text.into_bytes());
    }
}

#[test]
fn a_missing_file_is_made_private() {
    let home = Home::new(None);
    assert!(!home.edit(|_| Ok(())).unwrap());
    assert!(!home.file.exists());
    let changed = home.edit(|edit| edit.set(&["providers", "zai", "preset"], "zai"));
    assert!(changed.unwrap());
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(&home.file), mode(home.file.parent().unwrap())),
        (0o600, 0o700)
    );
}

#[test]
fn a_link_stays_a_link() {
    let home = Home::new(Some(b"log = 'info'\n"));
    let real = home.file.with_file_name("real.toml");
    fs::rename(&home.file, &real).unwrap();
    std::os::unix::fs::symlink("real.toml", &home.file).unwrap();
    home.edit(|edit| edit.set(&["log"], "warn")).unwrap();
    assert!(fs::symlink_metadata(&home.file).unwrap().is_symlink());
    assert_eq!(fs::read(&real).unwrap(), b"log = \"warn\"\n");
}

#[test]
fn somebody_elses_change_is_not_overwritten() {
    let home = Home::new(Some(b"log = 'info'\n"));
    let error = home
        .edit(|edit| {
            fs::write(&home.file, "log = 'debug' # by an editor\n").unwrap();
            edit.set(&["strict"], true)
        })
        .unwrap_err();
    assert!(matches!(error, EditError::Changed { .. }), "{error}");
    assert_eq!(home.bytes(), b"log = 'debug' # by an editor\n");
}

#[test]
fn two_edits_wait_for_each_other() {
    let home = Home::new(Some(b""));
    std::thread::scope(|scope| {
        for number in 0..6 {
            let home = &home;
            scope.spawn(move || {
                let name = format!("p{number}");
                home.edit(|edit| edit.set(&["providers", &name, "preset"], "zai"))
                    .unwrap();
            });
        }
    });
    let settings = load(&Overrides::default(), &home.environment).unwrap();
    assert_eq!(settings.catalog.providers.len(), 7);
}

#[test]
fn what_would_not_work_is_not_written() {
    let text = "[providers.one]\npreset = \"zai\"\n";
    let home = Home::new(Some(text.as_bytes()));
    let nonsense = home.edit(|edit| edit.set_typed(&["providers", "one", "nonsense"], "1"));
    assert!(
        matches!(
            nonsense,
            Err(EditError::Settings(SettingsError::Parse { line: 3, .. }))
        ),
        "{nonsense:?}"
    );
    let table = home.edit(|edit| edit.set(&["providers", "one"], 1));
    assert!(matches!(table, Err(EditError::Refused { .. })), "{table:?}");
    let replaced = home.edit(|edit| edit.replace(b"half = "));
    assert!(
        matches!(replaced, Err(EditError::NotToml { .. })),
        "{replaced:?}"
    );
    // A key in a file that others can read.
    fs::set_permissions(&home.file, fs::Permissions::from_mode(0o644)).unwrap();
    let exposed = home.edit(|edit| edit.set(&["providers", "one", "key"], "sk-1"));
    assert!(
        matches!(
            exposed,
            Err(EditError::Settings(SettingsError::Exposed { .. }))
        ),
        "{exposed:?}"
    );
    assert_eq!(home.bytes(), text.as_bytes());
}

/// What goes with a change, such as a key, is done after it is saved: until then nobody else may change anything.
#[test]
fn others_wait_until_all_of_a_change_is_done() {
    let home = Home::new(Some(b"# mine\n"));
    let overrides = Overrides::default();
    let mut edit = Edit::begin(&overrides, &home.environment).unwrap();
    edit.set(&["log"], "debug").unwrap();
    assert!(edit.save().unwrap());
    std::thread::scope(|scope| {
        let (told, began) = std::sync::mpsc::channel();
        let overrides = &overrides;
        let environment = &home.environment;
        scope.spawn(move || {
            let other = Edit::begin(overrides, environment).unwrap();
            told.send(other.on_disk().unwrap().log).unwrap();
        });
        let too_early = began.recv_timeout(std::time::Duration::from_millis(200));
        assert!(too_early.is_err());
        drop(edit);
        assert_eq!(began.recv().unwrap().as_deref(), Some("debug"));
    });
}
