//! Answers of providers, played to clients of every dialect.

pub(crate) mod expected;
pub(crate) mod own;
pub(crate) mod shared;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use polywire_catalog::{Kind, Provider};
use polywire_conversation::Fault;
use polywire_gateway::turn::Answer;
use polywire_gateway::{ClientDialect, Gateway};
use polywire_testkit::{Reply, ScriptedUpstream, answer};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::clients::{self, DIALECTS, Reading, Told};
use crate::support::{asked, configuration, gateway, impatient, provider, stream_bytes};

/// One answer of a provider.
#[derive(Clone, Debug)]
pub(crate) struct Fixture {
    /// Its file.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) bytes: Vec<u8>,
    /// What it comes to, if somebody has said so.
    pub(crate) expected: Value,
}

/// How it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) dialect: ClientDialect,
    pub(crate) stream: bool,
    /// The provider speaks the client's protocol, so that what it gets is as good as what the provider sends.
    pub(crate) native: bool,
}

/// What a client got.
#[derive(Clone, Debug)]
pub(crate) enum Got {
    Answer(Box<Reading>),
    /// A status and an error body.
    Error {
        fault: Box<Fault>,
        status: u16,
        told: Told,
    },
}

/// Every way to ask a provider of this kind.
pub(crate) fn ways(kind: Kind) -> impl Iterator<Item = Asked> {
    let is_native = move |dialect| match dialect {
        ClientDialect::Responses => matches!(kind, Kind::Responses | Kind::ChatGpt),
        ClientDialect::Messages => kind == Kind::Messages,
        // There is no native way for this protocol.
        ClientDialect::Chat => false,
    };
    DIALECTS.into_iter().flat_map(move |dialect| {
        [true, false].map(|stream| Asked {
            dialect,
            stream,
            native: is_native(dialect),
        })
    })
}

/// The tools that a fixture calls, and whether each takes free text.
fn tools(expected: &Value) -> Vec<(String, bool)> {
    let mut tools: Vec<(String, bool)> = Vec::new();
    for call in clients::list(&expected["tool_calls"]) {
        let tool = (clients::string(&call["name"]), call["custom"] == true);
        if !tool.0.is_empty() && !tools.contains(&tool) {
            tools.push(tool);
        }
    }
    tools
}

/// The request of a client that wants to see everything.
pub(crate) fn request(asked: Asked, model: &str, tools: &[(String, bool)]) -> Value {
    let schema = json!({"type": "object", "properties": {}});
    let tools: Vec<Value> = tools
        .iter()
        .map(|(name, free)| match (asked.dialect, free) {
            (ClientDialect::Responses, true) => json!({"type": "custom", "name": name}),
            (ClientDialect::Responses, false) => {
                json!({"type": "function", "name": name, "parameters": schema, "strict": false})
            }
            (ClientDialect::Chat, true) => json!({"type": "custom", "custom": {"name": name}}),
            (ClientDialect::Chat, false) => {
                json!({"type": "function", "function": {"name": name, "parameters": schema}})
            }
            (ClientDialect::Messages, _) => json!({"name": name, "input_schema": schema}),
        })
        .collect();
    let mut body = match asked.dialect {
        ClientDialect::Responses => json!({
            "input": "hi", "include": ["reasoning.encrypted_content"], "store": false,
            "reasoning": {"summary": "auto"},
        }),
        ClientDialect::Chat => json!({
            "messages": [{"role": "user", "content": "hi"}], "reasoning": {"enabled": true},
        }),
        ClientDialect::Messages => json!({
            "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4096,
            "thinking": {"type": "enabled", "budget_tokens": 2048},
        }),
    };
    if asked.stream && asked.dialect == ClientDialect::Chat {
        body["stream_options"] = json!({"include_usage": true});
    }
    if !tools.is_empty() {
        body["tools"] = tools.into();
    }
    body["model"] = json!(model);
    body["stream"] = json!(asked.stream);
    body
}

/// Asks, and reads what comes to its end.
pub(crate) async fn ask(gateway: &Arc<Gateway>, way: Asked, body: &Value) -> Got {
    let dialect = way.dialect;
    match asked(gateway, dialect, body).await {
        Answer::Stream { body, .. } => {
            assert!(way.stream, "a stream that nobody asked for");
            let bytes = stream_bytes(body).await;
            Got::Answer(Box::new(clients::streamed(dialect, &bytes, way.native)))
        }
        Answer::Whole { body, .. } => {
            assert!(!way.stream, "no stream where one was asked for");
            Got::Answer(Box::new(clients::whole(dialect, &body)))
        }
        Answer::Failed { fault, .. } => Got::Error {
            status: dialect.http_status(&fault),
            told: clients::error(dialect, &dialect.render_error(&fault, "turn")),
            fault: Box::new(fault),
        },
        Answer::FailedStream { .. } => panic!("only Codex is told of failures so"),
    }
}

