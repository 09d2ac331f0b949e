//! When a login is renewed, by whom, and what happens when that fails.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::fs::{self, File};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use polywire_login::{Access, CodexLogin, Limits, LoginError};
use polywire_testkit::{Framing, Gate, Reply, Step, within};
use support::{Scene, shown, without_pauses};

mod support;

/// Whether a login with this token is renewed before it is used.
async fn is_renewed(ends_in_s: Option<i64>, refreshed_hours_ago: i64) -> bool {
    let scene = Scene::with(ends_in_s, refreshed_hours_ago);
    let before = scene.file();
    let access = scene.login().access(&scene.upstream).await.unwrap();
    let after = scene.file();
    assert_eq!(after["tokens"]["access_token"], access.token.reveal());
    assert_eq!(access.account_id.as_deref(), Some("acc-1"));
    assert_eq!(access.plan.as_deref(), Some("pro"));
    assert!(!access.is_fedramp);
    let renewed = scene.issuer.renewals().len();
    assert_eq!(renewed == 1, before != after, "{before} {after}");
    renewed == 1
}

/// The bounds of codex-client.md 8.2, where the real Codex was tried, and ours between them.
#[tokio::test]
async fn when_a_login_is_renewed() {
    for (ends_in_s, refreshed_hours_ago, expected) in [
        (Some(360), 0, false),
        (Some(240), 0, true),
        (Some(330), 0, true),
        (Some(-60), 0, true),
        (Some(360), 24 * 30, false),
        (None, 9 * 24, true),
        (None, 180, false),
    ] {
        let renewed = is_renewed(ends_in_s, refreshed_hours_ago).await;
        assert_eq!(renewed, expected, "{ends_in_s:?} {refreshed_hours_ago}");
    }
}

#[tokio::test]
async fn a_renewal_is_asked_for_as_codex_does_and_written_as_codex_does() {
    let scene = Scene::ends_in(60);
    let before = scene.text();
    let access = scene.login().access(&scene.upstream).await.unwrap();
    let asked = &scene.issuer.renewals()[0];
    assert_eq!(asked.method, "POST");
    assert_eq!(asked.headers.get("content-type"), Some("application/json"));
    assert_eq!(
        asked.text(),
        r#"{"client_id":"app_EMoamEEZ73f0CkXaXp7hrann","grant_type":"refresh_token","refresh_reason":"proactive_expiry","refresh_token":"rt-1"}"#
    );
    let agent = asked.headers.get("user-agent").unwrap();
    assert!(agent.starts_with("polywire/"), "{agent}");

    // Every line is as it was, but for the tokens and the date.
    let after = scene.text();
    let changed: Vec<(&str, &str)> = before
        .lines()
        .zip(after.lines())
        .filter(|(old, new)| old != new)
        .collect();
    let names = changed
        .iter()
        .map(|(_, new)| new.split('"').nth(1).unwrap());
    assert_eq!(
        names.collect::<Vec<_>>(),
        ["access_token", "refresh_token", "last_refresh"]
    );
    assert_eq!(before.lines().count(), after.lines().count());
    assert_eq!(scene.file()["tokens"]["refresh_token"], "rt-2");
    assert_eq!(scene.mode(), 0o600);
    assert_eq!(
        scene.names(),
        ["auth.json", "auth.json.lock", "auth.lock"],
        "nothing is left over"
    );
    // The new one is good, so that nobody is asked again.
    let again = scene.login().access(&scene.upstream).await.unwrap();
    assert_eq!(again, access);
    assert_eq!(scene.issuer.renewals().len(), 1);
}

#[tokio::test]
async fn what_the_answer_does_not_say_stays() {
    let scene = Scene::ends_in(60);
    scene.issuer.leave_out_next(&["id_token", "refresh_token"]);
    let before = scene.file();
    scene.login().access(&scene.upstream).await.unwrap();
    let after = scene.file();
    for name in ["id_token", "refresh_token", "account_id", "later"] {
        assert_eq!(after["tokens"][name], before["tokens"][name], "{name}");
    }
    assert_ne!(
        after["tokens"]["access_token"],
        before["tokens"]["access_token"]
    );
}

