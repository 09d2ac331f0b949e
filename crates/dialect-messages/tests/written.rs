//! Streams: events in, frames out.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::format_collect,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

#[path = "client_support/mod.rs"]
mod support;

use polywire_conversation::{
    Citation, Event, Fault, FaultClass, Form, Json, Loss, Native, Opaque, OpaqueKind, Raised,
    StopReason, Text, Usage, VisibleReasoning, WebSearch, WriteStream,
};
use polywire_dialect_messages::{
    MessagesWriter, OUTPUT_BYTES_MAX, ThinkingDisplay, WriterOptions, parse,
};
use polywire_sse::{Decoder, FrameBuffer};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::grammar;

fn writer(thinking: ThinkingDisplay) -> MessagesWriter {
    MessagesWriter::new(WriterOptions {
        message_id: "msg_0001".to_owned(),
        request_id: "req_0001".to_owned(),
        model: "house/small \"model\"".to_owned(),
        input_tokens_estimate: 77,
        thinking,
    })
}

/// The frames that events become: name and data.
fn frames(writer: &mut MessagesWriter, events: Vec<Event<'static>>) -> Vec<(String, Value)> {
    let mut buffer = FrameBuffer::new();
    for event in events {
        writer.push(event, &mut buffer);
    }
    decoded(&buffer.take())
}

fn decoded(bytes: &[u8]) -> Vec<(String, Value)> {
    let mut frames = Vec::new();
    let mut decoder = Decoder::new(1 << 30);
    let mut keep = |frame: polywire_sse::Frame<'_>| {
        frames.push((
            String::from_utf8(frame.event.to_vec()).unwrap(),
            serde_json::from_slice(frame.data).unwrap(),
        ));
    };
    decoder.push(bytes, &mut keep).unwrap();
    decoder.finish(&mut keep);
    frames
}

/// Writes the events, checks what comes out as a stream and as a whole, and gives it line by line.
fn check(thinking: ThinkingDisplay, events: Vec<Event<'static>>) -> String {
    let mut writer = writer(thinking);
    let frames = frames(&mut writer, events);
    let whole = check_both(&frames, &mut writer);
    let mut lines: Vec<String> = frames.iter().map(|(_, data)| line(data)).collect();
    lines.push(format!("whole {}", whole["content"]));
    lines.join("\n")
}

/// Checks a stream and the whole message beside it, and gives that.
fn check_both(frames: &[(String, Value)], writer: &mut MessagesWriter) -> Value {
    let whole: Value = serde_json::from_slice(&writer.whole()).unwrap();
    match grammar::check(frames) {
        Some(streamed) => grammar::same(&streamed, &whole),
        None => assert_eq!(&whole, &frames.last().unwrap().1),
    }
    whole
}

/// One event in one line.
fn line(data: &Value) -> String {
    let mut data = data.clone();
    let object = data.as_object_mut().unwrap();
    let name = object.shift_remove("type").unwrap();
    let index = object.shift_remove("index");
    let index = index.map_or(String::new(), |index| format!(" {index}"));
    let rest = if object.is_empty() {
        String::new()
    } else {
        format!(" {data}")
    };
    format!("{}{index}{rest}", name.as_str().unwrap())
}