impl Fixture {
    fn reply(&self) -> Reply {
        let usual = match self.name.rsplit_once('.') {
            Some((_, "sse")) => "text/event-stream",
            Some((_, "ndjson")) => "application/x-ndjson",
            Some(_) | None => "application/json",
        };
        let mut reply = Reply::new(self.status, usual, self.bytes.clone());
        for (name, value) in &self.headers {
            reply = match name.as_str() {
                "content-type" => reply.content_type(value),
                _ => reply.header(name, value),
            };
        }
        if self.status >= 400 {
            // A pause that is longer than a turn waits, so that the failure is told at once.
            reply = reply.header("retry-after", "61");
        }
        reply
    }

    /// Whether a request goes on from this answer, which paused. The clients here say nothing but their one question.
    fn goes_on(&self, request: &str) -> bool {
        self.expected["finish_reason"] == "pause" && request.contains(r#""role":"assistant""#)
    }
}

/// A provider of each kind at one upstream, where each fixture is a model.
fn providers(upstream: &ScriptedUpstream) -> Vec<Provider> {
    let kinds = [
        Kind::Chat,
        Kind::Messages,
        Kind::Responses,
        Kind::CommandCode,
    ];
    kinds
        .map(|kind| Provider {
            kind,
            ..provider(kind.name(), upstream)
        })
        .into()
}

/// The fixtures by name.
fn upstream(fixtures: &[Fixture]) -> ScriptedUpstream {
    let by_name: HashMap<String, Fixture> = fixtures
        .iter()
        .map(|fixture| (fixture.name.clone(), fixture.clone()))
        .collect();
    ScriptedUpstream::start(move |_, request| {
        let body = request.json();
        let model = body["model"].as_str().or(body["params"]["model"].as_str());
        let fixture = &by_name[model.unwrap()];
        if fixture.goes_on(&request.text()) {
            return match fixture.kind {
                Kind::Messages => last_words_of_messages(),
                Kind::CommandCode => last_words_of_command_code(),
                Kind::Chat => answer("Done."),
                Kind::Responses | Kind::ChatGpt => last_words_of_responses(),
                Kind::CodexExec | Kind::CodexAppServer | Kind::Demo => {
                    panic!("this kind does not pause")
                }
            };
        }
        fixture.reply()
    })
}

fn last_words_of_messages() -> Reply {
    let events = [
        json!({"type": "message_start", "message": {"id": "msg_2", "type": "message", "role": "assistant",
            "model": "m", "content": [], "stop_reason": null, "stop_sequence": null,
            "usage": {"input_tokens": 1, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Done."}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
            "usage": {"output_tokens": 2}}),
        json!({"type": "message_stop"}),
    ];
    let frames = events.map(|event| {
        format!(
            "event: {}\ndata: {event}\n\n",
            event["type"].as_str().unwrap()
        )
    });
    Reply::new(200, "text/event-stream", frames.concat())
}

fn last_words_of_responses() -> Reply {
    let text = json!({"type": "output_text", "text": "Done.", "annotations": []});
    let message = json!({"type": "message", "id": "msg_2", "role": "assistant", "status": "completed", "content": [text]});
    let response = json!({"id": "resp_2", "object": "response", "status": "completed", "output": [message],
        "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}});
    Reply::json(200, &response)
}

fn last_words_of_command_code() -> Reply {
    let lines = [
        json!({"type": "text-delta", "text": "Done."}),
        json!({"type": "finish", "finishReason": "stop", "totalUsage": {"inputTokens": 1, "outputTokens": 1}}),
    ];
    let lines = lines.map(|line| format!("{line}\n"));
    Reply::new(200, "application/x-ndjson", lines.concat())
}

/// What every client got of one fixture.
pub(crate) struct Played {
    pub(crate) fixture: Fixture,
    pub(crate) seen: Vec<(Asked, Got)>,
}

/// Plays each fixture to every client that `asks`, and has `judge` look at what they got. Gives how many turns there were.
///
/// All of them are judged before the first is complained of: what they have in common says more than one of them.
pub(crate) async fn play(
    fixtures: Vec<Fixture>,
    asks: fn(&Asked) -> bool,
    judge: impl Fn(&Played),
) -> usize {
    let upstream = upstream(&fixtures);
    let gateway = gateway(impatient(configuration(providers(&upstream))));
    let mut turns = JoinSet::new();
    let mut names = HashMap::new();
    for fixture in fixtures {
        let gateway = Arc::clone(&gateway);
        let name = fixture.name.clone();
        let turn = turns.spawn(async move {
            let mut seen = Vec::new();
            for way in ways(fixture.kind).filter(asks) {
                let model = format!("{}/{}", fixture.kind.name(), fixture.name);
                let body = request(way, &model, &tools(&fixture.expected));
                seen.push((way, ask(&gateway, way, &body).await));
            }
            Played { fixture, seen }
        });
        names.insert(turn.id(), name);
    }
    let (mut count, mut failed) = (0, 0);
    while let Some(ended) = turns.join_next_with_id().await {
        match ended {
            Ok((_, played)) => {
                count += played.seen.len();
                let judged = catch_unwind(AssertUnwindSafe(|| judge(&played)));
                failed += usize::from(judged.is_err());
            }
            Err(error) => {
                println!("{}: {error}", names[&error.id()]);
                failed += 1;
            }
        }
    }
    assert_eq!(failed, 0, "fixtures that came out otherwise, see above");
    count
}
