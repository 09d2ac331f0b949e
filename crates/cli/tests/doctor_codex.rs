//! `polywire doctor`: the installed Codex and its configuration, with the real Codex where it matters.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use polywire_testkit::{CodexCli, Running};

use doctor::{PROGRAM, Told, fake_codex, home};

#[path = "support/doctor.rs"]
mod doctor;

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_not_the_fault_of_codex() {
    let home = home();
    let codex = fake_codex(&home, "echo codex-cli 0.169.0");
    fs::create_dir_all(home.state()).unwrap();
    fs::write(home.state().join("polywire"), "a file").unwrap();
    let told = Told::of(&home, &["--offline", "--codex", codex.to_str().unwrap()]).await;
    told.assert(
        "state_folder",
        "problem",
        "state/polywire",
        "its own folder",
    );
    assert!(told.all_of("codex").is_empty(), "{told:#?}");
}

#[tokio::test]
async fn what_codex_takes_is_no_problem() {
    let home = home();
    home.write("home/models.json", "{}");
    home.write(
        "codex/config.toml",
        "# experimental_bearer_token = \"x\"\nmodel_catalog_json = \"~/models.json\"\n[model_providers.amazon-bedrock.aws]\nprofile = \"p\"\nregion = \"r\"\n",
    );
    let config = home.codex_home().join("config.toml");
    fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).unwrap();
    let told = Told::of(&home, &["--offline"]).await;
    assert_eq!(told.code, Some(0), "{told:#?}");
    told.assert("codex_config", "ok", "config.toml", "nothing in it");
    told.assert("modes", "ok", "", "");
    home.write(
        "codex/work.config.toml",
        "[mcp_servers.a.env]\nA_TOKEN = \"x\"\n",
    );
    let profile = home.codex_home().join("work.config.toml");
    fs::set_permissions(&profile, fs::Permissions::from_mode(0o644)).unwrap();
    let told = Told::of(&home, &["--offline"]).await;
    told.assert("open_mode", "problem", "work.config.toml", "tools");
    home.write(
        "codex/config.toml",
        "[model_providers.amazon-bedrock]\nname = \"x\"\n",
    );
    let told = Told::of(&home, &["--offline"]).await;
    told.assert(
        "reserved_provider",
        "problem",
        "config.toml:1",
        "amazon-bedrock",
    );
}

#[tokio::test]
async fn another_codex_or_none() {
    let home = home();
    let told = Told::of(&home, &["--offline"]).await;
    told.assert("codex", "notice", "", "not found");
    assert!(
        told.one("codex")["hint"]
            .as_str()
            .unwrap()
            .contains("npm install")
    );
    for (script, id, severity) in [
        ("echo codex-cli 0.170.1", "codex_version", "notice"),
        ("echo codex-cli 0.150.0", "codex_version", "warning"),
        ("echo something else", "codex", "problem"),
    ] {
        let codex = fake_codex(&home, script);
        let told = Told::of(&home, &["--offline", "--codex", codex.to_str().unwrap()]).await;
        assert_eq!(told.one(id)["severity"], severity, "{script}: {told:#?}");
    }
}

#[tokio::test]
async fn a_codex_that_does_not_do_what_is_relied_on() {
    let home = home();
    let versioned =
        |rest: &str| format!("case $1 in --version) echo codex-cli 0.170.0; exit;; esac\n{rest}");
    let warned = r#"echo '{"type":"item.completed","item":{"type":"error","message":"Model metadata for `demo/demo` not found"}}'
echo '{"type":"turn.completed","usage":{}}'"#;
    let broken = r#"echo '{"type":"item.completed","item":{"type":"command_execution","status":"failed","exit_code":1,"aggregated_output":"bwrap: no "}}'
echo '{"type":"turn.completed","usage":{}}'"#;
    let failed = r#"echo '{"type":"turn.failed","error":{"message":"no such provider"}}'; exit 1"#;
    let strange = "echo unknown flag --json >&2; exit 2";
    for (script, id, what) in [
        (warned, "contract_catalog", "Model metadata"),
        (warned, "contract_tool", "no tool"),
        (broken, "contract_tool", "failed (exit code 1): bwrap: no"),
        (failed, "contract_turn", "no such provider"),
        (strange, "contract_turn", "unknown flag --json"),
    ] {
        let codex = fake_codex(&home, &versioned(script));
        let told = Told::of(&home, &["--offline", "--codex", codex.to_str().unwrap()]).await;
        assert_eq!(told.code, Some(1));
        told.assert(id, "problem", "", what);
    }
}

#[tokio::test]
async fn what_stops_codex_in_its_configuration() {
    let cases = [
        (
            "a = 1\n[model_providers.x]\nname = \"x\"\nwire_api = \"chat\"\n",
            "wire_api_chat",
            "problem",
            ":4",
        ),
        (
            "[deep.er]\nlist = [{ wire_api = \"chat\" }]\n",
            "wire_api_chat",
            "warning",
            ":2",
        ),
        ("profile = \"z\"\n", "legacy_profile", "problem", ":1"),
        (
            "\n[profiles.z]\nmodel = \"x\"\n",
            "legacy_profile_table",
            "warning",
            ":2",
        ),
        (
            "model = \"x\"\nmodel_provider = \"gone\"\n",
            "unknown_provider",
            "problem",
            ":2",
        ),
        (
            "[model_providers.openai]\nname = \"x\"\n",
            "reserved_provider",
            "problem",
            ":1",
        ),
        (
            "[model_providers.x]\nname = \"x\"\nenv_key = \"NOT_SET_AT_ALL\"\n",
            "env_key_unset",
            "warning",
            ":3",
        ),
        (
            "[model_providers.x]\nname = \"x\"\nexperimental_bearer_token = \"t\"\nauth = { command = \"true\" }\n",
            "second_token",
            "problem",
            ":3",
        ),
        (
            "[model_providers.polywire]\nname = \"x\"\nrequires_openai_auth = true\n",
            "second_token",
            "warning",
            ":3",
        ),
        (
            "model_catalog_json = \"/no/such.json\"\n",
            "no_catalog",
            "problem",
            ":1",
        ),
        ("a = 1\nb = = 2\n", "codex_config", "problem", ":2"),
        (
            "\u{feff}model = \"x\"\r\nprofile = \"z\"\r\n",
            "legacy_profile",
            "problem",
            ":2",
        ),
    ];
    for (text, id, severity, line) in cases {
        let home = home();
        home.write("codex/config.toml", text);
        let told = Told::of(&home, &["--offline"]).await;
        told.assert(id, severity, &format!("codex/config.toml{line}"), "");
        let problem = severity == "problem";
        assert_eq!(told.code, Some(i32::from(problem)), "{told:#?}");
    }
}

