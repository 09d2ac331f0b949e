//! Edits that last: made, made anew, taken back, while others edit the same file.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]
#![cfg(unix)]

mod place;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use place::{Place, USERS, wanted};
use polywire_client_files::{
    Journal, JournalError, Kept, Layer, Setting, Step, Steps, TomlText, Wanted,
};
use proptest::prelude::*;

fn nasty_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let paths = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|kind| kind == "toml"))
        .collect()
}

#[test]
fn what_is_applied_is_taken_back_to_the_byte() {
    for path in nasty_files() {
        let before = fs::read(&path).unwrap();
        let place = Place::with(&before);
        assert!(place.apply(&wanted("one")).is_empty());
        let once = TomlText::parse(&fs::read(&place.file).unwrap()).unwrap();
        assert_eq!(once.get(&["model"]).unwrap().as_str(), Some("one"));
        // Twice is once, and another one takes its place.
        assert!(place.apply(&wanted("one")).is_empty());
        assert_eq!(fs::read(&place.file).unwrap(), once.to_bytes());
        assert!(place.apply(&wanted("two")).is_empty());
        let twice = TomlText::parse(&fs::read(&place.file).unwrap()).unwrap();
        let url = twice.get(&["providers", "ours", "url"]).unwrap();
        assert_eq!(url.as_str(), Some("http://localhost/two"));
        assert!(place.restore().is_empty());
        assert_eq!(fs::read(&place.file).unwrap(), before, "{}", path.display());
    }
}

#[test]
fn a_file_that_was_not_there_goes_again_with_its_folders() {
    let place = Place::empty();
    place.apply(&wanted("one"));
    let mode = fs::metadata(&place.file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    place.apply(&wanted("two"));
    place.restore();
    assert!(!place.file.exists());
    assert!(!place.file.parent().unwrap().exists());
    // What came in meanwhile stays, and the folder with it.
    place.apply(&wanted("one"));
    place.edit(|text| format!("{text}\n[tui]\ntheme = 'dark'\n"));
    place.restore();
    assert_eq!(place.text(), "[tui]\ntheme = 'dark'\n");
    fs::remove_file(&place.file).unwrap();
    place.apply(&wanted("one"));
    place.restore();
    assert!(!place.file.exists());
    assert!(place.file.parent().unwrap().exists());
}

/// What somebody makes of our file, what is left of it, and what is told.
type Meanwhile = (
    &'static str,
    fn(&str) -> String,
    &'static str,
    &'static [&'static str],
);

const MEANWHILE: &[Meanwhile] = &[
    (
        "a key above and a table behind",
        |ours| format!("effort = 'high'\n{ours}\n[projects.'/home/me']\ntrust = true\n"),
        "effort = 'high'\n# mine\nmodel = 'gpt' # best\n\n[mcp_servers.docs]\ncommand = \"docs\"\n\n[projects.'/home/me']\ntrust = true\n",
        &[],
    ),
    (
        "another model",
        |ours| ours.replace("model = \"one\"", "model = 'theirs'"),
        "# mine\nmodel = 'theirs' # best\n\n[mcp_servers.docs]\ncommand = \"docs\"\n",
        &["changed model"],
    ),
    (
        "no model",
        |ours| ours.replace("model = \"one\" # best\n", ""),
        "# mine\n\n[mcp_servers.docs]\ncommand = \"docs\"\n",
        &["removed model"],
    ),
    (
        "no provider of ours",
        |ours| ours.replace("provider = \"ours\"\n", ""),
        USERS,
        &[],
    ),
    (
        "our value in other words",
        |ours| ours.replace("model = \"one\"", "model='''one'''"),
        "# mine\nmodel='gpt' # best\n\n[mcp_servers.docs]\ncommand = \"docs\"\n",
        &[],
    ),
    (
        "something behind a value of ours",
        |ours| ours.replace("provider = \"ours\"\n", "provider = \"ours\" # why?\n"),
        "# mine\nmodel = 'gpt' # best\n# why?\n\n[mcp_servers.docs]\ncommand = \"docs\"\n",
        &[],
    ),
    (
        "something in our table",
        |ours| ours.replace("name = \"ours\"\n", "name = \"ours\"\nretries = 3\n"),
        "# mine\nmodel = 'gpt' # best\n\n[mcp_servers.docs]\ncommand = \"docs\"\n\n[providers.ours]\nname = \"ours\"\nretries = 3\nurl = \"http://localhost/one\"\n\n[providers.ours.auth]\ncommand = \"ours\"\nargs = [\"token\"]\n",
        &["table providers.ours: providers.ours.retries"],
    ),
    (
        "line ends",
        |ours| ours.replace('\n', "\r\n"),
        "# mine\r\nmodel = 'gpt' # best\r\n\r\n[mcp_servers.docs]\r\ncommand = \"docs\"\r\n",
        &[],
    ),
    ("everything as it was", |_| USERS.to_owned(), USERS, &[]),
];

