//! Asking on a terminal for what the command line does not say.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::os::unix::fs::PermissionsExt;

use polywire_testkit::{House, Reply, Running, ScriptedUpstream, Terminal, answer};
use processes::until;
use serde_json::json;
use tokio::process::Command;

#[path = "support/processes.rs"]
mod processes;

const DOWN: &str = "\x1b[B";
const ENTER: &str = "\r";
const CTRL_C: &str = "\x03";
const ESCAPE: &str = "\x1b";

/// By which a terminal shows its cursor again (xterm, DECTCEM).
const CURSOR_SHOWN: &str = "\x1b[?25h";

/// By which it hides it.
const CURSOR_HIDDEN: &str = "\x1b[?25l";

/// A home with two providers, the one with a list of models and the other without a key, and programs that tell the model they are
/// launched on.
fn house() -> House {
    let house = House::new(
        env!("CARGO_BIN_EXE_polywire"),
        env!("CARGO_TARGET_TMPDIR"),
        ScriptedUpstream::start(|_, request| match request.path.as_str() {
            "/v1/models" => Reply::json(
                200,
                &json!({"data": [{"id": "small-model"}, {"id": "fetched-model"}]}),
            ),
            _ => answer("hello"),
        }),
    );
    let url = house.upstream.base_url();
    let settings = format!(
        "default_provider = \"house\"\n\n[server]\nlisten = \"127.0.0.1:0\"\n\n\
         [providers.attic]\nkind = \"chat\"\nbase_url = \"{url}\"\nkey = {{ env = \"ATTIC_KEY\" }}\nmodels = [\"attic-model\"]\n\n\
         [providers.house]\nkind = \"chat\"\nbase_url = \"{url}\"\nkey = \"sk-house\"\nmodels = [\"small-model\", \"large-model\", \"huge-model\"]\n"
    );
    house.home.write("config/polywire/config.toml", settings);
    for name in ["claude", "aider"] {
        let script = format!(
            "#!/bin/sh\n[ {name} = claude ] && model=$ANTHROPIC_MODEL || model=$4\necho {name} runs on $model.\nexit 5\n"
        );
        let path = house.home.write(format!("bin/{name}"), script);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    house
}

fn polywire(house: &House, arguments: &[&str]) -> Command {
    let mut command = house.polywire();
    let folder = house.home.work().with_file_name("bin");
    command
        .env("PATH", format!("{}:/usr/bin:/bin", folder.display()))
        .args(arguments);
    command
}

fn screen(house: &House, arguments: &[&str]) -> Terminal {
    Terminal::start(polywire(house, arguments))
}

/// Types a key that counts only once the program reads key by key.
async fn press(screen: &mut Terminal, key: &str) {
    until("keys to be read one by one", || !screen.echoes()).await;
    screen.type_keys(key);
}

#[tokio::test]
async fn provider_and_model_are_asked_for_and_remembered() {
    let house = house();
    let mut screen = screen(&house, &["run", "claude"]);
    screen.shows("Provider").await;
    // The default first, the demo last, each with what there is of a key.
    screen
        .shows("house house key is there attic attic no key")
        .await;
    screen.shows("demo Demo needs no key").await;
    screen.type_keys(ENTER);
    screen.shows("Model").await;
    screen.shows("another model…").await;
    // Found by some of its letters.
    screen.type_keys("lrg");
    screen.shows("lrg").await;
    screen.type_keys(ENTER);
    screen.shows("claude runs on house/large-model.").await;
    assert_eq!(screen.ended().await, Some(5));

    // The next time, the same is two keys away.
    let mut screen = self::screen(&house, &["run", "claude"]);
    screen.shows("Provider").await;
    screen.type_keys(ENTER);
    screen.shows("Model").await;
    screen.type_keys(ENTER);
    screen.shows("claude runs on house/large-model.").await;
    assert_eq!(screen.ended().await, Some(5));
    let remembered = house.home.state().join("polywire/last-choice.json");
    let mode = remembered.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
}

#[tokio::test]
async fn what_is_named_is_not_asked_for() {
    let house = house();
    let mut screen = screen(&house, &["run", "aider", "-p", "house"]);
    screen.shows("Model").await;
    screen.type_keys(&[DOWN, DOWN].concat());
    screen.type_keys(ENTER);
    screen.shows("aider runs on openai/house/huge-model.").await;
    assert!(!screen.text().contains("Provider"), "{}", screen.text());
    assert_eq!(screen.ended().await, Some(5));
    for (arguments, model) in [
        (["-m", "house/new-model"].as_slice(), "house/new-model"),
        (&["-p", "house", "-m", "new-model"], "house/new-model"),
        (&["--no-input"], "house/small-model"),
    ] {
        let arguments = [&["run", "claude"], arguments].concat();
        let mut screen = self::screen(&house, &arguments);
        screen.shows(&format!("claude runs on {model}.")).await;
        assert_eq!(screen.ended().await, Some(5), "{}", screen.text());
        assert!(!screen.text().contains("Model"), "{}", screen.text());
    }
}

#[tokio::test]
async fn models_that_were_fetched_are_offered() {
    let house = house();
    let listed = polywire(&house, &["provider", "models", "house"]);
    let listed = Running::start(listed).ended().await;
    assert_eq!(listed.code(), Some(0), "{listed:?}");
    let mut screen = screen(&house, &["run", "claude", "-p", "house"]);
    screen
        .shows("huge-model fetched-model another model…")
        .await;
    screen.type_keys("fetched");
    screen.shows("fetched").await;
    screen.type_keys(ENTER);
    screen.shows("claude runs on house/fetched-model.").await;
    assert_eq!(screen.ended().await, Some(5));
}

#[tokio::test]
async fn a_model_that_no_list_has_is_named() {
    let house = house();
    let mut screen = screen(&house, &["run", "claude", "-p", "house"]);
    screen.shows("another model…").await;
    screen.type_keys("another");
    screen.shows("another").await;
    screen.type_keys(ENTER);
    // The question for a name, below that for one of the list.
    screen.shows_times("Model", 2).await;
    screen.type_keys("brand-new");
    screen.type_keys(ENTER);
    screen.shows("claude runs on house/brand-new.").await;
    assert_eq!(screen.ended().await, Some(5));
}

#[tokio::test]
async fn polywire_alone_asks_for_the_client_too() {
    let house = house();
    let mut screen = screen(&house, &[]);
    screen.shows("Client").await;
    // Those that are installed come first.
    screen.shows("codex Codex CLI not installed").await;
    screen.type_keys("aider");
    screen.type_keys(ENTER);
    screen.shows("Provider").await;
    screen.type_keys(ENTER);
    screen.shows("Model").await;
    screen.type_keys(ENTER);
    screen
        .shows("aider runs on openai/house/small-model.")
        .await;
    assert_eq!(screen.ended().await, Some(5));
}

#[tokio::test]
async fn a_question_can_be_cancelled_and_the_terminal_is_as_before() {
    for key in [CTRL_C, ESCAPE] {
        let house = house();
        for (question, arguments) in [
            ("Client", [].as_slice()),
            ("Provider", &["run", "claude"]),
            ("Model", &["run", "claude", "-p", "house"]),
        ] {
            let mut screen = screen(&house, arguments);
            screen.shows(question).await;
            press(&mut screen, key).await;
            assert_eq!(screen.ended().await, Some(130), "{}", screen.text());
            let is_shown = || {
                let bytes = screen.bytes();
                let rest = bytes.rsplit_once(CURSOR_HIDDEN).unwrap().1;
                rest.contains(CURSOR_SHOWN)
            };
            until("the cursor to be shown again", is_shown).await;
            assert!(screen.echoes(), "{question}");
        }
        assert!(
            !house
                .home
                .state()
                .join("polywire/last-choice.json")
                .exists()
        );
    }
}

/// Between the drawing of a question and the reading of the first key, too.
#[tokio::test]
async fn ctrl_c_counts_whenever_it_comes() {
    let house = house();
    for _ in 0..10 {
        let mut screen = screen(&house, &["run", "claude"]);
        screen.shows("Provider").await;
        screen.type_keys(CTRL_C);
        assert_eq!(screen.ended().await, Some(130), "{}", screen.text());
        assert!(screen.echoes());
    }
}

#[tokio::test]
async fn colours_are_left_out_where_they_are_not_wanted() {
    for (variable, coloured) in [
        (("TERM", "xterm-256color"), true),
        (("NO_COLOR", "1"), false),
        (("TERM", "dumb"), false),
    ] {
        let house = house();
        let mut command = polywire(&house, &["run", "claude"]);
        command.env(variable.0, variable.1);
        let mut screen = Terminal::start(command);
        screen.shows("Provider").await;
        press(&mut screen, CTRL_C).await;
        assert_eq!(screen.ended().await, Some(130));
        let bytes = screen.bytes();
        let has_colours = ["\x1b[3", "\x1b[1m", "\x1b[9"]
            .iter()
            .any(|sequence| bytes.contains(sequence));
        assert_eq!(has_colours, coloured, "{variable:?}: {bytes:?}");
    }
}

#[tokio::test]
async fn a_provider_without_its_key_is_told_with_the_way_to_give_it_one() {
    let house = house();
    let mut screen = screen(&house, &["run", "claude"]);
    screen.shows("Provider").await;
    screen.type_keys("attic");
    screen.shows("attic").await;
    screen.type_keys(ENTER);
    screen
        .shows("error: there is no key for provider `attic`")
        .await;
    screen.shows("hint: set `ATTIC_KEY`").await;
    assert_eq!(screen.ended().await, Some(1));
    assert!(
        !house
            .home
            .state()
            .join("polywire/last-choice.json")
            .exists()
    );
}

#[tokio::test]
async fn nobody_is_asked_without_a_terminal() {
    let house = house();
    // The default provider and its first model.
    let told = Running::start(polywire(&house, &["run", "claude"]))
        .ended()
        .await;
    assert_eq!(
        told.stdout,
        ["claude runs on house/small-model."],
        "{told:?}"
    );
    let mut alone = polywire(&house, &["run"]);
    alone.env("COLUMNS", "100");
    let refused = Running::start(alone).ended().await;
    assert_eq!(refused.code(), Some(2), "{refused:?}");
    assert!(refused.stderr.join("\n").contains("hint:"), "{refused:?}");
    let settings = house.home.config().join("polywire/config.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    let text = text.replace("default_provider = \"house\"\n", "");
    house.home.write("config/polywire/config.toml", text);
    let undecided = Running::start(polywire(&house, &["run", "claude"]))
        .ended()
        .await;
    assert_eq!(undecided.code(), Some(1), "{undecided:?}");
    let said = undecided.stderr.join("\n");
    assert!(
        said.contains("no provider was named") && said.contains("hint: "),
        "{said}"
    );
    let word = Running::start(polywire(&house, &["run", "claude", "attic", "-m", "x"]));
    let word = word.ended().await;
    assert!(
        word.stderr.join("\n").contains("named with `-p attic`"),
        "{word:?}"
    );
    // With no provider at all there is the demo, which nobody should take for a model.
    house.home.write("config/polywire/config.toml", "");
    let on_demo = Running::start(polywire(&house, &["run", "claude"]));
    let on_demo = on_demo.ended().await;
    assert_eq!(on_demo.stdout, ["claude runs on demo/demo."], "{on_demo:?}");
    let said = on_demo.stderr.join("\n");
    assert!(
        said.contains("no provider is configured") && said.contains("hint: "),
        "{said}"
    );
    let mistyped = Running::start(polywire(&house, &["run", "claude", "-p", "dmeo"]));
    let mistyped = mistyped.ended().await;
    assert!(
        mistyped.stderr.join("\n").contains("did you mean `demo`?"),
        "{mistyped:?}"
    );
    let help = Running::start(polywire(&house, &[])).ended().await;
    assert_eq!(help.code(), Some(2), "{help:?}");
    assert!(help.stderr.join("\n").contains("Commands:"), "{help:?}");
}
