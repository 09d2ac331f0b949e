//! Two polywires and one real Codex on one login.
//!
//! Codex 0.169 asks the issuer first and takes `auth.lock` only to write (seen in its system calls on 2026-11-25), so that no lock can keep
//! it and polywire from showing one refresh token twice when both find the login due at the same moment. What can be had is that polywire
//! comes first when it is in use, that it never shows a token twice itself, and that the login survives when they meet after all.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use polywire_testkit::{
    CodexCli, CodexRun, Gate, Issuer, ResponsesStream, Running, ScriptedUpstream, TempHome, Tokens,
    within,
};
use tokio::process::Command;

const POLYWIRE: &str = env!("CARGO_BIN_EXE_polywire");

/// A login that is due, and a model for Codex that takes it.
struct Scene {
    home: TempHome,
    issuer: Issuer,
    model: ScriptedUpstream,
}

impl Scene {
    /// A login whose token ends in so many seconds.
    fn ends_in(seconds: i64) -> Self {
        let scene = Self {
            home: TempHome::new(env!("CARGO_TARGET_TMPDIR")),
            issuer: Issuer::start(),
            model: ScriptedUpstream::start(|index, _| {
                ResponsesStream::new(&format!("resp_{index}"))
                    .text("msg_1", "hello")
                    .completed(Tokens {
                        prompt: 10,
                        cached: 0,
                        completion: 1,
                        reasoning: 0,
                    })
            }),
        };
        let config = format!(
            "check_for_update_on_startup = false\nmodel = \"gpt-5.5\"\nmodel_provider = \"own\"\n\n\
             [analytics]\nenabled = false\n\n\
             [model_providers.own]\nname = \"own\"\nbase_url = \"{}\"\nwire_api = \"responses\"\n\
             requires_openai_auth = true\nsupports_websockets = false\n\
             request_max_retries = 0\nstream_max_retries = 0\n",
            scene.model.base_url()
        );
        scene.home.write("codex/config.toml", config);
        let file = scene.issuer.login_file(Some(seconds), 24);
        scene.home.write("codex/auth.json", file);
        scene
    }

    fn lock(&self) -> PathBuf {
        self.home.codex_home().join("auth.lock")
    }

    fn start(&self, mut command: Command) -> Running {
        self.issuer.tell(&mut command);
        Running::start(command)
    }

    fn polywire(&self) -> Running {
        let mut command = self.home.command(POLYWIRE);
        command.args(["whoami", "--json"]);
        self.start(command)
    }

    fn codex(&self, codex: &CodexCli) -> Running {
        let mut command = codex.command(&self.home);
        command.args(["exec", "--json", "--skip-git-repo-check", "say hello"]);
        self.start(command)
    }
}

/// The processes that have a file open.
fn holders(file: &Path) -> BTreeSet<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let has_it = |process: &fs::DirEntry| {
        let open = fs::read_dir(process.path().join("fd"));
        let mut open = open.into_iter().flatten().flatten();
        open.any(|entry| fs::read_link(entry.path()).is_ok_and(|path| path == file))
    };
    processes
        .filter(has_it)
        .map(|process| process.file_name().to_string_lossy().into_owned())
        .collect()
}

