//! An edit for as long as a program runs, above one that lasts.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]
#![cfg(unix)]

mod place;

use std::fs;

use place::{Place, USERS, wanted};
use polywire_client_files::{JournalError, Kept, Layer};

impl Place {
    fn begin(&self, model: &str) {
        let session = self
            .journal
            .plan_session(&self.file, &wanted(model))
            .unwrap();
        self.journal
            .carry_out(&session, Some("a note".to_owned()))
            .unwrap();
    }

    fn end(&self) -> Vec<Kept> {
        let plan = self
            .journal
            .plan_restore(&self.file, Layer::Session)
            .unwrap()
            .unwrap();
        self.journal.carry_out(&plan, None).unwrap();
        plan.kept().to_vec()
    }
}

#[test]
fn a_session_lies_above_what_lasts() {
    let place = Place::with(USERS.as_bytes());
    place.apply(&wanted("one"));
    let lasting = place.text();
    place.begin("two");
    assert!(place.text().contains("\"two\""));
    let open = place.journal.open_edits().unwrap();
    assert_eq!(open.len(), 2);
    assert_eq!(
        (open[1].layer, open[1].note.as_deref()),
        (Layer::Session, Some("a note"))
    );
    for error in [
        place
            .journal
            .plan_restore(&place.file, Layer::Lasting)
            .map(drop)
            .unwrap_err(),
        place
            .journal
            .plan_apply(&place.file, Layer::Lasting, &wanted("3"))
            .map(drop)
            .unwrap_err(),
    ] {
        assert!(matches!(error, JournalError::InSession { .. }), "{error}");
    }
    assert!(place.end().is_empty());
    assert_eq!(place.text(), lasting);
    place.restore();
    assert_eq!(place.text(), USERS);
}

const PROJECTS: &str = "\n[projects.'/home/me']\ntrust = true\n";

/// What the user has added to the lasting table is no reason to leave a session's values in it.
#[test]
fn a_session_leaves_nothing_in_a_table_that_was_there() {
    let place = Place::with(USERS.as_bytes());
    place.apply(&wanted("one"));
    place.edit(|ours| ours.replace("name = \"ours\"\n", "name = \"ours\"\nretries = 9\n"));
    let lasting = place.text();
    place.begin("two");
    place.edit(|ours| format!("{ours}{PROJECTS}"));
    assert_eq!(place.end(), []);
    assert_eq!(place.text(), format!("{lasting}{PROJECTS}"));
    // Nor is what comes into it meanwhile.
    place.begin("two");
    place.edit(|ours| ours.replace("retries = 9\n", "retries = 9\nmore = 1\n"));
    assert_eq!(place.end(), []);
    let expected = lasting.replace("retries = 9\n", "retries = 9\nmore = 1\n");
    assert_eq!(place.text(), format!("{expected}{PROJECTS}"));
}

/// A program that writes a value of ours as a table with a header has not changed what it says.
#[test]
fn another_spelling_blocks_nothing() {
    let mut with_table = wanted("one");
    let features = toml::Table::from_iter([("compact".to_owned(), false.into())]);
    let setting = polywire_client_files::Setting::new(&["providers", "ours", "features"], features);
    with_table.settings.push(setting);
    let spelled = |ours: &str| {
        let line = "features = { compact = false }\n";
        assert!(ours.contains(line), "{ours}");
        format!(
            "{}\n[providers.ours.features]\ncompact = false\n",
            ours.replace(line, "")
        )
    };
    // Below a session, meanwhile, and then the lasting edit itself.
    let place = Place::with(USERS.as_bytes());
    place.apply(&with_table);
    let lasting = place.text();
    let session = || {
        place
            .journal
            .plan_session(&place.file, &with_table)
            .unwrap()
    };
    place.edit(spelled);
    place.journal.carry_out(&session(), None).unwrap();
    place.edit(|ours| format!("{ours}{PROJECTS}"));
    assert_eq!(place.end(), []);
    assert_eq!(place.text(), format!("{}{PROJECTS}", spelled(&lasting)));

    fs::write(&place.file, &lasting).unwrap();
    place.journal.carry_out(&session(), None).unwrap();
    place.edit(spelled);
    assert_eq!(place.end(), []);
    place.apply(&with_table);
    assert_eq!(place.restore(), []);
    assert_eq!(place.text(), USERS);
}

#[test]
fn only_one_session_holds_a_file() {
    let place = Place::with(USERS.as_bytes());
    let plan = |model| place.journal.plan_session(&place.file, &wanted(model));
    let [first, second] = ["one", "two"].map(|model| plan(model).unwrap());
    place.journal.carry_out(&first, None).unwrap();
    // Planned before the first one began, or after.
    let error = place.journal.carry_out(&second, None).unwrap_err();
    assert!(matches!(error, JournalError::Changed { .. }), "{error}");
    let error = plan("two").unwrap_err();
    let told = error.to_string();
    let JournalError::InSession { record, .. } = error else {
        panic!("{error}");
    };
    assert!(told.contains(&record.display().to_string()), "{told}");
    assert!(record.exists());
    assert!(place.text().contains("\"one\""));
    assert_eq!(place.journal.layers(&place.file).unwrap(), [Layer::Session]);
    assert_eq!(place.end(), []);
    assert_eq!(place.text(), USERS);
}

/// Whoever takes a session back sees whose it is.
#[test]
fn a_plan_tells_the_note_of_what_it_takes_back() {
    let place = Place::with(USERS.as_bytes());
    place.begin("one");
    let plan = place
        .journal
        .plan_restore(&place.file, Layer::Session)
        .unwrap()
        .unwrap();
    assert_eq!(plan.known_note(), Some("a note"));
    place.end();
    let session = place
        .journal
        .plan_session(&place.file, &wanted("one"))
        .unwrap();
    let note = Some("another".to_owned());
    place.journal.carry_out(&session, note).unwrap();
    let error = place.journal.carry_out(&plan, None).unwrap_err();
    assert!(matches!(error, JournalError::Changed { .. }), "{error}");
}
