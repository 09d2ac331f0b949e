//! `polywire provider export` and `import`: the same settings in another home, secrets that stay closed, the launcher's files.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use polywire_testkit::{Ended, Running, TempHome, Terminal};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_polywire");
const PASSPHRASE: &str = "correct horse battery";

/// Everything that stands in these settings and that nobody else may see.
const SECRETS: [&str; 5] = [
    "sk-zai-literal-1",
    "sk-in-a-file-2",
    "user:pa55word",
    "sk-header-3",
    "tok-extra-4",
];

const SETTINGS: &str = r#"# my settings
default_provider = "zai"

[providers.zai]
preset = "zai"
key = "sk-zai-literal-1"
default_model = "glm-5.1"

[providers.house]
kind = "chat"
base_url = "http://127.0.0.1:8000/v1"
key = { env = "HOUSE_KEY" }
proxy = "http://user:pa55word@127.0.0.1:3128"
headers = { X-Api-Key = "sk-header-3", X-Title = "mine" }
models = ["a", { id = "org/B:free", context_window = 100000, price = { input = 0.14, output = 0.28 } }]

[providers.house.profile]
tool_choice = ["auto", "none"]
extra_body = { deep = { session_token = "tok-extra-4", n = 3 } }

[providers.pass]
preset = "deepseek"
key = { command = ["printf", "sk-of-a-command"] }

[providers.filed]
preset = "openrouter"
key = { file = "my.key" }

[aliases]
fast = "zai/glm-4.7-flash"
both = "house/a"

[routes.main]
targets = ["zai/glm-5.1", "house/a"]
"#;

fn home() -> TempHome {
    TempHome::new(env!("CARGO_TARGET_TMPDIR"))
}

fn furnished() -> TempHome {
    let home = home();
    home.write("config/polywire/config.toml", SETTINGS);
    home.write("config/polywire/my.key", "sk-in-a-file-2\n");
    home
}

fn polywire(home: &TempHome, arguments: &[&str]) -> Command {
    let mut command = home.command(PROGRAM);
    command
        .args(arguments)
        .env("HOUSE_KEY", "sk-of-the-environment");
    command
}

async fn run(home: &TempHome, arguments: &[&str]) -> Ended {
    let ended = Running::start(polywire(home, arguments)).ended().await;
    assert_quiet(&ended);
    ended
}