#[tokio::test]
async fn many_requests_share_one_renewal() {
    let scene = Scene::ends_in(-60);
    let gate = Gate::new();
    scene.issuer.hold_next(&gate);
    let login = scene.login();
    let requests = (0..20).map(|_| login.access(&scene.upstream));
    let opened = async {
        scene.issuer.renewals_until(1).await;
        gate.open();
    };
    let (tokens, ()) = tokio::join!(join_all(requests), opened);
    let tokens: Vec<Access> = tokens.into_iter().map(Result::unwrap).collect();
    assert!(tokens.iter().all(|access| *access == tokens[0]));
    assert_eq!(shown(&scene.issuer.renewals()), ["rt-1"]);
}

#[tokio::test]
async fn a_failure_is_shared_too() {
    let scene = Scene::ends_in(-60);
    scene
        .issuer
        .answer_next(Reply::error(500, "server_error", "later").before(Step::Wait(opened())));
    let login = scene.login();
    let outcomes = join_all((0..5).map(|_| login.access(&scene.upstream))).await;
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert!(matches!(error, LoginError::NotRenewed { .. }), "{error}");
        assert!(
            error.to_string().contains("500 (`server_error`)"),
            "{error}"
        );
        assert!(error.to_string().contains("auth.json"), "{error}");
        assert!(!error.is_for_good());
    }
    // Nor is the issuer asked again at once.
    let error = login.access(&scene.upstream).await.unwrap_err();
    assert!(matches!(error, LoginError::NotRenewed { .. }), "{error}");
    assert_eq!(scene.issuer.renewals().len(), 1);
}

fn opened() -> Gate {
    let gate = Gate::new();
    gate.open();
    gate
}

#[tokio::test]
async fn a_failure_that_may_pass_does_not_stop_a_request_while_the_token_serves() {
    let scene = Scene::ends_in(120);
    let before = scene.text();
    let login = scene.login_with(without_pauses());
    for failure in [
        Reply::error(500, "server_error", "later"),
        Reply::error(429, "slow_down", "later"),
        Reply::html(403, "<h1>challenge</h1>"),
    ] {
        scene.issuer.answer_next(failure);
        let access = login.access(&scene.upstream).await.unwrap();
        assert!(before.contains(access.token.reveal()));
        assert_eq!(scene.text(), before, "the old file is whole");
    }
    // And when it has passed, the login is renewed.
    let access = login.access(&scene.upstream).await.unwrap();
    assert!(!before.contains(access.token.reveal()));
    assert_eq!(scene.file()["tokens"]["refresh_token"], "rt-2");
    assert_eq!(shown(&scene.issuer.renewals()), ["rt-1"; 4]);
}

#[tokio::test]
async fn an_issuer_that_is_not_there_has_spent_nothing() {
    let scene = Scene::ends_in(-60);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut places = scene.places();
    places.token_url = format!("http://{}/oauth/token", free.local_addr().unwrap());
    drop(free);
    let login = polywire_login::CodexLogin::new(places);
    let error = login.access(&scene.upstream).await.unwrap_err();
    assert!(matches!(error, LoginError::NotRenewed { .. }), "{error}");
    assert!(error.to_string().contains("could not connect"), "{error}");
}

