//! Bodies as one line per message and tool.

use std::fmt::Write as _;

use serde_json::Value;

use crate::Translated;

/// How much of a text stands in an outline.
const WORDS_MAX: usize = 90;

/// Request, ledger and losses, with the words of the messages.
pub(crate) fn with_words(translated: &Translated) -> String {
    outline(translated, &|text| {
        let start: String = text.chars().take(WORDS_MAX).collect();
        let more = if start.len() < text.len() { "…" } else { "" };
        format!("{start:?}{more}")
    })
}

/// Request, ledger and losses, with the length of each text in its place.
pub(crate) fn with_sizes(translated: &Translated) -> String {
    outline(translated, &|text| {
        format!("({} characters)", text.chars().count())
    })
}

/// The settings, and the losses that `known` does not have.
pub(crate) fn differences(translated: &Translated, known: &Translated) -> String {
    let mut out = String::new();
    settings(&translated.body, &mut out);
    let own = translated.losses.iter();
    losses(own.filter(|loss| !known.losses.contains(loss)), &mut out);
    out
}

type Said<'s> = &'s dyn Fn(&str) -> String;

fn outline(translated: &Translated, said: Said<'_>) -> String {
    let mut out = String::new();
    settings(&translated.body, &mut out);
    for message in translated.body["messages"].as_array().unwrap() {
        message_line(message, said, &mut out);
    }
    for tool in translated.body["tools"].as_array().into_iter().flatten() {
        let function = &tool["function"];
        let description = function["description"].as_str().unwrap_or_default();
        let arguments: Vec<&String> = function["parameters"]["properties"]
            .as_object()
            .map_or_else(Vec::new, |members| members.keys().collect());
        let name = function["name"].as_str().unwrap();
        writeln!(out, "tool {name} {arguments:?} {}", said(description)).unwrap();
    }
    for entry in translated.rendered.ledger.entries() {
        let namespace = entry.namespace.as_ref().map(|space| format!("{space} / "));
        let namespace = namespace.unwrap_or_default();
        writeln!(
            out,
            "ledger {} ← {namespace}{} ({:?})",
            entry.wire_name, entry.name, entry.form
        )
        .unwrap();
    }
    losses(translated.losses.iter(), &mut out);
    out
}

fn settings(body: &Value, out: &mut String) {
    for (name, value) in body.as_object().unwrap() {
        match name.as_str() {
            "messages" | "tools" => {}
            // Its schema is as long as its author likes.
            "response_format" => writeln!(
                out,
                "response_format {} {}",
                value["type"], value["json_schema"]["name"]
            )
            .unwrap(),
            _ => writeln!(out, "{name} {value}").unwrap(),
        }
    }
}

fn message_line(message: &Value, said: Said<'_>, out: &mut String) {
    let role = message["role"].as_str().unwrap();
    write!(out, "{role}").unwrap();
    if let Some(id) = message["tool_call_id"].as_str() {
        write!(out, " {id}").unwrap();
    }
    match &message["content"] {
        Value::String(text) => write!(out, " {}", said(text)).unwrap(),
        Value::Array(parts) => {
            for part in parts {
                match part["text"].as_str() {
                    Some(text) => write!(out, " {}", said(text)).unwrap(),
                    None => write!(out, " [{}]", part["type"].as_str().unwrap()).unwrap(),
                }
            }
        }
        other => write!(out, " {other}").unwrap(),
    }
    for field in ["reasoning_content", "reasoning"] {
        if let Some(text) = message[field].as_str() {
            write!(out, " {field} {}", said(text)).unwrap();
        }
    }
    out.push('\n');
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let function = &call["function"];
        let (id, name) = (
            call["id"].as_str().unwrap(),
            function["name"].as_str().unwrap(),
        );
        writeln!(
            out,
            "  call {id} {name} {}",
            said(function["arguments"].as_str().unwrap())
        )
        .unwrap();
    }
}

fn losses<'l>(losses: impl Iterator<Item = &'l String>, out: &mut String) {
    for loss in losses {
        writeln!(out, "loss {loss}").unwrap();
    }
}
