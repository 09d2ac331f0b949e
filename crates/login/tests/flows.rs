//! New logins: by browser, where the test is the browser, and by code.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::net::{SocketAddr, TcpStream};

use polywire_login::{BrowserLogin, DeviceLogin, LoginError, NewLogin, Places, Revoked};
use polywire_testkit::{Answer, Call, Reply, within};
use support::Scene;

mod support;

/// A browser that is sent to this address.
async fn visit(address: &str) -> Answer {
    let rest = address.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_at(rest.find('/').unwrap());
    let host: SocketAddr = host.parse().unwrap();
    Call::get(path)
        .header("host", &host.to_string())
        .send(host)
        .await
}

async fn stored(scene: &Scene, login: NewLogin) -> Revoked {
    let done = scene.login().store(login, &scene.upstream).await.unwrap();
    let state = done.state;
    assert_eq!(state.email.as_deref(), Some("someone@example.com"));
    assert_eq!(state.account_id.as_deref(), Some("acc-1"));
    assert_eq!(state.plan.as_deref(), Some("pro"));
    assert!(state.can_be_renewed);
    assert_eq!(scene.mode(), 0o600);
    let file = scene.file();
    assert_eq!(file["auth_mode"], "chatgpt");
    assert!(file["OPENAI_API_KEY"].is_null() && file.get("OPENAI_API_KEY").is_some());
    let names: Vec<&String> = file["tokens"].as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "id_token",
            "access_token",
            "refresh_token",
            "oauth_provenance",
            "login_owner_id",
            "account_id"
        ],
        "as Codex 0.169 writes them"
    );
    assert_eq!(
        file["tokens"]["oauth_provenance"]["issuer"],
        scene.issuer.url()
    );
    let age = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let age = i64::try_from(age.as_secs()).unwrap() - state.last_refresh.unwrap();
    assert!((0..60).contains(&age), "{age}");
    done.superseded
}

#[tokio::test]
async fn by_browser() {
    let scene = Scene::empty();
    let waiting = BrowserLogin::begin(&scene.places()).await.unwrap();
    let url = waiting.url().to_owned();
    for part in [
        "client_id=app_EMoamEEZ73f0CkXaXp7hrann",
        "redirect_uri=http%3A%2F%2F127.0.0.1%3A",
        "%2Fauth%2Fcallback",
        "id_token_add_organizations=true",
        "codex_cli_simplified_flow=true",
        "originator=polywire",
    ] {
        assert!(url.contains(part), "{part}: {url}");
    }
    let back = scene.issuer.authorize(&url);
    let browser = async {
        let address: SocketAddr = back["http://".len()..back.find("/auth").unwrap()]
            .parse()
            .unwrap();
        // A connection that says nothing, as browsers open them in advance, holds nobody up.
        let silent = TcpStream::connect(address).unwrap();
        // Neither do strangers end the login.
        let (page, state) = back.split_once("&state=").unwrap();
        for (wrong, status) in [
            (format!("{page}&state=x{state}"), 400),
            (format!("{page}&state="), 400),
            (page.to_owned(), 400),
            (format!("http://{address}/favicon.ico"), 404),
            (format!("http://{address}/cancel"), 404),
        ] {
            assert_eq!(visit(&wrong).await.status, status, "{wrong}");
        }
        assert!(scene.issuer.renewals().is_empty(), "no code was exchanged");
        let page = visit(&back).await;
        drop(silent);
        page
    };
    let (login, page) = within("the login", async {
        tokio::join!(waiting.finish(&scene.upstream), browser)
    })
    .await;
    assert_eq!(page.status, 200, "{page:?}");
    assert!(page.text().contains("logged in"), "{}", page.text());
    let login = login.unwrap();
    assert_eq!(format!("{login:?}"), "NewLogin { .. }");
    assert_eq!(stored(&scene, login).await, Revoked::Nothing);
}

#[tokio::test]
async fn a_browser_that_brings_a_refusal() {
    for (query, said) in [
        (
            "error=access_denied&error_description=not%20in%0Ayour%20plan",
            "the login was not finished: the issuer says `access_denied` not in your plan\nhint: run `polywire login` again",
        ),
        (
            "code=",
            "the login was not finished: the browser came back without a code\nhint: run `polywire login` again",
        ),
        (
            "code=guessed",
            "the login was not finished: the issuer gave no tokens for the code: the answer was 400 (`invalid_grant`)\nhint: run `polywire login` again",
        ),
    ] {
        let scene = Scene::empty();
        let waiting = BrowserLogin::begin(&scene.places()).await.unwrap();
        let url = waiting.url().to_owned();
        let back = scene.issuer.authorize(&url);
        let (address, _) = back.split_once('?').unwrap();
        let (_, state) = back.split_once("&state=").unwrap();
        let back = format!("{address}?state={state}&{query}");
        let finished = async { tokio::join!(waiting.finish(&scene.upstream), visit(&back)) };
        let (login, page) = within("the refusal", finished).await;
        assert_eq!(login.unwrap_err().to_string(), said);
        assert_eq!(page.status, 400);
        assert!(page.text().contains("not finished"), "{}", page.text());
        assert!(!scene.path().exists());
    }
}

