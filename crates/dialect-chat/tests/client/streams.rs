//! Streams and completions: events in, bytes out.

use polywire_conversation::{
    Event, Fault, FaultClass, Form, Json, StopReason, Text, Usage, WriteStream,
};
use polywire_dialect_chat::{ChatWriter, OUTPUT_BYTES_MAX, WriterOptions};
use polywire_sse::FrameBuffer;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::grammar::{self, Sum};
use crate::schemas::Schemas;
use crate::script::{
    START, USAGE, any_end, any_event, any_part, any_usage, call, citation, escaped, everything,
    sealed, text,
};

/// What most clients ask for.
pub(crate) fn options() -> WriterOptions {
    WriterOptions {
        completion_id: "chatcmpl-0001".to_owned(),
        created: 1_795_000_000,
        model: "house/small \"model\"".to_owned(),
        include_usage: true,
        legacy_functions: false,
        reasoning_details: true,
        hide_reasoning: false,
    }
}

/// Writes the events, checks what comes out in every way there is, and gives the stream, its sum and the answer in one piece.
pub(crate) fn written(
    options: &WriterOptions,
    events: Vec<Event<'static>>,
) -> (Vec<u8>, Sum, Value) {
    let mut writer = ChatWriter::new(options.clone());
    let mut buffer = FrameBuffer::new();
    for event in events {
        writer.push(event, &mut buffer);
    }
    let bytes = buffer.take();
    let sum = grammar::check(&bytes, options);
    let whole: Value = serde_json::from_slice(&writer.whole()).unwrap();
    grammar::check_whole(&whole, &sum, options);
    (bytes, sum, whole)
}

/// The same, with OpenAI's description as judge; one line per frame, without what all have in common.
fn check(options: &WriterOptions, events: Vec<Event<'static>>) -> String {
    let (bytes, _, whole) = written(options, events);
    let frames = grammar::frames(&bytes);
    if let Some(schemas) = Schemas::load() {
        for data in frames.iter().filter(|data| *data != "[DONE]") {
            schemas.check_chunk(&serde_json::from_str(data).unwrap());
        }
        schemas.check_whole(&whole);
    }
    let lines: Vec<String> = frames.iter().map(|data| line(data)).collect();
    lines.join("\n")
}

fn line(data: &str) -> String {
    let Ok(Value::Object(mut chunk)) = serde_json::from_str(data) else {
        return data.to_owned();
    };
    for common in ["id", "object", "created", "model"] {
        chunk.shift_remove(common);
    }
    if chunk.get("usage") == Some(&Value::Null) {
        chunk.shift_remove("usage");
    }
    match chunk.get("choices").and_then(|choices| choices.get(0)) {
        Some(choice) if choice.get("logprobs").is_none() => {
            format!("{} {}", choice["finish_reason"], choice["delta"])
        }
        Some(choice) => choice.to_string(),
        None => Value::Object(chunk).to_string(),
    }
}

#[test]
fn every_kind_of_chunk() {
    insta::assert_snapshot!("everything", check(&options(), everything()));
}

#[test]
fn bytes_of_a_short_stream() {
    let plain = WriterOptions {
        include_usage: false,
        ..options()
    };
    let events = || {
        vec![
            START,
            Event::TextStart,
            text("Hi"),
            Event::TextEnd,
            USAGE,
            Event::Finish(StopReason::Stop),
        ]
    };
    let (without, ..) = written(&plain, events());
    let (with, ..) = written(&options(), events());
    let both = [without, with].map(|bytes| String::from_utf8(bytes).unwrap());
    insta::assert_snapshot!(both.join("---\n"));
}

#[test]
fn completions_whole() {
    let pretty = |options: &WriterOptions, events| {
        let (_, _, whole) = written(options, events);
        serde_json::to_string_pretty(&whole).unwrap()
    };
    let legacy = WriterOptions {
        legacy_functions: true,
        reasoning_details: false,
        ..options()
    };
    let only_calls = || {
        vec![
            START,
            call("call_1", "now", Form::Function),
            Event::CallEnd,
            Event::Finish(StopReason::Calls),
        ]
    };
    let rows = [
        pretty(&options(), everything()),
        pretty(&options(), only_calls()),
        pretty(&legacy, only_calls()),
        pretty(&options(), vec![Event::Finish(StopReason::Stop)]),
    ];
    insta::assert_snapshot!(rows.join("\n"));
}

