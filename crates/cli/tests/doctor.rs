//! `polywire doctor`: each finding in a home that is broken in that way, and the real Codex where it matters.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed"
)]

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use polywire_processes::{ProcessId, end};
use polywire_testkit::{
    CodexCli, House, Reply, Running, ScriptedUpstream, TempHome, Tree, auth_json,
};
use serde_json::{Value, json};
use tokio::process::Command;

#[path = "support/processes.rs"]
mod processes;

const PROGRAM: &str = env!("CARGO_BIN_EXE_polywire");
const HOMES: &str = env!("CARGO_TARGET_TMPDIR");

/// A search path without Codex.
const BARE_PATH: &str = "/usr/bin:/bin";

fn home() -> TempHome {
    TempHome::new(HOMES)
}

/// `polywire doctor --json` where no Codex is found.
fn command(home: &TempHome, arguments: &[&str]) -> Command {
    let mut command = home.command(PROGRAM);
    command
        .env("PATH", BARE_PATH)
        // The usual port may be taken on this machine.
        .env("POLYWIRE_LISTEN", "127.0.0.1:0")
        .args(["doctor", "--json"])
        .args(arguments);
    command
}

/// What doctor said, and its exit code.
#[derive(Debug)]
struct Told {
    code: Option<i32>,
    findings: Vec<Value>,
    all: String,
}

impl Told {
    async fn by(command: Command) -> Self {
        let ended = Running::start(command).ended().await;
        assert!(ended.stderr.is_empty(), "{ended:?}");
        let all = ended.stdout.join("\n");
        let json: Value =
            serde_json::from_str(&all).unwrap_or_else(|error| panic!("{error}: {all}"));
        let checks = json["checks"].as_array().unwrap();
        let findings = checks
            .iter()
            .flat_map(|check| check["findings"].as_array().unwrap().clone())
            .collect();
        let told = Self {
            code: ended.code(),
            findings,
            all,
        };
        let worst = json["worst"].as_str();
        assert_eq!(told.code == Some(1), worst == Some("problem"), "{told:#?}");
        told.assert_helpful();
        told
    }

    async fn of(home: &TempHome, arguments: &[&str]) -> Self {
        Self::by(command(home, arguments)).await
    }

    /// Whatever is not as it should be comes with what to do, and stands in the documentation.
    fn assert_helpful(&self) {
        let page = include_str!("../../../docs/doctor.md");
        for finding in &self.findings {
            let id = format!("`{}`", finding["id"].as_str().unwrap());
            assert!(page.contains(&id), "{id} is not in docs/doctor.md");
            let severity = finding["severity"].as_str().unwrap();
            let helped = finding["hint"].as_str().is_some_and(|hint| hint.len() > 5);
            assert!(helped || matches!(severity, "ok" | "notice"), "{finding:#}");
        }
    }

    fn all_of(&self, id: &str) -> Vec<&Value> {
        self.findings
            .iter()
            .filter(|finding| finding["id"] == id)
            .collect()
    }

    /// The only finding of this kind.
    #[track_caller]
    fn one(&self, id: &str) -> &Value {
        let found = self.all_of(id);
        assert_eq!(found.len(), 1, "`{id}` in {:#?}", self.findings);
        found[0]
    }

    #[track_caller]
    fn assert(&self, id: &str, severity: &str, place: &str, what: &str) {
        let finding = self.one(id);
        assert_eq!(finding["severity"], severity, "{finding:#}");
        let found = finding["place"].as_str().unwrap_or_default();
        assert!(found.contains(place), "`{place}` in {finding:#}");
        let found = finding["what"].as_str().unwrap();
        assert!(found.contains(what), "`{what}` in {finding:#}");
    }
}

/// A date as HTTP writes it, so many seconds from now.
fn date(seconds: i64) -> String {
    let now = SystemTime::now();
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let then = if seconds < 0 {
        now - distance
    } else {
        now + distance
    };
    httpdate::fmt_http_date(then)
}

