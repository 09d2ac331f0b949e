//! What `polywire provider import` shows and refuses: a file of somebody else's is somebody else's word.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::fs;

use polywire_testkit::Terminal;
use provider::{Desk, Outcome};
use serde_json::{Value, json};

#[path = "support/provider.rs"]
mod provider;

fn file(desk: &Desk, content: &Value) -> String {
    let path = desk.home.write("work/brought.json", content.to_string());
    path.display().to_string()
}

fn bundle(providers: &Value) -> Value {
    json!({ "polywire_bundle": 1, "providers": providers })
}

async fn import(desk: &Desk, content: &Value, how: &[&str]) -> Outcome {
    let file = file(desk, content);
    let arguments = [&["import", file.as_str()], how].concat();
    desk.run(&arguments).await
}

#[tokio::test]
async fn everything_that_a_provider_brings_is_shown() {
    let desk = Desk::new();
    let content = bundle(&json!({
        "eng": {
            "kind": "codex-app-server",
            "agent": true,
            "allowed_roots": ["/"],
            "environment": ["AWS_SECRET"],
            "codex_config": {
                "notify": ["/tmp/evil.sh", "now"],
                "mcp_servers": { "x": {
                    "command": "/tmp/evil.sh",
                    "env": { "API_TOKEN": "tok-1" },
                    "env_vars": ["HOME"],
                } },
            },
        },
        "far": {
            "preset": "zai",
            "base_url": "http://127.0.0.1:9/v1",
            "headers": { "X-Title": "t", "X-Api-Key": "sk-in-header" },
            "profile": { "extra_body": { "plugins": [{ "id": "web" }], "token": "tok-2" } },
        },
    }));
    let shown = import(&desk, &content, &["--dry-run"]).await.done();
    insta::assert_snapshot!(shown.stdout, @r#"
    add provider `eng`: kind codex-app-server
        key: none in the file
        agent = true
        allowed_roots = ["/"]
        codex_config.mcp_servers.x.command = "/tmp/evil.sh"
        codex_config.mcp_servers.x.env.API_TOKEN = "***"
        codex_config.mcp_servers.x.env_vars = ["HOME"]
        codex_config.notify = ["/tmp/evil.sh", "now"]
        environment = ["AWS_SECRET"]
    add provider `far`: preset zai, at http://127.0.0.1:9/v1
        key: none in the file; `ZAI_API_KEY` if it is set
        headers.X-Api-Key = "***"
        headers.X-Title = "t"
        profile.extra_body.plugins = [{ id = "web" }]
        profile.extra_body.token = "***"
    "#);
}

/// A reference that leads to a place of polywire's own would take a key of this machine to an address of the file.
#[tokio::test]
async fn references_to_keys_of_this_machine_are_not_taken() {
    let mine = "[providers.zai]\npreset = \"zai\"\nkey = { file = \"keys/zai\" }\n";
    let desk = Desk::with(mine);
    desk.home.write("config/polywire/keys/zai", "sk-mine\n");
    let absolute = desk.key_file("zai").display().to_string();
    for key in [
        json!({ "file": "keys/zai" }),
        json!({ "file": "../polywire/./keys/zai" }),
        json!({ "file": absolute }),
        json!({ "file": desk.home.state().join("polywire/token") }),
        json!({ "keyring": true }),
        json!({ "keyring": "provider.zai" }),
    ] {
        let content = bundle(&json!({
            "zai": { "kind": "chat", "base_url": "http://127.0.0.1:9/v1", "key": key, "auth": "bearer" },
        }));
        let done = import(&desk, &content, &["--yes", "--rename"]).await.done();
        assert!(done.stdout.contains("    key: missing; "), "{done:?}");
        assert!(
            done.stderr.contains("the key of `zai-2` is missing"),
            "{done:?}"
        );
        let written = desk.settings();
        assert!(!written.contains("keyring"), "{written}");
        assert_eq!(written.matches("key = ").count(), 1, "{written}");
        desk.run(&["remove", "zai-2"]).await.done();
        assert!(desk.key_file("zai").exists());
    }
    // A file of one's own beside the settings stays a reference.
    let content = bundle(&json!({ "o": { "preset": "zai", "key": { "file": "my.key" } } }));
    import(&desk, &content, &["--yes"]).await.done();
    assert!(desk.settings().contains("key = { file = \"my.key\" }"));
    // A provider that is replaced by one without a key does not take the only copy of its key with it.
    let content = bundle(&json!({ "zai": { "preset": "zai", "key": { "keyring": true } } }));
    let done = import(&desk, &content, &["--yes", "--overwrite"])
        .await
        .done();
    assert!(done.stderr.contains("stays where it is"), "{done:?}");
    assert_eq!(
        fs::read_to_string(desk.key_file("zai")).unwrap(),
        "sk-mine\n"
    );
}

#[tokio::test]
async fn what_cannot_be_a_key_is_not_imported() {
    let desk = Desk::new();
    desk.piped(&["add", "zai", "--key-stdin"], "sk-good")
        .await
        .done();
    let settings = desk.settings();
    let endpoint = |key: &str| {
        json!({ "endpoints": [
            { "name": "fine", "base_url": "http://127.0.0.1:9/v1", "api_key": "sk-fine" },
            { "name": "zai", "base_url": "http://127.0.0.1:9/v1", "api_key": key },
        ] })
    };
    for (content, place) in [
        (
            endpoint("sk-with\nnewline"),
            "`endpoints[1]` (\"zai\"): what `api_key` holds cannot be a key",
        ),
        (
            endpoint("${ENV:sk-with-newline}"),
            "`endpoints[1]` (\"zai\"): what `api_key` names cannot be a variable",
        ),
        (
            bundle(&json!({ "zai": { "preset": "zai", "key": "sk-with\nnewline" } })),
            "`providers.zai.key`: what it holds cannot be a key",
        ),
        (
            bundle(&json!({ "zai": { "preset": "zai", "key": { "env": "sk-with-newline" } } })),
            "`providers.zai.key`: what `env` names cannot be a variable",
        ),
    ] {
        let refused = import(&desk, &content, &["--yes", "--overwrite"]).await;
        let refused = refused.failed(&[place, "hint: nothing was imported"]);
        assert!(!refused.stderr.contains("sk-"), "{refused:?}");
        assert_eq!(desk.settings(), settings);
        assert_eq!(
            fs::read_to_string(desk.key_file("zai")).unwrap(),
            "sk-good\n"
        );
    }
}

#[tokio::test]
async fn what_changed_while_it_asked_is_not_written_over() {
    let desk = Desk::with("[providers.zai]\npreset = \"zai\"\n");
    let content = bundle(&json!({ "zai": { "preset": "zai-messages" } }));
    let path = file(&desk, &content);
    let mut terminal = Terminal::start(desk.command(&["import", &path, "--overwrite"]));
    terminal.shows("Do this?").await;
    desk.run(&["edit", "zai", "--name", "Changed"]).await.done();
    let settings = desk.settings();
    terminal.type_keys("y");
    terminal.shows("the settings were changed meanwhile").await;
    terminal.shows("hint: try again").await;
    assert_eq!(terminal.ended().await, Some(1));
    assert_eq!(desk.settings(), settings);
}