/// The same with this on its standard input.
async fn run_told(home: &TempHome, arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut command = polywire(home, arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    for secret in SECRETS {
        assert!(
            !stdout.contains(secret) && !stderr.contains(secret),
            "{stdout}{stderr}"
        );
    }
    (output.status.code().unwrap(), stdout, stderr)
}

#[track_caller]
fn assert_quiet(ended: &Ended) {
    let all = [ended.stdout.join("\n"), ended.stderr.join("\n")].concat();
    for secret in SECRETS.iter().chain(&[PASSPHRASE]) {
        assert!(!all.contains(secret), "{all}");
    }
}

#[track_caller]
fn assert_says(ended: &Ended, what: &[&str]) {
    let all = [ended.stdout.join("\n"), ended.stderr.join("\n")].join("\n");
    for what in what {
        assert!(all.contains(what), "`{what}` is not in:\n{all}");
    }
}

fn config(home: &TempHome) -> PathBuf {
    home.config().join("polywire/config.toml")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// What is in force, as two commands tell it, without the names of the places where it stands.
async fn in_force(home: &TempHome) -> String {
    let settings = run(home, &["config", "show"]).await;
    let mut told = String::new();
    for line in &settings.stdout {
        let words: Vec<&str> = line.split_whitespace().take(2).collect();
        told.push_str(&words.join(" "));
        told.push('\n');
    }
    for name in ["zai", "house", "pass", "filed"] {
        let command = polywire(home, &["provider", "show", name, "--json"]);
        let shown = Running::start(command).ended().await;
        assert_eq!(shown.code(), Some(0), "{shown:?}");
        let mut shown: Value = serde_json::from_str(&shown.stdout.join("\n")).unwrap();
        for place in ["key", "origins", "origin", "file"] {
            if let Some(members) = shown.as_object_mut() {
                members.remove(place);
            }
        }
        told.push_str(&shown.to_string());
        told.push('\n');
    }
    told.replace(&home.config().display().to_string(), "CONFIG")
        .replace(&home.state().display().to_string(), "STATE")
}

async fn exported(home: &TempHome, with_secrets: bool) -> PathBuf {
    let path = home.work().join("bundle.json");
    let name = path.to_str().unwrap();
    if with_secrets {
        let arguments = [
            "provider",
            "export",
            "--with-secrets",
            "--passphrase-stdin",
            "-o",
            name,
        ];
        let (code, stdout, stderr) = run_told(home, &arguments, &format!("{PASSPHRASE}\n")).await;
        assert_eq!((code, stdout.as_str()), (0, ""), "{stderr}");
    } else {
        let ended = run(home, &["provider", "export", "--output", name]).await;
        assert_eq!(ended.code(), Some(0), "{ended:?}");
    }
    let text = fs::read_to_string(&path).unwrap();
    for secret in SECRETS.iter().chain(&["sk-of-the-environment"]) {
        assert!(!text.contains(secret), "{text}");
    }
    assert_eq!(mode(&path), 0o600);
    path
}

#[tokio::test]
async fn out_and_into_an_empty_home_with_secrets() {
    let from = furnished();
    let bundle = exported(&from, true).await;
    let before = in_force(&from).await;
    let to = home();
    let name = bundle.to_str().unwrap();
    let arguments = ["provider", "import", name, "--yes", "--passphrase-stdin"];
    let (code, stdout, stderr) = run_told(&to, &arguments, PASSPHRASE).await;
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(
        stdout.contains("add provider `zai`: preset zai"),
        "{stdout}"
    );
    assert!(
        stdout.contains("what the program [\"printf\", \"sk-of-a-command\"] prints"),
        "{stdout}"
    );
    assert_eq!(in_force(&to).await, before);
    // Keys are in files of their own, for their owner only; what has no other place is in a settings file for its owner only.
    for (name, key) in [("zai", "sk-zai-literal-1"), ("filed", "sk-in-a-file-2")] {
        let path = to.config().join("polywire/keys").join(name);
        assert_eq!(fs::read_to_string(&path).unwrap().trim(), key);
        assert_eq!(mode(&path), 0o600);
    }
    assert_eq!(mode(&config(&to)), 0o600);
    let written = fs::read_to_string(config(&to)).unwrap();
    assert!(!written.contains("sk-zai-literal-1"), "{written}");
    for line in [
        "key = { file = \"keys/zai\" }",
        "proxy = \"http://user:pa55word@127.0.0.1:3128\"",
        "X-Api-Key = \"sk-header-3\"",
        "[providers.house.profile]",
    ] {
        assert!(written.contains(line), "{line} is not in\n{written}");
    }
    // A second time there is nothing new, and nothing changes.
    let arguments = [
        "provider",
        "import",
        name,
        "--skip",
        "--yes",
        "--passphrase-stdin",
    ];
    let (code, _, stderr) = run_told(&to, &arguments, PASSPHRASE).await;
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("there is nothing to do"), "{stderr}");
    assert_eq!(fs::read_to_string(config(&to)).unwrap(), written);
}

#[tokio::test]
async fn without_secrets_references_stay_and_the_rest_is_named() {
    let from = furnished();
    let before = fs::read_to_string(config(&from)).unwrap();
    let ended = run(&from, &["provider", "export"]).await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let bundle: Value = serde_json::from_str(&ended.stdout.join("\n")).unwrap();
    assert_eq!(bundle["polywire_bundle"], 1);
    assert_eq!(
        bundle["providers"]["house"]["key"],
        json!({"env": "HOUSE_KEY"})
    );
    assert_eq!(
        bundle["providers"]["house"]["proxy"],
        "http://127.0.0.1:3128"
    );
    assert_eq!(
        bundle["providers"]["house"]["headers"],
        json!({"X-Title": "mine"})
    );
    assert_eq!(
        bundle["routes"]["main"]["targets"],
        json!(["zai/glm-5.1", "house/a"])
    );
    assert!(bundle.get("sealed").is_none());
    assert_says(
        &ended,
        &[
            "left out, because it is a secret: providers.zai.key",
            "left out, because it is a secret: providers.house.proxy",
            "left out, because it is a secret: providers.house.headers.X-Api-Key",
            "left out, because it is a secret: providers.house.profile.extra_body.deep.session_token",
            "the key of `filed` stays on this machine: it is in ",
        ],
    );
    assert_eq!(fs::read_to_string(config(&from)).unwrap(), before);

    let bundle = exported(&from, false).await;
    let to = home();
    let ended = run(
        &to,
        &["provider", "import", bundle.to_str().unwrap(), "--yes"],
    )
    .await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_says(
        &ended,
        &[
            "note: `providers.zai.key` is a secret that was left out; set it yourself",
            "the key of `zai` is missing: set `ZAI_API_KEY`",
            "try it: polywire provider test ",
        ],
    );
    let written = fs::read_to_string(config(&to)).unwrap();
    assert!(
        written.contains("key = { env = \"HOUSE_KEY\" }"),
        "{written}"
    );
}

#[tokio::test]
async fn some_providers_and_what_needs_no_others() {
    let from = furnished();
    let ended = run(&from, &["provider", "export", "house"]).await;
    let bundle: Value = serde_json::from_str(&ended.stdout.join("\n")).unwrap();
    let names: Vec<&String> = bundle["providers"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["house"]);
    assert_eq!(bundle["aliases"], json!({"both": "house/a"}));
    // It needs another provider, too.
    assert_eq!(bundle["routes"], json!({}));
    assert!(bundle.get("default_provider").is_none());
    let ended = run(&from, &["provider", "export", "nobody"]).await;
    assert_eq!(ended.code(), Some(1));
    assert_says(&ended, &["there is no provider `nobody`\nhint: "]);
    let empty = home();
    let ended = run(&empty, &["provider", "export"]).await;
    assert_eq!(ended.code(), Some(1));
    assert_says(&ended, &["there is no provider in ", "hint: "]);
}

#[tokio::test]
async fn files_that_are_there_stay() {
    let from = furnished();
    let path = from.write("work/mine.json", "mine");
    let ended = run(&from, &["provider", "export", "-o", path.to_str().unwrap()]).await;
    assert_eq!(ended.code(), Some(1));
    assert_says(&ended, &["is there already, and is left alone"]);
    assert_eq!(fs::read_to_string(path).unwrap(), "mine");
}

#[tokio::test]
async fn passphrases_are_wanted_and_wanted_long() {
    let from = furnished();
    let ended = run(&from, &["provider", "export", "--with-secrets"]).await;
    assert_eq!(ended.code(), Some(1));
    assert_says(
        &ended,
        &[
            "--with-secrets needs a passphrase",
            "hint: --passphrase-stdin",
        ],
    );
    let arguments = ["provider", "export", "--with-secrets", "--passphrase-stdin"];
    let (code, stdout, stderr) = run_told(&from, &arguments, "short\n").await;
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("the passphrase is too short"), "{stderr}");
    let ended = run(&from, &["provider", "export", "--passphrase-fd", "3"]).await;
    assert_eq!(ended.code(), Some(2));
    assert_says(&ended, &["hint: add --with-secrets"]);
}

