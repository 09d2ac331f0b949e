//! What each client is written for each event of an answer.

use std::fmt::Write as _;

use polywire_conversation::{
    Citation, Event, Fault, FaultClass, Form, Json, Loss, Opaque, OpaqueKind, Raised, StopReason,
    Text, Usage, WebSearch, WriteStream,
};
use polywire_dialect_chat as chat;
use polywire_dialect_messages as messages;
use polywire_dialect_responses as responses;
use polywire_sse::{Decoder, FrameBuffer};
use serde_json::Value;

use crate::leaves::{self, Leaf, shown};

/// The writers, each for a client that wants to see all there is.
const CLIENTS: [&str; 3] = ["Responses", "Chat", "Messages"];

/// How many leaves a cell shows.
const SHOWN_MAX: usize = 4;

/// Members that differ from frame to frame and say nothing here.
const NOISE: [&str; 12] = [
    "sequence_number",
    "output_index",
    "content_index",
    "summary_index",
    "item_id",
    "id",
    "type",
    "index",
    "created",
    "created_at",
    "completed_at",
    "object",
];

struct Probe {
    what: &'static str,
    /// The events between the start and the end.
    events: Vec<Event<'static>>,
    /// How the answer ends, where that is the point.
    end: Option<Event<'static>>,
    /// What happens to it where nothing is written.
    ours: Option<&'static str>,
}

fn probe(what: &'static str, events: Vec<Event<'static>>) -> Probe {
    Probe {
        what,
        events,
        end: None,
        ours: None,
    }
}

fn ending(what: &'static str, end: Event<'static>) -> Probe {
    Probe {
        end: Some(end),
        ..probe(what, Vec::new())
    }
}

fn ours(probe: Probe, ours: &'static str) -> Probe {
    Probe {
        ours: Some(ours),
        ..probe
    }
}

fn text(text: &'static str) -> Text<'static> {
    Text::plain(text)
}

fn call(form: Form, namespace: Option<&'static str>, input: &'static str) -> Vec<Event<'static>> {
    let tool = Raised {
        name: "probe_tool",
        namespace,
        form,
        declared: true,
    };
    vec![
        Event::CallStart {
            id: "call_probe",
            tool,
        },
        Event::CallDelta(text(input)),
        Event::CallEnd,
    ]
}

fn said(inside: Event<'static>) -> Vec<Event<'static>> {
    vec![
        Event::TextStart,
        Event::TextDelta(text("words")),
        inside,
        Event::TextEnd,
    ]
}

fn thought(kind: OpaqueKind) -> Vec<Event<'static>> {
    let state = text("probe-state");
    vec![
        Event::ReasoningStart,
        Event::ReasoningOpaque(Opaque { kind, state }),
        Event::ReasoningEnd,
    ]
}

