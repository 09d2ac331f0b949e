//! Sessions of Codex that were begun on one provider and go on with another.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::path::{Path, PathBuf};

use polywire_testkit::{CodexCli, CodexRun, House, Running, ScriptedUpstream, Terminal, answer};
use tokio::process::Command;

/// A home with two providers, `house` and `attic`, each of which says who it is.
fn house() -> (House, ScriptedUpstream) {
    let says = |text: &'static str| {
        ScriptedUpstream::start(move |_, request| {
            if request.json()["response_format"].is_null() {
                answer(text)
            } else {
                answer(r#"{"title":"A talk"}"#)
            }
        })
    };
    let attic = says("Said by the attic.");
    let house = House::new(
        env!("CARGO_BIN_EXE_polywire"),
        env!("CARGO_TARGET_TMPDIR"),
        says("Said by the house."),
    );
    let path = house.home.config().join("polywire/config.toml");
    let settings = std::fs::read_to_string(&path).unwrap();
    let more = format!(
        "\n[providers.attic]\nkind = \"chat\"\nbase_url = \"{}\"\nmodels = [\"attic-model\"]\n",
        attic.base_url()
    );
    house
        .home
        .write("config/polywire/config.toml", settings + &more);
    let config = format!(
        "check_for_update_on_startup = false\n\n[analytics]\nenabled = false\n\n\
         [tui]\nscreen_reader_detection_done = true\n\n[projects.\"{}\"]\ntrust_level = \"trusted\"\n",
        house.home.work().display()
    );
    house.home.write("codex/config.toml", config);
    (house, attic)
}

fn codex(house: &House, codex: &CodexCli, provider: &str, arguments: &[&str]) -> Command {
    let mut command = house.polywire();
    command
        .env("PATH", codex.search_path())
        .args(["run", "codex", "--no-input", "-p", provider, "--"])
        .args(arguments);
    command
}

async fn exec(house: &House, program: &CodexCli, provider: &str, arguments: &[&str]) -> CodexRun {
    let exec = ["exec", "--json", "--skip-git-repo-check"].as_slice();
    let command = codex(house, program, provider, &[exec, arguments].concat());
    let run = CodexRun::read(Running::start(command).ended().await);
    assert_eq!(run.ended.code(), Some(0), "{run:#?}");
    assert_eq!(run.events("turn.completed").len(), 1, "{run:#?}");
    run
}

/// Codex says so, and rightly, when the model is another than before; it has nothing else to say.
fn assert_told_of_the_model(run: &CodexRun) {
    let said = run.items("error");
    assert_eq!(said.len(), 1, "{run:#?}");
    let said = said[0]["message"].as_str().unwrap();
    assert!(
        said.starts_with("This session was recorded with model"),
        "{said}"
    );
}

/// The files of all sessions.
fn sessions(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                sessions(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[tokio::test]
async fn a_session_goes_on_with_another_provider_and_back() {
    let Some(program) = CodexCli::find() else {
        return;
    };
    let (house, attic) = house();
    let first = exec(&house, &program, "house", &["the first question"]).await;
    assert_eq!(first.messages(), ["Said by the house."]);
    first.assert_clean();
    let thread = first.thread_id();

    let second = exec(
        &house,
        &program,
        "attic",
        &["resume", "--last", "the second question"],
    )
    .await;
    assert_eq!(second.messages(), ["Said by the attic."]);
    assert_eq!(second.thread_id(), thread);
    assert_told_of_the_model(&second);
    let asked = attic.received();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].json()["model"], "attic-model");
    for part in [
        "the first question",
        "Said by the house.",
        "the second question",
    ] {
        assert!(asked[0].text().contains(part), "{}", asked[0].text());
    }

    let third = exec(
        &house,
        &program,
        "house",
        &["resume", thread, "the third question"],
    )
    .await;
    assert_eq!(third.messages(), ["Said by the house."]);
    assert_eq!(third.thread_id(), thread);
    assert_told_of_the_model(&third);
    let asked = house.upstream.received();
    assert!(asked[1].text().contains("Said by the attic."));

    // One file, and in it the one provider that Codex knows of, which is why it lists and resumes the session everywhere.
    let files = sessions(&house.home.codex_home().join("sessions"));
    assert_eq!(files.len(), 1, "{files:?}");
    let text = std::fs::read_to_string(&files[0]).unwrap();
    assert!(text.contains(r#""model_provider":"polywire""#));
}

#[tokio::test]
async fn the_screen_lists_and_resumes_what_another_provider_began() {
    let Some(program) = CodexCli::find() else {
        return;
    };
    let (house, attic) = house();
    exec(&house, &program, "house", &["the first question"]).await;
    let resume = |more: &[&str]| {
        let arguments = [&["resume", "--include-non-interactive"], more].concat();
        Terminal::start(codex(&house, &program, "attic", &arguments))
    };
    let mut list = resume(&[]);
    list.shows("the first question").await;
    list.type_keys("\x03");
    list.ended().await;

    let mut screen = resume(&["--last"]);
    screen.shows("Said by the house.").await;
    screen.submit("the second question");
    screen.shows("Said by the attic.").await;
    // Below each turn that is over, the earlier one among them.
    screen.shows_times("Worked for", 2).await;
    let asked = attic.received();
    assert!(
        asked
            .iter()
            .any(|request| request.text().contains("the first question"))
    );
    screen.type_keys("\x03");
    assert_eq!(screen.ended().await, Some(0));
}