#[tokio::test]
async fn a_passphrase_from_a_file_descriptor() {
    let from = furnished();
    let bundle = exported(&from, true).await;
    let to = home();
    let path = to.write("work/passphrase", format!("{PASSPHRASE}\nmore\n"));
    let mut command = to.command("sh");
    command
        .arg("-c")
        .arg("exec \"$0\" provider import \"$1\" --dry-run --passphrase-fd 5 5<\"$2\"")
        .args([Path::new(PROGRAM), &bundle, &path]);
    let ended = Running::start(command).ended().await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_says(
        &ended,
        &["key: from the file, to be kept by polywire", "dry run"],
    );
    assert!(!config(&to).exists());
}

#[tokio::test]
async fn wrong_passphrases_and_changed_bundles_open_nothing() {
    let from = furnished();
    let bundle = exported(&from, true).await;
    let to = home();
    let name = bundle.to_str().unwrap();
    let arguments = ["provider", "import", name, "--yes", "--passphrase-stdin"];
    let (code, stdout, stderr) = run_told(&to, &arguments, "wrong horse battery").await;
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(
        stderr.contains("the passphrase is wrong\nhint: `--without-secrets`"),
        "{stderr}"
    );
    // Somebody has put his own address where a key will go.
    let text = fs::read_to_string(&bundle).unwrap();
    let changed = text.replace("127.0.0.1:8000", "127.0.0.1:6666");
    assert_ne!(changed, text);
    let thief = to.write("work/changed.json", changed);
    let thief = thief.to_str().unwrap();
    let arguments = ["provider", "import", thief, "--yes", "--passphrase-stdin"];
    let (code, stdout, stderr) = run_told(&to, &arguments, PASSPHRASE).await;
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("was changed after it was made"), "{stderr}");
    assert!(!config(&to).exists() && !to.config().join("polywire/keys").exists());
    // Nobody to ask.
    let ended = run(&to, &["provider", "import", name, "--yes"]).await;
    assert_eq!(ended.code(), Some(1));
    assert_says(&ended, &["nobody to ask for the passphrase\nhint: "]);
    let ended = run(
        &to,
        &["provider", "import", name, "--yes", "--without-secrets"],
    )
    .await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_says(
        &ended,
        &["`providers.zai.key` is a secret that was left out"],
    );
}