fn told(kept: &Kept) -> String {
    match kept {
        Kept::Changed { path } => format!("changed {path}"),
        Kept::Removed { path } => format!("removed {path}"),
        Kept::Table { table, others } => format!("table {table}: {}", others.join(", ")),
        Kept::Along { path, with } => format!("{path} along with {with}"),
        Kept::File => "file".to_owned(),
    }
}

#[test]
fn what_others_change_meanwhile_stays() {
    for (name, edit, expected, said) in MEANWHILE {
        let place = Place::with(USERS.as_bytes());
        place.apply(&wanted("one"));
        place.edit(edit);
        let kept = place.restore();
        assert_eq!(place.text(), *expected, "{name}");
        assert_eq!(kept.iter().map(told).collect::<Vec<_>>(), *said, "{name}");
    }
}

#[test]
fn what_others_change_meanwhile_survives_another_edit() {
    for (name, edit, _, _) in MEANWHILE {
        let place = Place::with(USERS.as_bytes());
        place.apply(&wanted("one"));
        place.edit(edit);
        place.apply(&wanted("two"));
        let ours = TomlText::parse(place.text().as_bytes()).unwrap();
        assert_eq!(
            ours.get(&["model"]).unwrap().as_str(),
            Some("two"),
            "{name}"
        );
        place.restore();
        let left = TomlText::parse(place.text().as_bytes()).unwrap();
        assert_eq!(left.get(&["provider"]), None, "{name}");
        // Their model, or the one from the beginning.
        let model = left.get(&["model"]).and_then(|model| model.as_str());
        match *name {
            "another model" => assert_eq!(model, Some("theirs")),
            "no model" => assert_eq!(model, None),
            _ => assert_eq!(model, Some("gpt"), "{name}"),
        }
    }
}

