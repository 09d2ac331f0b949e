//! `polywire login`, `logout` and `whoami`, with a scripted issuer.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use polywire_testkit::{Call, CodexCli, Ended, Issuer, Reply, Running, TempHome};
use serde_json::Value;
use tokio::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_polywire");

struct Scene {
    home: TempHome,
    issuer: Issuer,
}

impl Scene {
    /// A home without a login, and without Codex on the search path.
    fn new() -> Self {
        Self {
            home: TempHome::new(env!("CARGO_TARGET_TMPDIR")),
            issuer: Issuer::start(),
        }
    }

    fn logged_in(ends_in_s: i64) -> Self {
        let scene = Self::new();
        let file = scene.issuer.login_file(Some(ends_in_s), 1);
        scene.home.write("codex/auth.json", file);
        scene
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(PROGRAM);
        command
            .args(arguments)
            .env("PATH", "/nowhere")
            .env("TZ", "UTC");
        self.issuer.tell(&mut command);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Ended {
        Running::start(self.command(arguments)).ended().await
    }

    fn path(&self) -> PathBuf {
        self.home.codex_home().join("auth.json")
    }

    fn file(&self) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.path()).unwrap()).unwrap()
    }

    /// A program named `codex` that tells what it was given, and the folder that it is in.
    fn fake_codex(&self) -> PathBuf {
        let path = self
            .home
            .write("bin/codex", "#!/bin/sh\necho \"codex $*\"\nexit 7\n");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        path.parent().unwrap().to_owned()
    }
}

fn assert_done(ended: &Ended) {
    assert_eq!(ended.code(), Some(0), "{ended:?}");
}

/// A command that must fail with 1 and say why on the error stream alone.
fn complaint(ended: &Ended) -> String {
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.stdout.is_empty(), "{ended:?}");
    let said = ended.stderr.join("\n");
    assert!(said.starts_with("error: "), "{said}");
    said
}