fn models() -> Reply {
    Reply::json(
        200,
        &json!({"object": "list", "data": [{"id": "test-model"}]}),
    )
}

fn house(reply: Reply) -> House {
    House::new(
        PROGRAM,
        HOMES,
        ScriptedUpstream::start(move |_, _| reply.clone()),
    )
}

/// A program named `codex`.
fn fake_codex(home: &TempHome, script: &str) -> PathBuf {
    let path = home.write("bin/codex", format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path
}

#[tokio::test]
async fn all_is_well_with_the_real_codex() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    let house = house(models().header("Date", &date(0)));
    house.home.write("codex/config.toml", "model = \"x\"\n");
    let mut command = command(&house.home, &[]);
    command.env("PATH", codex.search_path());
    let told = Told::by(command).await;
    assert_eq!(told.code, Some(0), "{told:#?}");
    told.assert("key", "ok", "house", "at hand");
    told.assert("reached", "ok", "house", "lists 1 model (dns");
    told.assert("clock", "ok", "", "agrees");
    told.assert("codex_version", "ok", "codex", "0.169.0");
    told.assert(
        "codex_config",
        "ok",
        "codex/config.toml",
        "nothing in it stops Codex",
    );
    told.assert("contract", "ok", "", "a tool was called");
    for id in ["settings", "modes", "port", "proxies"] {
        assert_eq!(told.one(id)["severity"], "ok", "{told:#?}");
    }
    assert!(!told.all.contains("sk-house"), "{}", told.all);
    let left = fs::read_dir(house.home.state().join("polywire"));
    let left: Vec<_> = left
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(fs::read_dir(house.home.codex_home()).unwrap().count(), 1);
}

#[tokio::test]
async fn offline_asks_nobody() {
    let house = house(models());
    let told = Told::of(&house.home, &["--offline"]).await;
    assert_eq!(told.code, Some(0), "{told:#?}");
    told.assert("offline", "notice", "", "--offline");
    assert_eq!(house.upstream.connections(), 0);
}

#[tokio::test]
async fn settings_that_cannot_be_read() {
    let home = home();
    home.write(
        "config/polywire/config.toml",
        "default_provider = \"nobody\"\n",
    );
    let told = Told::of(&home, &[]).await;
    assert_eq!(told.code, Some(1));
    told.assert("settings", "problem", "", "nobody");
    // What does not need them is looked at all the same.
    told.one("codex_config");
}

#[tokio::test]
async fn keys_that_are_missing() {
    let home = home();
    home.write(
        "config/polywire/config.toml",
        "default_provider = \"one\"\n\
         [providers.one]\nkind = \"chat\"\nbase_url = \"http://127.0.0.1:1/v1\"\nkey = { env = \"ONE_KEY\" }\n\
         [providers.two]\nkind = \"chat\"\nbase_url = \"http://127.0.0.1:1/v1\"\nkey = { file = \"no-such-file\" }\n",
    );
    let told = Told::of(&home, &["--offline"]).await;
    assert_eq!(told.code, Some(1));
    let missing = told.all_of("no_key");
    assert_eq!(missing.len(), 2, "{told:#?}");
    assert_eq!(
        (&missing[0]["severity"], &missing[0]["place"]),
        (&json!("problem"), &json!("one"))
    );
    assert!(missing[0]["hint"].as_str().unwrap().contains("ONE_KEY"));
    assert_eq!(
        (&missing[1]["severity"], &missing[1]["place"]),
        (&json!("warning"), &json!("two"))
    );
}

