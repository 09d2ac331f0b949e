//! Streams: events in, frames out.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::format_collect,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

mod support;

use std::time::Duration;

use polywire_conversation::{
    Event, Fault, FaultClass, Form, Opaque, OpaqueKind, Retry, StopReason, Text, Usage, WriteStream,
};
use polywire_dialect_responses::{Client, Echo, OUTPUT_BYTES_MAX, parse};
use polywire_sse::FrameBuffer;
use proptest::prelude::*;
use serde_json::Value;
use support::schemas::Schemas;
use support::writing::{
    START, USAGE, call, decoded, escaped, everything, frames, line, text, writer,
};
use support::{fixture, structure};

/// Writes the events, checks what comes out in every way there is, and gives it line by line.
fn check(client: Client, events: Vec<Event<'static>>) -> String {
    check_with(client, Echo::default(), events)
}

fn check_with(client: Client, echo: Echo, events: Vec<Event<'static>>) -> String {
    let mut writer = writer(client, echo);
    let frames = frames(&mut writer, events);
    structure::check(&frames, client);
    let whole: Value = serde_json::from_slice(&writer.whole()).unwrap();
    assert_eq!(whole, frames.last().unwrap().1["response"]);
    if let Some(schemas) = Schemas::load() {
        for (_, data) in &frames {
            schemas.check(data);
        }
    }
    let lines: Vec<String> = frames.iter().map(|(_, data)| line(data)).collect();
    lines.join("\n")
}

#[test]
fn every_kind_of_item() {
    insta::assert_snapshot!("everything_sdk", check(Client::Sdk, everything()));
    let codex = check(Client::Codex, everything());
    assert_eq!(
        codex,
        check(Client::Sdk, everything()),
        "no cut, no difference"
    );
}

#[test]
fn response_object_whole() {
    let body = fixture("conversation.json");
    let parsed = parse(&body, Client::Sdk).unwrap();
    let mut said = writer(Client::Sdk, parsed.echo);
    frames(
        &mut said,
        vec![START, text("Hi"), USAGE, Event::Finish(StopReason::Stop)],
    );
    let body = fixture("calls.json");
    let parsed = parse(&body, Client::Sdk).unwrap();
    let mut called = writer(Client::Sdk, parsed.echo);
    frames(&mut called, vec![Event::Finish(StopReason::Stop)]);
    let mut quiet = writer(Client::Codex, Echo::default());
    frames(&mut quiet, vec![Event::Finish(StopReason::Stop)]);
    let pretty = |body: Vec<u8>| {
        let value: Value = serde_json::from_slice(&body).unwrap();
        serde_json::to_string_pretty(&value).unwrap()
    };
    insta::assert_snapshot!(
        [said.whole(), called.whole(), quiet.whole()]
            .map(pretty)
            .join("\n")
    );
}

/// What a request says comes back in every response object of its stream, in one line each and as both descriptions want it.
#[test]
fn response_objects_repeat_the_request() {
    for name in [
        "conversation.json",
        "calls.json",
        "plain.json",
        "codex.json",
    ] {
        let body = fixture(name);
        for client in [Client::Sdk, Client::Codex] {
            let echo = parse(&body, client).unwrap().echo;
            check_with(client, echo, everything());
        }
    }
}

#[test]
fn bytes_of_a_short_stream() {
    let mut writer = writer(Client::Codex, Echo::default());
    let mut buffer = FrameBuffer::new();
    for event in [START, text("Hi"), Event::Finish(StopReason::Stop)] {
        writer.push(event, &mut buffer);
    }
    insta::assert_snapshot!(String::from_utf8(buffer.take()).unwrap());
}

