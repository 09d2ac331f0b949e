//! What goes out to a client reads back as what it was: the two sides of the protocol agree.

use std::sync::Arc;

use polywire_conversation::{
    Event, Fault, FaultClass, Form, Ledger, NameRule, StopReason, Text, Usage,
};
use polywire_dialect_chat::ChatReader;
use polywire_stream_suite::{Bench, Seen};
use proptest::prelude::*;
use serde_json::json;

use crate::script::{START, any_reason, any_text, any_usage, call, sealed};
use crate::streams::{options, written};

const BENCH: Bench = Bench {
    reader: || {
        Box::new(ChatReader::new(
            Arc::new(Ledger::new(NameRule::default())),
            "seed",
        ))
    },
};

const IDS: [&str; 6] = ["call_0", "call_1", "call_2", "call_3", "call_4", "call_5"];

/// What somebody said, on either side.
#[derive(Debug, Default, PartialEq)]
struct Told {
    text: String,
    reasoning: String,
    refusal: String,
    /// Id, name and arguments of the calls that may be carried out.
    calls: Vec<(String, String, String)>,
    finish: String,
    /// Input, cached, cache-written, output, reasoning.
    usage: Option<[u64; 5]>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(Vec<Text<'static>>),
    Reasoning(Vec<Text<'static>>),
    Refusal(Vec<Text<'static>>),
    /// The words in the arguments, and after how many letters a piece ends.
    Call(Vec<String>, usize),
    Empty,
    Cut,
}

fn any_said() -> impl Strategy<Value = Part> {
    let texts = || prop::collection::vec(any_text(), 0..4);
    prop_oneof![
        3 => texts().prop_map(Part::Text),
        2 => texts().prop_map(Part::Reasoning),
        1 => texts().prop_map(Part::Refusal),
        3 => (prop::collection::vec("[a-z\"\\\\ é😀]{0,5}", 0..4), 1usize..9)
            .prop_map(|(words, size)| Part::Call(words, size)),
        1 => Just(Part::Empty),
        1 => Just(Part::Cut),
    ]
}

/// The events of an answer, and what it tells.
fn answer(parts: Vec<Part>, usage: Usage, reason: StopReason) -> (Vec<Event<'static>>, Told) {
    let mut told = Told::default();
    let mut events = vec![START];
    let mut was_cut = false;
    for (part, id) in parts.into_iter().zip(IDS) {
        let mut called = |arguments: String, pieces: Vec<String>| {
            events.push(call(id, "tool", Form::Function));
            events.extend(
                pieces
                    .into_iter()
                    .map(|piece| Event::CallDelta(piece.into())),
            );
            events.push(Event::CallEnd);
            told.calls
                .push((id.to_owned(), "tool".to_owned(), arguments));
        };
        match part {
            Part::Text(texts) => {
                told.text.extend(texts.iter().map(Text::to_plain));
                events.push(Event::TextStart);
                events.extend(texts.into_iter().map(Event::TextDelta));
                events.push(Event::TextEnd);
            }
            Part::Reasoning(texts) => {
                told.reasoning.extend(texts.iter().map(Text::to_plain));
                events.push(Event::ReasoningStart);
                events.extend(texts.into_iter().map(Event::ReasoningDelta));
                events.push(Event::ReasoningEnd);
            }
            Part::Refusal(texts) => {
                told.refusal.extend(texts.iter().map(Text::to_plain));
                events.push(Event::RefusalStart);
                events.extend(texts.into_iter().map(Event::RefusalDelta));
                events.push(Event::RefusalEnd);
            }
            Part::Call(words, size) => {
                let arguments = json!({ "words": words }).to_string();
                let letters: Vec<char> = arguments.chars().collect();
                let pieces = letters.chunks(size).map(|piece| piece.iter().collect());
                called(arguments.clone(), pieces.collect());
            }
            Part::Empty => called("{}".to_owned(), Vec::new()),
            Part::Cut => {
                was_cut = true;
                events.push(call(id, "tool", Form::Function));
                events.push(Event::CallDelta(Text::plain("{\"words\":[")));
                events.push(Event::CallCut);
            }
        }
    }
    events.extend([Event::Usage(usage), Event::Finish(reason)]);
    let finish = match reason {
        StopReason::ContentFilter => "content_filter",
        StopReason::Length => "length",
        _ if was_cut => "length",
        _ if !told.calls.is_empty() => "tool_calls",
        _ => "stop",
    };
    told.finish = String::from(finish);
    told.usage = counts(&usage);
    (events, told)
}

/// What the provider left out is zero at the client.
fn counts(usage: &Usage) -> Option<[u64; 5]> {
    let or_zero = |count: Option<u64>| count.unwrap_or(0);
    Some([
        usage.input?,
        or_zero(usage.cached),
        or_zero(usage.cache_write),
        usage.output?,
        or_zero(usage.reasoning),
    ])
}

/// What a reader made of it.
fn read_back(seen: &[Seen]) -> Told {
    let mut told = Told::default();
    let mut open: Option<(String, String, String)> = None;
    for seen in seen {
        match seen {
            Seen::Delta("text", text) => told.text.push_str(text),
            Seen::Delta("reasoning", text) => told.reasoning.push_str(text),
            Seen::Delta("refusal", text) => told.refusal.push_str(text),
            Seen::Delta(_, text) => open.as_mut().unwrap().2.push_str(text),
            Seen::Call { id, name, .. } => open = Some((id.clone(), name.clone(), String::new())),
            Seen::CallEnd => told.calls.extend(open.take()),
            Seen::CallCut => open = None,
            Seen::Usage(usage) => told.usage = counts(usage),
            Seen::Finish(reason) => (*reason).clone_into(&mut told.finish),
            Seen::Fault(fault) => panic!("{fault}"),
            _ => {}
        }
    }
    told
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_written_reads_back(
        parts in prop::collection::vec(any_said(), 0..6),
        usage in any_usage(),
        reason in any_reason(),
    ) {
        let (events, told) = answer(parts, usage, reason);
        let (stream, _, whole) = written(&options(), events);
        prop_assert_eq!(&read_back(&BENCH.read(&[&stream])), &told);
        prop_assert_eq!(&read_back(&BENCH.read_whole(whole.to_string().as_bytes())), &told);
    }
}

#[test]
fn sealed_reasoning_reads_back_as_it_was() {
    let events = vec![
        START,
        Event::ReasoningStart,
        sealed("pw1.abc.0"),
        Event::ReasoningEnd,
        Event::Finish(StopReason::Stop),
    ];
    let (stream, _, whole) = written(&options(), events);
    for seen in [
        BENCH.read(&[&stream]),
        BENCH.read_whole(whole.to_string().as_bytes()),
    ] {
        let entry = r#"{"type":"reasoning.encrypted","data":"pw1.abc.0","index":0}"#;
        assert!(
            seen.contains(&Seen::Opaque(format!("Detail {entry}"))),
            "{seen:?}"
        );
    }
}

#[test]
fn a_failure_reads_back_as_a_failure_of_its_class() {
    for class in [
        FaultClass::RateLimit,
        FaultClass::Overloaded,
        FaultClass::Quota,
        FaultClass::ContextLength,
        FaultClass::Auth,
        FaultClass::NotFound,
        FaultClass::Server,
    ] {
        let events = vec![
            START,
            Event::TextDelta(Text::plain("Once upon")),
            Event::Fault(Fault::new(class, "house: it broke")),
        ];
        let (stream, ..) = written(&options(), events);
        let seen = BENCH.read(&[&stream]);
        let Some(Seen::Fault(fault)) = seen.last() else {
            panic!("{class:?}: {seen:?}");
        };
        assert_eq!((fault.class, &*fault.message), (class, "house: it broke"));
    }
}
