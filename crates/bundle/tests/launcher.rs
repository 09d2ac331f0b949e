//! The files of the Codex Launcher: what becomes of each endpoint, and what is said of what has no equal.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test that calls them"
)]

use polywire_bundle::{Incoming, Launcher, read};
use serde_json::{Value, json};

#[track_caller]
fn launcher(file: &Value) -> Launcher {
    match read(&file.to_string()) {
        Ok(Incoming::Launcher(launcher)) => launcher,
        other => panic!("{other:?}"),
    }
}

/// The providers as they would stand in a settings file, with `key = ***` where the file holds the key.
fn shown(launcher: &Launcher) -> Vec<String> {
    launcher
        .providers
        .iter()
        .map(|provider| {
            let key = provider.key.as_ref().map_or("", |_| " + key");
            let table = provider.table.to_string();
            let lines: Vec<&str> = table.lines().filter(|line| !line.is_empty()).collect();
            format!("{}: {}{key}", provider.id, lines.join("; "))
        })
        .collect()
}

fn file() -> Value {
    json!({
        "default": "Z.AI",
        "endpoints": [
            {"name": "OpenAI", "backend_type": "native", "base_url": "https://api.openai.com/v1", "api_key": "${ENV:OPENAI_API_KEY}",
             "default_model": "gpt-4o", "models": ["gpt-4o", "gpt-4o-mini"], "provider_preset": "OpenAI"},
            {"name": "Z.AI", "backend_type": "openai-compat", "base_url": "https://api.z.ai/api/coding/paas/v4/", "api_key": "zai-secret-1",
             "default_model": "glm-5.1", "models": ["glm-5.1", "GLM-4-Plus"]},
            {"name": "Anthropic", "backend_type": "anthropic", "base_url": "https://api.anthropic.com/v1", "api_key": "sk-ant-1", "models": []},
            {"name": "My house", "backend_type": "openai-compat", "base_url": "http://127.0.0.1:8000/v1/chat/completions", "api_key": "",
             "models": ["zai-org/GLM-5", {"id": "zai-org/GLM-5"}, {"id": "b", "object": "model"}], "reasoning_enabled": true, "reasoning_effort": "high"},
            {"name": "my-house", "backend_type": "anthropic", "base_url": "http://127.0.0.1:8001/v1", "api_key": "k"},
            {"name": "Command Code", "backend_type": "command-code", "base_url": "https://api.commandcode.ai", "api_key": "cc-1", "cc_version": "0.26.8"},
            {"name": "Free", "backend_type": "freebuff", "base_url": "https://freebuff.com"},
        ],
    })
}

#[test]
fn every_endpoint_becomes_a_provider() {
    let launcher = launcher(&file());
    assert_eq!(
        shown(&launcher),
        [
            r#"OpenAI: default_model = "gpt-4o"; models = ["gpt-4o", "gpt-4o-mini"]; preset = "openai"; [key]; env = "OPENAI_API_KEY""#,
            r#"Z.AI: default_model = "glm-5.1"; models = ["glm-5.1", "GLM-4-Plus"]; preset = "zai" + key"#,
            r#"Anthropic: preset = "anthropic" + key"#,
            r#"my-house: base_url = "http://127.0.0.1:8000/v1"; kind = "chat"; models = ["zai-org/GLM-5", "b"]; name = "My house""#,
            r#"my-house-2: base_url = "http://127.0.0.1:8001"; kind = "messages"; name = "my-house"; [auth]; header = "x-api-key" + key"#,
            r#"command-code: name = "Command Code"; preset = "command-code" + key"#,
        ]
    );
    assert_eq!(launcher.default_provider.as_deref(), Some("Z.AI"));
    assert_eq!(
        launcher.providers[1].key.as_ref().unwrap().reveal(),
        "zai-secret-1"
    );
    assert!(!format!("{launcher:?}").contains("zai-secret-1"));
}

#[test]
fn what_is_not_taken_is_said() {
    let told = launcher(&file()).not_taken.join("\n");
    for line in [
        "`endpoints[0]` (\"OpenAI\"): `provider_preset` is not taken",
        "`endpoints[3]` (\"My house\"): `reasoning_enabled` is not taken",
        "`endpoints[3]` (\"My house\"): `reasoning_effort` is not taken",
        "`endpoints[5]` (\"Command Code\"): `cc_version` is not taken",
        "private API",
        "no equal of `backend_type` \"freebuff\"; the endpoint is left out",
    ] {
        assert!(told.contains(line), "{line} is not in\n{told}");
    }
}

#[test]
fn exported_bundles_in_every_shape() {
    let endpoints = file();
    let plain = launcher(&endpoints);
    let list = json!({"version": 1, "exported_at": "2026-06-01T10:00:00", "endpoints": endpoints["endpoints"],
        "default": "Z.AI", "codex_config_toml": "model = \"x\"\n"});
    let bundle = launcher(&list);
    assert_eq!(bundle.providers, plain.providers);
    assert_eq!(bundle.default_provider, plain.default_provider);
    assert!(
        bundle
            .not_taken
            .join("\n")
            .contains("`codex_config_toml`: ")
    );
    let newer = json!({"version": 2, "endpoints": endpoints["endpoints"]});
    assert!(
        launcher(&newer)
            .not_taken
            .join("\n")
            .contains("`version`: 2 is not known")
    );
    // The whole file inside, and endpoints by name.
    let whole = json!({"version": 1, "exported_at": "x", "endpoints": endpoints});
    assert_eq!(launcher(&whole), plain);
    let by_name = json!({"endpoints": {"a": {"base_url": "http://127.0.0.1:1/v1"}}});
    assert_eq!(
        shown(&launcher(&by_name)),
        [r#"a: base_url = "http://127.0.0.1:1/v1"; kind = "chat""#]
    );
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let broken = json!({"default": 1, "endpoints": [
        {"name": "a", "base_url": "ftp://x", "api_key": 7},
        {"backend_type": "openai-compat", "base_url": "http://127.0.0.1:1"},
        "b",
        {"name": "c", "base_url": "http://127.0.0.1:1", "models": "x"},
        {"name": "d", "models": [1]},
        {"name": "e"},
    ]});
    let told = read(&broken.to_string()).unwrap_err().to_string();
    for line in [
        "the file: `default` must be a text",
        "`endpoints[0]` (\"a\"): `api_key` must be a text",
        "`endpoints[1]`: `name` is missing",
        "`endpoints[2]`: must be an object",
        "`endpoints[3]` (\"c\"): `models` must be a list of names",
        "`endpoints[4]` (\"d\"): `models[0]` must be a name",
        "`endpoints[5]` (\"e\"): `base_url`: base URL `` must begin with",
    ] {
        assert!(told.contains(line), "{line} is not in\n{told}");
    }
    assert!(
        read("{\"endpoints\": 1}")
            .unwrap_err()
            .to_string()
            .contains("`endpoints`: must be a list")
    );
}

#[test]
fn a_default_that_is_not_there() {
    let file =
        json!({"default": "gone", "endpoints": [{"name": "a", "base_url": "http://127.0.0.1:1"}]});
    let launcher = launcher(&file);
    assert_eq!(launcher.default_provider, None);
    assert!(
        launcher
            .not_taken
            .join("\n")
            .contains("there is no endpoint \"gone\"")
    );
}
