//! Requests in shorthand, and what becomes of them as text.

#![allow(
    clippy::format_push_string,
    clippy::unwrap_used,
    reason = "its readers are people, and its texts are short"
)]

use polywire_conversation::{
    Call, CallInput, Function, Image, Instruction, Item, Json, Message, ModelFacts, Part,
    Reasoning, Request, Role, Text, Tool, ToolResult, VisibleReasoning,
};
use polywire_dialect_chat::{Profile, render};
use serde_json::Value;

pub(crate) fn text(text: &str) -> Part<'_> {
    Part::Text(Text::plain(text))
}

pub(crate) fn said(role: Role, parts: Vec<Part<'_>>) -> Item<'_> {
    Item::Message(Message {
        role,
        parts,
        phase: None,
    })
}

pub(crate) fn user(words: &str) -> Item<'_> {
    said(Role::User, vec![text(words)])
}

pub(crate) fn assistant(words: &str) -> Item<'_> {
    said(Role::Assistant, vec![text(words)])
}

pub(crate) fn developer(words: &str) -> Item<'_> {
    said(Role::Instructor(Instruction::Developer), vec![text(words)])
}

pub(crate) fn call<'a>(id: &'a str, name: &'a str, arguments: &'a str) -> Item<'a> {
    Item::Call(Call {
        id: id.into(),
        name: name.into(),
        namespace: None,
        input: CallInput::Arguments(Text::plain(arguments)),
    })
}

pub(crate) fn result<'a>(call_id: &'a str, parts: Vec<Part<'a>>) -> Item<'a> {
    Item::Result(ToolResult {
        call_id: call_id.into(),
        parts,
        tools_loaded: Vec::new(),
        is_error: false,
    })
}

pub(crate) fn function<'a>(name: &'a str, description: &'a str) -> Tool<'a> {
    Tool::Function(Function {
        name: name.into(),
        description: Some(Text::plain(description)),
        parameters: Some(Json::new(
            r#"{"type":"object","properties":{"x":{"type":"number"}}}"#,
        )),
        strict: Some(false),
        deferred: false,
    })
}

pub(crate) fn image(url: &str) -> Part<'_> {
    Part::Image(Image {
        url: Text::plain(url),
        detail: Some("original".into()),
    })
}

pub(crate) fn thought(words: &str) -> Item<'_> {
    Item::Reasoning(Reasoning {
        visible: VisibleReasoning::Summary(vec![Text::plain(words)]),
        sealed: Some(Text::plain("sealed")),
        state: Vec::new(),
    })
}

pub(crate) fn profile(changes: Value) -> Profile {
    serde_json::from_value(changes).unwrap()
}

/// The body, each message and tool on a line of its own, and the losses.
pub(crate) fn outline(request: &Request<'_>, profile: &Profile, accepts_images: bool) -> String {
    let rendered = match render(
        request,
        &ModelFacts {
            images: accepts_images,
            ..ModelFacts::named("model-1")
        },
        profile,
    ) {
        Ok(rendered) => rendered,
        Err(fault) => {
            return format!(
                "fault {} {:?} {}\n",
                fault.class.name(),
                fault.param,
                fault.message
            );
        }
    };
    let body: Value = serde_json::from_slice(&rendered.body).unwrap();
    let mut lines = String::new();
    for (key, value) in body.as_object().unwrap() {
        if let (Value::Array(elements), true) = (value, key == "messages" || key == "tools") {
            for element in elements {
                lines.push_str(&format!("{key}: {element}\n"));
            }
        } else {
            lines.push_str(&format!("{key}: {value}\n"));
        }
    }
    for loss in &rendered.losses {
        lines.push_str(&format!("loss ({:?}) {loss}\n", loss.severity));
    }
    lines
}

#[allow(unused_macros, reason = "each test binary uses its own part of this")]
macro_rules! check {
    ($name:literal, $request:expr) => {
        check!($name, $request, serde_json::json!({}))
    };
    ($name:literal, $request:expr, $profile:expr) => {
        check!($name, $request, $profile, true)
    };
    ($name:literal, $request:expr, $profile:expr, $images:expr) => {
        insta::with_settings!({ omit_expression => true }, {
            let profile = $crate::support::request::profile($profile);
            let outline = $crate::support::request::outline(&$request, &profile, $images);
            insta::assert_snapshot!($name, outline);
        });
    };
}

#[allow(unused_imports, reason = "each test binary uses its own part of this")]
pub(crate) use check;

pub(crate) fn items(items: Vec<Item<'_>>) -> Request<'_> {
    Request {
        items,
        ..Request::default()
    }
}