fn text(plain: &'static str) -> Event<'static> {
    Event::TextDelta(Text::plain(plain))
}

fn escaped(body: &'static str) -> Text<'static> {
    Text::escaped(body)
}

fn sealed(state: &'static str) -> Event<'static> {
    Event::ReasoningOpaque(Opaque {
        kind: OpaqueKind::Sealed,
        state: Text::plain(state),
    })
}

fn call(id: &'static str, name: &'static str, form: Form) -> Event<'static> {
    call_in(None, id, name, form)
}

fn call_in(
    namespace: Option<&'static str>,
    id: &'static str,
    name: &'static str,
    form: Form,
) -> Event<'static> {
    Event::CallStart {
        id,
        tool: Raised {
            name,
            namespace,
            form,
            declared: true,
        },
    }
}

fn whole_call(arguments: &'static str) -> Vec<Event<'static>> {
    vec![
        call("call_1", "look", Form::Function),
        Event::CallDelta(Text::plain(arguments)),
        Event::CallEnd,
    ]
}

fn citation() -> Event<'static> {
    Event::Citation(Citation {
        url: Text::plain("https://wiki.example/sky"),
        title: Text::plain("Sky"),
        quote: Some(escaped(r#"It is \"blue\"."#)),
        span: Some((0, 4)),
    })
}

fn search(id: &'static str, failure: Option<&'static str>) -> Event<'static> {
    Event::WebSearch(WebSearch {
        id,
        query: escaped(r#"why \"blue\"\u003f"#),
        sources: vec![
            (Text::plain("https://wiki.example/sky"), Text::plain("Sky")),
            (Text::plain("https://wiki.example/\"q\""), Text::EMPTY),
        ],
        failure: failure.map(Text::plain),
    })
}

const START: Event<'static> = Event::Start {
    id: Some("chatcmpl-1"),
    model: Some("upstream-model"),
};

const USAGE: Event<'static> = Event::Usage(Usage {
    input: Some(120),
    cached: Some(100),
    cache_write: Some(5),
    output: Some(30),
    reasoning: Some(12),
    estimated: false,
});