/// The ways in which an answer can end: the name, and the events after the start.
fn endings() -> Vec<(&'static str, Vec<Event<'static>>)> {
    let half_call = |last: Event<'static>| {
        vec![
            Event::TextStart,
            text("I will look."),
            Event::TextEnd,
            call("call_1", "look", Form::Function),
            Event::CallDelta(escaped(r#"{\"wh"#)),
            Event::CallCut,
            last,
        ]
    };
    let said =
        |last: Event<'static>| vec![Event::TextStart, text("Once upon"), Event::TextEnd, last];
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
        ("length in text", said(Event::Finish(StopReason::Length))),
        (
            "filter in text",
            said(Event::Finish(StopReason::ContentFilter)),
        ),
        ("pause", said(Event::Finish(StopReason::Pause))),
        (
            "length in a call",
            half_call(Event::Finish(StopReason::Length)),
        ),
        (
            "a call cut, then a stop",
            half_call(Event::Finish(StopReason::Stop)),
        ),
        (
            "a call cut, then calls",
            half_call(Event::Finish(StopReason::Calls)),
        ),
        (
            "a call cut, then a filter",
            half_call(Event::Finish(StopReason::ContentFilter)),
        ),
        (
            "a call cut, then a fault",
            half_call(Event::Fault(Fault::new(
                FaultClass::NetworkCut,
                "house: the stream broke off",
            ))),
        ),
        (
            "a call left open",
            vec![
                call("call_1", "look", Form::Function),
                Event::CallDelta(escaped("{}")),
                Event::Finish(StopReason::Calls),
            ],
        ),
        (
            "a freeform call without text",
            vec![
                call("call_1", "say", Form::Freeform),
                Event::CallEnd,
                Event::Finish(StopReason::Calls),
            ],
        ),
        (
            "calls, and the provider says stop",
            vec![
                call("call_1", "now", Form::Function),
                Event::CallEnd,
                Event::TextStart,
                text("Text behind the call."),
                Event::TextEnd,
                Event::Finish(StopReason::Stop),
            ],
        ),
        (
            "calls announced, none made",
            vec![Event::Finish(StopReason::Calls)],
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
            "reasoning that is only sealed",
            vec![
                Event::ReasoningStart,
                sealed("pw1.a.0"),
                Event::ReasoningEnd,
                Event::ReasoningStart,
                sealed("pw1.b.0"),
                Event::Finish(StopReason::Stop),
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
                USAGE,
                Event::Fault(Fault::new(
                    FaultClass::RateLimit,
                    "house: too many requests",
                )),
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
fn ends() {
    let rows: Vec<String> = endings()
        .into_iter()
        .map(|(name, events)| format!("## {name}\n{}\n", check(&options(), events)))
        .collect();
    insta::assert_snapshot!(rows.concat());
}

/// Callers that offer `functions` get `function_call`, one at most, and hear nothing of a second.
#[test]
fn legacy_calls() {
    let legacy = WriterOptions {
        legacy_functions: true,
        ..options()
    };
    let two = || {
        vec![
            call("call_1", "weather", Form::Function),
            Event::CallDelta(escaped(r#"{\"city\":\"Ulm\"}"#)),
            Event::CallEnd,
            call("call_2", "weather", Form::Function),
            Event::CallDelta(Text::plain("{}")),
            Event::CallEnd,
            Event::Finish(StopReason::Calls),
        ]
    };
    insta::assert_snapshot!(check(&legacy, two()));
    let mut writer = ChatWriter::new(legacy);
    let mut buffer = FrameBuffer::new();
    for event in two() {
        writer.push(event, &mut buffer);
    }
    assert_eq!(writer.take_losses().len(), 1);
}

/// What clients were seen to insist on: every call has an id and arguments that can be parsed, text behind the calls and refusals
/// are there, and an answer begins with its role even if nothing follows.
#[test]
fn what_clients_insist_on() {
    let (bytes, _, whole) = written(
        &options(),
        vec![
            call("", "now", Form::Function),
            Event::CallEnd,
            call("", "now", Form::Function),
            Event::CallEnd,
            Event::TextStart,
            text("Behind the calls."),
            Event::TextEnd,
            Event::RefusalStart,
            Event::RefusalDelta(Text::plain("No more.")),
            Event::RefusalEnd,
            Event::Finish(StopReason::Calls),
        ],
    );
    let message = &whole["choices"][0]["message"];
    let calls = message["tool_calls"].as_array().unwrap();
    assert_eq!(calls.len(), 2);
    assert_ne!(calls[0]["id"], calls[1]["id"]);
    for call in calls {
        assert!(call["id"].as_str().unwrap().starts_with("call_"));
        assert_eq!(call["function"]["arguments"], "{}");
    }
    assert_eq!(message["content"], "Behind the calls.");
    assert_eq!(message["refusal"], "No more.");
    let first: Value = serde_json::from_str(&grammar::frames(&bytes)[0]).unwrap();
    assert_eq!(first["choices"][0]["delta"]["role"], "assistant");
}

#[test]
fn reasoning_goes_where_it_is_wanted() {
    let wants = |reasoning_details, hide_reasoning| {
        let wishes = WriterOptions {
            reasoning_details,
            hide_reasoning,
            ..options()
        };
        let (_, sum, _) = written(&wishes, everything());
        let has = |key| sum.message.contains_key(key);
        (has("reasoning_content"), has("reasoning_details"))
    };
    assert_eq!(wants(false, false), (true, false));
    assert_eq!(wants(true, false), (true, true));
    assert_eq!(wants(true, true), (false, true));
    assert_eq!(wants(false, true), (false, false));
}

/// The provider counts the places of a source from the beginning of the text part; the client counts from the beginning of the
/// message, in characters.
#[test]
fn sources_are_placed_in_the_whole_text() {
    let events = vec![
        Event::TextStart,
        Event::TextDelta(escaped(r"\u00e9\ud83d\ude00")),
        text("é😀"),
        Event::TextEnd,
        Event::TextStart,
        text("see"),
        citation(Some((0, 3))),
        citation(None),
        citation(Some((1, 900))),
        Event::TextEnd,
        Event::Finish(StopReason::Stop),
    ];
    let (_, _, whole) = written(&options(), events);
    let places: Vec<(u64, u64)> = whole["choices"][0]["message"]["annotations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|annotation| {
            let place = |key: &str| annotation["url_citation"][key].as_u64().unwrap();
            (place("start_index"), place("end_index"))
        })
        .collect();
    assert_eq!(places, [(4, 7), (7, 7), (5, 7)]);
}

/// Every client looks for some of these, as integers.
#[test]
fn usage_has_all_details() {
    let (_, sum, whole) = written(&options(), vec![USAGE, Event::Finish(StopReason::Stop)]);
    let expected = json!({
        "prompt_tokens": 120,
        "completion_tokens": 30,
        "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 12,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    });
    assert_eq!(sum.usage, Some(expected.clone()));
    assert_eq!(whole["usage"], expected);
}

/// Heartbeats are comments, which no client takes for a chunk, and end with the answer.
#[test]
fn heartbeats_are_no_frames() {
    let mut writer = ChatWriter::new(options());
    let mut buffer = FrameBuffer::new();
    writer.heartbeat(&mut buffer);
    assert_eq!(buffer.take(), b": keep-alive\n\n");
    for event in [START, text("a")] {
        writer.push(event, &mut buffer);
        writer.heartbeat(&mut buffer);
    }
    writer.push(Event::Finish(StopReason::Stop), &mut buffer);
    let bytes = buffer.take();
    writer.heartbeat(&mut buffer);
    assert!(buffer.is_empty());
    let sum = grammar::check(&bytes, &options());
    assert_eq!(sum.message["content"], "a");
}

#[test]
fn half_an_answer_is_none() {
    let mut writer = ChatWriter::new(options());
    let mut buffer = FrameBuffer::new();
    for events in [vec![], vec![START, text("Once upon")]] {
        for event in events {
            writer.push(event, &mut buffer);
        }
        let whole: Value = serde_json::from_slice(&writer.whole()).unwrap();
        grammar::error_object(&whole);
    }
}

#[test]
fn an_answer_without_end_fails_at_the_limit() {
    let mut writer = ChatWriter::new(options());
    let mut buffer = FrameBuffer::new();
    let piece = "x".repeat(1 << 20);
    for _ in 0..OUTPUT_BYTES_MAX >> 20 {
        writer.push(Event::TextDelta(Text::plain(&*piece)), &mut buffer);
    }
    assert!(writer.failure().is_none());
    buffer.take();
    writer.push(text("x"), &mut buffer);
    let frames = grammar::frames(&buffer.take());
    assert_eq!(frames.len(), 1);
    let error: Value = serde_json::from_str(&frames[0]).unwrap();
    assert_eq!(error["error"]["message"], "the answer is longer than 8 MiB");
    assert_eq!(
        writer.failure().map(|fault| fault.class),
        Some(FaultClass::Protocol)
    );
    writer.push(Event::Finish(StopReason::Stop), &mut buffer);
    assert!(buffer.is_empty());
}

#[test]
fn probabilities_without_end_fail_at_their_limit() {
    let mut writer = ChatWriter::new(options());
    let mut buffer = FrameBuffer::new();
    let array = format!("[\"{}\"]", "x".repeat(16 << 20));
    for _ in 0..4 {
        writer.push(Event::Logprobs(Json::new(&*array)), &mut buffer);
        buffer.clear();
    }
    assert!(writer.failure().is_some());
}

fn any_options() -> impl Strategy<Value = WriterOptions> {
    any::<[bool; 4]>().prop_map(|[usage, legacy, details, hide]| WriterOptions {
        include_usage: usage,
        legacy_functions: legacy,
        reasoning_details: details,
        hide_reasoning: hide,
        ..options()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn well_formed_answers_become_sound_streams(
        options in any_options(),
        parts in prop::collection::vec(any_part(), 0..6),
        usage in any_usage(),
        end in any_end(),
    ) {
        let mut events = vec![START];
        events.extend(parts.into_iter().flatten());
        events.extend([Event::Usage(usage), end]);
        check(&options, events);
    }

    #[test]
    fn any_events_become_sound_streams(
        options in any_options(),
        mut events in prop::collection::vec(any_event(), 0..30),
        end in any_end(),
    ) {
        events.push(end);
        check(&options, events);
    }
}