/// The ways in which an answer can end: the name, and the events after the start.
fn endings() -> Vec<(&'static str, Vec<Event<'static>>)> {
    let half_call = || {
        vec![
            Event::TextStart,
            text("I will look."),
            Event::TextEnd,
            call("call_1", "look", Form::Function),
            Event::CallDelta(escaped(r#"{\"wh"#)),
            Event::CallCut,
        ]
    };
    let with = |mut events: Vec<Event<'static>>, last: Event<'static>| {
        events.push(last);
        events
    };
    let rate_limit = Fault::new(FaultClass::RateLimit, "house: too many requests")
        .with_retry(Retry::After(Some(Duration::from_secs(7))));
    vec![
        ("nothing", vec![Event::Finish(StopReason::Stop)]),
        (
            "empty parts",
            vec![
                Event::ReasoningStart,
                Event::ReasoningEnd,
                Event::TextStart,
                Event::TextDelta(Text::EMPTY),
                Event::TextEnd,
                Event::Finish(StopReason::Stop),
            ],
        ),
        (
            "length in text",
            vec![
                Event::TextStart,
                text("Once upon"),
                Event::TextEnd,
                USAGE,
                Event::Finish(StopReason::Length),
            ],
        ),
        (
            "length in reasoning",
            vec![
                Event::ReasoningStart,
                Event::ReasoningDelta(Text::plain("Hm")),
                Event::ReasoningEnd,
                Event::Finish(StopReason::Length),
            ],
        ),
        (
            "length behind a call",
            vec![
                call("call_1", "look", Form::Function),
                Event::CallDelta(Text::plain("{}")),
                Event::CallEnd,
                Event::Finish(StopReason::Length),
            ],
        ),
        (
            "length in a call",
            with(half_call(), Event::Finish(StopReason::Length)),
        ),
        (
            "a call cut, then a stop",
            with(half_call(), Event::Finish(StopReason::Stop)),
        ),
        (
            "a call cut, then a fault",
            with(
                half_call(),
                Event::Fault(Fault::new(
                    FaultClass::NetworkCut,
                    "house: the stream broke off",
                )),
            ),
        ),
        (
            "length in a freeform call and in a search",
            vec![
                call("call_1", "apply_patch", Form::Freeform),
                Event::CallDelta(Text::plain("*** Begin")),
                Event::CallCut,
                call("call_2", "tool_search", Form::Search),
                Event::CallDelta(Text::plain("{\"que")),
                Event::CallCut,
                Event::Finish(StopReason::Length),
            ],
        ),
        (
            "a search without an object",
            vec![
                call("call_1", "tool_search", Form::Search),
                Event::CallDelta(Text::plain("sums, please")),
                Event::CallEnd,
                Event::Finish(StopReason::Calls),
            ],
        ),
        (
            "filter in text",
            vec![
                Event::TextStart,
                text("To pick a lock"),
                Event::TextEnd,
                Event::Finish(StopReason::ContentFilter),
            ],
        ),
        (
            "refusal",
            vec![
                Event::RefusalStart,
                Event::RefusalDelta(Text::plain("I would ")),
                Event::RefusalDelta(Text::plain("rather not.")),
                Event::RefusalEnd,
                Event::Finish(StopReason::Stop),
            ],
        ),
        (
            "text, refusal, text",
            vec![
                Event::TextStart,
                text("Well."),
                Event::TextEnd,
                Event::RefusalStart,
                Event::RefusalDelta(Text::plain("No.")),
                Event::RefusalEnd,
                Event::TextStart,
                text("Sorry."),
                Event::TextEnd,
                Event::Finish(StopReason::Stop),
            ],
        ),
        (
            "pause",
            vec![
                Event::TextStart,
                text("Wait."),
                Event::TextEnd,
                Event::Finish(StopReason::Pause),
            ],
        ),
        (
            "fault first",
            vec![Event::Fault(Fault::invalid(
                "tools[0]",
                "house: no such tool",
            ))],
        ),
        (
            "fault in text",
            vec![
                Event::TextStart,
                text("Once upon"),
                Event::Fault(rate_limit),
            ],
        ),
        (
            "fault in a call",
            vec![
                call("call_1", "look", Form::Function),
                Event::CallDelta(Text::plain("{")),
                Event::Fault(Fault::new(FaultClass::Server, "house: 500")),
            ],
        ),
        (
            "usage in part",
            vec![
                Event::Usage(Usage {
                    output: Some(5),
                    ..Usage::default()
                }),
                Event::Finish(StopReason::Stop),
            ],
        ),
        (
            "more after the end",
            vec![
                Event::Finish(StopReason::Stop),
                text("late"),
                Event::Finish(StopReason::Length),
                Event::Fault(Fault::new(FaultClass::Server, "late")),
            ],
        ),
    ]
}

#[test]
fn ends_for_codex() {
    insta::assert_snapshot!(all_endings(Client::Codex));
}

#[test]
fn ends_for_sdks() {
    insta::assert_snapshot!(all_endings(Client::Sdk));
}

fn all_endings(client: Client) -> String {
    endings()
        .into_iter()
        .map(|(name, events)| format!("## {name}\n{}\n", check(client, events)))
        .collect()
}

#[test]
fn heartbeats_are_numbered_and_end_with_the_answer() {
    for client in [Client::Codex, Client::Sdk] {
        let mut writer = writer(client, Echo::default());
        let mut buffer = FrameBuffer::new();
        writer.heartbeat(&mut buffer);
        writer.push(START, &mut buffer);
        writer.push(text("a"), &mut buffer);
        writer.heartbeat(&mut buffer);
        writer.push(text("b"), &mut buffer);
        writer.push(Event::TextEnd, &mut buffer);
        writer.heartbeat(&mut buffer);
        writer.push(Event::Finish(StopReason::Stop), &mut buffer);
        let bytes = buffer.take();
        writer.heartbeat(&mut buffer);
        assert!(buffer.is_empty());
        let frames = decoded(&bytes);
        structure::check(&frames, client);
        let beats = frames
            .iter()
            .filter(|(name, _)| name == "response.in_progress");
        assert_eq!(beats.count(), 3);
    }
}

#[test]
fn a_whole_answer_before_its_end_is_in_progress() {
    let mut writer = writer(Client::Sdk, Echo::default());
    let whole: Value = serde_json::from_slice(&writer.whole()).unwrap();
    assert_eq!(whole["status"], "in_progress");
}

#[test]
fn events_for_codex_stay_small() {
    let body = fixture("calls.json");
    let echo = parse(&body, Client::Codex).unwrap().echo;
    let mut writer = writer(Client::Codex, echo);
    let mut buffer = FrameBuffer::new();
    writer.heartbeat(&mut buffer);
    buffer.take();
    writer.heartbeat(&mut buffer);
    assert!(buffer.len() < 1000, "{} bytes", buffer.len());
}

#[test]
fn an_answer_without_end_fails_at_the_limit() {
    for client in [Client::Codex, Client::Sdk] {
        let mut writer = writer(client, Echo::default());
        let mut buffer = FrameBuffer::new();
        let piece = "x".repeat(1 << 20);
        for _ in 0..OUTPUT_BYTES_MAX >> 20 {
            writer.push(Event::TextDelta(Text::plain(&*piece)), &mut buffer);
        }
        buffer.take();
        writer.push(text("x"), &mut buffer);
        let end = decoded(&buffer.take());
        let (name, last) = end.last().unwrap();
        assert_eq!(name, "response.failed");
        assert_eq!(
            last["response"]["error"]["message"],
            "the answer is longer than 8 MiB"
        );
        writer.push(Event::Finish(StopReason::Stop), &mut buffer);
        assert!(buffer.is_empty());
    }
}

#[test]
fn ids_are_long_unique_and_always_the_same() {
    let ids = || -> Vec<String> {
        frames(&mut writer(Client::Sdk, Echo::default()), everything())
            .iter()
            .filter(|(name, _)| name == "response.output_item.done")
            .map(|(_, data)| data["item"]["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = ids();
    assert_eq!(first, ids());
    for (index, id) in first.iter().enumerate() {
        let (prefix, rest) = id.split_once('_').unwrap();
        assert!(["rs", "msg", "fc", "ctc", "tsc"].contains(&prefix), "{id}");
        assert!(rest.len() >= 24, "{id}");
        assert!(!first[..index].contains(id), "{id}");
    }
}

fn any_text() -> impl Strategy<Value = Text<'static>> {
    prop_oneof![
        "[a-z \"\\\\\n\u{1}é😀]{0,12}".prop_map(Text::plain),
        prop::sample::select(vec!["", r"\n", r"\ud83d\ude00", r#"{\"a\":1}"#, r"\u2028"])
            .prop_map(Text::escaped),
    ]
}

fn any_form() -> impl Strategy<Value = Form> {
    prop::sample::select(vec![Form::Function, Form::Freeform, Form::Search])
}

fn any_call_start() -> impl Strategy<Value = Event<'static>> {
    any_form().prop_map(|form| call("call \"1\"\n", "to\"ol", form))
}

fn any_end() -> impl Strategy<Value = Event<'static>> {
    prop_oneof![
        prop::sample::select(vec![
            StopReason::Stop,
            StopReason::Calls,
            StopReason::Length,
            StopReason::ContentFilter,
            StopReason::Pause,
        ])
        .prop_map(Event::Finish),
        prop::sample::select(vec![
            FaultClass::RateLimit,
            FaultClass::Auth,
            FaultClass::NetworkCut,
            FaultClass::ContextLength,
        ])
        .prop_map(|class| Event::Fault(Fault::new(class, "it \"broke\"\n"))),
    ]
}

fn any_event() -> impl Strategy<Value = Event<'static>> {
    let opaque = (
        prop::sample::select(vec![OpaqueKind::Sealed, OpaqueKind::Detail]),
        any_text(),
    )
        .prop_map(|(kind, state)| Event::ReasoningOpaque(Opaque { kind, state }));
    prop_oneof![
        4 => prop::sample::select(vec![
            START,
            Event::ReasoningStart,
            Event::ReasoningEnd,
            Event::TextStart,
            Event::TextEnd,
            Event::RefusalStart,
            Event::RefusalEnd,
            Event::CallEnd,
            Event::CallCut,
            USAGE,
        ]),
        4 => any_text().prop_map(Event::TextDelta),
        2 => any_text().prop_map(Event::ReasoningDelta),
        1 => any_text().prop_map(Event::RefusalDelta),
        3 => any_text().prop_map(Event::CallDelta),
        3 => any_call_start(),
        1 => opaque,
    ]
}

/// A part of an answer as readers promise it.
fn any_part() -> impl Strategy<Value = Vec<Event<'static>>> {
    let around =
        |start: Event<'static>, end: Event<'static>, delta: fn(Text<'static>) -> Event<'static>| {
            prop::collection::vec(any_text(), 0..4).prop_map(move |texts| {
                let mut events = vec![start.clone()];
                events.extend(texts.into_iter().map(delta));
                events.push(end.clone());
                events
            })
        };
    let called = (
        any_call_start(),
        prop::collection::vec(any_text(), 0..4),
        prop::bool::weighted(0.8),
    )
        .prop_map(|(start, texts, whole)| {
            let mut events = vec![start];
            events.extend(texts.into_iter().map(Event::CallDelta));
            events.push(if whole {
                Event::CallEnd
            } else {
                Event::CallCut
            });
            events
        });
    prop_oneof![
        around(Event::TextStart, Event::TextEnd, Event::TextDelta),
        around(
            Event::ReasoningStart,
            Event::ReasoningEnd,
            Event::ReasoningDelta
        ),
        around(Event::RefusalStart, Event::RefusalEnd, Event::RefusalDelta),
        called,
    ]
}

fn any_client() -> impl Strategy<Value = Client> {
    prop::sample::select(vec![Client::Codex, Client::Sdk])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn well_formed_answers_become_sound_streams(
        client in any_client(),
        parts in prop::collection::vec(any_part(), 0..6),
        end in any_end(),
    ) {
        let mut events = vec![START];
        events.extend(parts.into_iter().flatten());
        events.extend([USAGE, end]);
        let mut writer = writer(client, Echo::default());
        let frames = frames(&mut writer, events);
        structure::check(&frames, client);
        let whole: Value = serde_json::from_slice(&writer.whole()).unwrap();
        prop_assert_eq!(&whole, &frames.last().unwrap().1["response"]);
    }

    #[test]
    fn any_events_become_sound_streams(
        client in any_client(),
        mut events in prop::collection::vec(any_event(), 0..30),
        end in any_end(),
    ) {
        events.push(end);
        let frames = frames(&mut writer(client, Echo::default()), events);
        structure::check(&frames, client);
    }
}