#[tokio::test]
async fn a_login_is_looked_at_and_neither_sent_nor_renewed() {
    let house = House::of_kind(
        "chatgpt",
        PROGRAM,
        HOMES,
        ScriptedUpstream::start(|_, _| Reply::error(401, "none", "no token")),
    );
    let settings = format!(
        "default_provider = \"plan\"\n[providers.plan]\nkind = \"chatgpt\"\nbase_url = \"{}\"\n",
        house.upstream.base_url()
    );
    house.home.write("config/polywire/config.toml", settings);
    let told = Told::of(&house.home, &[]).await;
    assert_eq!(told.code, Some(1));
    told.assert("no_key", "problem", "plan", "auth.json");

    let good = auth_json("account-1", "first");
    // `{"exp":1}`, beside the one that is good for many years.
    let ended = good.replace("eyJleHAiOjQxMDI0NDQ4MDB9", "eyJleHAiOjF9");
    let lost = ended.replace("refresh_token", "another_token");
    for (login, id, severity, what) in [
        (&good, "login", "ok", "at hand"),
        (&ended, "login", "ok", "renewed with the next turn"),
        (&lost, "no_key", "problem", "no refresh token"),
    ] {
        let path = house.home.write("codex/auth.json", login);
        let mut command = command(&house.home, &[]);
        let issuer = house.upstream.base_url();
        command.env("CODEX_REFRESH_TOKEN_URL_OVERRIDE", issuer);
        let told = Told::by(command).await;
        told.assert(id, severity, "plan", what);
        told.assert("reached", "ok", "plan", "wants a key or a login");
        assert_eq!(fs::read_to_string(path).unwrap(), *login);
    }
    for request in house.upstream.received() {
        assert_eq!(request.method, "GET", "{request:?}");
        assert_eq!(request.headers.get("authorization"), None, "{request:?}");
    }
}

#[tokio::test]
async fn secrets_that_others_can_read() {
    let home = home();
    let config = home.write(
        "config/polywire/config.toml",
        "[providers.one]\nkind = \"chat\"\nbase_url = \"http://127.0.0.1:1/v1\"\nkey = { file = \"key\" }\n",
    );
    let open = [
        home.write("config/polywire/key", "sk-one"),
        home.write("config/polywire/.env", "TWO_KEY=sk-two"),
        home.write("state/polywire/token", "pw-token-of-this-home-0123456789"),
        home.write("codex/auth.json", "{}"),
        home.write(
            "codex/config.toml",
            "[model_providers.x]\nname = \"x\"\nexperimental_bearer_token = \"sk-x\"\n",
        ),
    ];
    let told = Told::of(&home, &["--offline"]).await;
    assert_eq!(told.one("modes")["severity"], "ok", "{told:#?}");
    for path in open.iter().chain([&config]) {
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    }
    let told = Told::of(&home, &["--offline"]).await;
    assert_eq!(told.code, Some(1));
    let found: Vec<&str> = told
        .all_of("open_mode")
        .iter()
        .map(|finding| finding["place"].as_str().unwrap())
        .collect();
    for path in &open {
        assert!(
            found.contains(&path.to_str().unwrap()),
            "{path:?} in {found:?}"
        );
    }
    // Nothing secret is in it.
    assert!(!found.contains(&config.to_str().unwrap()), "{found:?}");
    assert!(told.all.contains("chmod 600"), "{}", told.all);
    assert!(!told.all.contains("sk-"), "{}", told.all);
}

#[tokio::test]
async fn files_of_another_user() {
    if polywire_processes::own_user() != 0 {
        eprintln!("not run: only root can give a file away");
        return;
    }
    let home = home();
    let login = home.write("codex/auth.json", "{}");
    std::os::unix::fs::chown(&login, Some(65534), None).unwrap();
    let told = Told::of(&home, &["--offline"]).await;
    told.assert("foreign_owner", "warning", "auth.json", "user 65534");
    assert!(told.all.contains("chown 0"), "{}", told.all);
}

