//! The answer of one turn, given back in the next: reasoning, calls and their ids are what the provider sent, to the letter.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

mod support;

use std::sync::Arc;

use polywire_conversation::{
    Call, CallInput, Event, Form, Item, Ledger, Message, ModelFacts, NameRule, Opaque, Part,
    ReadStream, Reasoning, Request, Role, StreamEnd, Text, ToolResult, VisibleReasoning,
};
use polywire_dialect_messages::{MessagesReader, Profile, render};
use polywire_sse::Decoder;
use serde_json::{Value, json};

/// An answer as the items that a client would send back.
#[derive(Default)]
struct Answer {
    items: Vec<Item<'static>>,
    words: String,
    state: Vec<Opaque<'static>>,
}

impl Answer {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::ReasoningDelta(text) | Event::TextDelta(text) | Event::CallDelta(text) => {
                self.words.push_str(&text.to_plain());
            }
            Event::ReasoningOpaque(opaque) => self.state.push(Opaque {
                kind: opaque.kind,
                state: opaque.state.into_owned(),
            }),
            Event::ReasoningEnd => {
                let words = std::mem::take(&mut self.words);
                self.items.push(Item::Reasoning(Reasoning {
                    visible: VisibleReasoning::Summary(vec![Text::plain(words)]),
                    sealed: None,
                    state: std::mem::take(&mut self.state),
                }));
            }
            Event::TextEnd => {
                let words = std::mem::take(&mut self.words);
                self.items.push(Item::Message(Message {
                    role: Role::Assistant,
                    parts: vec![Part::Text(Text::plain(words))],
                    phase: None,
                }));
            }
            Event::CallStart { id, tool } => self.items.push(Item::Call(Call {
                id: id.to_owned().into(),
                name: tool.name.to_owned().into(),
                namespace: tool.namespace.map(|name| name.to_owned().into()),
                input: match tool.form {
                    Form::Freeform => CallInput::Freeform(Text::EMPTY),
                    Form::Function | Form::Search => CallInput::Arguments(Text::EMPTY),
                },
            })),
            Event::CallEnd => {
                let words = Text::plain(std::mem::take(&mut self.words));
                if let Some(Item::Call(call)) = self.items.last_mut() {
                    call.input = match call.input {
                        CallInput::Freeform(_) => CallInput::Freeform(words),
                        _ => CallInput::Arguments(words),
                    };
                }
            }
            _ => {}
        }
    }

    fn read(stream: &[u8]) -> Vec<Item<'static>> {
        let mut answer = Self::default();
        let mut ledger = Ledger::new(NameRule::default());
        ledger.declare("edit", None, Form::Freeform);
        let mut reader = MessagesReader::new(Arc::new(ledger), "seed");
        let mut sink = |event: Event<'_>| answer.take(event);
        let mut decoder = Decoder::new(16 << 20);
        decoder
            .push(stream, |frame| reader.push(frame, &mut sink))
            .unwrap();
        reader.finish(StreamEnd::Closed, &mut sink);
        answer.items
    }
}

/// The blocks of a stream, put together the plain way. Only for streams in good order.
fn blocks_of(stream: &str) -> Vec<Value> {
    let mut blocks: Vec<Value> = Vec::new();
    let mut inputs: Vec<String> = Vec::new();
    for line in stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
    {
        let event: Value = serde_json::from_str(line).unwrap();
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                blocks.push(event["content_block"].clone());
                inputs.push(String::new());
            }
            "content_block_delta" => {
                let delta = &event["delta"];
                let block = blocks.last_mut().unwrap();
                for key in ["text", "thinking", "signature"] {
                    if let Some(piece) = delta[key].as_str() {
                        block[key] = (block[key].as_str().unwrap().to_owned() + piece).into();
                    }
                }
                inputs
                    .last_mut()
                    .unwrap()
                    .push_str(delta["partial_json"].as_str().unwrap_or_default());
            }
            _ => {}
        }
    }
    for (block, input) in blocks.iter_mut().zip(inputs) {
        if !input.is_empty() {
            block["input"] = serde_json::from_str(&input).unwrap();
        }
        let members = block.as_object_mut().unwrap();
        members.retain(|key, _| !["caller", "citations"].contains(&key.as_str()));
    }
    blocks
}

fn check(name: &str, stream: &[u8]) {
    let answer = Answer::read(stream);
    let calls: Vec<Item<'static>> = answer
        .iter()
        .filter_map(|item| match item {
            Item::Call(call) => Some(Item::Result(ToolResult {
                call_id: call.id.clone(),
                parts: vec![Part::Text(Text::plain("done"))],
                tools_loaded: Vec::new(),
                is_error: false,
            })),
            _ => None,
        })
        .collect();
    let said = |role, words: &'static str| {
        Item::Message(Message {
            role,
            parts: vec![Part::Text(Text::plain(words))],
            phase: None,
        })
    };
    let next = if calls.is_empty() {
        vec![said(Role::User, "Thanks.")]
    } else {
        calls
    };
    let request = Request {
        items: [vec![said(Role::User, "Go.")], answer, next].concat(),
        ..Request::default()
    };
    let rendered = render(&request, &ModelFacts::named("m"), &Profile::default()).unwrap();
    let body: Value = serde_json::from_slice(&rendered.body).unwrap();
    let expected = blocks_of(std::str::from_utf8(stream).unwrap());
    assert_eq!(body["messages"][1]["content"], json!(expected), "{name}");
}

#[test]
fn own_fixtures() {
    for name in [
        "thinking_between_calls.sse",
        "text.sse",
        "end_turn_with_call.sse",
    ] {
        check(
            name,
            &std::fs::read(support::own_fixtures().join(name)).unwrap(),
        );
    }
}

#[test]
fn recordings() {
    let Some(place) = polywire_stream_suite::shared_fixtures() else {
        return;
    };
    for name in [
        "thinking_tool_real_signature.sse",
        "thinking_text_tool.sse",
        "thinking_text.sse",
        "redacted_thinking.sse",
        "text_and_tool.sse",
        "parallel_tools_huge_args.sse",
    ] {
        let stream = std::fs::read(place.join("anthropic").join(name)).unwrap();
        check(name, &stream);
    }
}