fn probes() -> Vec<Probe> {
    let citation = Citation {
        url: text("https://probe.example"),
        title: text("probe title"),
        quote: Some(text("probe quote")),
        span: Some((0, 5)),
    };
    let search = |failure: Option<&'static str>| WebSearch {
        id: "ws_1",
        query: text("probe query"),
        sources: vec![(text("https://probe.example"), text("probe title"))],
        failure: failure.map(text),
    };
    let logprobs = r#"[{"token":"probe","logprob":-0.5,"bytes":[112],"top_logprobs":[]}]"#;
    let usage = Usage {
        input: Some(100),
        cached: Some(40),
        cache_write: Some(20),
        output: Some(50),
        reasoning: Some(30),
        estimated: false,
    };
    let mut cut = call(Form::Function, None, "{\"a\":\"probe");
    cut.pop();
    cut.push(Event::CallCut);
    vec![
        ours(
            probe(
                "the answer begins, with the provider's id and model",
                vec![Event::Start {
                    id: Some("probe-id"),
                    model: Some("probe-model"),
                }],
            ),
            "the client gets an id of polywire's and the model's name as it wrote it; the receipt has the provider's",
        ),
        probe(
            "text",
            vec![
                Event::TextStart,
                Event::TextDelta(text("probe text")),
                Event::TextEnd,
            ],
        ),
        probe("a source of the text", said(Event::Citation(citation))),
        ours(
            probe(
                "probabilities of the text's tokens",
                said(Event::Logprobs(Json::new(logprobs))),
            ),
            "never asked for: the protocol has no field for the wish",
        ),
        probe(
            "a refusal",
            vec![
                Event::RefusalStart,
                Event::RefusalDelta(text("probe text")),
                Event::RefusalEnd,
            ],
        ),
        probe(
            "readable reasoning",
            vec![
                Event::ReasoningStart,
                Event::ReasoningDelta(text("probe thought")),
                Event::ReasoningEnd,
            ],
        ),
        probe(
            "reasoning state, in polywire's envelope",
            thought(OpaqueKind::Sealed),
        ),
        probe(
            "call of a function",
            call(Form::Function, None, "{\"a\":\"probe argument\"}"),
        ),
        probe(
            "call of a tool in a namespace",
            call(Form::Function, Some("probe_space"), "{}"),
        ),
        probe(
            "call of a freeform tool",
            call(Form::Freeform, None, "probe text"),
        ),
        probe(
            "call of the client's tool search",
            call(Form::Search, None, "{\"query\":\"probe query\"}"),
        ),
        probe("a call that was cut off", cut),
        ours(
            probe("a web search", vec![Event::WebSearch(search(None))]),
            "the protocol has no place for searches; the sources of the text come with it",
        ),
        ours(
            probe(
                "a web search that failed",
                vec![Event::WebSearch(search(Some("probe failure")))],
            ),
            "the protocol has no place for searches; the sources of the text come with it",
        ),
        ours(
            probe(
                "a loss",
                vec![Event::Loss(Loss::note("probe", "probe words"))],
            ),
            "in the log and the receipt",
        ),
        ours(
            probe(
                "the stop text that was met",
                vec![Event::StoppedAt(text("probe end"))],
            ),
            "the protocol has no place for it; the receipt does not need it",
        ),
        probe("usage", vec![Event::Usage(usage)]),
        ending("end: done", Event::Finish(StopReason::Stop)),
        Probe {
            events: call(Form::Function, None, "{}"),
            ..ending(
                "end: calls wait for results",
                Event::Finish(StopReason::Calls),
            )
        },
        ending("end: length", Event::Finish(StopReason::Length)),
        ending(
            "end: content filter",
            Event::Finish(StopReason::ContentFilter),
        ),
        ending("end: pause", Event::Finish(StopReason::Pause)),
        ending(
            "failure inside the answer",
            Event::Fault(Fault::new(FaultClass::Overloaded, "probe message")),
        ),
    ]
}

fn writer(client: &str) -> Box<dyn WriteStream> {
    match client {
        "Responses" => Box::new(responses::ResponsesWriter::new(responses::WriterOptions {
            response_id: "resp_1".to_owned(),
            created_at: 1,
            model: "model".to_owned(),
            client: responses::Client::Sdk,
            echo: responses::Echo::default(),
            output_tokens_max: None,
            previous_response_id: None,
            store: false,
            logprobs: true,
            compaction: None,
        })),
        "Chat" => Box::new(chat::ChatWriter::new(chat::WriterOptions {
            completion_id: "chatcmpl-1".to_owned(),
            created: 1,
            model: "model".to_owned(),
            include_usage: true,
            legacy_functions: false,
            reasoning_details: true,
            hide_reasoning: false,
        })),
        _ => Box::new(messages::MessagesWriter::new(messages::WriterOptions {
            message_id: "msg_1".to_owned(),
            request_id: String::new(),
            model: "model".to_owned(),
            input_tokens_estimate: 1,
            thinking: messages::ThinkingDisplay::Shown,
        })),
    }
}