/// What polywire has left in Codex's configuration, and whether anybody serves it.
#[tokio::test]
async fn edits_that_nobody_serves() {
    let home = home();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let told = Told::of(&home, &["--offline"]).await;
    told.assert("edits", "ok", "", "nothing in Codex's configuration");

    let mut apply = home.command(PROGRAM);
    apply
        .args(["codex", "apply", "-p", "demo", "--yes"])
        .env("POLYWIRE_LISTEN", &address);
    let applied = Running::start(apply).ended().await;
    assert_eq!(applied.code(), Some(0), "{applied:?}");
    let told = Told::of(&home, &["--offline"]).await;
    assert_eq!(told.code, Some(1));
    told.assert(
        "edit_without_gateway",
        "problem",
        "codex/config.toml",
        &address,
    );

    let mut serve = home.command(PROGRAM);
    serve.arg("serve").env("POLYWIRE_LISTEN", &address);
    let gateway = polywire_testkit::Gateway::start(serve).await;
    let told = Told::of(&home, &["--offline"]).await;
    told.assert("edits", "ok", "codex/config.toml", &address);
    gateway.stop().await;

    // A session whose `run` and whose Desktop are gone.
    let edits = home.state().join("polywire/edits");
    let record = |ending: &str| {
        let entries = std::fs::read_dir(&edits).unwrap();
        let mut paths = entries.map(|entry| entry.unwrap().path());
        paths.find(|path| path.display().to_string().ends_with(ending))
    };
    let lasting = record("-lasting.json").unwrap();
    let text = std::fs::read_to_string(&lasting).unwrap();
    let note = r#""note": "{\"run\":null,\"app\":\"/no/such/app\",\"token_file\":null}""#;
    let session = text
        .replace("\"layer\": \"lasting\"", "\"layer\": \"session\"")
        .replace("\"note\": null", note);
    let path = lasting.display().to_string();
    std::fs::write(path.replace("-lasting.json", "-session.json"), session).unwrap();
    let told = Told::of(&home, &["--offline"]).await;
    told.assert(
        "orphaned_session",
        "problem",
        "codex/config.toml",
        "has ended",
    );
    assert!(record("-session.json").is_some(), "doctor changes nothing");
    std::fs::write(&lasting, "{").unwrap();
    let told = Told::of(&home, &["--offline"]).await;
    told.assert("edits", "problem", "", "cannot be understood");
}

#[tokio::test]
async fn profiles_of_codex_are_looked_through() {
    let home = home();
    home.write(
        "codex/config.toml",
        "[model_providers.house]\nname = \"house\"\n",
    );
    home.write("codex/good.config.toml", "model_provider = \"house\"\n");
    home.write(
        "codex/built-in.config.toml",
        "model_provider = \"ollama\"\n",
    );
    let told = Told::of(&home, &["--offline"]).await;
    told.assert("codex_config", "ok", "config.toml", "3 settings files");
    // One profile does not lie over another.
    home.write(
        "codex/a.config.toml",
        "[model_providers.gone]\nname = \"gone\"\n",
    );
    home.write("codex/bad.config.toml", "model_provider = \"gone\"\n");
    let told = Told::of(&home, &["--offline"]).await;
    told.assert("unknown_provider", "problem", "bad.config.toml:1", "gone");
}

/// What is told of Codex's configuration is what Codex does.
#[tokio::test]
async fn codex_agrees_with_what_is_told_of_its_configuration() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    for text in [
        "[model_providers.x]\nname = \"x\"\nwire_api = \"chat\"\n",
        "profile = \"z\"\n",
        "model_provider = \"gone\"\n",
        "[model_providers.x]\nname = \"x\"\nenv_key = \"PATH\"\nauth = { command = \"true\" }\n",
        "[model_providers.x]\nname = \"x\"\nexperimental_bearer_token = \"t\"\nauth = { command = \"true\" }\n",
        "[model_providers.x]\nname = \"x\"\nrequires_openai_auth = true\nauth = { command = \"true\" }\n",
        "[model_providers.openai]\nname = \"x\"\n",
        "model_catalog_json = \"/no/such.json\"\n",
    ] {
        let home = home();
        home.write("codex/config.toml", text);
        let mut command = codex.command(&home);
        command.args(["exec", "--skip-git-repo-check", "hello"]);
        let ended = Running::start(command).ended().await;
        assert_eq!(ended.code(), Some(1), "{text}: {ended:?}");
        assert_eq!(
            Told::of(&home, &["--offline"]).await.code,
            Some(1),
            "{text}"
        );
    }
}