#[tokio::test]
async fn the_own_login_by_browser() {
    let scene = Scene::new();
    let arguments = ["login", "--no-browser", "--callback-port", "0"];
    let login = Running::start(scene.command(&arguments));
    let url = login.stdout_line("/oauth/authorize?").await;
    let back = scene.issuer.authorize(url.trim());
    let (address, path) = back["http://".len()..].split_once('/').unwrap();
    let address: SocketAddr = address.parse().unwrap();
    let (page, state) = path.split_once("&state=").unwrap();
    let wrong = Call::get(&format!("/{page}&state=x{state}"))
        .send(address)
        .await;
    assert_eq!(wrong.status, 400);
    let page = Call::get(&format!("/{path}")).send(address).await;
    assert_eq!(page.status, 200, "{page:?}");
    let ended = login.ended().await;
    assert_done(&ended);
    let last = ended.stdout.last().unwrap();
    let expected = format!(
        "Logged in as someone@example.com (plan pro). The login is in {}",
        scene.path().display()
    );
    assert_eq!(last, &expected);
    assert!(ended.stderr.is_empty(), "{ended:?}");
    assert_eq!(scene.file()["tokens"]["refresh_token"], "rt-2");
    let mode = scene.path().metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let shown = ended.stdout.join("\n");
    for secret in [
        "rt-2",
        scene.file()["tokens"]["access_token"].as_str().unwrap(),
    ] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn the_own_login_by_code() {
    let scene = Scene::new();
    scene.home.write(
        "codex/config.toml",
        "cli_auth_credentials_store = \"keyring\"\n",
    );
    scene.issuer.set_device_pending(1);
    let ended = scene.run(&["login", "--device-auth"]).await;
    assert_done(&ended);
    let shown = ended.stdout.join("\n");
    assert!(shown.contains("ABCD-1234"), "{shown}");
    assert!(shown.contains("/codex/device"), "{shown}");
    let warned = ended.stderr.join("\n");
    assert!(warned.contains("= \"keyring\""), "{warned}");
    assert!(scene.path().exists());
}

#[tokio::test]
async fn a_login_that_the_issuer_refuses() {
    let scene = Scene::new();
    let mut command = scene.command(&["login", "--device-auth"]);
    command.env("POLYWIRE_CODEX_ISSUER", scene.issuer.url() + "/elsewhere");
    let said = complaint(&Running::start(command).ended().await);
    assert!(said.contains("hint: "), "{said}");
    assert!(!scene.path().exists());
}

#[tokio::test]
async fn codex_does_it_where_it_is_installed() {
    let scene = Scene::logged_in(3600);
    let path = scene.fake_codex();
    for (arguments, told) in [
        (["login"].as_slice(), "codex login"),
        (&["login", "--device-auth"], "codex login --device-auth"),
        (&["logout"], "codex logout"),
    ] {
        let mut command = scene.command(arguments);
        command.env("PATH", format!("{}:/bin:/usr/bin", path.display()));
        let ended = Running::start(command).ended().await;
        assert_eq!(ended.code(), Some(7), "{ended:?}");
        assert_eq!(ended.stdout, [told]);
    }
    assert!(scene.issuer.upstream().received().is_empty());
    // But not when it shall not.
    let mut command = scene.command(&["logout", "--own"]);
    command.env("PATH", &path);
    assert_done(&Running::start(command).ended().await);
    assert!(!scene.path().exists());
}

#[tokio::test]
async fn logging_out() {
    let scene = Scene::logged_in(3600);
    let ended = scene.run(&["logout"]).await;
    assert_done(&ended);
    let shown = ended.stdout.join("\n");
    assert!(shown.contains("revoked"), "{shown}");
    assert!(
        shown.contains(&scene.path().display().to_string()),
        "{shown}"
    );
    assert!(!scene.path().exists());
    let received = scene.issuer.upstream().received();
    assert_eq!(received[0].json()["token"], "rt-1");
    let again = scene.run(&["logout"]).await;
    assert_done(&again);
    assert!(
        again.stdout[0].starts_with("There is no login at "),
        "{again:?}"
    );

    let scene = Scene::logged_in(3600);
    let mut command = scene.command(&["logout"]);
    command.env(
        "CODEX_REVOKE_TOKEN_URL_OVERRIDE",
        scene.issuer.url() + "/none",
    );
    let ended = Running::start(command).ended().await;
    assert_done(&ended);
    let warned = ended.stderr.join("\n");
    assert!(
        warned.contains("could not be revoked: the answer was 404"),
        "{warned}"
    );
    assert!(!scene.path().exists());
}

/// What is different in every run, replaced.
fn masked(scene: &Scene, lines: &[String]) -> String {
    let home = scene.home.codex_home().display().to_string();
    let text = lines.join("\n").replace(&home, "CODEX_HOME");
    let is_time = |word: &str| {
        let mut letters = word.chars();
        word.contains(['-', ':']) && letters.all(|c| c.is_ascii_digit() || "-:TZ.".contains(c))
    };
    let masked = |line: &str| {
        let words = line.split(' ').map(|word| {
            let bare = word.trim_matches(|c| "\",".contains(c));
            if is_time(bare) {
                word.replace(bare, "TIME")
            } else {
                word.to_owned()
            }
        });
        words.collect::<Vec<_>>().join(" ")
    };
    text.lines().map(masked).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn who_it_is() {
    let scene = Scene::logged_in(3700);
    let ended = scene.run(&["whoami"]).await;
    assert_done(&ended);
    assert!(ended.stderr.is_empty(), "{ended:?}");
    insta::assert_snapshot!("whoami", masked(&scene, &ended.stdout));
    let offline = scene.run(&["whoami", "--offline"]).await;
    insta::assert_snapshot!("whoami_offline", masked(&scene, &offline.stdout));
    let json = scene.run(&["whoami", "--json"]).await;
    let shown: Value = serde_json::from_str(&json.stdout.join("\n")).unwrap();
    assert_eq!(
        shown["usage"]["rate_limit"]["primary_window"]["used_percent"],
        32.0
    );
    insta::assert_snapshot!(
        "whoami_json_offline",
        masked(
            &scene,
            &scene.run(&["whoami", "--json", "--offline"]).await.stdout
        )
    );
    assert!(scene.issuer.renewals().is_empty());
    assert_eq!(scene.issuer.upstream().received().len(), 2);
}

#[tokio::test]
async fn who_it_is_renews_a_login_that_is_due_unless_it_is_offline() {
    let scene = Scene::logged_in(60);
    assert_done(&scene.run(&["whoami", "--offline"]).await);
    assert!(scene.issuer.upstream().received().is_empty());
    assert_done(&scene.run(&["whoami"]).await);
    assert_eq!(scene.issuer.renewals().len(), 1);
    assert_eq!(scene.file()["tokens"]["refresh_token"], "rt-2");
}

#[tokio::test]
async fn nobody() {
    let scene = Scene::new();
    for arguments in [["whoami"].as_slice(), &["whoami", "--json", "--offline"]] {
        let said = complaint(&scene.run(arguments).await);
        assert!(said.contains("there is no Codex login at"), "{said}");
        assert!(said.contains("hint: run `polywire login`"), "{said}");
    }
    scene.home.write(
        "codex/auth.json",
        r#"{"auth_mode":"apikey","OPENAI_API_KEY":"sk-1"}"#,
    );
    let said = complaint(&scene.run(&["whoami"]).await);
    assert!(
        said.contains("by API key") && !said.contains("sk-1"),
        "{said}"
    );
}

#[tokio::test]
async fn a_login_that_is_dead_is_an_error_and_limits_that_are_not_told_are_not() {
    let scene = Scene::logged_in(-60);
    scene
        .issuer
        .answer_next(Reply::error(401, "refresh_token_invalidated", "no"));
    let said = complaint(&scene.run(&["whoami"]).await);
    assert!(said.contains("refresh_token_invalidated"), "{said}");
    assert!(said.contains("hint: run `polywire login`"), "{said}");

    let scene = Scene::logged_in(3600);
    let mut command = scene.command(&["whoami"]);
    command.env("POLYWIRE_CHATGPT_URL", scene.issuer.url() + "/elsewhere");
    let ended = Running::start(command).ended().await;
    assert_done(&ended);
    let warned = ended.stderr.join("\n");
    assert!(warned.contains("the limits are not known"), "{warned}");
    assert!(ended.stdout[0].contains("someone@example.com"), "{ended:?}");
}

/// The file that our own login writes is one that the real Codex takes, and the one that Codex writes is one that we take.
#[tokio::test]
async fn codex_and_polywire_take_each_others_logins() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    let scene = Scene::new();
    let status = async || {
        let mut command = codex.command(&scene.home);
        command.args(["login", "status"]);
        Running::start(command).ended().await
    };
    assert_done(&scene.run(&["login", "--device-auth", "--own"]).await);
    let told = status().await;
    assert_done(&told);
    assert!(
        told.stderr.join("\n").contains("Logged in using ChatGPT"),
        "{told:?}"
    );

    assert_done(&scene.run(&["logout", "--own"]).await);
    let told = status().await;
    assert_eq!(told.code(), Some(1), "{told:?}");

    let mut command = codex.command(&scene.home);
    let issuer = scene.issuer.url();
    command.args(["login", "--device-auth", "--experimental_issuer", &issuer]);
    assert_done(&Running::start(command).ended().await);
    let ended = scene.run(&["whoami"]).await;
    assert_done(&ended);
    assert!(
        ended.stdout[0].contains("someone@example.com (acc-1)"),
        "{ended:?}"
    );
}