/// The leaves of all frames of an answer, each behind the name of its frame.
fn frames(client: &str, events: &[Event<'static>], end: Event<'static>) -> Vec<Leaf> {
    let mut writer = writer(client);
    let mut buffer = FrameBuffer::new();
    for event in events {
        writer.push(event.clone(), &mut buffer);
    }
    writer.push(end, &mut buffer);
    let mut all = Vec::new();
    let mut decoder = Decoder::new(usize::MAX);
    let read = decoder.push(&buffer.take(), |frame| {
        let name = String::from_utf8_lossy(frame.event).into_owned();
        let data: Value = serde_json::from_slice(frame.data).unwrap_or_default();
        for (path, value) in leaves::of(&data) {
            let last = path.rsplit('.').next().unwrap_or(&path);
            if !NOISE.contains(&last) && !value.is_null() {
                let place = match &*name {
                    "" => path,
                    name => format!("{name}: {path}"),
                };
                all.push((place, value));
            }
        }
    });
    read.unwrap();
    all
}

/// What a client is written because of a probe; nothing when there is no difference.
fn cell(client: &str, probe: &Probe) -> Option<String> {
    let usual = Event::Finish(StopReason::Stop);
    let end = probe.end.clone().unwrap_or_else(|| usual.clone());
    let bare = match (&probe.end, probe.events.first()) {
        // What stands around the thing is no part of it.
        (None, Some(Event::TextStart)) => said(Event::TextDelta(Text::EMPTY)),
        _ => Vec::new(),
    };
    let with = frames(client, &probe.events, end);
    if probe.end.is_some() {
        return Some(list(&ends(with)));
    }
    let added = leaves::beyond(&with, &frames(client, &bare, usual));
    let told = |leaf: &&Leaf| leaf.1.to_string().contains("probe");
    let clear: Vec<Leaf> = added.iter().filter(told).cloned().collect();
    let shown = if clear.is_empty() { added } else { clear };
    (!shown.is_empty()).then(|| list(&shown))
}

/// The leaves that say how an answer ended.
fn ends(mut leaves: Vec<Leaf>) -> Vec<Leaf> {
    const ENDS: [&str; 9] = [
        "finish_reason",
        "stop_reason",
        "status",
        "reason",
        "error",
        "message",
        "code",
        "error.type",
        "explanation",
    ];
    leaves.retain(|(path, _)| {
        let is_opening =
            path.starts_with("response.created") || path.starts_with("response.in_progress");
        !is_opening && ENDS.iter().any(|end| path.ends_with(end))
    });
    leaves
}

fn list(leaves: &[Leaf]) -> String {
    let mut said: Vec<String> = Vec::new();
    for (path, value) in leaves {
        let text = value.as_str().filter(|text| text.starts_with("probe"));
        let one = match text {
            Some(_) => format!("`{path}`"),
            None => format!("`{path}` {}", shown(value)),
        };
        if !said.contains(&one) {
            said.push(one);
        }
    }
    let more = said.len() > SHOWN_MAX;
    said.truncate(SHOWN_MAX);
    if more {
        said.push("…".to_owned());
    }
    said.join("; ")
}

/// The table of all events and clients.
pub(crate) fn chapter(silent: &mut Vec<String>) -> String {
    let mut page = String::from(HEAD);
    for probe in probes() {
        write!(page, "| {} |", probe.what).unwrap();
        for client in CLIENTS {
            let cell = cell(client, &probe).or_else(|| probe.ours.map(str::to_owned));
            if cell.is_none() {
                silent.push(format!("answer → {client}: {}", probe.what));
            }
            write!(page, " {} |", cell.unwrap_or_default()).unwrap();
        }
        page.push('\n');
    }
    page
}

const HEAD: &str = "
## Answers, as clients get them

For a streamed answer, where it stands in which frame. The same answer in one piece has the same members in the finished object. The
columns are for a client that wants to see all there is: Messages clients that did not ask for thinking get none, Chat clients get
`reasoning_details` and usage when they ask for them.

| in the answer | Responses | Chat | Messages |
|---|---|---|---|
";
