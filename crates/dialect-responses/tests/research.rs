//! Streams: searches, sources, probabilities, compaction; and that what is written is read again.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

mod support;

use polywire_conversation::{
    Citation, Event, Form, Json, ReadStream, StopReason, Text, Usage, WebSearch, WriteStream,
};
use polywire_dialect_responses::{
    Client, Compacted, Echo, ResponsesReader, ResponsesWriter, WriterOptions, parse,
    render_compacted,
};
use polywire_sse::{Decoder, FrameBuffer};
use polywire_stream_suite::{Collector, Seen, lines};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::schemas::Schemas;
use support::writing::{
    CREATED_AT, START, USAGE, call_in, decoded, everything, frames, line, options, text,
    with_short_ids, writer,
};
use support::{fixture, structure};

fn check(client: Client, events: Vec<Event<'static>>) -> String {
    let mut writer = writer(client, Echo::default());
    let frames = frames(&mut writer, events);
    structure::check(&frames, client);
    let lines: Vec<String> = frames.iter().map(|(_, data)| line(data)).collect();
    lines.join("\n")
}

/// A stream of everything that only some providers send: sources, probabilities, searches.
fn researched() -> Vec<Event<'static>> {
    let source = |url: &'static str, span| {
        Event::Citation(Citation {
            url: Text::plain(url),
            title: Text::plain("A \"title\""),
            quote: None,
            span,
        })
    };
    let search = |query: &'static str, sources, failure: Option<&'static str>| {
        Event::WebSearch(WebSearch {
            id: "ws_upstream",
            query: Text::plain(query),
            sources,
            failure: failure.map(Text::plain),
        })
    };
    let page = || {
        vec![(
            Text::plain("https://example.org/a"),
            Text::plain("A \"title\""),
        )]
    };
    vec![
        START,
        search("rust \"oxide\"", page(), None),
        search("", page(), None),
        search("nothing", Vec::new(), Some("no results")),
        Event::TextStart,
        text("Héllo"),
        Event::Logprobs(Json::new(
            "[{\"token\":\"Héllo\",\"logprob\":-0.25,\n\"bytes\":[72],\"top_logprobs\":[]}]",
        )),
        source("https://example.org/a", Some((0, 5))),
        text(" you"),
        source("https://example.org/b", None),
        text("."),
        Event::Logprobs(Json::new(
            "[{\"token\":\".\",\"logprob\":-1,\"bytes\":[46],\"top_logprobs\":[]}]",
        )),
        Event::TextEnd,
        search("more", page(), None),
        USAGE,
        Event::Finish(StopReason::Stop),
    ]
}

#[test]
fn searches_sources_and_probabilities() {
    let shown = |logprobs| {
        let mut writer = ResponsesWriter::new(WriterOptions {
            logprobs,
            ..options(Client::Sdk, Echo::default())
        });
        let frames = frames(&mut writer, researched());
        structure::check(&frames, Client::Sdk);
        if let Some(schemas) = Schemas::load() {
            for (_, data) in &frames {
                schemas.check(data);
            }
        }
        let lines: Vec<String> = frames.iter().map(|(_, data)| line(data)).collect();
        lines.join("\n")
    };
    insta::assert_snapshot!("researched", shown(true));
    let plain = shown(false);
    assert!(!plain.contains("\"token\""), "{plain}");
    assert_eq!(check(Client::Codex, researched()), plain);
}

#[test]
fn a_piece_that_waits_for_its_probabilities_goes_out_with_the_next_sign_of_life() {
    let mut writer = ResponsesWriter::new(WriterOptions {
        logprobs: true,
        ..options(Client::Sdk, Echo::default())
    });
    let mut buffer = FrameBuffer::new();
    writer.push(START, &mut buffer);
    writer.push(text("Hi"), &mut buffer);
    let before = buffer.len();
    writer.heartbeat(&mut buffer);
    let names: Vec<String> = decoded(&buffer.take()[before..])
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        names[2..],
        ["response.output_text.delta", "response.in_progress"]
    );
}