#[tokio::test]
async fn the_port() {
    let home = home();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let mut command = command(&home, &["--offline"]);
    command.env("POLYWIRE_LISTEN", address.to_string());
    let told = Told::by(command).await;
    assert_eq!(told.code, Some(1));
    let holder = format!("process {}", std::process::id());
    told.assert("port_taken", "problem", &address.to_string(), &holder);

    let house = house(models());
    let gateway = house.gateway().await;
    let mut command = self::command(&house.home, &["--offline"]);
    command.env("POLYWIRE_LISTEN", gateway.address().to_string());
    Told::by(command)
        .await
        .assert("port", "ok", "", "polywire runs there");
    gateway.stop().await;
}

#[tokio::test]
async fn variables_for_proxies() {
    let home = home();
    let with = |variables: &[(&str, &str)]| {
        let mut command = command(&home, &["--offline"]);
        command.envs(variables.iter().copied());
        Told::by(command)
    };
    let told = with(&[("HTTP_PROXY", "http://user:pass-word@proxy.example:3128")]).await;
    told.assert("proxy_takes_loopback", "warning", "HTTP_PROXY", "127.0.0.1");
    assert!(!told.all.contains("pass-word"), "{}", told.all);
    let told = with(&[
        ("HTTP_PROXY", "proxy.example:3128"),
        ("no_proxy", "127.0.0.0/8"),
    ])
    .await;
    told.assert("proxies", "ok", "", "leave this machine out");
    // What listens everywhere is found on this machine's own address, and what is excepted already stays.
    let told = with(&[
        ("HTTP_PROXY", "http://proxy.example:3128"),
        ("NO_PROXY", "127.0.0.1,internal.example"),
        ("POLYWIRE_LISTEN", "0.0.0.0:0"),
    ])
    .await;
    told.assert("proxies", "ok", "", "leave this machine out");
    let told = with(&[
        ("HTTP_PROXY", "http://proxy.example:3128"),
        ("NO_PROXY", "internal.example"),
    ])
    .await;
    let hint = told.one("proxy_takes_loopback")["hint"].as_str().unwrap();
    let mut shell = std::process::Command::new("sh");
    let exported = shell
        .args(["-c", &format!("{hint}; echo $NO_PROXY $no_proxy")])
        .env("NO_PROXY", "internal.example")
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&exported.stdout),
        "internal.example,localhost,127.0.0.1 localhost,127.0.0.1\n"
    );
    let told = with(&[("ALL_PROXY", "socks://127.0.0.1:1080"), ("NO_PROXY", "*")]).await;
    told.assert(
        "proxy_unusable",
        "warning",
        "ALL_PROXY",
        "polywire cannot use",
    );
    // Only requests by TLS go there.
    let told = with(&[("HTTPS_PROXY", "http://proxy.example:3128")]).await;
    told.assert("proxies", "ok", "", "");
    let told = with(&[
        ("HTTPS_PROXY", "http://one.example:1"),
        ("https_proxy", "http://two.example:1"),
    ])
    .await;
    told.assert("proxy_spellings", "warning", "HTTPS_PROXY", "https_proxy");
    let told = with(&[
        ("ALL_PROXY", "ftp://user:pass-word@proxy.example:21"),
        ("NO_PROXY", "*"),
    ])
    .await;
    assert_eq!(told.code, Some(1));
    told.assert(
        "proxy_unusable",
        "problem",
        "ALL_PROXY",
        "no proxy that can be used",
    );
    assert!(!told.all.contains("pass-word"), "{}", told.all);
}