#[tokio::test]
async fn a_spent_token_is_remembered() {
    let scene = Scene::ends_in(120);
    // Somebody else used `rt-1` and did not write down what came.
    scene
        .issuer
        .spend_next(Reply::error(500, "server_error", "gone"));
    let other = scene.login();
    other.access(&scene.upstream).await.unwrap();

    let login = scene.login_with(without_pauses());
    let before = scene.text();
    for _ in 0..3 {
        // The old token serves a while longer.
        let access = login.access(&scene.upstream).await.unwrap();
        assert!(before.contains(access.token.reveal()));
    }
    assert_eq!(scene.issuer.renewals().len(), 2, "one question of each");
    assert_eq!(
        login.state().unwrap().refused.as_deref(),
        Some("refresh_token_reused")
    );
    // When it does not, the way out is named.
    let access = login.access(&scene.upstream).await.unwrap();
    for _ in 0..2 {
        let refused = login.after_unauthorized(&access, &scene.upstream).await;
        let error = refused.unwrap_err();
        assert!(matches!(error, LoginError::Refused { .. }), "{error}");
        assert!(error.is_for_good());
        let text = error.to_string();
        for part in ["refresh_token_reused", "polywire login", "auth.json"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    assert_eq!(scene.issuer.renewals().len(), 2, "nobody knocked again");

    // A new login has another refresh token, which nobody has refused.
    let file = scene.issuer.login_file(Some(60), 0).replace("rt-1", "rt-2");
    scene.home.write("codex/auth.json", file);
    login.access(&scene.upstream).await.unwrap();
    assert_eq!(scene.file()["tokens"]["refresh_token"], "rt-3");
    assert_eq!(login.state().unwrap().refused, None);
}

/// Codex asks before it takes the lock, so that it can have used the token that we show. What it got is waited for.
#[tokio::test]
async fn a_token_that_another_program_has_just_used() {
    let scene = Scene::ends_in(-60);
    scene
        .issuer
        .spend_next(Reply::error(500, "server_error", "gone"));
    let other = scene.login_with(without_pauses());
    other.access(&scene.upstream).await.unwrap_err();

    let login = scene.login();
    let written = async {
        scene.issuer.renewals_until(2).await;
        // The other program can have the lock, which it needs to write.
        let lock = File::create(scene.home.codex_home().join("auth.lock")).unwrap();
        let path = scene.path();
        let file = scene
            .issuer
            .login_file(Some(3600), 0)
            .replace("rt-1", "rt-2");
        let write = tokio::task::spawn_blocking(move || {
            lock.lock().unwrap();
            fs::write(path, file).unwrap();
        });
        write.await.unwrap();
    };
    let (access, ()) = tokio::join!(login.access(&scene.upstream), written);
    let access = access.unwrap();
    assert_eq!(
        scene.file()["tokens"]["access_token"],
        access.token.reveal()
    );
    assert_eq!(scene.issuer.renewals().len(), 2);
    assert_eq!(login.state().unwrap().refused, None);
}

#[tokio::test]
async fn a_lost_answer_is_not_asked_for_again_while_the_token_serves() {
    for lost in [
        // Closed in the middle of the body.
        Reply::stream(vec![Step::Bytes(b"{\"access".to_vec()), Step::Close])
            .framing(Framing::Claimed(500)),
        Reply::stream(vec![Step::Bytes(b"{".to_vec()), Step::Reset]),
        Reply::stream(Vec::new()).before(Step::Reset),
        Reply::html(200, "<h1>log in to the hotel</h1>"),
    ] {
        let scene = Scene::ends_in(120);
        scene.issuer.spend_next(lost);
        let before = scene.text();
        let login = scene.login_with(without_pauses());
        for _ in 0..3 {
            let access = login.access(&scene.upstream).await.unwrap();
            assert!(before.contains(access.token.reveal()));
        }
        assert_eq!(scene.issuer.renewals().len(), 1);
        // Only when there is nothing left to lose, and once.
        let access = login.access(&scene.upstream).await.unwrap();
        let error = login.after_unauthorized(&access, &scene.upstream).await;
        let error = error.unwrap_err();
        assert!(matches!(error, LoginError::Refused { .. }), "{error}");
        assert_eq!(scene.issuer.renewals().len(), 2);
        assert_eq!(scene.text(), before, "the old file is whole");
    }
}

#[tokio::test]
async fn after_a_lost_answer_there_is_a_pause() {
    let scene = Scene::ends_in(-60);
    scene
        .issuer
        .answer_next(Reply::stream(Vec::new()).before(Step::Reset));
    let login = scene.login();
    for _ in 0..3 {
        let error = login.access(&scene.upstream).await.unwrap_err();
        assert!(matches!(error, LoginError::AnswerLost { .. }), "{error}");
    }
    assert_eq!(scene.issuer.renewals().len(), 1);
}

#[tokio::test]
async fn an_issuer_that_says_nothing_holds_nobody_up_while_the_token_serves() {
    let scene = Scene::ends_in(120);
    let gate = Gate::new();
    scene.issuer.hold_next(&gate);
    let login = scene.login_with(Limits {
        patience: Duration::from_millis(20),
        ..Limits::default()
    });
    let before = scene.text();
    let access = login.access(&scene.upstream).await.unwrap();
    assert!(before.contains(access.token.reveal()));
    scene.issuer.renewals_until(1).await;
    // The next one waits no longer, because the renewal has had its time.
    let again = login.access(&scene.upstream).now_or_never();
    assert_eq!(again.expect("an answer at once").unwrap(), access);
    // Nobody waits any more, and still the answer is taken in.
    gate.open();
    within("the renewal", login.settled()).await;
    assert_eq!(scene.file()["tokens"]["refresh_token"], "rt-2");
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_cut_a_renewal_off() {
    let scene = Scene::ends_in(-60);
    let gate = Gate::new();
    scene.issuer.hold_next(&gate);
    let login = scene.login();
    tokio::select! {
        _ = login.access(&scene.upstream) => panic!("the gate is closed"),
        _ = scene.issuer.renewals_until(1) => {}
    }
    gate.open();
    within("the renewal", login.settled()).await;
    let access = login.access(&scene.upstream).await.unwrap();
    assert_eq!(
        scene.file()["tokens"]["access_token"],
        access.token.reveal()
    );
    assert_eq!(scene.issuer.renewals().len(), 1);
}

#[tokio::test]
async fn after_401_the_file_is_read_again_before_anybody_is_asked() {
    let scene = Scene::ends_in(3600);
    let login = scene.login();
    let refused = login.access(&scene.upstream).await.unwrap();
    // Another program renewed it meanwhile.
    let newer = scene.issuer.login_file(Some(7200), 0);
    scene.home.write("codex/auth.json", newer);
    let access = login.after_unauthorized(&refused, &scene.upstream).await;
    let access = access.unwrap();
    assert_eq!(
        scene.file()["tokens"]["access_token"],
        access.token.reveal()
    );
    assert_ne!(access, refused);
    assert!(scene.issuer.renewals().is_empty());

    // That one is refused as well: now the issuer is asked, once, by all who were refused.
    let recoveries = (0..5).map(|_| login.after_unauthorized(&access, &scene.upstream));
    let recovered = join_all(recoveries).await;
    let now = scene.file()["tokens"]["access_token"].clone();
    for recovered in recovered {
        assert_eq!(now, recovered.unwrap().token.reveal());
    }
    let asked = scene.issuer.renewals();
    assert_eq!(shown(&asked), ["rt-1"]);
    assert_eq!(asked[0].json()["refresh_reason"], "unauthorized_recovery");
}

#[tokio::test]
async fn the_limits_are_asked_for_with_a_token_that_is_replaced_once() {
    let scene = Scene::ends_in(3600);
    scene.issuer.forget_access();
    let login = scene.login();
    let usage = login.usage(&scene.upstream).await.unwrap();
    assert_eq!(usage.plan_type.as_deref(), Some("team"));
    let window = usage.rate_limit.unwrap().secondary_window.unwrap();
    assert_eq!((window.used_percent, window.reset_at), (Some(4.5), None));
    assert_eq!(scene.issuer.renewals().len(), 1);

    scene.issuer.forget_access();
    scene
        .issuer
        .answer_next(Reply::error(500, "server_error", ""));
    let error = login.usage(&scene.upstream).await.unwrap_err();
    assert!(matches!(error, LoginError::NotRenewed { .. }), "{error}");
}

#[tokio::test]
async fn a_lock_that_another_program_holds_delays_the_renewal() {
    let scene = Scene::ends_in(-60);
    let lock = File::create(scene.home.codex_home().join("auth.lock")).unwrap();
    lock.lock().unwrap();
    let login = scene.login();
    let waiting = login.access(&scene.upstream);
    tokio::pin!(waiting);
    let early = tokio::time::timeout(Duration::from_millis(100), &mut waiting).await;
    assert!(early.is_err(), "{early:?}");
    assert!(scene.issuer.renewals().is_empty());
    // The other program renewed it: nobody is asked.
    let newer = scene.issuer.login_file(Some(7200), 0);
    scene.home.write("codex/auth.json", newer);
    lock.unlock().unwrap();
    let access = within("the lock", waiting).await.unwrap();
    assert_eq!(
        scene.file()["tokens"]["access_token"],
        access.token.reveal()
    );
    assert!(scene.issuer.renewals().is_empty());
}

#[tokio::test]
async fn a_lock_that_is_never_let_go_is_named() {
    for (ends_in, served) in [(120, true), (-60, false)] {
        let scene = Scene::ends_in(ends_in);
        let path = scene.home.codex_home().join("auth.lock");
        let lock = File::create(&path).unwrap();
        lock.lock().unwrap();
        let login = scene.login_with(Limits {
            lock_wait: Duration::from_millis(50),
            ..Limits::default()
        });
        match login.access(&scene.upstream).await {
            Ok(_) => assert!(served),
            Err(error) => {
                assert!(!served);
                let text = error.to_string();
                assert!(text.contains(&path.display().to_string()), "{text}");
                assert!(!error.is_for_good());
            }
        }
        // The next request does not wait for it again.
        let again = login.access(&scene.upstream);
        let again = again.now_or_never().expect("an answer at once");
        assert_eq!(again.is_ok(), served);
        assert!(scene.issuer.renewals().is_empty());
    }
}

#[tokio::test]
async fn who_logs_in_anew_or_out_during_a_renewal_stays_so() {
    for logs_in in [true, false] {
        let scene = Scene::ends_in(-60);
        let gate = Gate::new();
        scene.issuer.hold_next(&gate);
        let login = scene.login();
        let other = scene
            .issuer
            .login_file(Some(7200), 0)
            .replace("rt-1", "rt-other");
        let somebody = async {
            scene.issuer.renewals_until(1).await;
            if logs_in {
                scene.home.write("codex/auth.json", &other);
            } else {
                fs::remove_file(scene.path()).unwrap();
            }
            gate.open();
        };
        let (access, ()) = tokio::join!(login.access(&scene.upstream), somebody);
        if logs_in {
            assert_eq!(scene.text(), other);
            let token = scene.file()["tokens"]["access_token"].clone();
            assert_eq!(token, access.unwrap().token.reveal());
        } else {
            assert!(!scene.path().exists());
            assert!(
                matches!(access, Err(LoginError::NoLogin { .. })),
                "{access:?}"
            );
        }
    }
}

/// A login that was renewed while a folder stood in the place of its file, which the issuer's answer found so. The old file is back.
async fn unwritten(scene: &Scene) -> (CodexLogin, Access) {
    let old = scene.text();
    let gate = Gate::new();
    scene.issuer.hold_next(&gate);
    let login = scene.login();
    let spoilt = async {
        scene.issuer.renewals_until(1).await;
        // A folder in its place can be neither replaced nor written.
        fs::remove_file(scene.path()).unwrap();
        fs::create_dir(scene.path()).unwrap();
        gate.open();
    };
    let (access, ()) = tokio::join!(login.access(&scene.upstream), spoilt);
    let access = access.unwrap();
    fs::remove_dir(scene.path()).unwrap();
    scene.home.write("codex/auth.json", &old);
    (login, access)
}

#[tokio::test]
async fn tokens_that_cannot_be_written_are_kept_in_memory() {
    let scene = Scene::ends_in(-60);
    let (login, access) = unwritten(&scene).await;
    assert_eq!(login.access(&scene.upstream).await.unwrap(), access);
    assert!(login.state().unwrap().unwritten);
    // They are renewed from memory, too.
    let renewed = login.after_unauthorized(&access, &scene.upstream).await;
    assert_eq!(shown(&scene.issuer.renewals()), ["rt-1", "rt-2"]);
    assert_eq!(scene.file()["tokens"]["refresh_token"], "rt-3");
    assert!(!login.state().unwrap().unwritten);
    assert_eq!(
        scene.file()["tokens"]["access_token"],
        renewed.unwrap().token.reveal()
    );
}

#[tokio::test]
async fn tokens_that_could_not_be_written_are_written_in_the_end() {
    let scene = Scene::ends_in(-60);
    let (login, access) = unwritten(&scene).await;
    login.settled().await;
    assert_eq!(scene.file()["tokens"]["refresh_token"], "rt-2");
    assert_eq!(
        scene.file()["tokens"]["access_token"],
        access.token.reveal()
    );
    assert!(!login.state().unwrap().unwritten);

    // Unless the file is another login's by then.
    let scene = Scene::ends_in(-60);
    let (login, _) = unwritten(&scene).await;
    let other = scene
        .issuer
        .login_file(Some(3600), 0)
        .replace("rt-1", "rt-other");
    scene.home.write("codex/auth.json", &other);
    login.settled().await;
    assert_eq!(scene.text(), other);
}

#[tokio::test]
async fn where_nothing_can_be_written_nothing_is_spent() {
    // A lock that cannot be made, because a folder has its name.
    let scene = Scene::ends_in(-60);
    fs::create_dir(scene.home.codex_home().join("auth.lock")).unwrap();
    let error = scene.login().access(&scene.upstream).await.unwrap_err();
    assert!(matches!(error, LoginError::Write { .. }), "{error}");
    assert!(scene.issuer.renewals().is_empty());
}
