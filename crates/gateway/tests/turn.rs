//! Whole turns without a web framework: which target serves them, which key, which configuration.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use polywire_conversation::FaultClass;
use polywire_credentials::{KeySource, Secret};
use polywire_gateway::turn::Answer;
use polywire_gateway::{Configuration, ConfigurationSource, Keys};
use polywire_testkit::{ChatStream, Gate, Reply, ScriptedUpstream, answer};
use serde_json::Value;

mod support;
use support::{
    begun, configuration, events, gateway, gateway_following, last_kind, provider, text, turn,
};

#[tokio::test]
async fn aliases_and_prefixes_lead_to_their_provider() {
    let first = ScriptedUpstream::start(|_, _| answer("first"));
    let second = ScriptedUpstream::start(|_, _| answer("second"));
    let gateway = gateway(configuration(vec![
        provider("one", &first),
        provider("two", &second),
    ]));
    for (model, expected) in [
        ("main", Ok("first".to_owned())),
        ("one/model", Ok("first".to_owned())),
        ("two/model", Ok("second".to_owned())),
        ("two/unheard-of", Ok("second".to_owned())),
        ("alias", Ok("second".to_owned())),
        ("nothing", Err(FaultClass::NotFound)),
    ] {
        assert_eq!(turn(&gateway, model).await, expected, "{model}");
    }
    let models: Vec<Value> = second
        .received()
        .iter()
        .map(|request| request.json()["model"].clone())
        .collect();
    assert_eq!(models, ["model", "unheard-of", "model"]);
}

#[tokio::test]
async fn a_route_goes_on_when_a_target_refuses() {
    let refusals = [
        Reply::error(401, "invalid_api_key", "no"),
        Reply::error(402, "insufficient_quota", "empty"),
        Reply::error(404, "model_not_found", "gone"),
        ChatStream::new()
            .error("insufficient_quota", "empty")
            .done(),
    ];
    let count = refusals.len();
    let first = ScriptedUpstream::replies(refusals.into());
    let second = ScriptedUpstream::start(|_, _| answer("second"));
    let gateway = gateway(configuration(vec![
        provider("one", &first),
        provider("two", &second),
    ]));
    for _ in 0..count {
        assert_eq!(turn(&gateway, "main").await, Ok("second".to_owned()));
    }
    assert_eq!(
        (first.received().len(), second.received().len()),
        (count, count)
    );
}

#[tokio::test]
async fn what_fails_anywhere_is_not_tried_elsewhere() {
    let first = ScriptedUpstream::start(|_, _| Reply::error(400, "invalid_request_error", "bad"));
    let second = ScriptedUpstream::start(|_, _| answer("second"));
    let gateway = gateway(configuration(vec![
        provider("one", &first),
        provider("two", &second),
    ]));
    assert_eq!(
        turn(&gateway, "main").await,
        Err(FaultClass::InvalidRequest)
    );
    assert_eq!(second.received().len(), 0);
}

#[tokio::test]
async fn all_targets_refusing_is_the_fault_of_the_last() {
    let first = ScriptedUpstream::start(|_, _| Reply::error(401, "invalid_api_key", "no"));
    let second = ScriptedUpstream::start(|_, _| Reply::error(402, "insufficient_quota", "empty"));
    let gateway = gateway(configuration(vec![
        provider("one", &first),
        provider("two", &second),
    ]));
    assert_eq!(turn(&gateway, "main").await, Err(FaultClass::Quota));
}

#[tokio::test]
async fn an_answer_that_has_begun_is_not_begun_again_elsewhere() {
    let gate = Gate::new();
    let reply = ChatStream::new().text("half").wait(&gate).cut();
    let first = ScriptedUpstream::replies(vec![reply]);
    let second = ScriptedUpstream::start(|_, _| answer("second"));
    let gateway = gateway(configuration(vec![
        provider("one", &first),
        provider("two", &second),
    ]));
    let answer = begun(&gateway, "main").await;
    gate.open();
    let events = events(answer).await;
    assert_eq!(text(&events), "half");
    assert_eq!(last_kind(&events), "response.failed");
    assert_eq!((first.received().len(), second.received().len()), (1, 0));
}