#[tokio::test]
async fn providers_that_answer_otherwise_than_they_should() {
    let cloudflare = Reply::html(
        403,
        "<!DOCTYPE html><title>Access denied</title><span class=\"cf-error-details\">Error code 1010</span>",
    )
    .header("Server", "cloudflare")
    .header("CF-RAY", "8f00ba4-FRA");
    let refused = Reply::error(
        401,
        "invalid_api_key",
        "Incorrect API key provided: sk-house",
    );
    let origin = Reply::new(522, "text/plain", "error code: 522");
    for (reply, id, severity, what) in [
        (cloudflare, "filtered", "problem", "1010"),
        (origin, "filtered", "problem", ""),
        (
            Reply::html(200, "<title>Sign in</title>"),
            "page",
            "problem",
            "Sign in",
        ),
        (refused, "key_refused", "problem", "HTTP 401"),
        (
            Reply::error(404, "none", "no such page"),
            "no_list",
            "notice",
            "404",
        ),
        (
            Reply::error(500, "broken", "try later"),
            "failing",
            "warning",
            "HTTP 500",
        ),
    ] {
        let house = house(reply);
        let told = Told::of(&house.home, &[]).await;
        told.assert(id, severity, "house, http", what);
        assert!(!told.all.contains("sk-house"), "{}", told.all);
    }
}