#[tokio::test]
async fn names_that_are_taken() {
    let from = furnished();
    let bundle = exported(&from, true).await;
    let name = bundle.to_str().unwrap();
    let settings = "# kept\n[providers.zai]   # mine\npreset = \"zai-messages\"\nkey = { env = \"MY_ZAI\" }\n\n[aliases]\nfast = \"zai/other\"\n";
    let taken = || {
        let to = home();
        to.write("config/polywire/config.toml", settings);
        to
    };
    let to = taken();
    let ended = run(
        &to,
        &["provider", "import", name, "--yes", "--without-secrets"],
    )
    .await;
    assert_eq!(ended.code(), Some(1));
    assert_says(
        &ended,
        &[
            "the settings have these providers already: zai",
            "hint: --overwrite",
        ],
    );
    assert_eq!(fs::read_to_string(config(&to)).unwrap(), settings);

    let rest = ["--yes", "--passphrase-stdin"];
    let import = |how: &'static str| [["provider", "import", name, how].as_slice(), &rest].concat();
    let (code, stdout, stderr) = run_told(&to, &import("--rename"), PASSPHRASE).await;
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stdout.contains("add provider `zai-2` (called `zai` in the file)"),
        "{stdout}"
    );
    assert!(
        stdout.contains("note: `aliases.fast` stays \"zai/other\""),
        "{stdout}"
    );
    let written = fs::read_to_string(config(&to)).unwrap();
    assert!(
        written.contains("# kept\n[providers.zai]   # mine\npreset = \"zai-messages\"\n"),
        "{written}"
    );
    assert!(
        written.contains("targets = [\"zai-2/glm-5.1\", \"house/a\"]"),
        "{written}"
    );
    assert!(
        written.contains("default_provider = \"zai-2\""),
        "{written}"
    );

    let to = taken();
    let (code, stdout, stderr) = run_told(&to, &import("--skip"), PASSPHRASE).await;
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("skip provider `zai`"), "{stdout}");
    let written = fs::read_to_string(config(&to)).unwrap();
    assert!(
        written.contains("preset = \"zai-messages\"") && written.contains("[providers.house]"),
        "{written}"
    );

    let to = taken();
    let (code, stdout, stderr) = run_told(&to, &import("--overwrite"), PASSPHRASE).await;
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stdout.contains("replace provider `zai`: preset zai"),
        "{stdout}"
    );
    let written = fs::read_to_string(config(&to)).unwrap();
    assert!(
        !written.contains("zai-messages") && written.contains("fast = \"zai/glm-4.7-flash\""),
        "{written}"
    );
}

