//! Every help page, found by walking the commands that help pages list, and what else is made of the same source.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::VecDeque;

use polywire_testkit::{Call, Ended, House, Running, ScriptedUpstream, TempHome, Terminal, answer};
use serde_json::json;

/// How wide the pages are made, whatever the terminal of those who run the tests.
const COLUMNS: &str = "100";

fn home() -> TempHome {
    TempHome::new(env!("CARGO_TARGET_TMPDIR"))
}

async fn run(home: &TempHome, arguments: &[String]) -> Ended {
    let mut command = home.command(env!("CARGO_BIN_EXE_polywire"));
    command.args(arguments).env("COLUMNS", COLUMNS);
    Running::start(command).ended().await
}

async fn help_page(home: &TempHome, command: &[String]) -> Vec<String> {
    let arguments = [command, &["--help".to_owned()]].concat();
    let help = run(home, &arguments).await;
    assert_eq!(help.code(), Some(0), "{help:?}");
    assert!(help.stderr.is_empty(), "{help:?}");
    help.stdout
}

/// The commands that a help page lists: what stands two blanks deep below `Commands:`.
fn listed(page: &[String]) -> Vec<String> {
    let below = page.iter().skip_while(|line| *line != "Commands:").skip(1);
    let lines = below.take_while(|line| !line.is_empty());
    let entries = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = entries.filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// All commands with their pages, `polywire` itself first.
async fn pages(home: &TempHome) -> Vec<(Vec<String>, Vec<String>)> {
    let mut open = VecDeque::from([Vec::new()]);
    let mut pages = Vec::new();
    while let Some(command) = open.pop_front() {
        let page = help_page(home, &command).await;
        for name in listed(&page) {
            open.push_back([command.as_slice(), &[name]].concat());
        }
        pages.push((command, page));
    }
    pages
}

#[tokio::test]
async fn every_page_is_as_it_was() {
    let home = home();
    let pages = pages(&home).await;
    assert!(pages.len() > 10, "{pages:?}");
    for (command, page) in pages {
        let name = [&["polywire".to_owned()], command.as_slice()]
            .concat()
            .join("_");
        insta::assert_snapshot!(name, page.join("\n"));
    }
}

/// What makes a terminal one without colours, and one that has them.
const COLOURS: [((&str, &str), bool); 4] = [
    (("TERM", "xterm-256color"), true),
    (("NO_COLOR", "1"), false),
    // Set to nothing is not set (<https://no-color.org>).
    (("NO_COLOR", ""), true),
    (("TERM", "dumb"), false),
];

#[tokio::test]
async fn help_has_colours_where_they_are_wanted() {
    let home = home();
    for (variable, wanted) in COLOURS {
        for arguments in [["--help"].as_slice(), &["run", "--help"], &["fly"]] {
            let mut command = home.command(env!("CARGO_BIN_EXE_polywire"));
            command.args(arguments).env(variable.0, variable.1);
            let mut screen = Terminal::start(command);
            screen.shows("Usage: ").await;
            screen.ended().await;
            let has_colours = screen.bytes().contains("\x1b[");
            assert_eq!(has_colours, wanted, "{variable:?} {arguments:?}");
        }
    }
}

#[tokio::test]
async fn the_log_has_colours_where_they_are_wanted() {
    let house = House::new(
        env!("CARGO_BIN_EXE_polywire"),
        env!("CARGO_TARGET_TMPDIR"),
        ScriptedUpstream::start(|_, _| answer("hello")),
    );
    for (variable, wanted) in COLOURS {
        let mut command = house.polywire();
        command
            .arg("serve")
            .env("POLYWIRE_AUTH", "none")
            .env(variable.0, variable.1);
        let screen = Terminal::start(command);
        screen.shows("providers: ").await;
        let text = screen.text();
        let (_, rest) = text.split_once("http://").unwrap();
        let address = rest.split('/').next().unwrap().parse().unwrap();
        let turn =
            json!({"model": "test-model", "messages": [{"role": "user", "content": "hello"}]});
        let answered = Call::post("/v1/chat/completions", &turn)
            .send(address)
            .await;
        assert_eq!(answered.status, 200, "{}", answered.text());
        screen.shows("request_id=").await;
        let has_colours = screen.bytes().contains("\x1b[");
        assert_eq!(has_colours, wanted, "{variable:?}");
    }
}
