//! Answers as events, written by hand and at random.

use polywire_conversation::{
    Citation, Event, Fault, FaultClass, Form, Json, Loss, Opaque, OpaqueKind, Raised, StopReason,
    Text, Usage, WebSearch,
};
use proptest::prelude::*;

pub(crate) const START: Event<'static> = Event::Start {
    id: Some("upstream-1"),
    model: Some("upstream-model"),
};

pub(crate) const USAGE: Event<'static> = Event::Usage(Usage {
    input: Some(120),
    cached: Some(100),
    cache_write: None,
    output: Some(30),
    reasoning: Some(12),
    estimated: false,
});

pub(crate) const LOGPROBS: &str =
    r#"[{"token":"Hi","logprob":-0.25,"bytes":[72,105],"top_logprobs":[]}]"#;

pub(crate) fn text(plain: &'static str) -> Event<'static> {
    Event::TextDelta(Text::plain(plain))
}

pub(crate) fn escaped(body: &'static str) -> Text<'static> {
    Text::escaped(body)
}

pub(crate) fn call(id: &'static str, name: &'static str, form: Form) -> Event<'static> {
    Event::CallStart {
        id,
        tool: Raised {
            name,
            namespace: None,
            form,
            declared: true,
        },
    }
}

pub(crate) fn sealed(envelope: &'static str) -> Event<'static> {
    Event::ReasoningOpaque(Opaque {
        kind: OpaqueKind::Sealed,
        state: Text::plain(envelope),
    })
}

pub(crate) fn citation(span: Option<(u64, u64)>) -> Event<'static> {
    Event::Citation(Citation {
        url: Text::plain("https://example.org/\"a\""),
        title: escaped(r"A \u0041"),
        quote: None,
        span,
    })
}

/// An answer with one of everything.
pub(crate) fn everything() -> Vec<Event<'static>> {
    vec![
        START,
        Event::ReasoningStart,
        Event::ReasoningDelta(escaped(r"First \u0041")),
        Event::ReasoningDelta(Text::plain(", then \"B\".")),
        Event::ReasoningOpaque(Opaque {
            kind: OpaqueKind::Signature,
            state: Text::plain("not for the client"),
        }),
        sealed("pw1.a.0"),
        sealed("pw1.ab.1"),
        Event::ReasoningEnd,
        Event::TextStart,
        text("Let me "),
        Event::Logprobs(Json::new(LOGPROBS)),
        Event::TextDelta(escaped(r"look:\n\ud83d\udd70")),
        Event::Logprobs(Json::new(LOGPROBS)),
        citation(Some((7, 11))),
        Event::TextDelta(Text::EMPTY),
        Event::TextEnd,
        Event::WebSearch(WebSearch {
            id: "ws_1",
            query: Text::plain("clocks"),
            sources: Vec::new(),
            failure: None,
        }),
        call("call_1", "exec", Form::Function),
        Event::CallDelta(escaped(r#"{\"cmd\":"#)),
        Event::CallDelta(escaped(r#"\"ls\"}"#)),
        Event::CallEnd,
        call("call_2", "now", Form::Function),
        Event::CallEnd,
        Event::TextStart,
        text("And a patch."),
        citation(Some((0, 3))),
        citation(None),
        Event::TextEnd,
        call("call_3", "apply_patch", Form::Freeform),
        Event::CallDelta(Text::plain("*** Begin Patch\n")),
        Event::CallDelta(Text::plain("*** End Patch")),
        Event::CallEnd,
        Event::Loss(Loss::note("a", "b")),
        USAGE,
        Event::Finish(StopReason::Calls),
    ]
}

pub(crate) fn any_text() -> impl Strategy<Value = Text<'static>> {
    prop_oneof![
        "[a-z \"\\\\\n\u{1}é😀\u{2028}\u{85}]{0,12}".prop_map(Text::plain),
        prop::sample::select(vec!["", r"\n", r"\ud83d\ude00", r#"{\"a\":1}"#, r"\u2028"])
            .prop_map(Text::escaped),
    ]
}

fn any_call_start() -> impl Strategy<Value = Event<'static>> {
    prop::sample::select(vec![Form::Function, Form::Freeform, Form::Search])
        .prop_map(|form| call("call \"1\"\n", "to\"ol", form))
}

pub(crate) fn any_reason() -> impl Strategy<Value = StopReason> {
    prop::sample::select(vec![
        StopReason::Stop,
        StopReason::Calls,
        StopReason::Length,
        StopReason::ContentFilter,
        StopReason::Pause,
    ])
}

pub(crate) fn any_end() -> impl Strategy<Value = Event<'static>> {
    prop_oneof![
        3 => any_reason().prop_map(Event::Finish),
        1 => prop::sample::select(vec![
            FaultClass::RateLimit,
            FaultClass::Auth,
            FaultClass::NetworkCut,
            FaultClass::ContextLength,
        ])
        .prop_map(|class| Event::Fault(Fault::new(class, "it \"broke\"\n"))),
    ]
}

pub(crate) fn any_usage() -> impl Strategy<Value = Usage> {
    let count = || prop::option::of(0u64..100_000);
    (count(), count(), count(), count(), count()).prop_map(
        |(input, cached, cache_write, output, reasoning)| Usage {
            input,
            cached,
            cache_write,
            output,
            reasoning,
            estimated: false,
        },
    )
}

/// Any event but the last, sensible in its place or not.
pub(crate) fn any_event() -> impl Strategy<Value = Event<'static>> {
    let opaque = (
        prop::sample::select(vec![OpaqueKind::Sealed, OpaqueKind::Detail]),
        any_text(),
    )
        .prop_map(|(kind, state)| Event::ReasoningOpaque(Opaque { kind, state }));
    let beside = prop_oneof![
        prop::option::of((0u64..20, 0u64..20)).prop_map(citation),
        prop::sample::select(vec!["[]", " [ ] ", LOGPROBS])
            .prop_map(|array| Event::Logprobs(Json::new(array))),
        any_text().prop_map(Event::StoppedAt),
    ];
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
        1 => beside,
    ]
}

/// A part of an answer as readers promise it.
pub(crate) fn any_part() -> impl Strategy<Value = Vec<Event<'static>>> {
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