/// Waits until so many processes hold a lock or wait for it.
async fn holders_until(file: &Path, count: usize) {
    let what = format!("{count} processes at the lock");
    within(&what, async {
        while holders(file).len() < count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

async fn assert_known(polywire: Running) {
    let ended = polywire.ended().await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let shown = ended.stdout.join("\n");
    assert!(shown.contains(r#""usage_error": null"#), "{shown}");
}

async fn assert_answered(codex: Running) {
    let run = CodexRun::read(codex.ended().await);
    run.assert_clean();
    assert_eq!(run.messages(), ["hello"]);
}

/// Who showed which refresh token, in order.
fn shown(scene: &Scene) -> Vec<(&'static str, String)> {
    let shown = |renewal: polywire_testkit::Received| {
        let agent = renewal.headers.get("user-agent").unwrap_or_default();
        let who = if agent.starts_with("polywire/") {
            "polywire"
        } else {
            "codex"
        };
        let token = renewal.json()["refresh_token"].as_str().unwrap().to_owned();
        (who, token)
    };
    scene.issuer.renewals().into_iter().map(shown).collect()
}

/// Codex's next run takes what is in the file.
async fn assert_codex_goes_on(scene: &Scene, codex: &CodexCli) {
    let before = scene.issuer.renewals().len();
    assert_answered(scene.codex(codex)).await;
    assert_eq!(scene.issuer.renewals().len(), before);
    let file = fs::read_to_string(scene.home.codex_home().join("auth.json")).unwrap();
    let file: serde_json::Value = serde_json::from_str(&file).unwrap();
    assert_eq!(file["tokens"]["refresh_token"], "rt-2");
    let bearer = format!(
        "Bearer {}",
        file["tokens"]["access_token"].as_str().unwrap()
    );
    let asked = scene.model.received();
    let mut asked = asked.iter().rev();
    let asked = asked.find(|it| it.path.ends_with("/responses")).unwrap();
    assert_eq!(asked.headers.get("authorization"), Some(bearer.as_str()));
    assert_eq!(asked.headers.get("chatgpt-account-id"), Some("acc-1"));
}

/// The usual case: all three are in use when the token comes near its end. The refresh token is used once.
#[tokio::test]
async fn two_polywires_and_one_codex_renew_a_login_once() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    let scene = Scene::ends_in(330);
    let gate = Gate::new();
    scene.issuer.hold_next(&gate);
    let polywires = [scene.polywire(), scene.polywire()];
    let running = scene.codex(&codex);
    holders_until(&scene.lock(), 2).await;
    // Codex reads the file, and answers, while one polywire asks and the other waits.
    assert_answered(running).await;
    gate.open();
    for polywire in polywires {
        assert_known(polywire).await;
    }
    assert_eq!(shown(&scene), [("polywire", "rt-1".to_owned())]);
    assert_codex_goes_on(&scene, &codex).await;
}

/// Codex was first, and is not yet answered: polywire is refused, waits for what Codex writes, and goes on with it.
#[tokio::test]
async fn a_codex_that_asked_first_is_waited_for() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    let scene = Scene::ends_in(-60);
    let gate = Gate::new();
    scene.issuer.hold_next(&gate);
    let running = scene.codex(&codex);
    scene.issuer.renewals_until(1).await;
    let polywires = [scene.polywire(), scene.polywire()];
    scene.issuer.renewals_until(3).await;
    gate.open();
    for polywire in polywires {
        assert_known(polywire).await;
    }
    assert_answered(running).await;
    let all = ["codex", "polywire", "polywire"].map(|who| (who, "rt-1".to_owned()));
    assert_eq!(shown(&scene), all);
    assert_codex_goes_on(&scene, &codex).await;
}

/// Polywire was first: a Codex that asks as well is refused, and what polywire writes is there for the next.
#[tokio::test]
async fn a_codex_that_asks_second_spoils_nothing() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    let scene = Scene::ends_in(-60);
    let gate = Gate::new();
    scene.issuer.hold_next(&gate);
    let one = scene.polywire();
    scene.issuer.renewals_until(1).await;
    let other = scene.polywire();
    holders_until(&scene.lock(), 2).await;
    let running = scene.codex(&codex);
    scene.issuer.renewals_until(2).await;
    gate.open();
    assert_known(one).await;
    assert_known(other).await;
    assert_answered(running).await;
    let all = ["polywire", "codex"].map(|who| (who, "rt-1".to_owned()));
    assert_eq!(shown(&scene), all);
    assert_codex_goes_on(&scene, &codex).await;
}

/// The same without Codex, with more processes, and all at once.
#[tokio::test]
async fn five_polywires_renew_a_login_once() {
    let scene = Scene::ends_in(-60);
    let gate = Gate::new();
    scene.issuer.hold_next(&gate);
    let polywires: Vec<Running> = (0..5).map(|_| scene.polywire()).collect();
    holders_until(&scene.lock(), 5).await;
    gate.open();
    for polywire in polywires {
        assert_known(polywire).await;
    }
    assert_eq!(shown(&scene), [("polywire", "rt-1".to_owned())]);
}
