//! A request for people: one line per item, part and tool.

use std::fmt::Write as _;

use polywire_conversation::{Call, CallInput, Item, Part, Text};
use polywire_dialect_chat::Parsed;

/// The whole of what was parsed.
pub(crate) fn outline(parsed: &Parsed<'_>) -> String {
    let request = &parsed.request;
    let mut out = head(parsed);
    for (index, item) in request.items.iter().enumerate() {
        writeln!(out, "{index:2} {}", item_outline(item)).unwrap();
    }
    for tool in &request.tools {
        writeln!(out, "tool {tool:?}").unwrap();
    }
    for (key, value) in &request.extra {
        writeln!(out, "extra {key} {}", value.as_str()).unwrap();
    }
    for loss in &request.losses {
        writeln!(out, "loss {:?} {loss}", loss.severity).unwrap();
    }
    out
}

fn head(parsed: &Parsed<'_>) -> String {
    let request = &parsed.request;
    let wishes = [
        ("usage", parsed.include_usage),
        ("legacy functions", parsed.legacy_functions),
        ("reasoning details", parsed.reasoning_details),
        ("no reasoning", parsed.hide_reasoning),
    ];
    let wishes: Vec<&str> = wishes
        .iter()
        .filter_map(|(name, wanted)| wanted.then_some(*name))
        .collect();
    [
        format!(
            "{:?} {:?} stream {} wishes {wishes:?}",
            request.dialect, request.model, request.stream
        ),
        format!(
            "choice {:?} parallel {:?} limit {:?} stop {:?}",
            request.tool_choice,
            request.parallel_tool_calls,
            request.output_tokens_max,
            request.stop.iter().map(said).collect::<Vec<_>>()
        ),
        format!("{:?}", request.sampling),
        format!("{:?}", request.reasoning),
        format!(
            "{:?} verbosity {:?} tier {:?}",
            request.format, request.verbosity, request.service_tier
        ),
        format!(
            "cache key {:?} user {:?} metadata {:?}\n",
            request.cache_key, request.user, request.metadata
        ),
    ]
    .join("\n")
}

fn said(text: &Text<'_>) -> String {
    let form = match text {
        Text::Plain(_) => "plain",
        Text::Escaped(_) => "escaped",
    };
    format!("{form} {:?}", text.as_written())
}

fn item_outline(item: &Item<'_>) -> String {
    match item {
        Item::Message(message) => {
            format!("message {:?}{}", message.role, parts(&message.parts))
        }
        Item::Call(Call {
            id, name, input, ..
        }) => {
            let input = match input {
                CallInput::Arguments(text) => format!("arguments {}", said(text)),
                CallInput::Freeform(text) => format!("freeform {}", said(text)),
                CallInput::Search(json) => format!("search {}", json.as_str()),
            };
            format!("call {id:?} {name:?} {input}")
        }
        Item::Result(result) => format!("result {:?}{}", result.call_id, parts(&result.parts)),
        other => format!("{other:?}"),
    }
}

fn parts(parts: &[Part<'_>]) -> String {
    parts
        .iter()
        .map(|part| {
            let part = match part {
                Part::Text(text) => format!("text {}", said(text)),
                Part::Refusal(text) => format!("refusal {}", said(text)),
                Part::Image(image) => format!("image {} {:?}", said(&image.url), image.detail),
                Part::File(file) => format!("{file:?}"),
                Part::Audio(raw) => format!("audio {}", raw.as_str()),
                Part::Unknown { tag, raw } => format!("unknown {tag} {}", raw.as_str()),
            };
            format!("\n     - {part}")
        })
        .collect()
}
