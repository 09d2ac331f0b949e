//! Keys of providers: how they come in, where they are kept, how they go, and where they never show.

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

const KEY: &str = "sk-0123456789abcdef";

#[tokio::test]
async fn a_piped_key_goes_into_a_private_file_where_there_is_no_keyring() {
    let desk = Desk::new();
    let added = desk
        .piped(&["add", "zai", "--key-stdin"], &format!("{KEY}\n"))
        .await
        .done();
    assert!(!format!("{added:?}").contains(KEY), "{added:?}");
    let file = desk.key_file("zai");
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{KEY}\n"));
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    insta::assert_snapshot!(desk.settings(), @r#"
    [providers.zai]
    preset = "zai"
    key = { file = "keys/zai" }
    "#);
    let shown = desk.run(&["show", "zai"]).await.done();
    assert!(shown.stdout.contains("present: ***cdef"), "{shown:?}");
    assert!(!shown.stdout.contains(KEY), "{shown:?}");
}

#[tokio::test]
async fn another_key_takes_the_place_of_the_first() {
    let desk = Desk::new();
    desk.piped(&["add", "zai", "--key-stdin"], KEY).await.done();
    let file = desk.key_file("zai");
    // Its user has opened it in the meantime.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let settings = desk.settings();
    desk.piped(&["edit", "zai", "--key-stdin"], "sk-another")
        .await
        .done();
    assert_eq!(fs::read_to_string(&file).unwrap(), "sk-another\n");
    assert_eq!(mode(&file), 0o600);
    assert_eq!(desk.settings(), settings);
    let named = desk.run(&["edit", "zai", "--key-env", "ZK"]).await.done();
    assert!(
        named
            .stderr
            .contains("the key file CONFIG/polywire/keys/zai is gone"),
        "{named:?}"
    );
    assert!(!file.exists());
}

#[tokio::test]
async fn a_key_that_is_not_used_after_all_is_not_kept() {
    let desk = Desk::new();
    desk.piped(&["add", "zai", "--key-stdin"], KEY).await.done();
    let file = desk.key_file("zai");
    let settings = desk.settings();
    for arguments in [
        &["edit", "zai", "--key-stdin", "--set", "nonsense=1"][..],
        &["edit", "zai", "--key-stdin", "--auth", "login"],
    ] {
        desk.piped(arguments, "sk-another")
            .await
            .failed(&["nothing was changed"]);
        assert_eq!(fs::read_to_string(&file).unwrap(), format!("{KEY}\n"));
        assert_eq!(desk.settings(), settings);
    }
    // A provider that takes no key.
    desk.piped(
        &[
            "add",
            "other",
            "--preset",
            "groq",
            "--auth",
            "login",
            "--key-stdin",
        ],
        "sk-other",
    )
    .await
    .failed(&["nothing was changed"]);
    assert!(!desk.key_file("other").exists());
}

/// The settings cannot be written, so the key that was kept for them goes, or the one before comes back.
#[tokio::test]
async fn a_key_goes_back_when_the_settings_cannot_be_written() {
    let desk = Desk::new();
    desk.piped(&["add", "zai", "--key-stdin"], KEY).await.done();
    let settings = desk.settings();
    fs::set_permissions(desk.file(), fs::Permissions::from_mode(0o400)).unwrap();
    desk.piped(&["edit", "zai", "--key-stdin", "--name", "Z"], "sk-another")
        .await
        .failed(&["config.toml is read-only", "hint: "]);
    let kept = fs::read_to_string(desk.key_file("zai")).unwrap();
    assert_eq!(kept, format!("{KEY}\n"));
    desk.piped(&["add", "groq", "--key-stdin"], "gsk-new")
        .await
        .failed(&["config.toml is read-only"]);
    assert!(!desk.key_file("groq").exists());
    assert_eq!(desk.settings(), settings);
}

#[tokio::test]
async fn keys_are_never_arguments() {
    let desk = Desk::new();
    for arguments in [
        &["add", "zai", "--key", KEY][..],
        &["add", "zai", "--key=sk-0123456789abcdef"],
        &["add", "zai", "--api-key", KEY],
        &["add", "zai", "--key"],
        &["add", "zai", "--key-env", KEY],
        &["add", "zai", "--set", "key.env=sk-0123456789abcdef"],
        &[
            "add",
            "zai",
            "--set",
            "key={ env = \"sk-0123456789abcdef\" }",
        ],
        &["add", "zai", "--set", "key=sk-0123456789abcdef"],
        &["add", "zai", "--set", "key=\"sk-0123456789abcdef\""],
        &[
            "add",
            "zai",
            "--header",
            "Authorization=Bearer sk-0123456789abcdef",
        ],
        &[
            "add",
            "zai",
            "--set",
            "headers.x-api-key=sk-0123456789abcdef",
        ],
        &[
            "add",
            "zai",
            "--set",
            "headers={ x-api-key = \"sk-0123456789abcdef\" }",
        ],
        &[
            "add",
            "zai",
            "--set",
            "profile.extra_body.api_key=sk-0123456789abcdef",
        ],
        &[
            "add",
            "zai",
            "--set",
            "profile={ extra_body = { deep = { token = \"sk-0123456789abcdef\" } } }",
        ],
        &[
            "add",
            "zai",
            "--set",
            "profile={extra_body={token=sk-0123456789abcdef}}",
        ],
        &[
            "add",
            "zai",
            "--proxy",
            "http://me:sk-0123456789abcdef@127.0.0.1:1",
        ],
        &[
            "add",
            "zai",
            "--base-url",
            "http://me:sk-0123456789abcdef@127.0.0.1:1",
        ],
    ] {
        let refused = desk.run(arguments).await.failed(&[]);
        assert!(!refused.stderr.contains(KEY), "{refused:?}");
        assert!(!desk.file().exists(), "{arguments:?}");
    }
    let refused = desk.run(&["add", "zai", "--key", KEY]).await;
    refused.failed(&["every user of this machine", "hint:", "--key-stdin"]);
    // Whatever else is wrong with it.
    let secret = "profile={extra_body={token=\"sk-0123456789abcdef\"}}";
    let refused = desk.run(&["add", "zai", "--set", secret]).await;
    refused.failed(&["is not taken as an argument"]);
    // References are no secrets.
    desk.run(&["add", "zai", "--set", "key={ env = \"ZK\" }"])
        .await
        .done();
}

#[tokio::test]
async fn secrets_of_bodies_and_headers_do_not_show() {
    let desk = Desk::with(
        "[providers.zai]\npreset = \"zai\"\nheaders = { x-api-key = \"sk-in-header\" }\nprofile = { extra_body = { api_key = \"sk-in-body\", deep = [{ token = \"t-in-list\" }], n = 1 } }\n",
    );
    fs::set_permissions(desk.file(), fs::Permissions::from_mode(0o600)).unwrap();
    for arguments in [&["show", "zai"][..], &["show", "zai", "--json"]] {
        let shown = desk.run(arguments).await.done();
        for secret in ["sk-in-header", "sk-in-body", "t-in-list"] {
            assert!(!shown.stdout.contains(secret), "{shown:?}");
        }
        assert!(shown.stdout.contains("***"), "{shown:?}");
    }
    fs::set_permissions(desk.file(), fs::Permissions::from_mode(0o644)).unwrap();
    desk.run(&["show", "zai"]).await.failed(&[
        "holds a secret in `providers.zai.headers.x-api-key`",
        "chmod 600",
    ]);
}

#[tokio::test]
async fn what_cannot_be_a_key_is_refused() {
    let desk = Desk::new();
    for (input, why) in [
        ("", "it is empty"),
        (" \n", "it is empty"),
        ("one\ntwo\n", "it has more than one line"),
        ("sk-größe", "characters that no header can hold"),
    ] {
        let refused = desk.piped(&["add", "zai", "--key-stdin"], input).await;
        refused.failed(&["what standard input holds cannot be a key", why]);
    }
    let command = desk
        .run(&["add", "zai", "--key-command", "pass 'show"])
        .await;
    command.failed(&["a quote that is not closed"]);
    let in_keyring = desk
        .piped(&["add", "zai", "--key-stdin", "--key-in", "keyring"], KEY)
        .await;
    in_keyring.failed(&[
        "could not be kept in the keyring",
        "because: there is no keyring here",
        "hint: `--key-in file`",
    ]);
    let nothing = desk.run(&["add", "zai", "--key-in", "file"]).await;
    assert_eq!(nothing.code, 2);
    assert!(
        nothing.stderr.contains("hint: add --key-stdin"),
        "{nothing:?}"
    );
    let two = desk
        .run(&["add", "zai", "--key-env", "A", "--key-file", "b"])
        .await;
    assert_eq!(two.code, 2, "{two:?}");
    assert!(!desk.file().exists() && !desk.key_file("zai").exists());
}

#[tokio::test]
async fn references_are_written_as_they_are() {
    let desk = Desk::new();
    desk.run(&["add", "a", "--preset", "groq", "--key-file", "~/keys/groq"])
        .await
        .done();
    desk.run(&[
        "add",
        "b",
        "--preset",
        "groq",
        "--key-command",
        "pass show 'a \"b\"'",
    ])
    .await
    .done();
    insta::assert_snapshot!(desk.settings());
    // A path starts where its user is, not where the settings are.
    desk.run(&["add", "c", "--preset", "groq", "--key-file", "groq.key"])
        .await
        .done();
    let path = desk.home.work().join("groq.key");
    let line = format!("key = {{ file = \"{}\" }}", path.display());
    assert!(desk.settings().contains(&line), "{}", desk.settings());
    // A file that is its user's own stays when the provider goes.
    let own = desk.home.write("home/keys/groq", "gsk-of-my-own");
    desk.run(&["remove", "a"]).await.done();
    assert!(own.exists());
}

#[tokio::test]
async fn a_key_with_a_header_of_its_own_is_replaced() {
    let desk = Desk::with(
        "[providers.zai]\npreset = \"zai\"\n\n[providers.zai.key]\nenv = \"A\"\n\n[aliases]\n",
    );
    desk.run(&["edit", "zai", "--key-env", "B"]).await.done();
    insta::assert_snapshot!(desk.settings(), @r#"
    [providers.zai]
    preset = "zai"
    key = { env = "B" }

    [aliases]
    "#);
}

#[tokio::test]
async fn removing_a_provider_removes_its_key_unless_it_is_to_stay() {
    let desk = Desk::new();
    desk.piped(&["add", "zai", "--key-stdin"], KEY).await.done();
    let removed = desk.run(&["remove", "zai", "--keep-key"]).await.done();
    assert!(
        removed.stderr.contains("its key stays where it is"),
        "{removed:?}"
    );
    assert!(desk.key_file("zai").exists());
    // What was left there may be somebody's, so that the next key gets a place of its own.
    desk.piped(&["add", "zai", "--key-stdin"], KEY).await.done();
    let removed = desk.run(&["remove", "zai"]).await.done();
    assert!(removed.stderr.contains("keys/zai@config-"), "{removed:?}");
    assert!(removed.stderr.contains(" is gone"), "{removed:?}");
    let left = fs::read_dir(desk.key_file("zai").parent().unwrap()).unwrap();
    assert_eq!(left.count(), 1);
    assert!(desk.key_file("zai").exists());
}

/// The whole of it as somebody at a terminal does it: a preset by typing, a name, a key that does not show, a model.
#[tokio::test]
async fn a_provider_is_added_at_a_terminal() {
    let desk = Desk::new();
    let mut terminal = Terminal::start(desk.command(&["add"]));
    terminal.shows("Which provider?").await;
    terminal.type_keys("cerebras");
    terminal.shows("cerebras:").await;
    terminal.type_keys("\r");
    terminal.shows("What is it to be called?").await;
    terminal.type_keys("\r");
    terminal.shows("keys are made at").await;
    terminal.shows("Key of Cerebras").await;
    terminal.type_keys(KEY);
    terminal.type_keys("\r");
    terminal.shows("Which model by default?").await;
    terminal.type_keys("\r");
    terminal.shows("provider `cerebras` is added").await;
    assert_eq!(terminal.ended().await, Some(0));
    assert!(!terminal.text().contains(KEY), "{}", terminal.text());
    insta::assert_snapshot!(desk.settings(), @r#"
    [providers.cerebras]
    preset = "cerebras"
    key = { file = "keys/cerebras" }
    "#);
    assert_eq!(
        fs::read_to_string(desk.key_file("cerebras")).unwrap(),
        format!("{KEY}\n")
    );
}

#[tokio::test]
async fn whoever_turns_back_has_changed_nothing() {
    let desk = Desk::new();
    let mut terminal = Terminal::start(desk.command(&["add"]));
    terminal.shows("Which provider?").await;
    terminal.type_keys("\x1b");
    terminal.shows("cancelled; nothing was changed").await;
    assert_eq!(terminal.ended().await, Some(130));
    assert!(!desk.file().exists());
}

/// Ctrl-C while a key is typed: the terminal shows again what is typed, and nothing has happened.
#[tokio::test]
async fn whoever_turns_back_from_the_key_has_a_terminal_that_shows_what_is_typed() {
    let desk = Desk::new();
    let mut terminal = Terminal::start(desk.command(&["add", "zai"]));
    terminal.shows("Key of").await;
    terminal.hides_input().await;
    terminal.type_keys("sk-half\x03");
    terminal.shows("cancelled; nothing was changed").await;
    assert_eq!(terminal.ended().await, Some(130));
    assert!(terminal.echoes());
    assert!(!terminal.bytes().contains("sk-half"));
    assert!(!desk.file().exists());
}

#[tokio::test]
async fn an_address_is_asked_for_and_the_key_is_left_out() {
    let desk = Desk::new();
    let mut terminal = Terminal::start(desk.command(&["add", "azure-openai"]));
    terminal.shows("Its address, such as").await;
    terminal.type_keys("nonsense\r");
    terminal.shows("must begin with").await;
    terminal.type_keys("\x15https://mine.openai.azure.com/openai/v1/responses\r");
    terminal.shows("Key of").await;
    terminal.type_keys("\r");
    terminal.shows("its key is missing").await;
    assert_eq!(terminal.ended().await, Some(0));
    insta::assert_snapshot!(desk.settings(), @r#"
    [providers.azure-openai]
    preset = "azure-openai"
    base_url = "https://mine.openai.azure.com/openai/v1"
    "#);
}

#[tokio::test]
async fn a_key_is_typed_without_being_shown() {
    let desk = Desk::with("[providers.zai]\npreset = \"zai\" # mine\n");
    let mut terminal = Terminal::start(desk.command(&["edit", "zai", "--key-stdin"]));
    terminal.shows("Key of zai").await;
    terminal.type_keys("two words and an umlaut: \u{e4}\r");
    terminal.shows("characters that no header can hold").await;
    terminal.type_keys(KEY);
    terminal.type_keys("\r");
    terminal.shows("provider `zai` is changed").await;
    assert_eq!(terminal.ended().await, Some(0));
    assert!(!terminal.text().contains(KEY), "{}", terminal.text());
    let kept = fs::read_to_string(desk.key_file("zai")).unwrap();
    assert_eq!(kept, format!("{KEY}\n"));
    assert!(
        desk.settings()
            .starts_with("[providers.zai]\npreset = \"zai\" # mine\n")
    );
    let mut terminal = Terminal::start(desk.command(&["edit", "zai", "--key-stdin"]));
    terminal.shows("Key of zai").await;
    terminal.type_keys("\r");
    terminal.shows("no key was given").await;
    assert_eq!(terminal.ended().await, Some(1));
    assert_eq!(fs::read_to_string(desk.key_file("zai")).unwrap(), kept);
}

/// Where there are others, it is asked whether the new one is to be the default.
#[tokio::test]
async fn a_further_provider_can_become_the_default() {
    let desk = Desk::with("[providers.zai]\npreset = \"zai\"\n");
    let mut command = desk.command(&["add"]);
    command.env("NO_COLOR", "1");
    let mut terminal = Terminal::start(command);
    terminal.shows("Which provider?").await;
    terminal.type_keys("vllm");
    terminal.shows("vllm:").await;
    terminal.type_keys("\r");
    terminal.shows("What is it to be called?").await;
    // The name is there to be changed.
    terminal.type_keys("\x15zai\r");
    terminal.shows("there is a provider `zai` already").await;
    terminal.type_keys("\x15gpu\r");
    terminal.shows("Make `gpu` the default provider?").await;
    terminal.type_keys("y");
    terminal.shows("provider `gpu` is added").await;
    assert_eq!(terminal.ended().await, Some(0));
    let settings = desk.settings();
    assert!(
        settings.starts_with("default_provider = \"gpu\"\n\n[providers.zai]"),
        "{settings}"
    );
    assert!(
        settings.ends_with("\n[providers.gpu]\npreset = \"vllm\"\n"),
        "{settings}"
    );
}

/// Nobody knows whether a server of one's own wants a key.
#[tokio::test]
async fn a_server_of_ones_own_may_have_a_key() {
    for (answer, line) in [("", ""), (KEY, "key = { file = \"keys/mine\" }\n")] {
        let desk = Desk::new();
        let mut terminal = Terminal::start(desk.command(&["add", "mine", "--preset", "custom"]));
        terminal.shows("Its address, such as").await;
        terminal.type_keys("http://127.0.0.1:8000/v1/\r");
        terminal.shows("leave it empty if it needs none").await;
        terminal.type_keys(answer);
        terminal.type_keys("\r");
        terminal.shows("provider `mine` is added").await;
        assert_eq!(terminal.ended().await, Some(0));
        let expected = format!(
            "[providers.mine]\npreset = \"custom\"\nbase_url = \"http://127.0.0.1:8000/v1\"\n{line}"
        );
        assert_eq!(desk.settings(), expected);
    }
}

#[tokio::test]
async fn at_a_terminal_it_is_asked_whether_the_key_goes() {
    for (answer, stays) in [("n", true), ("y", false)] {
        let desk = Desk::new();
        desk.piped(&["add", "zai", "--key-stdin"], KEY).await.done();
        let mut terminal = Terminal::start(desk.command(&["remove", "zai"]));
        terminal.shows("Remove the key of `zai`").await;
        terminal.type_keys(answer);
        assert_eq!(terminal.ended().await, Some(0));
        assert_eq!(desk.key_file("zai").exists(), stays, "{answer}");
    }
}
