//! Files of every kind: what is wrong with them is said, and links and modes are kept.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use polywire_login::{LoginError, Revoked};
use support::{Scene, names};

mod support;

/// What is said of a file like this.
async fn said_of(file: Option<&str>, config: Option<&str>) -> (LoginError, String) {
    let scene = Scene::empty();
    if let Some(file) = file {
        scene.home.write("codex/auth.json", file);
    }
    if let Some(config) = config {
        scene.home.write("codex/config.toml", config);
    }
    let login = scene.login();
    let error = login.access(&scene.upstream).await.unwrap_err();
    assert_eq!(login.state().unwrap_err().to_string(), error.to_string());
    assert!(scene.upstream_was_left_alone());
    let text = error.to_string();
    let place = scene.path().display().to_string();
    assert!(text.contains(&place), "{text}");
    let home = scene.home.codex_home().display().to_string();
    (error, text.replace(&home, "CODEX_HOME"))
}

impl Scene {
    fn upstream_was_left_alone(&self) -> bool {
        self.issuer.upstream().received().is_empty()
    }
}

#[tokio::test]
async fn what_is_wrong_is_said_with_its_place_and_the_way_out() {
    for (file, config, expected) in [
        (
            None,
            None,
            "there is no Codex login at `CODEX_HOME/auth.json`\nhint: run `polywire login`",
        ),
        (
            None,
            Some("cli_auth_credentials_store = \"file\"\n"),
            "there is no Codex login at `CODEX_HOME/auth.json`\nhint: run `polywire login`",
        ),
        (
            None,
            Some("model = \"x\"\ncli_auth_credentials_store = \"keyring\"\n"),
            "there is no Codex login at `CODEX_HOME/auth.json`: `cli_auth_credentials_store = \"keyring\"` in `CODEX_HOME/config.toml` keeps it in the system's keyring, which polywire does not read\nhint: write `cli_auth_credentials_store = \"file\"` there and run `polywire login`",
        ),
        (
            Some(r#"{"auth_mode":"apikey","OPENAI_API_KEY":"sk-secret"}"#),
            None,
            "the Codex login `CODEX_HOME/auth.json` is one by API key, and this needs one by ChatGPT\nhint: for the key use the provider preset `openai`; for a ChatGPT plan run `polywire login`",
        ),
        (
            Some(r#"{"auth_mode":"agent\u001b[2J","tokens":{"access_token":"secret"}}"#),
            None,
            "the Codex login `CODEX_HOME/auth.json` is of the kind `agent [2J`, and this needs one by ChatGPT\nhint: run `polywire login`",
        ),
        (
            Some(r#"{"auth_mode":"chatgpt","tokens":{"access_token":"","id_token":"secret"}}"#),
            None,
            "the Codex login `CODEX_HOME/auth.json` holds no access token\nhint: run `polywire login`",
        ),
        (
            Some("{\n \"secret\": secret"),
            None,
            "the Codex login `CODEX_HOME/auth.json` cannot be understood: it is not the JSON that it should be (line 2, column 12)\nhint: run `polywire login` to write it anew",
        ),
    ] {
        let (error, text) = said_of(file, config).await;
        assert_eq!(text, expected);
        assert!(error.is_for_good(), "{error}");
    }
    let (error, text) = said_of(None, Some("cli_auth_credentials_store = \"auto\"")).await;
    assert!(matches!(error, LoginError::InKeyring { .. }), "{text}");
}

#[tokio::test]
async fn a_file_that_is_just_being_written_is_waited_for() {
    let scene = Scene::empty();
    let whole = scene.issuer.login_file(Some(3600), 0);
    scene
        .home
        .write("codex/auth.json", &whole[..whole.len() / 2]);
    let login = scene.login();
    let reading = login.access(&scene.upstream);
    let finished = async {
        // The reader has met the half by then: it runs first, and waits before it looks again.
        tokio::task::yield_now().await;
        scene.home.write("codex/auth.json", &whole);
    };
    let (access, ()) = tokio::join!(reading, finished);
    assert!(whole.contains(access.unwrap().token.reveal()));
}

#[tokio::test]
async fn a_link_stays_and_what_it_leads_to_is_renewed() {
    let scene = Scene::ends_in(60);
    let folder = scene.home.codex_home().parent().unwrap().join("kept");
    fs::create_dir(&folder).unwrap();
    fs::rename(scene.path(), folder.join("real.json")).unwrap();
    symlink("real.json", folder.join("second.json")).unwrap();
    symlink("../kept/second.json", scene.path()).unwrap();
    scene.login().access(&scene.upstream).await.unwrap();

    let link = fs::read_link(scene.path()).unwrap();
    assert_eq!(link.to_str(), Some("../kept/second.json"));
    assert_eq!(
        fs::read_link(folder.join("second.json")).unwrap().to_str(),
        Some("real.json")
    );
    let real = fs::read_to_string(folder.join("real.json")).unwrap();
    assert!(real.contains("rt-2"), "{real}");
    assert_eq!(scene.mode(), 0o600);
    // Codex keeps its lock for writing beside the real file, and so do we; nothing else is there.
    assert_eq!(
        names(&folder),
        ["auth.json.lock", "auth.lock", "real.json", "second.json"]
    );
    assert_eq!(scene.names(), ["auth.json", "auth.lock"]);
}

#[tokio::test]
async fn a_file_that_others_could_read_is_closed_by_the_next_renewal() {
    let scene = Scene::ends_in(60);
    fs::set_permissions(scene.path(), fs::Permissions::from_mode(0o644)).unwrap();
    scene.login().access(&scene.upstream).await.unwrap();
    assert_eq!(scene.mode(), 0o600);
}

#[tokio::test]
async fn logging_out_revokes_and_removes() {
    let scene = Scene::ends_in(3600);
    let done = scene.login().log_out(&scene.upstream).await.unwrap();
    assert_eq!(done.removed.as_deref(), Some(scene.path().as_path()));
    assert_eq!(done.revoked, Revoked::Yes);
    let asked = scene.issuer.upstream().received();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].path, "/oauth/revoke");
    assert_eq!(
        asked[0].text(),
        r#"{"token":"rt-1","token_type_hint":"refresh_token","client_id":"app_EMoamEEZ73f0CkXaXp7hrann"}"#
    );
    assert!(!scene.path().exists());
    let again = scene.login().log_out(&scene.upstream).await.unwrap();
    assert_eq!((again.removed, again.revoked), (None, Revoked::Nothing));
}

#[tokio::test]
async fn logging_out_removes_whatever_is_there() {
    for file in ["{broken", r#"{"auth_mode":"apikey","OPENAI_API_KEY":"sk"}"#] {
        let scene = Scene::empty();
        scene.home.write("codex/auth.json", file);
        let done = scene.login().log_out(&scene.upstream).await.unwrap();
        assert_eq!(done.revoked, Revoked::Nothing, "{file}");
        assert!(!scene.path().exists());
        assert!(scene.upstream_was_left_alone());
    }
    // Behind a link too, and an issuer that is not there is told.
    let scene = Scene::ends_in(60);
    let real = scene.home.work().join("real.json");
    fs::rename(scene.path(), &real).unwrap();
    symlink(&real, scene.path()).unwrap();
    let mut places = scene.places();
    places.revoke_url = "http://127.0.0.1:1/oauth/revoke".to_owned();
    let done = polywire_login::CodexLogin::new(places)
        .log_out(&scene.upstream)
        .await
        .unwrap();
    assert!(matches!(done.revoked, Revoked::No(_)), "{done:?}");
    assert!(!real.exists() && !scene.path().is_symlink());
}