#[tokio::test]
async fn providers_that_cannot_be_reached() {
    let home = home();
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let plain = ScriptedUpstream::start(|_, _| models());
    for (base_url, step) in [
        (format!("http://{closed}/v1"), "tcp: "),
        ("http://no-such-host.invalid/v1".to_owned(), "dns: "),
        (format!("https://{}/v1", plain.address()), "tls: "),
    ] {
        home.write(
            "config/polywire/config.toml",
            format!("[providers.far]\nkind = \"chat\"\nbase_url = \"{base_url}\"\nkey = \"sk-far-away\"\n"),
        );
        let told = Told::of(&home, &[]).await;
        assert_eq!(told.code, Some(1), "{told:#?}");
        told.assert("unreachable", "problem", "far, ", step);
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong() {
    for (seconds, severity, what) in [
        (7200, "problem", "behind"),
        (-7200, "problem", "ahead of"),
        (150, "warning", "behind"),
    ] {
        let house = house(models().header("Date", &date(seconds)));
        Told::of(&house.home, &[])
            .await
            .assert("clock", severity, "", what);
    }
}

#[tokio::test]
async fn a_clock_is_compared_with_the_nearest() {
    // From a cache: an hour old, and it says so.
    let cached = models().header("Date", &date(-3600)).header("Age", "3600");
    let cached = house(cached);
    let told = Told::of(&cached.home, &[]).await;
    told.assert("clock", "ok", "", "agrees");
    let right = ScriptedUpstream::start(|_, _| models().header("Date", &date(0)));
    let wrong = house(models().header("Date", &date(7200)));
    let path = wrong.home.config().join("polywire/config.toml");
    let settings = fs::read_to_string(path).unwrap();
    let settings = format!(
        "{settings}\n[providers.zzz]\nkind = \"chat\"\nbase_url = \"http://{}/v1\"\nkey = \"sk-zzz\"\n",
        right.address()
    );
    wrong.home.write("config/polywire/config.toml", settings);
    let told = Told::of(&wrong.home, &[]).await;
    assert_eq!(told.all_of("reached").len(), 2, "{told:#?}");
    told.assert("clock", "ok", "", "agrees");
}

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

#[tokio::test]
async fn leftovers_are_told() {
    if !polywire_processes::sees_all_processes() {
        eprintln!("not run: in a container, files with process numbers are kept");
        return;
    }
    let home = home();
    let mut gone = std::process::Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let file = home.write("state/codex-desktop/app.pid", gone.id().to_string());
    let told = Told::of(&home, &["--offline"]).await;
    let stale = told.all_of("stale");
    let ours = stale
        .iter()
        .find(|finding| finding["place"] == file.to_str().unwrap());
    let ours = ours.unwrap_or_else(|| panic!("{told:#?}"));
    assert!(ours["what"].as_str().unwrap().contains("does not run"));
    assert!(ours["hint"].as_str().unwrap().contains("polywire cleanup"));
    assert!(file.exists());
}

#[tokio::test]
async fn the_page_for_people() {
    let home = home();
    home.write("codex/config.toml", "profile = \"z\"\n");
    let mut command = home.command(PROGRAM);
    command
        .env("PATH", BARE_PATH)
        .env("POLYWIRE_LISTEN", "127.0.0.1:0")
        .args(["doctor", "--offline"]);
    let ended = Running::start(command).ended().await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    let place = home.codex_home().join("config.toml");
    let line = format!(
        "  problem  {}:1: `profile = \"z\"` is no longer supported",
        place.display()
    );
    let at = ended
        .stdout
        .iter()
        .position(|found| found.starts_with(&line));
    let at = at.unwrap_or_else(|| panic!("{ended:#?}"));
    assert_eq!(ended.stdout[at - 1], "codex configuration");
    assert!(ended.stdout[at + 1].starts_with("           hint: remove the line"));
    assert!(
        ended.stdout.last().unwrap().starts_with("1 problem"),
        "{ended:#?}"
    );
}

/// A home with files of all kinds that a run must leave alone.
fn furnished() -> TempHome {
    let home = home();
    home.write("codex/config.toml", "# mine\r\nmodel = \"x\"\r\n");
    home.write("codex/AGENTS.md", "Be kind.\n");
    home.write(
        "codex/auth.json",
        r#"{"auth_mode":"apikey","OPENAI_API_KEY":"sk-of-the-login"}"#,
    );
    home.write("home/.bashrc", "export A=1\n");
    home.write("home/.claude/settings.json", "{}\n");
    home.write("config/polywire/config.toml", "# nothing yet\n");
    home
}

#[tokio::test]
async fn a_run_of_the_real_codex_is_proven_clean() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    let home = furnished();
    let before = Tree::codex_configuration(&home.codex_home());
    let mut command = command(&home, &["--prove-clean"]);
    command.env("PATH", codex.search_path());
    let told = Told::by(command).await;
    assert_eq!(told.code, Some(0), "{told:#?}");
    told.assert("run", "ok", "", "ended well");
    told.assert("prove_clean", "ok", "", "6 of your files");
    told.assert("codexs_own", "ok", "codex", "sqlite");
    before.assert_same(&Tree::codex_configuration(&home.codex_home()));
}

#[tokio::test]
async fn what_changes_during_a_run_is_told() {
    let home = furnished();
    let codex = fake_codex(
        &home,
        "echo more >> \"$CODEX_HOME/config.toml\"; echo '{}' > \"$CODEX_HOME/auth.json\"; chmod 755 \"$HOME/.bashrc\"; rm \"$HOME/.claude/settings.json\"; mkdir -p \"$CODEX_HOME/sessions\"; echo s > \"$CODEX_HOME/sessions/1.jsonl\"",
    );
    let told = Told::of(
        &home,
        &["--prove-clean", "--codex", codex.to_str().unwrap()],
    )
    .await;
    assert_eq!(told.code, Some(1));
    let changed: Vec<(&str, &str)> = told
        .all_of("file_changed")
        .iter()
        .map(|finding| {
            (
                finding["place"].as_str().unwrap(),
                finding["what"].as_str().unwrap(),
            )
        })
        .collect();
    for (name, how) in [
        ("codex/config.toml", "was changed"),
        (".bashrc", "got another mode"),
        (".claude/settings.json", "was removed"),
    ] {
        let is_told = |(place, what): &(&str, &str)| place.ends_with(name) && what.contains(how);
        assert!(changed.iter().any(is_told), "{name} {how} in {changed:?}");
    }
    assert_eq!(changed.len(), 3, "{changed:?}");
    told.assert("login_renewed", "notice", "auth.json", "was changed");
    told.assert("codexs_own", "ok", "codex", "sessions/1.jsonl");
    assert!(told.all_of("prove_clean").is_empty(), "{told:#?}");
}

#[tokio::test]
async fn a_run_that_fails_proves_nothing() {
    let home = furnished();
    let codex = fake_codex(&home, "echo 'no model' >&2; exit 3");
    let told = Told::of(
        &home,
        &["--prove-clean", "--codex", codex.to_str().unwrap()],
    )
    .await;
    assert_eq!(told.code, Some(1), "{told:#?}");
    told.assert("run", "problem", "", "nothing is proven");
    assert!(told.all_of("prove_clean").is_empty(), "{told:#?}");
}

#[tokio::test]
async fn a_signal_leaves_nothing_behind_and_a_kill_what_cleanup_removes() {
    let home = home();
    let codex = fake_codex(&home, "echo $$ >> \"$0.pids\"; exec sleep 600");
    let pid_file = codex.with_file_name("codex.pids");
    // It is asked for its version, and tried.
    let started = || {
        let text = fs::read_to_string(&pid_file).unwrap_or_default();
        let pids = text.lines().filter_map(|line| line.parse().ok());
        pids.collect::<Vec<u32>>()
    };
    let state = home.state().join("polywire");
    let folders = || {
        let entries = fs::read_dir(&state).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        let of_doctor = |path: &PathBuf| path.to_str().unwrap().contains("/doctor-");
        paths.filter(of_doctor).collect::<Vec<_>>()
    };
    for signal in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGKILL,
    ] {
        fs::remove_file(&pid_file).ok();
        let mut command = command(&home, &["--offline", "--codex", codex.to_str().unwrap()]);
        let mut doctor = command.stdout(Stdio::null()).spawn().unwrap();
        processes::until("codex to start", || started().len() == 2).await;
        let ids = started().into_iter();
        let ids: Vec<_> = ids.filter_map(|pid| ProcessId::of(pid).unwrap()).collect();
        let id = i32::try_from(doctor.id().unwrap()).unwrap();
        kill(Pid::from_raw(id), signal).unwrap();
        let ended = doctor.wait().await.unwrap();
        if signal == Signal::SIGKILL {
            for id in &ids {
                end(id, Duration::from_secs(1)).unwrap();
            }
            break;
        }
        assert_eq!(ended.code(), Some(128 + signal as i32), "{signal}");
        let gone = || ids.iter().all(|id| !id.is_alive().unwrap());
        processes::until("codex to end", gone).await;
        assert_eq!(folders(), Vec::<PathBuf>::new());
    }
    let left = folders();
    assert!(!left.is_empty());
    if !polywire_processes::sees_all_processes() {
        eprintln!("not tried: in a container, the folders are kept");
        return;
    }
    let mut command = home.command(PROGRAM);
    command.args(["cleanup", "--yes", "--json"]);
    for folder in &left {
        command.arg("--only").arg(folder);
        let then = SystemTime::now() - Duration::from_hours(1);
        fs::File::open(folder).unwrap().set_modified(then).unwrap();
    }
    let ended = Running::start(command).ended().await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_eq!(folders(), Vec::<PathBuf>::new(), "{ended:?}");
}

#[tokio::test]
async fn a_proof_that_is_broken_off_leaves_nothing_that_runs() {
    let home = furnished();
    let codex = fake_codex(&home, "echo $$ > \"$0.pid\"; exec sleep 600");
    let arguments = ["--prove-clean", "--codex", codex.to_str().unwrap()];
    let mut command = command(&home, &arguments);
    let mut doctor = command.stdout(Stdio::null()).spawn().unwrap();
    let pid_file = codex.with_file_name("codex.pid");
    processes::until("codex to start", || pid_file.exists()).await;
    let id = i32::try_from(doctor.id().unwrap()).unwrap();
    kill(Pid::from_raw(id), Signal::SIGINT).unwrap();
    assert_eq!(doctor.wait().await.unwrap().code(), Some(130));
    // The gateway of the run looks every two seconds whether somebody is left.
    processes::until("all of it to end", || {
        processes::processes_of(&home).is_empty()
    })
    .await;
}

#[tokio::test]
async fn without_codex_nothing_is_proven() {
    let told = Told::of(&home(), &["--prove-clean"]).await;
    assert_eq!(told.code, Some(1));
    told.assert("prove_clean", "problem", "", "not found");
}
