//! The login on its way to the service, and what happens when it is refused.

use polywire_conversation::FaultClass;
use polywire_gateway::turn::Answer;
use polywire_gateway::{Client, ClientDialect};
use polywire_login::{CodexLogin, Places};
use polywire_testkit::{
    Received, Reply, ResponsesStream, ScriptedUpstream, TempHome, access_token, auth_json,
    codex_back_end,
};
use serde_json::json;

use crate::bench::{Bench, TOKENS, hello, ways, without_list};
use crate::support::clients::DIALECTS;
use crate::support::logged_in;

fn knows(token: &'static str) -> impl FnMut(usize, &Received) -> Reply {
    move |_, request| {
        if request
            .headers
            .get("authorization")
            .unwrap()
            .ends_with(token)
        {
            return ResponsesStream::new("resp_1")
                .text("msg_1", "Welcome.")
                .completed(TOKENS);
        }
        let message = "Provided authentication token is expired. Please try signing in again.";
        Reply::error(401, "token_expired", message)
    }
}

/// Codex renews the login between our reading it and the service's refusal.
#[tokio::test]
async fn a_login_that_another_program_has_renewed_is_taken_up() {
    for dialect in DIALECTS {
        let home = TempHome::new(env!("CARGO_TARGET_TMPDIR"));
        let login = logged_in(&home, "account-1", "first");
        let file = home.codex_home().join("auth.json");
        let mut answer = knows("second");
        let upstream = codex_back_end(None, move |index, request| {
            if index == 0 {
                std::fs::write(&file, auth_json("account-1", "second")).unwrap();
            }
            answer(index, request)
        });
        let bench = Bench::with_login(upstream, without_list, home, login);
        for requests in [2, 3] {
            let got = bench.ask(dialect, &hello(dialect, true)).await.answer();
            assert_eq!(got.text, "Welcome.", "{dialect:?}");
            assert_eq!(bench.sent().len(), requests, "{dialect:?}");
        }
    }
}

/// Nobody has renewed the refused login, so we do, once for all who wait.
#[tokio::test]
async fn a_refused_login_is_renewed_once() {
    let issuer = ScriptedUpstream::start(|_, request| {
        assert_eq!(request.json()["refresh_token"], "refresh-first");
        let (id, access) = (access_token("id"), access_token("second"));
        Reply::json(
            200,
            &json!({"id_token": id, "access_token": access, "refresh_token": "refresh-second"}),
        )
    });
    let home = TempHome::new(env!("CARGO_TARGET_TMPDIR"));
    home.write("codex/auth.json", auth_json("account-1", "first"));
    let login = CodexLogin::new(Places {
        token_url: format!("{}/token", issuer.base_url()),
        ..Places::new(home.codex_home())
    });
    let upstream = codex_back_end(None, knows("second"));
    let bench = Bench::with_login(upstream, without_list, home, login);
    let asked = DIALECTS.map(|dialect| {
        let bench = &bench;
        async move {
            bench
                .ask(dialect, &hello(dialect, false))
                .await
                .answer()
                .text
        }
    });
    let [one, two, three] = asked;
    let (one, two, three) = tokio::join!(one, two, three);
    assert_eq!([one, two, three], ["Welcome."; 3]);
    assert_eq!(issuer.received().len(), 1);
    let kept = std::fs::read_to_string(bench.home.codex_home().join("auth.json")).unwrap();
    assert!(kept.contains("refresh-second"), "{kept}");
}

#[tokio::test]
async fn a_login_that_is_refused_for_good_is_told_with_the_way_out() {
    let bench = Bench::new(knows("nobody"));
    for (dialect, stream) in ways() {
        let (status, told) = bench.ask(dialect, &hello(dialect, stream)).await.error();
        assert_eq!(status, 502, "{dialect:?}: {told:?}");
        assert_eq!(told.kind, "authentication_error", "{dialect:?}");
        for words in ["token is expired", "could not be renewed", "polywire login"] {
            assert!(told.message.contains(words), "{dialect:?}: {told:?}");
        }
        assert!(!told.message.contains(".first"), "{told:?}");
    }
}

/// Renewed, and refused all the same: asked twice and no more.
#[tokio::test]
async fn a_renewed_login_that_is_refused_is_believed() {
    let issuer = ScriptedUpstream::start(|_, _| {
        let (id, access) = (access_token("id"), access_token("second"));
        let tokens =
            json!({"id_token": id, "access_token": access, "refresh_token": "refresh-second"});
        Reply::json(200, &tokens)
    });
    let home = TempHome::new(env!("CARGO_TARGET_TMPDIR"));
    home.write("codex/auth.json", auth_json("account-1", "first"));
    let login = CodexLogin::new(Places {
        token_url: format!("{}/token", issuer.base_url()),
        ..Places::new(home.codex_home())
    });
    let upstream = codex_back_end(None, knows("nobody"));
    let bench = Bench::with_login(upstream, without_list, home, login);
    let body = hello(ClientDialect::Chat, false);
    let (status, told) = bench.ask(ClientDialect::Chat, &body).await.error();
    assert_eq!((status, bench.sent().len()), (502, 2));
    assert!(told.message.contains("token is expired"), "{told:?}");
    assert!(told.message.ends_with("run `polywire login`"), "{told:?}");
}