#[tokio::test]
async fn a_refused_key_is_looked_up_again() {
    let upstream =
        ScriptedUpstream::start(|_, request| match request.headers.get("authorization") {
            Some("Bearer new") => answer("welcome"),
            _ => Reply::error(401, "invalid_api_key", "no"),
        });
    let key = Arc::new(Mutex::new("old"));
    let known = Arc::clone(&key);
    let keys = Keys::from([("one".to_owned(), KeySource::Env("THE_KEY".to_owned()))]);
    let gateway = gateway(Configuration {
        keys,
        variables: Arc::new(move |name| {
            (name == "THE_KEY").then(|| Secret::new(*known.lock().unwrap()))
        }),
        ..configuration(vec![provider("one", &upstream)])
    });
    assert_eq!(turn(&gateway, "main").await, Err(FaultClass::Auth));
    *key.lock().unwrap() = "new";
    assert_eq!(turn(&gateway, "main").await, Ok("welcome".to_owned()));
    // A key that works is kept, whatever becomes of its source.
    *key.lock().unwrap() = "newer";
    assert_eq!(turn(&gateway, "main").await, Ok("welcome".to_owned()));
}

#[tokio::test]
async fn a_missing_key_is_told_without_asking_the_provider() {
    let upstream = ScriptedUpstream::replies(Vec::new());
    let keys = Keys::from([("one".to_owned(), KeySource::Env("THE_KEY".to_owned()))]);
    let gateway = gateway(Configuration {
        keys,
        ..configuration(vec![provider("one", &upstream)])
    });
    let Answer::Failed { fault, .. } = begun(&gateway, "main").await else {
        panic!("an answer without a key");
    };
    assert_eq!(fault.class, FaultClass::Auth);
    assert!(
        fault.message.contains("`one`") && fault.message.contains("THE_KEY"),
        "{}",
        fault.message
    );
    assert_eq!(upstream.received().len(), 0);
}

/// Configurations that come one at a time.
struct Changes(Arc<Mutex<VecDeque<Result<Configuration, String>>>>);

impl ConfigurationSource for Changes {
    fn changed(&self) -> Option<Result<Configuration, String>> {
        self.0.lock().unwrap().pop_front()
    }
}

#[tokio::test]
async fn a_changed_configuration_is_in_force_with_the_next_turn() {
    let first = ScriptedUpstream::start(|_, _| answer("first"));
    let second = ScriptedUpstream::start(|_, _| answer("second"));
    let queue = Arc::new(Mutex::new(VecDeque::new()));
    let source = Box::new(Changes(Arc::clone(&queue)));
    let gateway = gateway_following(configuration(vec![provider("one", &first)]), source);
    let asked = async |change: Option<Result<Configuration, String>>| {
        queue.lock().unwrap().extend(change);
        turn(&gateway, "main").await.unwrap()
    };
    assert_eq!(asked(None).await, "first");
    // Settings that cannot be read, and settings that can be read but not used, leave the old ones alone.
    assert_eq!(asked(Some(Err("line 3".to_owned()))).await, "first");
    let mut unusable = provider("two", &second);
    unusable.profile.insert("colour".to_owned(), "blue".into());
    assert_eq!(
        asked(Some(Ok(configuration(vec![unusable])))).await,
        "first"
    );
    let usable = configuration(vec![provider("two", &second)]);
    assert_eq!(asked(Some(Ok(usable))).await, "second");
    assert_eq!(asked(None).await, "second");
}

#[tokio::test]
async fn a_turn_at_work_ends_under_the_configuration_that_it_began_with() {
    let gate = Gate::new();
    let reply = ChatStream::new()
        .text("one, ")
        .wait(&gate)
        .text("two")
        .finish("stop")
        .done();
    let first = ScriptedUpstream::replies(vec![reply]);
    let second = ScriptedUpstream::start(|_, _| answer("second"));
    let queue = Arc::new(Mutex::new(VecDeque::new()));
    let source = Box::new(Changes(Arc::clone(&queue)));
    let gateway = gateway_following(configuration(vec![provider("one", &first)]), source);
    let at_work = begun(&gateway, "main").await;
    queue
        .lock()
        .unwrap()
        .push_back(Ok(configuration(vec![provider("two", &second)])));
    assert_eq!(turn(&gateway, "main").await, Ok("second".to_owned()));
    gate.open();
    let events = events(at_work).await;
    assert_eq!(text(&events), "one, two");
    assert_eq!(last_kind(&events), "response.completed");
}