fn everything() -> Vec<Event<'static>> {
    vec![
        START,
        Event::ReasoningStart,
        Event::ReasoningDelta(escaped(r"First \u0041")),
        Event::ReasoningDelta(Text::plain(", then \"B\".")),
        Event::ReasoningOpaque(Opaque {
            kind: OpaqueKind::Signature,
            state: Text::plain("not for the client"),
        }),
        sealed("pw1.state.0"),
        Event::ReasoningEnd,
        Event::TextStart,
        text("Let me "),
        Event::TextDelta(escaped(r"look:\n\ud83d\udd70")),
        Event::TextDelta(Text::EMPTY),
        citation(),
        Event::TextEnd,
        call("call_1", "exec_command", Form::Function),
        Event::CallDelta(escaped(r#"{\"cmd\":"#)),
        Event::CallDelta(escaped(r#"\"ls\"}"#)),
        Event::CallEnd,
        Event::ReasoningStart,
        Event::ReasoningDelta(Text::plain("Nobody wants this back.")),
        Event::ReasoningEnd,
        call_in(Some("mcp__sums"), "functions.add:1", "add", Form::Function),
        Event::CallEnd,
        Event::ReasoningStart,
        sealed("pw1.only.0"),
        sealed("pw1.more.0"),
        Event::ReasoningEnd,
        call("", "apply_patch", Form::Freeform),
        Event::CallDelta(Text::plain("*** Begin \"Patch\"\n")),
        Event::CallDelta(escaped(r"*** End\tPatch \ud83d\udd70")),
        Event::CallEnd,
        call("call_4", "tool_search", Form::Search),
        Event::CallDelta(Text::plain("{\n \"query\":")),
        Event::CallDelta(Text::plain(" \"sums\\n\"}\r\n")),
        Event::CallEnd,
        search("ws_1", None),
        search("srvtoolu_own", Some("too_many_requests")),
        Event::RefusalStart,
        Event::RefusalDelta(Text::plain("No more.")),
        Event::RefusalEnd,
        Event::Loss(Loss::note("a", "b")),
        Event::Logprobs(Json::new("[]")),
        Event::Native(Native {
            event: "x",
            data: "{}",
        }),
        USAGE,
        Event::Finish(StopReason::Calls),
    ]
}

#[test]
fn every_kind_of_block() {
    insta::assert_snapshot!(
        "everything_shown",
        check(ThinkingDisplay::Shown, everything())
    );
    insta::assert_snapshot!(
        "everything_omitted",
        check(ThinkingDisplay::Omitted, everything())
    );
    insta::assert_snapshot!(
        "everything_hidden",
        check(ThinkingDisplay::Hidden, everything())
    );
}

/// A client that asked for no thinking finds the text first, whatever the model thought before.
#[test]
fn nothing_stands_before_the_text_of_an_answer_without_thinking() {
    let mut writer = writer(ThinkingDisplay::Hidden);
    let events = vec![
        START,
        Event::ReasoningStart,
        Event::ReasoningDelta(Text::plain("Hm.")),
        sealed("pw1.state.0"),
        Event::ReasoningEnd,
        text("Good morning."),
        Event::Finish(StopReason::Stop),
    ];
    let frames = frames(&mut writer, events);
    let whole = check_both(&frames, &mut writer);
    assert_eq!(
        whole["content"],
        json!([{"type": "text", "text": "Good morning."}])
    );
}

#[test]
fn message_object_whole() {
    let mut writer = writer(ThinkingDisplay::Shown);
    frames(
        &mut writer,
        vec![START, text("Hi"), USAGE, Event::Finish(StopReason::Stop)],
    );
    insta::assert_snapshot!(String::from_utf8(writer.whole()).unwrap());
}

#[test]
fn bytes_of_a_short_stream() {
    let mut writer = writer(ThinkingDisplay::Shown);
    let mut buffer = FrameBuffer::new();
    for event in [START, text("Hi"), Event::Finish(StopReason::Stop)] {
        writer.push(event, &mut buffer);
    }
    insta::assert_snapshot!(String::from_utf8(buffer.take()).unwrap());
}

/// The ways in which an answer can end: the name, and the events.
fn endings() -> Vec<(&'static str, Vec<Event<'static>>)> {
    let with = |mut events: Vec<Event<'static>>, last: Vec<Event<'static>>| {
        events.extend(last);
        events
    };
    let half_call = || {
        vec![
            text("I will look."),
            Event::TextEnd,
            call("call_1", "look", Form::Function),
            Event::CallDelta(escaped(r#"{\"wh"#)),
            Event::CallCut,
        ]
    };
    let finish = |reason| vec![Event::Finish(reason)];
    let fault = |class| vec![Event::Fault(Fault::new(class, "house: it \"broke\""))];
    vec![
        ("nothing", finish(StopReason::Stop)),
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
            "calls without a call",
            with(vec![text("Done.")], finish(StopReason::Calls)),
        ),
        (
            "a stop with a call",
            with(whole_call("{}"), finish(StopReason::Stop)),
        ),
        (
            "length in text",
            vec![text("Once upon"), USAGE, Event::Finish(StopReason::Length)],
        ),
        (
            "length in reasoning",
            vec![
                Event::ReasoningDelta(Text::plain("Hm")),
                Event::Finish(StopReason::Length),
            ],
        ),
        (
            "length behind a call",
            with(whole_call("{}"), finish(StopReason::Length)),
        ),
        (
            "length in a call",
            with(half_call(), finish(StopReason::Length)),
        ),
        (
            "a call cut, then a stop",
            with(half_call(), finish(StopReason::Stop)),
        ),
        (
            "a call cut before its input",
            vec![
                call("call_1", "look", Form::Function),
                Event::CallCut,
                Event::Finish(StopReason::Length),
            ],
        ),
        (
            "a freeform call cut",
            vec![
                call("call_1", "apply_patch", Form::Freeform),
                Event::CallDelta(Text::plain("*** Begin")),
                Event::CallCut,
                Event::Finish(StopReason::Length),
            ],
        ),
        (
            "a call cut, then a fault",
            with(half_call(), fault(FaultClass::NetworkCut)),
        ),
        (
            "a stop at a text",
            vec![
                text("One"),
                Event::StoppedAt(escaped(r"\nEND")),
                Event::Finish(StopReason::Stop),
            ],
        ),
        (
            "filter in text",
            vec![text("To pick"), Event::Finish(StopReason::ContentFilter)],
        ),
        (
            "text, refusal",
            vec![
                text("Well."),
                Event::RefusalDelta(Text::plain("I would rather not.")),
                Event::RefusalEnd,
                Event::Finish(StopReason::Stop),
            ],
        ),
        (
            "pause",
            vec![search("ws_1", None), Event::Finish(StopReason::Pause)],
        ),
        ("fault first", fault(FaultClass::Overloaded)),
        (
            "fault in text",
            with(vec![START, text("Once")], fault(FaultClass::RateLimit)),
        ),
        (
            "fault in a call",
            with(
                vec![
                    call("call_1", "look", Form::Function),
                    Event::CallDelta(Text::plain("{")),
                ],
                fault(FaultClass::Server),
            ),
        ),
        (
            "a source before its text, and one without",
            vec![
                Event::TextStart,
                citation(),
                text("It is blue."),
                Event::TextEnd,
                Event::TextStart,
                citation(),
                Event::TextEnd,
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
fn ends() {
    let all: String = endings()
        .into_iter()
        .map(|(name, events)| format!("## {name}\n{}\n", check(ThinkingDisplay::Shown, events)))
        .collect();
    insta::assert_snapshot!(all);
}

/// What models write in place of a JSON object, and what the client finds in the stream and in the whole message.
#[test]
fn arguments_of_every_kind() {
    let rows: Vec<String> = [
        "",
        "  \n",
        "null",
        "{}",
        " {\"a\": 1.50, \"b\":\"\\ud83d\\udd70\"}\n",
        "[1]",
        "\"text\"",
        "ls -l",
        "{\"a\": NaN}",
        "{\"a\":1",
        "{\"a\":1}{",
        "{\"a\":\"line\nbreak\"}",
    ]
    .map(|arguments| {
        let mut writer = writer(ThinkingDisplay::Shown);
        let mut events = whole_call(arguments);
        events.push(Event::Finish(StopReason::Calls));
        let frames = frames(&mut writer, events);
        let whole = check_both(&frames, &mut writer);
        let said: String = frames
            .iter()
            .filter_map(|(_, data)| data["delta"]["partial_json"].as_str())
            .collect();
        format!(
            "{arguments:?}\n  streamed {said:?}\n  whole {}",
            whole["content"][0]["input"]
        )
    })
    .to_vec();
    insta::assert_snapshot!(rows.join("\n"));
}

/// Pieces that break off in the middle of the object that they began are passed on as they are.
#[test]
fn arguments_that_break_on_the_way() {
    let mut writer = writer(ThinkingDisplay::Shown);
    let frames = frames(
        &mut writer,
        vec![
            call("call_1", "look", Form::Function),
            Event::CallDelta(Text::plain("{\"a\":")),
            Event::CallDelta(Text::plain("oops}")),
            Event::CallEnd,
            Event::Finish(StopReason::Calls),
        ],
    );
    let whole = check_both(&frames, &mut writer);
    assert_eq!(
        whole["content"][0]["input"],
        json!({"invalid_arguments": "{\"a\":oops}"})
    );
}

#[test]
fn usage() {
    let row = |usage: Option<Usage>| {
        let mut writer = writer(ThinkingDisplay::Shown);
        let mut events = vec![START, text("Twelve bytes")];
        events.extend(usage.map(Event::Usage));
        events.push(Event::Finish(StopReason::Stop));
        let frames = frames(&mut writer, events);
        check_both(&frames, &mut writer)["usage"].to_string()
    };
    let told = |input, cached, cache_write| {
        Some(Usage {
            input,
            cached,
            cache_write,
            output: Some(5),
            ..Usage::default()
        })
    };
    for (usage, expected) in [
        (told(Some(25), Some(10), None), [15, 0, 10, 5]),
        (told(Some(25), None, None), [25, 0, 0, 5]),
        (told(Some(25), Some(10), Some(7)), [8, 7, 10, 5]),
        (told(Some(25), Some(30), None), [0, 0, 30, 5]),
        (told(None, None, None), [77, 0, 0, 5]),
        (Some(Usage::default()), [77, 0, 0, 3]),
        (None, [77, 0, 0, 3]),
    ] {
        let [input, written, read, output] = expected;
        let expected = format!(
            r#"{{"input_tokens":{input},"cache_creation_input_tokens":{written},"cache_read_input_tokens":{read},"output_tokens":{output}}}"#
        );
        assert_eq!(row(usage), expected, "{usage:?}");
    }
}

#[test]
fn heartbeats() {
    let mut writer = writer(ThinkingDisplay::Shown);
    let mut buffer = FrameBuffer::new();
    writer.heartbeat(&mut buffer);
    writer.push(START, &mut buffer);
    writer.push(text("a"), &mut buffer);
    writer.heartbeat(&mut buffer);
    writer.push(Event::Finish(StopReason::Stop), &mut buffer);
    writer.heartbeat(&mut buffer);
    let frames = decoded(&buffer.take());
    assert!(grammar::check(&frames).is_some());
    let names: Vec<&str> = frames.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "message_start",
            "ping",
            "content_block_start",
            "content_block_delta",
            "ping",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
}

#[test]
fn an_answer_without_end_fails_at_the_limit() {
    let mut writer = writer(ThinkingDisplay::Shown);
    let mut buffer = FrameBuffer::new();
    let piece = "x".repeat(1 << 20);
    for _ in 0..OUTPUT_BYTES_MAX >> 20 {
        writer.push(Event::TextDelta(Text::plain(&*piece)), &mut buffer);
        assert!(writer.failure().is_none());
    }
    buffer.take();
    writer.push(text("x"), &mut buffer);
    let end = decoded(&buffer.take());
    assert_eq!(end.len(), 1);
    assert_eq!(end[0].0, "error");
    assert_eq!(
        end[0].1["error"]["message"],
        "the answer is longer than 8 MiB"
    );
    assert!(writer.failure().is_some());
    writer.push(Event::Finish(StopReason::Stop), &mut buffer);
    assert!(buffer.is_empty());
}

/// What the client was given comes back on the next turn as what it was.
#[test]
fn an_answer_returns_as_history() {
    let mut writer = writer(ThinkingDisplay::Shown);
    frames(&mut writer, everything());
    let whole: Value = serde_json::from_slice(&writer.whole()).unwrap();
    let body = json!({
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "assistant", "content": whole["content"]}]
    });
    let body = body.to_string();
    let parsed = parse(body.as_bytes()).unwrap();
    let outline: Vec<String> = parsed
        .request
        .items
        .iter()
        .map(|item| match item {
            polywire_conversation::Item::Reasoning(reasoning) => {
                let visible = !matches!(reasoning.visible, VisibleReasoning::None);
                let sealed = reasoning.sealed.as_ref().map(Text::to_plain);
                format!("reasoning visible {visible} sealed {sealed:?}")
            }
            polywire_conversation::Item::Call(call) => format!("call {} {}", call.id, call.name),
            polywire_conversation::Item::HostedCall { tag, summary } => {
                format!("{tag} {:?}", summary.to_plain())
            }
            polywire_conversation::Item::Message(message) => {
                format!("message of {} parts", message.parts.len())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    insta::assert_snapshot!(outline.join("\n"));
}

fn any_text() -> impl Strategy<Value = Text<'static>> {
    prop_oneof![
        "[a-z \"\\\\\n\u{1}\u{2028}é😀]{0,12}".prop_map(Text::plain),
        "[{}\\[\\]:,\"a1 ]{0,6}".prop_map(Text::plain),
        prop::sample::select(vec![
            "",
            r"\n",
            r"\ud83d\ude00",
            r#"{\"a\":1}"#,
            r"\u2028",
            r#"{\"a\":"#
        ])
        .prop_map(Text::escaped),
    ]
}

fn any_call_start() -> impl Strategy<Value = Event<'static>> {
    (
        prop::sample::select(vec![Form::Function, Form::Freeform, Form::Search]),
        prop::sample::select(vec!["call_1", "", "call \"1\"\n"]),
    )
        .prop_map(|(form, id)| call(id, "to\"ol", form))
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
            FaultClass::TooLarge,
        ])
        .prop_map(|class| Event::Fault(Fault::new(class, "it \"broke\"\n"))),
    ]
}

fn any_opaque() -> impl Strategy<Value = Event<'static>> {
    (
        prop::sample::select(vec![OpaqueKind::Sealed, OpaqueKind::Detail]),
        any_text(),
    )
        .prop_map(|(kind, state)| Event::ReasoningOpaque(Opaque { kind, state }))
}

fn any_event() -> impl Strategy<Value = Event<'static>> {
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
            Event::StoppedAt(Text::Plain("END".into())),
            USAGE,
            search("ws_1", None),
            search("", Some("broken")),
            citation(),
        ]),
        4 => any_text().prop_map(Event::TextDelta),
        2 => any_text().prop_map(Event::ReasoningDelta),
        1 => any_text().prop_map(Event::RefusalDelta),
        3 => any_text().prop_map(Event::CallDelta),
        3 => any_call_start(),
        1 => any_opaque(),
    ]
}

