//! A request, line by line.

use std::fmt::Write as _;

use polywire_conversation::{Call, CallInput, Item, Part, Request, Text, Tool};
use polywire_dialect_messages::Parsed;

/// One line per item, part and tool.
pub(crate) fn outline(parsed: &Parsed<'_>) -> String {
    let request = &parsed.request;
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").unwrap();
    line(head(request));
    line(format!("{:?}", request.sampling));
    line(format!("{:?} {:?}", request.reasoning, parsed.thinking));
    line(format!(
        "{:?} tier {:?} user {:?} stop {:?}",
        request.format, request.service_tier, request.user, request.stop
    ));
    if let Some(instructions) = &request.instructions {
        line(format!("instructions {}", said(instructions)));
    }
    for (index, item) in request.items.iter().enumerate() {
        line(format!("{index:2} {}", item_outline(item)));
    }
    for tool in &request.tools {
        line(format!("tool {}", tool_outline(tool)));
    }
    for (key, json) in &request.extra {
        line(format!("extra {key} {}", json.as_str()));
    }
    for loss in &request.losses {
        line(format!("loss {:?} {loss}", loss.severity));
    }
    out
}

fn head(request: &Request<'_>) -> String {
    format!(
        "{:?} model {:?} stream {} choice {:?} parallel {:?} limit {:?}",
        request.dialect,
        request.model,
        request.stream,
        request.tool_choice,
        request.parallel_tool_calls,
        request.output_tokens_max
    )
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
            format!(
                "message {:?}{}",
                message.role,
                parts_outline(&message.parts)
            )
        }
        Item::Reasoning(reasoning) => format!("{reasoning:?}"),
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
        Item::Result(result) => {
            let tools: Vec<String> = result.tools_loaded.iter().map(tool_outline).collect();
            format!(
                "result {:?} error {}{} tools {tools:?}",
                result.call_id,
                result.is_error,
                parts_outline(&result.parts)
            )
        }
        Item::ToolsAdded(tools) => {
            let tools: Vec<String> = tools.iter().map(tool_outline).collect();
            format!("tools added {tools:?}")
        }
        Item::HostedCall { tag, summary } => format!("hosted {tag} {}", said(summary)),
        Item::Compaction { sealed, summary } => format!("compaction {sealed:?} {summary:?}"),
        Item::Unknown { tag, raw } => format!("unknown {tag} {}", raw.as_str()),
    }
}

fn parts_outline(parts: &[Part<'_>]) -> String {
    let mut out = String::new();
    for part in parts {
        let part = match part {
            Part::Text(text) => format!("text {}", said(text)),
            Part::Refusal(text) => format!("refusal {}", said(text)),
            Part::Image(image) => format!("image {}", said(&image.url)),
            Part::File(file) => format!("file {file:?}"),
            Part::Audio(raw) => format!("audio {}", raw.as_str()),
            Part::Unknown { tag, raw } => format!("unknown {tag} {}", raw.as_str()),
        };
        write!(out, "\n     - {part}").unwrap();
    }
    out
}

fn tool_outline(tool: &Tool<'_>) -> String {
    match tool {
        Tool::Function(function) => {
            let schema = function.parameters.as_ref().map(|json| {
                let value: serde_json::Value = serde_json::from_str(json.as_str()).unwrap();
                let members = value["properties"].as_object();
                members.map_or(0, serde_json::Map::len)
            });
            format!(
                "function {:?} {:?} members {schema:?} strict {:?} deferred {}",
                function.name,
                function.description.as_ref().map(Text::to_plain),
                function.strict,
                function.deferred
            )
        }
        Tool::Hosted { tag, raw } => format!("hosted {tag} {}", raw.as_str()),
        Tool::Unknown { tag, raw } => format!("unknown {tag} {}", raw.as_str()),
        Tool::Freeform { .. } | Tool::Namespace { .. } | Tool::Search { .. } => {
            format!("{tool:?}")
        }
    }
}