/// The launcher's file, in the shape that seed-behaviours.md A2.11 describes.
fn endpoints() -> Value {
    json!({
        "default": "Z.AI",
        "endpoints": [
            {"name": "OpenAI", "backend_type": "native", "base_url": "https://api.openai.com/v1", "api_key": "${ENV:OPENAI_API_KEY}",
             "default_model": "gpt-4o", "models": ["gpt-4o"], "provider_preset": "OpenAI"},
            {"name": "Z.AI", "backend_type": "openai-compat", "base_url": "https://api.z.ai/api/coding/paas/v4", "api_key": "sk-zai-literal-1",
             "default_model": "glm-5.1", "models": ["glm-5.1", "GLM-4-Plus"], "reasoning_enabled": true},
            {"name": "My house", "backend_type": "openai-compat", "base_url": "http://127.0.0.1:8000/v1", "api_key": "",
             "models": ["zai-org/GLM-5"]},
        ],
    })
}

#[tokio::test]
async fn the_launchers_file() {
    let to = home();
    let text = format!("{:#}", endpoints());
    let file = to.write("codex/endpoints.json", &text);
    let name = file.to_str().unwrap();
    let ended = run(&to, &["provider", "import", name, "--dry-run"]).await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(!config(&to).exists());
    let ended = run(&to, &["provider", "import", name, "--yes"]).await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_says(
        &ended,
        &[
            "add provider `Z.AI`: preset zai, 2 models",
            "add provider `my-house`: kind chat, at http://127.0.0.1:8000/v1, 1 models",
            "set default_provider = \"Z.AI\"",
            "note: `endpoints[0]` (\"OpenAI\"): `provider_preset` is not taken",
            "note: `endpoints[1]` (\"Z.AI\"): `reasoning_enabled` is not taken",
        ],
    );
    let written = fs::read_to_string(config(&to)).unwrap();
    for line in [
        "[providers.OpenAI]\npreset = \"openai\"\nkey = { env = \"OPENAI_API_KEY\" }\ndefault_model = \"gpt-4o\"\nmodels = [\"gpt-4o\"]\n",
        "name = \"My house\"\n",
        "models = [\"zai-org/GLM-5\"]\n",
        "[providers.\"Z.AI\"]\npreset = \"zai\"\nkey = { file = \"keys/Z.AI\" }\n",
    ] {
        assert!(written.contains(line), "{line} is not in\n{written}");
    }
    let key = to.config().join("polywire/keys/Z.AI");
    assert_eq!(fs::read_to_string(&key).unwrap().trim(), "sk-zai-literal-1");
    // The original is as it was.
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    let shown = run(&to, &["provider", "list"]).await;
    assert_says(&shown, &["Z.AI", "OpenAI", "my-house"]);
}

#[tokio::test]
async fn the_launchers_bundle() {
    let to = home();
    let bundle = json!({"version": 1, "exported_at": "2026-06-01T10:00:00", "endpoints": endpoints()["endpoints"], "codex_config_toml": "model = \"x\"\n"});
    let file = to.write("work/export.json", bundle.to_string());
    let ended = run(
        &to,
        &["provider", "import", file.to_str().unwrap(), "--yes"],
    )
    .await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_says(
        &ended,
        &["note: `codex_config_toml`: polywire leaves Codex's own settings alone"],
    );
}

#[tokio::test]
async fn broken_files_are_told_with_their_places() {
    let to = home();
    for (text, what) in [
        (
            "{\n  \"endpoints\": [",
            vec![":2:", "hint: the file must be JSON"],
        ),
        (
            "{\"endpoints\": [{\"name\": \"x\", \"base_url\": \"nonsense\"}]}",
            vec!["`endpoints[0]` (\"x\"): `base_url`: ", "hint: "],
        ),
        ("{\"endpoints\": []}", vec!["there is no provider in "]),
        (
            "{}",
            vec!["neither a bundle of polywire nor a file of the Codex Launcher"],
        ),
        (
            "{\"polywire_bundle\": 9}",
            vec!["has version 9", "hint: update polywire"],
        ),
        (
            "{\"polywire_bundle\": 1, \"providers\": {\"x\": {\"kind\": \"telepathy\"}}}",
            vec!["cannot be used, and nothing was changed", "telepathy"],
        ),
        (
            "{\"polywire_bundle\": 1, \"providers\": {\"x\": {\"preset\": \"zai\", \"profile\": {\"no_such_switch\": 1}}}}",
            vec!["nothing was changed", "no_such_switch"],
        ),
    ] {
        let file = to.write("work/broken.json", text);
        let ended = run(
            &to,
            &["provider", "import", file.to_str().unwrap(), "--yes"],
        )
        .await;
        assert_eq!(ended.code(), Some(1), "{text}: {ended:?}");
        assert_says(&ended, &what);
        assert!(!config(&to).exists(), "{text}");
    }
    let ended = run(&to, &["provider", "import", "/nowhere/at.all"]).await;
    assert_eq!(ended.code(), Some(1));
    assert_says(&ended, &["/nowhere/at.all could not be read"]);
    let ended = run(&to, &["provider", "import", "x", "--skip", "--rename"]).await;
    assert_eq!(ended.code(), Some(2));
}

