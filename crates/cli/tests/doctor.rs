//! `polywire doctor`: each finding in a home that is broken in that way: settings, keys, files, leftovers; and what people get to read.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use polywire_testkit::{CodexCli, House, Reply, Running, ScriptedUpstream, auth_json};
use serde_json::json;

use doctor::{BARE_PATH, HOMES, PROGRAM, Told, command, date, home, house, models};

#[path = "support/doctor.rs"]
mod doctor;

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
