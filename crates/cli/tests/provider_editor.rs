//! `polywire provider edit NAME` without a flag: the settings in an editor.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use polywire_testkit::Terminal;
use provider::{Desk, mode};

#[path = "support/provider.rs"]
mod provider;

/// A file to edit.
const MINE: &str = r#"# my settings

default_provider = "house"   # the one at home

[providers.house] # in the cellar
kind = "chat"
base_url = "http://127.0.0.1:8000/v1"

[aliases]
fast = "house/small"
"#;

/// The editor is a shell script: what it does is in `EDITOR_DOES`.
fn with_editor(desk: &Desk, script: &str) -> tokio::process::Command {
    let path = desk
        .home
        .write("editor.sh", format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    let mut command = desk.command(&["edit", "house"]);
    command.env("EDITOR", format!("'{}' --wait", path.display()));
    command
}

#[tokio::test]
async fn an_editor_is_offered_again_until_the_settings_work() {
    let desk = Desk::with(MINE);
    // The first time it breaks the file, the second time it mends it.
    let script = r#"test "$1" = --wait || exit 9
if test -e "$HOME/again"; then sed -i 's/^kin = /kind = /; s/cellar/attic/' "$2"; else touch "$HOME/again"; sed -i 's/^kind = /kin = /' "$2"; fi"#;
    let mut terminal = Terminal::start(with_editor(&desk, script));
    terminal.shows("there is no key `kin` here").await;
    terminal.shows("Go on editing?").await;
    assert_eq!(desk.settings(), MINE);
    terminal.type_keys("y");
    terminal.shows("config.toml is changed").await;
    assert_eq!(terminal.ended().await, Some(0));
    assert_eq!(desk.settings(), MINE.replace("cellar", "attic"));
}

#[tokio::test]
async fn a_draft_that_is_given_up_is_kept() {
    let desk = Desk::with(MINE);
    let mut terminal = Terminal::start(with_editor(&desk, r#"echo 'half = ' >> "$2""#));
    terminal.shows("Go on editing?").await;
    terminal.type_keys("n");
    assert_eq!(terminal.ended().await, Some(1));
    assert_eq!(desk.settings(), MINE);
    let draft = desk.home.state().join("polywire/settings-draft.toml");
    assert_eq!(
        fs::read_to_string(&draft).unwrap(),
        format!("{MINE}half = \n")
    );
    assert_eq!(mode(&draft), 0o600);
    // Nothing else of it is left.
    let state = fs::read_dir(desk.home.state().join("polywire")).unwrap();
    let names: Vec<String> = state
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert!(
        !names
            .iter()
            .any(|name| name.starts_with("polywire-settings-")),
        "{names:?}"
    );
}

#[tokio::test]
async fn an_editor_that_changes_nothing_or_fails() {
    let desk = Desk::with(MINE);
    let mut terminal = Terminal::start(with_editor(&desk, "true"));
    terminal.shows("nothing was changed").await;
    assert_eq!(terminal.ended().await, Some(0));
    let mut terminal = Terminal::start(with_editor(&desk, "exit 3"));
    terminal.shows("failed (exit status: 3)").await;
    assert_eq!(terminal.ended().await, Some(1));
    assert_eq!(desk.settings(), MINE);
}

/// The editor waits for its second call until the test has changed the settings.
#[tokio::test]
async fn what_somebody_else_changed_meanwhile_comes_into_the_draft() {
    let desk = Desk::with(MINE);
    let script = r#"if test -e "$HOME/again"; then exit 0; fi
touch "$HOME/again"; sed -i 's/cellar/attic/' "$2"; n=0; while ! test -e "$HOME/changed" && test $n -lt 1000; do sleep 0.02; n=$((n+1)); done"#;
    let mut terminal = Terminal::start(with_editor(&desk, script));
    let opened = desk.home.config().parent().unwrap().join("home/again");
    while !opened.exists() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    desk.run(&["add", "zai", "--key-env", "K"]).await.done();
    desk.home.write("home/changed", "");
    terminal.shows("were changed by somebody else").await;
    terminal.shows("Go on editing?").await;
    terminal.type_keys("y");
    terminal.shows("config.toml is changed").await;
    assert_eq!(terminal.ended().await, Some(0));
    let settings = desk.settings();
    assert!(settings.contains("# in the attic"), "{settings}");
    assert!(settings.contains("[providers.zai]"), "{settings}");
}

#[tokio::test]
async fn a_draft_is_kept_when_the_editor_fails_the_second_time() {
    let desk = Desk::with(MINE);
    let script = r#"test -e "$HOME/again" && exit 1; touch "$HOME/again"; echo 'half = ' >> "$2""#;
    let mut terminal = Terminal::start(with_editor(&desk, script));
    terminal.shows("Go on editing?").await;
    terminal.type_keys("y");
    terminal.shows("your draft is kept as").await;
    assert_eq!(terminal.ended().await, Some(1));
    assert_eq!(desk.settings(), MINE);
    let draft = desk.home.state().join("polywire/settings-draft.toml");
    assert!(fs::read_to_string(draft).unwrap().ends_with("half = \n"));
}

#[tokio::test]
async fn whoever_turns_back_from_going_on_keeps_the_draft() {
    let desk = Desk::with(MINE);
    let mut terminal = Terminal::start(with_editor(&desk, r#"echo 'half = ' >> "$2""#));
    terminal.shows("Go on editing?").await;
    // A key that comes before it is waited for would be a signal to nobody.
    terminal.hides_input().await;
    terminal.type_keys("\x03");
    terminal.shows("your draft is kept as").await;
    assert_eq!(terminal.ended().await, Some(130));
    assert_eq!(desk.settings(), MINE);
    let draft = desk.home.state().join("polywire/settings-draft.toml");
    assert_eq!(mode(&draft), 0o600);
}