/// A part of an answer as readers promise it.
fn any_part() -> impl Strategy<Value = Vec<Event<'static>>> {
    let around = |start: Event<'static>,
                  end: Vec<Event<'static>>,
                  delta: fn(Text<'static>) -> Event<'static>| {
        prop::collection::vec(any_text(), 0..4).prop_map(move |texts| {
            let mut events = vec![start.clone()];
            events.extend(texts.into_iter().map(delta));
            events.extend(end.clone());
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
        around(
            Event::TextStart,
            vec![citation(), Event::TextEnd],
            Event::TextDelta
        ),
        around(
            Event::ReasoningStart,
            vec![Event::ReasoningEnd],
            Event::ReasoningDelta
        ),
        around(
            Event::ReasoningStart,
            vec![sealed("pw1.x.0"), Event::ReasoningEnd],
            Event::ReasoningDelta
        ),
        around(
            Event::RefusalStart,
            vec![Event::RefusalEnd],
            Event::RefusalDelta
        ),
        Just(vec![search("ws_1", None)]),
        called,
    ]
}

fn any_display() -> impl Strategy<Value = ThinkingDisplay> {
    prop::sample::select(vec![
        ThinkingDisplay::Shown,
        ThinkingDisplay::Omitted,
        ThinkingDisplay::Hidden,
    ])
}

/// All text of one kind, as the events say it and as the message has it.
fn said(events: &[Event<'static>], whole: &Value) -> (String, String) {
    let told = events
        .iter()
        .filter_map(|event| match event {
            Event::TextDelta(text) | Event::RefusalDelta(text) => Some(text.to_plain()),
            _ => None,
        })
        .collect();
    let found = whole["content"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|block| block["text"].as_str())
        .collect();
    (told, found)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn well_formed_answers_become_sound_streams(
        display in any_display(),
        parts in prop::collection::vec(any_part(), 0..6),
        end in any_end(),
    ) {
        let mut events = vec![START];
        events.extend(parts.into_iter().flatten());
        events.extend([USAGE, end.clone()]);
        let mut writer = writer(display);
        let frames = frames(&mut writer, events.clone());
        let whole = check_both(&frames, &mut writer);
        if let Event::Finish(_) = end {
            let (told, found) = said(&events, &whole);
            prop_assert_eq!(told, found);
        }
    }

    #[test]
    fn any_events_become_sound_streams(
        display in any_display(),
        mut events in prop::collection::vec(any_event(), 0..30),
        end in any_end(),
    ) {
        events.push(end);
        let mut writer = writer(display);
        let frames = frames(&mut writer, events);
        check_both(&frames, &mut writer);
    }
}
