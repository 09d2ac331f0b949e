//! A gateway on scripted providers, asked without a web framework.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

pub(crate) mod clients;

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use polywire_catalog::{Catalog, Kind, Model, Provider, presets};
use polywire_conversation::{Fault, FaultClass};
use polywire_credentials::{KeySource, Secret};
use polywire_gateway::turn::{Accepted, Answer, run};
use polywire_gateway::{
    Client, ClientDialect, Configuration, ConfigurationSource, Engines, Fixed, Gateway,
    LocalStates, Logins, Proxies, RetryLimits, Stores,
};
use polywire_login::{CodexLogin, Places};
use polywire_testkit::{ScriptedUpstream, TempHome, auth_json, within};
use serde_json::{Value, json};

/// A provider at a scripted upstream, with one model.
pub(crate) fn provider(id: &str, upstream: &ScriptedUpstream) -> Provider {
    Provider {
        id: id.to_owned(),
        kind: Kind::Chat,
        base_url: upstream.base_url(),
        models: vec![Arc::new(Model::named("model"))],
        profile: toml::Table::new(),
        ..presets()[0].to_provider(id)
    }
}

/// A configuration of these providers in which `main` stands for all of them in order, and `alias` for the last.
pub(crate) fn configuration(providers: Vec<Provider>) -> Configuration {
    let targets: Vec<String> = providers
        .iter()
        .map(|provider| format!("{}/model", provider.id))
        .collect();
    let keys = providers.iter().map(|provider| {
        (
            provider.id.clone(),
            KeySource::Literal(Secret::new("sk-test")),
        )
    });
    Configuration {
        keys: keys.collect(),
        logins: Logins::new(),
        catalog: Catalog {
            aliases: [("alias".to_owned(), targets[targets.len() - 1].clone())].into(),
            routes: [("main".to_owned(), targets)].into(),
            providers: providers.into_iter().map(Arc::new).collect(),
            default_provider: None,
        },
        engines: Engines::new(),
        proxies: Proxies::new(),
        local: LocalStates::new(),
        variables: Arc::new(|_| None),
        strict: false,
        search: None,
        patience: RetryLimits::default(),
    }
}

/// A login in the Codex folder of a home. Nobody renews it: where it would be asked for, nobody listens.
pub(crate) fn logged_in(home: &TempHome, account: &str, token: &str) -> CodexLogin {
    home.write("codex/auth.json", auth_json(account, token));
    CodexLogin::new(Places {
        token_url: "http://127.0.0.1:9/oauth/token".to_owned(),
        ..Places::new(home.codex_home())
    })
}

/// The same for turns that try again at once, or not at all where the provider wants them to wait.
pub(crate) fn impatient(configuration: Configuration) -> Configuration {
    let patience = RetryLimits {
        backoff_first: Duration::from_millis(1),
        wait_max: Duration::from_millis(100),
        limit_retries_max: 2,
        ..RetryLimits::default()
    };
    Configuration {
        patience,
        ..configuration
    }
}

pub(crate) fn gateway(configuration: Configuration) -> Arc<Gateway> {
    gateway_following(configuration, Box::new(Fixed))
}

pub(crate) fn gateway_following(
    configuration: Configuration,
    source: Box<dyn ConfigurationSource>,
) -> Arc<Gateway> {
    Gateway::new(configuration, source, Stores::default()).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) async fn begun(gateway: &Arc<Gateway>, model: &str) -> Answer {
    asked(
        gateway,
        ClientDialect::Responses,
        &json!({"model": model, "stream": true, "input": "hi"}),
    )
    .await
}

/// A request as it comes from its client.
pub(crate) async fn asked(gateway: &Arc<Gateway>, dialect: ClientDialect, body: &Value) -> Answer {
    let accepted = Accepted {
        turn_id: "turn".to_owned(),
        dialect,
        client: Client::Sdk,
        body: body.to_string().into(),
        cwd: None,
        memory: None,
        compact: false,
    };
    within("a turn to begin", run(gateway, accepted)).await
}

/// A turn to its end: the text, or the class of the fault that came in its place.
pub(crate) async fn turn(gateway: &Arc<Gateway>, model: &str) -> Result<String, FaultClass> {
    let answer = begun(gateway, model).await;
    if let Answer::Failed { fault, .. } = answer {
        return Err(fault.class);
    }
    Ok(text(&events(answer).await))
}

/// A streamed answer, as it goes over the wire.
pub(crate) async fn bodies(answer: Answer) -> String {
    let Answer::Stream { body, .. } = answer else {
        panic!("no stream");
    };
    String::from_utf8(stream_bytes(body).await.to_vec()).unwrap()
}

/// The bytes of a stream, to its end.
pub(crate) async fn stream_bytes<B>(body: B) -> bytes::Bytes
where
    B: http_body::Body<Data = bytes::Bytes>,
    B::Error: std::fmt::Debug,
{
    let collected = within("the end of a turn", body.collect()).await;
    collected.unwrap().to_bytes()
}

pub(crate) async fn events(answer: Answer) -> Vec<Value> {
    let Answer::Stream { body, .. } = answer else {
        panic!("no stream");
    };
    let bytes = stream_bytes(body).await;
    let lines = bytes.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| line.strip_prefix(b"data: "))
        .map(|event| serde_json::from_slice(event).unwrap())
        .collect()
}

pub(crate) fn text(events: &[Value]) -> String {
    let deltas = events
        .iter()
        .filter(|event| event["type"] == "response.output_text.delta");
    deltas
        .map(|event| event["delta"].as_str().unwrap())
        .collect()
}

pub(crate) fn last_kind(events: &[Value]) -> &str {
    events.last().unwrap()["type"].as_str().unwrap()
}

/// A turn of a client of Responses: the response at its end.
pub(crate) async fn responses(gateway: &Arc<Gateway>, mut body: Value) -> Result<Value, Fault> {
    body["model"] = json!("main");
    match asked(gateway, ClientDialect::Responses, &body).await {
        Answer::Whole { body, .. } => Ok(serde_json::from_slice(&body).unwrap()),
        Answer::Failed { fault, .. } => Err(fault),
        answer @ (Answer::Stream { .. } | Answer::FailedStream { .. }) => {
            let events = events(answer).await;
            Ok(events.last().unwrap()["response"].clone())
        }
    }
}

pub(crate) fn output_text(response: &Value) -> String {
    let output = response["output"].as_array().unwrap().iter();
    let messages = output.filter(|item| item["type"] == "message");
    messages
        .map(|item| item["content"][0]["text"].as_str().unwrap())
        .collect()
}

pub(crate) fn function(name: &str) -> Value {
    json!({"type": "function", "name": name, "parameters": {"type": "object", "properties": {}}})
}