#[tokio::test]
async fn without_a_login_nobody_is_asked() {
    let bench = Bench::new(knows("first"));
    std::fs::remove_file(bench.home.codex_home().join("auth.json")).unwrap();
    for (dialect, stream) in ways() {
        let (status, told) = bench.ask(dialect, &hello(dialect, stream)).await.error();
        assert_eq!((status, &*told.kind), (502, "authentication_error"));
        assert!(told.message.contains("polywire login"), "{told:?}");
    }
    assert!(bench.upstream.received().is_empty());
    let endpoints = bench.gateway.live();
    assert!(!endpoints.endpoints()[0].has_key().await);
    bench
        .home
        .write("codex/auth.json", auth_json("account-1", "first"));
    assert!(endpoints.endpoints()[0].has_key().await);
}

#[tokio::test]
async fn a_fedramp_account_is_named_as_one() {
    let bench = Bench::new(knows(""));
    // `{"exp":4102444800,"https://api.openai.com/auth":{"chatgpt_account_is_fedramp":true}}`
    let claims = "eyJleHAiOjQxMDI0NDQ4MDAsImh0dHBzOi8vYXBpLm9wZW5haS5jb20vYXV0aCI6eyJjaGF0Z3B0X2FjY291bnRfaXNfZmVkcmFtcCI6dHJ1ZX19";
    let token = format!("eyJhbGciOiJub25lIn0.{claims}.sig");
    let file = json!({"auth_mode": "chatgpt", "last_refresh": "2026-11-25T00:00:00Z", "tokens":
        {"id_token": token, "access_token": token, "refresh_token": "r", "account_id": "account-9"}});
    bench.home.write("codex/auth.json", file.to_string());
    let body = hello(ClientDialect::Messages, false);
    bench.ask(ClientDialect::Messages, &body).await.answer();
    let sent = bench.last_sent();
    assert_eq!(sent.headers.get("x-openai-fedramp"), Some("true"));
    assert_eq!(sent.headers.get("chatgpt-account-id"), Some("account-9"));
}

/// State that the service refuses costs the state and not the turn.
#[tokio::test]
async fn refused_reasoning_state_is_left_out_and_the_turn_asked_again() {
    let script = |_: usize, request: &Received| {
        if request.text().contains("gAAAA/old==") {
            let message = "The encrypted content gAAA... could not be verified.";
            return Reply::error(400, "invalid_encrypted_content", message);
        }
        ResponsesStream::new("resp_1")
            .reasoning("rs_1", "Thinking.", "gAAAA/old==")
            .text("msg_1", "Hello.")
            .completed(TOKENS)
    };
    for effort in ["low", "minimal"] {
        let bench = Bench::new(script);
        let begin = json!({"role": "user", "content": "Hello"});
        let first = bench
            .ask(ClientDialect::Responses, &json!({"input": [begin]}))
            .await
            .answer();
        let mut input = vec![begin];
        input.extend(first.items);
        input.push(json!({"role": "user", "content": "Go on"}));
        let again = json!({"input": input, "reasoning": {"effort": effort}, "stream": true});
        let got = bench.ask(ClientDialect::Responses, &again).await.answer();
        assert_eq!(got.text, "Hello.", "{effort}");
        let sent = bench.sent();
        assert_eq!(sent.len(), 3, "{effort}");
        assert!(sent[1].text().contains("gAAAA/old=="));
        assert!(
            sent[2].text().contains("Go on") && !sent[2].text().contains("encrypted_content\":")
        );
        let losses = bench.losses();
        assert!(
            losses.contains(&"degraded reasoning".to_owned()),
            "{effort}: {losses:?}"
        );
    }
    // A service that goes on refusing is believed.
    let bench = Bench::new(|_, _| Reply::error(400, "invalid_encrypted_content", "no"));
    let body = hello(ClientDialect::Chat, false);
    let Answer::Failed { fault, .. } = bench.begin(ClientDialect::Chat, Client::Sdk, &body).await
    else {
        panic!("an answer");
    };
    assert_eq!(fault.class, FaultClass::InvalidRequest);
    assert_eq!(bench.sent().len(), 2);
}
