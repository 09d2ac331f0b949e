//! The list of models that the service gives out.

use polywire_catalog::models_document;
use polywire_gateway::ClientDialect;
use polywire_testkit::{Received, Reply, ResponsesStream, auth_json, codex_back_end};
use serde_json::{Value, json};

use crate::bench::{Bench, TOKENS, hello};

fn fine(_: usize, _: &Received) -> Reply {
    ResponsesStream::new("resp_1")
        .text("msg_1", "Fine.")
        .completed(TOKENS)
}

fn model(slug: &str, priority: u64, visibility: &str) -> Value {
    json!({"slug": slug, "display_name": slug.to_uppercase(), "visibility": visibility, "supported_in_api": true, "priority": priority,
        "context_window": 300_000, "default_reasoning_level": "low",
        "supported_reasoning_levels": [{"effort": "low", "description": ""}, {"effort": "high", "description": ""}],
        "input_modalities": ["text", "image"], "support_verbosity": true})
}

/// The names of the provider's models in the document that clients get.
fn listed(bench: &Bench, live: &polywire_gateway::Live) -> Vec<String> {
    let document = models_document(live.catalog(), None, &|_| true);
    let document: Value = serde_json::from_str(&document).unwrap();
    let data = document["data"].as_array().unwrap().iter();
    let names = data.filter_map(|entry| entry["id"].as_str()?.strip_prefix("plan/"));
    assert!(bench.gateway.live().endpoints().len() == 1);
    names.map(str::to_owned).collect()
}

fn lists_asked(bench: &Bench) -> usize {
    let received = bench.upstream.received();
    received
        .iter()
        .filter(|request| request.method == "GET")
        .count()
}

#[tokio::test]
async fn the_list_of_the_service_is_shown_and_its_models_are_known() {
    let models = json!([
        model("gpt-9-mini", 2, "list"),
        model("gpt-9", 1, "list"),
        model("secret", 0, "hide")
    ]);
    let bench = Bench::of(codex_back_end(Some(models), fine), |_| {});
    // Before anybody needs it, nobody is asked.
    assert!(listed(&bench, &bench.gateway.live()).contains(&"gpt-5.5".to_owned()));
    assert_eq!(lists_asked(&bench), 0);
    let live = bench.gateway.live_with_lists().await;
    assert_eq!(listed(&bench, &live), ["gpt-9", "gpt-9-mini"]);
    let asked = bench.upstream.received().remove(0);
    assert_eq!(asked.path, "/v1/models?client_version=0.169.0");
    assert_eq!(asked.headers.get("chatgpt-account-id"), Some("account-1"));
    assert_eq!(asked.headers.get("content-type"), None);
    // It is kept: the next one is not due for an hour.
    bench.gateway.live_with_lists().await;
    assert_eq!(lists_asked(&bench), 1);
    // What the list says of a model counts: `medium` is none of its efforts.
    let mut body = hello(ClientDialect::Chat, true);
    body["model"] = json!("gpt-9");
    body["reasoning_effort"] = json!("medium");
    bench.ask(ClientDialect::Chat, &body).await.answer();
    let sent = bench.last_sent().json();
    assert_eq!(
        (&sent["model"], &sent["reasoning"]["effort"]),
        (&json!("gpt-9"), &json!("high"))
    );
    assert_eq!(lists_asked(&bench), 1);
}

#[tokio::test]
async fn a_name_that_nobody_knows_has_the_list_fetched_first() {
    let models = json!([model("gpt-9", 1, "list")]);
    let bench = Bench::of(codex_back_end(Some(models), fine), |_| {});
    let mut body = hello(ClientDialect::Chat, false);
    body["model"] = json!("gpt-9");
    body["reasoning_effort"] = json!("medium");
    bench.ask(ClientDialect::Chat, &body).await.answer();
    assert_eq!(lists_asked(&bench), 1);
    assert_eq!(bench.last_sent().json()["reasoning"]["effort"], "high");
}

#[tokio::test]
async fn a_list_that_does_not_come_costs_nothing() {
    let bench = Bench::of(codex_back_end(None, fine), |_| {});
    for _ in 0..2 {
        let live = bench.gateway.live_with_lists().await;
        assert!(listed(&bench, &live).contains(&"gpt-5.5".to_owned()));
    }
    bench
        .ask(ClientDialect::Chat, &hello(ClientDialect::Chat, true))
        .await
        .answer();
    // Not asked again so soon.
    assert_eq!(lists_asked(&bench), 1);
    // Nobody is logged in.
    let bench = Bench::of(codex_back_end(None, fine), |_| {});
    std::fs::remove_file(bench.home.codex_home().join("auth.json")).unwrap();
    let live = bench.gateway.live_with_lists().await;
    assert!(listed(&bench, &live).contains(&"gpt-5.5".to_owned()));
}

#[tokio::test]
async fn another_account_has_another_list() {
    let upstream = polywire_testkit::ScriptedUpstream::start(|index, request| {
        if request.method == "POST" {
            return fine(index, request);
        }
        let account = request.headers.get("chatgpt-account-id").unwrap();
        Reply::json(
            200,
            &json!({"models": [model(&format!("of-{account}"), 1, "list")]}),
        )
    });
    let bench = Bench::of(upstream, |_| {});
    let live = bench.gateway.live_with_lists().await;
    assert_eq!(listed(&bench, &live), ["of-account-1"]);
    bench
        .home
        .write("codex/auth.json", auth_json("account-2", "second"));
    // A turn notices; the list of the other is void at once, and the new one is fetched beside the turn.
    bench
        .ask(ClientDialect::Chat, &hello(ClientDialect::Chat, true))
        .await
        .answer();
    let live = bench.gateway.live_with_lists().await;
    assert_eq!(listed(&bench, &live), ["of-account-2"]);
    assert_eq!(lists_asked(&bench), 2);
}

#[tokio::test]
async fn a_list_of_the_users_own_stays() {
    let models = json!([model("gpt-9", 1, "list")]);
    let bench = Bench::of(codex_back_end(Some(models), fine), |provider| {
        provider.models.truncate(1);
        provider.model_list = None;
    });
    let live = bench.gateway.live_with_lists().await;
    assert_eq!(listed(&bench, &live), ["gpt-5.6-sol"]);
    assert_eq!(lists_asked(&bench), 0);
}