fn compacting(client: Client) -> ResponsesWriter {
    ResponsesWriter::new(WriterOptions {
        compaction: Some(Box::new(|summary| format!("<{summary}>"))),
        ..options(client, Echo::default())
    })
}

#[test]
fn a_summary_is_one_sealed_item() {
    for client in [Client::Codex, Client::Sdk] {
        let mut writer = compacting(client);
        let mut events = everything();
        events.retain(|event| !matches!(event, Event::Finish(_)));
        events.push(Event::Finish(StopReason::Stop));
        let frames = frames(&mut writer, events);
        structure::check(&frames, client);
        let lines: Vec<String> = frames.iter().map(|(_, data)| line(data)).collect();
        insta::assert_snapshot!("compaction", lines.join("\n"));
        if let Some(schemas) = Schemas::load() {
            for (_, data) in &frames {
                schemas.check(data);
            }
        }
    }
}

#[test]
fn half_a_summary_is_a_failure() {
    let fails = |events: Vec<Event<'static>>| {
        let mut writer = compacting(Client::Codex);
        let frames = frames(&mut writer, events);
        structure::check(&frames, Client::Codex);
        assert!(writer.failure().is_some());
        let (name, last) = frames.last().unwrap();
        assert_eq!(name, "response.failed");
        last["response"]["error"]["message"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let ends = [
        StopReason::Length,
        StopReason::ContentFilter,
        StopReason::Pause,
        StopReason::Calls,
    ];
    let mut messages: Vec<String> = ends
        .into_iter()
        .map(|reason| fails(vec![START, text("They talked"), Event::Finish(reason)]))
        .collect();
    messages.push(fails(vec![
        START,
        text(" \n"),
        Event::Finish(StopReason::Stop),
    ]));
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn compacted_conversations_are_objects_of_their_own() {
    let body = render_compacted(&Compacted {
        response_id: "resp_0001",
        created_at: CREATED_AT,
        sealed: "pw1.sealed",
        usage: Usage {
            input: Some(139),
            output: Some(438),
            ..Usage::default()
        },
    });
    let body: Value = serde_json::from_slice(&body).unwrap();
    insta::assert_snapshot!(with_short_ids(&body.to_string()));
    if let Some(schemas) = Schemas::load() {
        schemas.check_compacted(&body);
    }
}

#[test]
fn responses_say_what_is_in_force() {
    let body = fixture("conversation.json");
    let echo = parse(&body, Client::Sdk).unwrap().echo;
    let mut writer = ResponsesWriter::new(WriterOptions {
        previous_response_id: Some("resp_\"0\"".to_owned()),
        store: true,
        ..options(Client::Sdk, echo)
    });
    let frames = frames(&mut writer, everything());
    for (_, data) in frames
        .iter()
        .filter(|(_, data)| !data["response"].is_null())
    {
        assert_eq!(data["response"]["previous_response_id"], "resp_\"0\"");
        assert_eq!(data["response"]["store"], true);
    }
}

/// What a provider that writes as we do is read as.
fn reread(bytes: &[u8]) -> Vec<Seen> {
    let mut collector = Collector::default();
    let mut ledger = polywire_conversation::Ledger::default();
    ledger.declare("look", None, Form::Function);
    ledger.declare("look_there", Some("mcp__x"), Form::Function);
    ledger.declare("edit", None, Form::Freeform);
    ledger.declare("tool_search", None, Form::Search);
    let mut reader = ResponsesReader::new(std::sync::Arc::new(ledger), "seed");
    let mut decoder = Decoder::new(1 << 30);
    let mut sink = |event: Event<'_>| collector.take(event);
    decoder
        .push(bytes, |frame| reader.push(frame, &mut sink))
        .unwrap();
    assert!(reader.is_done());
    collector.seen
}

/// Sources and probabilities come back whole; of a search the id is new, and the titles of its pages have no place.
#[test]
fn research_is_read_again() {
    let mut writer = ResponsesWriter::new(WriterOptions {
        logprobs: true,
        ..options(Client::Sdk, Echo::default())
    });
    let mut buffer = FrameBuffer::new();
    for event in researched() {
        writer.push(event, &mut buffer);
    }
    insta::assert_snapshot!(with_short_ids(&lines(&reread(&buffer.take()))));
}

/// What was written, with the texts of each part joined, and without what the protocol does not carry.
fn as_seen(events: &[Event<'static>]) -> Vec<Seen> {
    let mut collector = Collector::default();
    for event in events {
        collector.take(event.clone());
    }
    let mut seen = collector.seen;
    seen[0] = Seen::Start {
        id: Some("resp_0001".to_owned()),
        model: Some("house/small \"model\"".to_owned()),
    };
    seen
}

/// A whole part of an answer, as a provider's reader would hand it out.
fn any_whole_part() -> impl Strategy<Value = Vec<Event<'static>>> {
    let pieces = || prop::collection::vec("[a-z\"\\\\é\n😀]{1,6}", 1..4);
    let around =
        |start: Event<'static>, end: Event<'static>, delta: fn(Text<'static>) -> Event<'static>| {
            pieces().prop_map(move |pieces| {
                let mut events = vec![start.clone()];
                events.extend(pieces.into_iter().map(|piece| delta(Text::plain(piece))));
                events.push(end.clone());
                events
            })
        };
    let called = (0usize..4, "[a-z\"\\\\\n]{1,8}").prop_map(|(kind, text)| {
        let arguments = json!({ "value": text }).to_string();
        let (name, namespace, form, input) = [
            ("look", None, Form::Function, arguments.clone()),
            (
                "look_there",
                Some("mcp__x"),
                Form::Function,
                arguments.clone(),
            ),
            ("edit", None, Form::Freeform, text),
            ("tool_search", None, Form::Search, arguments),
        ][kind]
            .clone();
        // The ids are made unique where the answer is put together.
        let start = call_in(namespace, "", name, form);
        let (head, tail) = input.split_at(input.char_indices().nth(1).map_or(0, |(at, _)| at));
        let mut events = vec![start];
        for piece in [head, tail] {
            if !piece.is_empty() {
                events.push(Event::CallDelta(Text::plain(piece.to_owned())));
            }
        }
        events.push(Event::CallEnd);
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

const CALL_IDS: [&str; 6] = ["call_0", "call_1", "call_2", "call_3", "call_4", "call_5"];

fn with_own_ids(parts: Vec<Vec<Event<'static>>>) -> Vec<Event<'static>> {
    let mut ids = CALL_IDS.into_iter();
    parts
        .into_iter()
        .flatten()
        .map(|event| match event {
            Event::CallStart { tool, .. } => Event::CallStart {
                id: ids.next().unwrap(),
                tool,
            },
            other => other,
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_written_is_read_again(parts in prop::collection::vec(any_whole_part(), 0..6)) {
        let mut events = vec![START];
        events.extend(with_own_ids(parts));
        let calls = events.contains(&Event::CallEnd);
        let end = if calls { StopReason::Calls } else { StopReason::Stop };
        events.extend([USAGE, Event::Finish(end)]);
        let mut writer = writer(Client::Sdk, Echo::default());
        let mut buffer = FrameBuffer::new();
        for event in &events {
            writer.push(event.clone(), &mut buffer);
        }
        let mut expected = as_seen(&events);
        for seen in &mut expected {
            if let Seen::Usage(usage) = seen {
                // What the provider did not tell is 0 on the wire.
                usage.cache_write = Some(0);
            }
        }
        prop_assert_eq!(reread(&buffer.take()), expected);
    }
}