/// Something that others do to a file that is ours at the moment.
#[derive(Clone, Debug)]
enum Other {
    Set(Vec<&'static str>, i64),
    Remove(Vec<&'static str>),
}

fn other() -> impl Strategy<Value = Other> {
    let keys = [
        "tui",
        "theme",
        "x",
        "mcp_servers",
        "docs",
        "command",
        "a b",
        "providers",
        "mine",
    ];
    let path = || prop::collection::vec(prop::sample::select(keys.to_vec()), 1..4);
    prop_oneof![
        (path(), any::<i64>()).prop_map(|(path, value)| Other::Set(path, value)),
        path().prop_map(Other::Remove),
    ]
}

/// Does what can be done; a table in the way of a value, for example, cannot.
fn change(content: &[u8], others: &[Other]) -> Vec<u8> {
    let mut text = TomlText::parse(content).unwrap();
    for other in others {
        match other {
            Other::Set(path, value) => text.set(path, *value).map_or((), drop),
            Other::Remove(path) => text.remove(path).map_or((), drop),
        }
    }
    text.to_bytes()
}

/// What a file says, tables that hold nothing left aside: whether one is said to be there depends on how it was written.
fn meaning(content: &[u8]) -> toml::Table {
    fn tidy(table: &toml::Table) -> toml::Table {
        let entries = table.iter().map(|(key, value)| match value.as_table() {
            Some(inner) => (key.clone(), toml::Value::Table(tidy(inner))),
            None => (key.clone(), value.clone()),
        });
        let is_empty = |value: &toml::Value| value.as_table().is_some_and(toml::Table::is_empty);
        entries.filter(|(_, value)| !is_empty(value)).collect()
    }
    tidy(TomlText::parse(content).unwrap().root())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// With our edit below them or without it, the edits of others come to the same.
    #[test]
    fn edits_of_others_are_as_if_ours_had_never_been(
        file in prop::sample::select(nasty_files()),
        others in prop::collection::vec(other(), 0..5),
    ) {
        let before = fs::read(&file).unwrap();
        // Numbers that are none are not the same as themselves.
        prop_assume!(!file.ends_with("numbers_and_dates.toml"));
        // A table of ours that they remove with all that is around it is another story.
        let touches_ours = others.iter().any(|other| match other {
            Other::Set(path, _) => path.len() == 1 && path[0] == "providers",
            Other::Remove(path) => path[0] == "providers",
        });
        prop_assume!(!touches_ours);
        let place = Place::with(&before);
        place.apply(&wanted("one"));
        fs::write(&place.file, change(&fs::read(&place.file).unwrap(), &others)).unwrap();
        place.restore();
        let left = fs::read(&place.file).unwrap();
        prop_assert_eq!(meaning(&left), meaning(&change(&before, &others)));
    }
}

#[test]
fn a_file_that_others_remove_stays_away() {
    let place = Place::with(USERS.as_bytes());
    place.apply(&wanted("one"));
    fs::remove_file(&place.file).unwrap();
    assert_eq!(place.restore(), [Kept::File]);
    assert!(!place.file.exists());
}

#[test]
fn links_and_modes_stay() {
    let place = Place::with(USERS.as_bytes());
    let real = place.folder.path().join("dotfiles.toml");
    fs::rename(&place.file, &real).unwrap();
    symlink("../dotfiles.toml", &place.file).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    place.apply(&wanted("one"));
    assert!(place.file.is_symlink());
    assert!(fs::read_to_string(&real).unwrap().contains("one"));
    place.restore();
    assert!(place.file.is_symlink());
    assert_eq!(fs::read_to_string(&real).unwrap(), USERS);
    assert_eq!(
        fs::metadata(&real).unwrap().permissions().mode() & 0o777,
        0o640
    );
}

#[test]
fn what_cannot_be_edited_is_told_and_left() {
    let place = Place::with(b"a = 1\nb = [\n");
    let plan = |place: &Place| {
        place
            .journal
            .plan_apply(&place.file, Layer::Lasting, &wanted("one"))
    };
    let error = plan(&place).unwrap_err().to_string();
    assert!(error.contains("config.toml, line 2, column"), "{error}");
    assert!(error.contains("\nhint: "), "{error}");

    fs::write(&place.file, "providers = 3\n").unwrap();
    let error = plan(&place).unwrap_err().to_string();
    assert!(error.contains("`providers` is not a table"), "{error}");

    fs::write(&place.file, USERS).unwrap();
    fs::set_permissions(&place.file, fs::Permissions::from_mode(0o444)).unwrap();
    let error = place
        .journal
        .carry_out(&plan(&place).unwrap(), None)
        .unwrap_err();
    assert!(
        error.to_string().contains("is read-only\nhint: "),
        "{error}"
    );
    assert_eq!(place.text(), USERS);
    fs::set_permissions(&place.file, fs::Permissions::from_mode(0o600)).unwrap();

    // Broken by its owner after it was edited.
    place.apply(&wanted("one"));
    place.edit(|ours| ours.replace("[mcp_servers.docs]", "[mcp_servers.docs"));
    let error = place
        .journal
        .plan_restore(&place.file, Layer::Lasting)
        .unwrap_err();
    assert!(matches!(error, JournalError::NotToml { .. }), "{error}");
    place.edit(|ours| ours.replace("[mcp_servers.docs", "[mcp_servers.docs]"));
    place.restore();
    assert_eq!(place.text(), USERS);
}

#[test]
fn a_plan_is_for_the_file_that_was_looked_at() {
    let place = Place::with(USERS.as_bytes());
    let plan = place
        .journal
        .plan_apply(&place.file, Layer::Lasting, &wanted("one"))
        .unwrap();
    assert_eq!(plan.current(), Some(USERS.as_bytes()));
    assert!(plan.changes_the_file());
    place.edit(|users| format!("{users}# more\n"));
    let error = place.journal.carry_out(&plan, None).unwrap_err();
    assert!(matches!(error, JournalError::Changed { .. }), "{error}");
    assert_eq!(place.text(), format!("{USERS}# more\n"));
    // A file that says all of it by itself is nobody's edit.
    let place = Place::with(USERS.as_bytes());
    let own = Wanted {
        settings: vec![Setting::new(&["model"], "gpt")],
        tables: Vec::new(),
    };
    let mut text = TomlText::parse(USERS.as_bytes()).unwrap();
    text.set(&["model"], "gpt").unwrap();
    fs::write(&place.file, text.to_bytes()).unwrap();
    place.apply(&own);
    assert!(place.journal.open_edits().unwrap().is_empty());
}

#[test]
fn records_are_private_and_understood_or_refused() {
    let place = Place::with(USERS.as_bytes());
    place.apply(&wanted("one"));
    let folder = place.folder.path().join("state/polywire/edits");
    assert_eq!(
        fs::metadata(&folder).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let entries = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let record = entries
        .into_iter()
        .find(|path| path.extension().is_some())
        .unwrap();
    assert_eq!(
        fs::metadata(&record).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let text = fs::read_to_string(&record).unwrap();
    fs::write(&record, text.replace("\"version\": 1", "\"version\": 9")).unwrap();
    let error = place
        .journal
        .plan_restore(&place.file, Layer::Lasting)
        .unwrap_err();
    assert!(
        error.to_string().contains("it has version 9\nhint: "),
        "{error}"
    );
    fs::write(&record, text).unwrap();
    place.restore();
}

#[test]
fn many_at_once_leave_nothing_behind() {
    let place = Place::with(USERS.as_bytes());
    std::thread::scope(|scope| {
        for model in ["one", "two", "three", "four"] {
            let place = &place;
            scope.spawn(move || {
                let mut done = 0;
                while done < 20 {
                    let plan = if done % 2 == 0 {
                        Some(
                            place
                                .journal
                                .plan_apply(&place.file, Layer::Lasting, &wanted(model)),
                        )
                    } else {
                        place
                            .journal
                            .plan_restore(&place.file, Layer::Lasting)
                            .transpose()
                    };
                    match plan.map(|plan| place.journal.carry_out(&plan.unwrap(), None)) {
                        None | Some(Ok(())) => done += 1,
                        Some(Err(JournalError::Changed { .. })) => {}
                        Some(Err(error)) => panic!("{error}"),
                    }
                }
            });
        }
    });
    place.apply(&wanted("last"));
    place.restore();
    assert_eq!(place.text(), USERS);
    let beside = fs::read_dir(place.file.parent().unwrap()).unwrap().count();
    assert_eq!(beside, 1);
}

/// Does something at the last moment: when the file is about to be taken away.
struct AtTheLastMoment<F> {
    file: PathBuf,
    then: F,
    is_done: AtomicBool,
}

impl<F: Fn() + Send + Sync> Steps for AtTheLastMoment<F> {
    fn before(&self, step: Step, path: &Path) -> std::io::Result<()> {
        let takes_away = matches!(step, Step::Remove | Step::Rename) && path == self.file;
        if takes_away && !self.is_done.swap(true, Ordering::Relaxed) {
            (self.then)();
        }
        Ok(())
    }
}

#[test]
fn a_file_of_ours_that_somebody_writes_to_at_the_last_moment_stays() {
    let place = Place::empty();
    place.apply(&wanted("one"));
    let theirs = format!("{}\n[projects.'/home/me']\ntrust = true\n", place.text());
    let (file, content) = (place.file.clone(), theirs.clone());
    let steps = AtTheLastMoment {
        file: place.file.clone(),
        then: move || fs::write(&file, &content).unwrap(),
        is_done: AtomicBool::new(false),
    };
    let folder = place.folder.path().join("state/polywire/edits");
    let journal = Journal::with_steps(folder, Arc::new(steps));
    let plan = journal.plan_restore(&place.file, Layer::Lasting).unwrap();
    let error = journal.carry_out(&plan.unwrap(), None).unwrap_err();
    assert!(matches!(error, JournalError::Changed { .. }), "{error}");
    assert_eq!(place.text(), theirs);
    let beside = fs::read_dir(place.file.parent().unwrap()).unwrap().count();
    assert_eq!(beside, 1);
    place.restore();
    assert_eq!(place.text(), "[projects.'/home/me']\ntrust = true\n");
}

#[test]
fn a_file_is_known_by_whichever_path_leads_to_it() {
    let place = Place::with(USERS.as_bytes());
    place.apply(&wanted("one"));
    let (folder, moved) = (
        place.file.parent().unwrap(),
        place.folder.path().join("moved"),
    );
    fs::rename(folder, &moved).unwrap();
    symlink(&moved, folder).unwrap();
    let file = moved.join("config.toml");
    let plan = place.journal.plan_restore(&file, Layer::Lasting).unwrap();
    place.journal.carry_out(&plan.unwrap(), None).unwrap();
    assert_eq!(place.text(), USERS);
    assert!(place.journal.open_edits().unwrap().is_empty());
}

/// What somebody does besides choosing another model, which one is there afterwards, and what is told.
type Choosing = (fn(&str) -> String, &'static str, &'static [&'static str]);

/// A model that was chosen on our provider means nothing to the user's own, and theirs is not lost.
#[test]
fn what_goes_with_a_value_of_ours_goes_with_it() {
    let along = |model: &str| {
        let mut wanted = wanted(model);
        wanted.settings[0] = Setting::new(&["model"], model).along_with(&["provider"]);
        wanted
    };
    let chosen = |ours: &str| ours.replace("model = \"one\"", "model = \"chosen\"");
    let cases: [Choosing; 3] = [
        (
            |ours| ours.to_owned(),
            "gpt",
            &["model along with provider"],
        ),
        (
            |ours| ours.replace("model = \"chosen\" # best\n", ""),
            "gpt",
            &["model along with provider"],
        ),
        // With another provider it is theirs.
        (
            |ours| ours.replace("provider = \"ours\"", "provider = \"theirs\""),
            "chosen",
            &["changed provider", "changed model"],
        ),
    ];
    for (edit, model, said) in cases {
        let place = Place::with(USERS.as_bytes());
        place.apply(&along("one"));
        place.edit(chosen);
        place.edit(edit);
        let kept = place.restore();
        assert_eq!(kept.iter().map(told).collect::<Vec<_>>(), *said);
        let left = TomlText::parse(place.text().as_bytes()).unwrap();
        assert_eq!(left.get(&["model"]).unwrap().as_str(), Some(model));
    }
    // An edit anew does not make the chosen one the user's.
    let place = Place::with(USERS.as_bytes());
    place.apply(&along("one"));
    place.edit(chosen);
    place.apply(&along("two"));
    place.restore();
    assert_eq!(place.text(), USERS);
}

/// Killed between the two: what is not ours goes back, and what is ours goes.
#[test]
fn a_file_that_a_crash_has_left_aside_is_not_lost() {
    for more in ["", "\n[projects.'/home/me']\ntrust = true\n"] {
        let place = Place::empty();
        place.apply(&wanted("one"));
        place.edit(|ours| format!("{ours}{more}"));
        let aside = place
            .file
            .with_file_name(".config.toml.set-aside-by-polywire");
        fs::rename(&place.file, &aside).unwrap();
        let restore = || {
            let plan = place.journal.plan_restore(&place.file, Layer::Lasting);
            place.journal.carry_out(&plan.unwrap().unwrap(), None)
        };
        if !more.is_empty() {
            let error = restore().unwrap_err();
            assert!(matches!(error, JournalError::Changed { .. }), "{error}");
        }
        restore().unwrap();
        assert!(!aside.exists());
        let left = fs::read_to_string(&place.file).unwrap_or_default();
        assert_eq!(left, more.trim_start());
    }
}