#[tokio::test]
async fn the_second_port_is_for_when_the_first_is_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let scene = Scene::empty();
    let with = |callback_ports: Vec<u16>| Places {
        callback_ports,
        ..scene.places()
    };
    let waiting = BrowserLogin::begin(&with(vec![port, 0])).await.unwrap();
    assert!(
        !waiting.url().contains(&format!("%3A{port}%2F")),
        "{}",
        waiting.url()
    );
    let error = BrowserLogin::begin(&with(vec![port])).await.unwrap_err();
    assert!(matches!(error, LoginError::NoPort { .. }), "{error}");
    assert!(error.to_string().contains("--device-auth"), "{error}");
}

#[tokio::test]
async fn by_code() {
    let scene = Scene::empty();
    scene.issuer.set_device_pending(2);
    let waiting = DeviceLogin::begin(&scene.places(), &scene.upstream)
        .await
        .unwrap();
    assert_eq!(waiting.page(), scene.issuer.url() + "/codex/device");
    assert_eq!(waiting.code(), "ABCD-1234");
    let login = within("the login", waiting.finish(&scene.upstream)).await;
    assert_eq!(stored(&scene, login.unwrap()).await, Revoked::Nothing);
    let paths: Vec<String> = scene
        .issuer
        .upstream()
        .received()
        .into_iter()
        .map(|r| r.path)
        .collect();
    let token = "/api/accounts/deviceauth/token";
    let expected = [
        "/api/accounts/deviceauth/usercode",
        token,
        token,
        token,
        "/oauth/token",
    ];
    assert_eq!(paths, expected);
}

#[tokio::test]
async fn an_issuer_without_codes_says_so() {
    let scene = Scene::empty();
    let mut places = scene.places();
    places.issuer.push_str("/elsewhere");
    let error = DeviceLogin::begin(&places, &scene.upstream)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("without `--device-auth`"),
        "{error}"
    );
}

#[tokio::test]
async fn a_new_login_keeps_what_nobody_knows_and_revokes_what_it_replaces() {
    let scene = Scene::ends_in(3600);
    let waiting = DeviceLogin::begin(&scene.places(), &scene.upstream)
        .await
        .unwrap();
    let login = waiting.finish(&scene.upstream).await.unwrap();
    assert_eq!(stored(&scene, login).await, Revoked::Yes);
    assert!(
        scene
            .text()
            .contains(r#""of_somebody": {"digits": 12345678901234567890123, "f": 1.50}"#)
    );
    assert!(!scene.text().contains("rt-1"));
    let received = scene.issuer.upstream().received();
    let revoked = received
        .iter()
        .find(|it| it.path == "/oauth/revoke")
        .unwrap();
    assert_eq!(revoked.json()["token"], "rt-1");
}

#[tokio::test]
async fn tokens_that_are_not_all_there_are_not_stored() {
    let scene = Scene::empty();
    let waiting = BrowserLogin::begin(&scene.places()).await.unwrap();
    let partly = polywire_testkit::ScriptedUpstream::replies(vec![Reply::json(
        200,
        &serde_json::json!({"access_token": "a", "id_token": "i"}),
    )]);
    let mut places = scene.places();
    places.issuer = format!("http://{}", partly.address());
    drop(waiting);
    let waiting = BrowserLogin::begin(&places).await.unwrap();
    let state = waiting
        .url()
        .split("&state=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap()
        .to_owned();
    let port = waiting
        .url()
        .split("127.0.0.1%3A")
        .nth(1)
        .unwrap()
        .split('%')
        .next()
        .unwrap()
        .to_owned();
    let back = format!("http://127.0.0.1:{port}/auth/callback?code=c&state={state}");
    let (login, _) = tokio::join!(waiting.finish(&scene.upstream), visit(&back));
    let error = login.unwrap_err().to_string();
    assert!(error.contains("all three tokens"), "{error}");
}