#[tokio::test]
async fn secrets_are_not_put_where_others_can_read_them() {
    let from = furnished();
    let bundle = exported(&from, true).await;
    let to = home();
    to.write("config/polywire/config.toml", "# mine\n");
    fs::set_permissions(config(&to), fs::Permissions::from_mode(0o644)).unwrap();
    let name = bundle.to_str().unwrap();
    let arguments = ["provider", "import", name, "--yes", "--passphrase-stdin"];
    let (code, _, stderr) = run_told(&to, &arguments, PASSPHRASE).await;
    assert_eq!(code, 1);
    assert!(
        stderr.contains("others can read ") && stderr.contains("hint: run `chmod 600"),
        "{stderr}"
    );
    assert_eq!(fs::read_to_string(config(&to)).unwrap(), "# mine\n");
}

/// Nothing is imported by half: the settings cannot be written, so the key that was kept for them goes again.
#[tokio::test]
async fn settings_and_keys_together_or_not_at_all() {
    let to = home();
    to.write("config/polywire/config.toml", "# mine\n");
    fs::set_permissions(config(&to), fs::Permissions::from_mode(0o400)).unwrap();
    let file = to.write("work/endpoints.json", endpoints().to_string());
    let ended = run(
        &to,
        &["provider", "import", file.to_str().unwrap(), "--yes"],
    )
    .await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert_says(&ended, &["is read-only"]);
    assert_eq!(fs::read_to_string(config(&to)).unwrap(), "# mine\n");
    assert!(!to.config().join("polywire/keys/Z.AI").exists());
}

#[tokio::test]
async fn at_a_terminal_it_asks() {
    let from = furnished();
    let path = from.work().join("asked.json");
    let name = path.to_str().unwrap();
    let export = ["provider", "export", "zai", "--with-secrets", "-o", name];
    let mut terminal = Terminal::start(polywire(&from, &export));
    terminal.shows("Passphrase for the secrets").await;
    terminal.hides_input().await;
    terminal.type_keys(&format!("{PASSPHRASE}\r"));
    terminal.shows("Once more").await;
    terminal.hides_input().await;
    terminal.type_keys(&format!("{PASSPHRASE}\r"));
    terminal.shows("written to").await;
    assert_eq!(terminal.ended().await, Some(0));
    assert!(!terminal.text().contains(PASSPHRASE));

    let to = home();
    let mut terminal = Terminal::start(polywire(&to, &["provider", "import", name]));
    terminal.shows("Passphrase of the bundle").await;
    terminal.hides_input().await;
    terminal.type_keys("not the one at all\r");
    terminal.shows("the passphrase is wrong").await;
    terminal.shows_times("Passphrase of the bundle", 2).await;
    terminal.hides_input().await;
    terminal.type_keys(&format!("{PASSPHRASE}\r"));
    terminal.shows("Do this?").await;
    terminal.type_keys("n");
    terminal.shows("nothing was changed").await;
    assert_eq!(terminal.ended().await, Some(1));
    assert!(!config(&to).exists());

    let mut terminal = Terminal::start(polywire(&to, &["provider", "import", name]));
    terminal.shows("Passphrase of the bundle").await;
    terminal.hides_input().await;
    terminal.type_keys(&format!("{PASSPHRASE}\r"));
    terminal.shows("Do this?").await;
    terminal.type_keys("y");
    terminal.shows("provider `zai` is in").await;
    assert_eq!(terminal.ended().await, Some(0));
    assert!(!terminal.text().contains("sk-zai-literal-1"));
    assert_eq!(mode(&to.config().join("polywire/keys/zai")), 0o600);
}
