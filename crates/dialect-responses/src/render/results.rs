//! What tools answered.

use polywire_conversation::tools::for_each_callable;
use polywire_conversation::{Loss, Part, Text, Tool, ToolResult, history};
use polywire_wire::{Object, write_array};

use super::items::{Sent, Setting, wire_call_id};
use super::parts::{Place, part_text, write_part};
use super::tools::{Style, write_loaded};

/// Writes the result of a call that went out in this form.
pub(super) fn write(
    result: &ToolResult<'_>,
    sent: Sent,
    setting: &mut Setting<'_>,
    out: &mut Vec<u8>,
) {
    if let Some(loss) = history::failure_untold(result) {
        setting.losses.add(loss);
    }
    let mut item = Object::open(out);
    item.string(
        "type",
        match sent {
            Sent::Function => "function_call_output",
            Sent::Custom => "custom_tool_call_output",
            Sent::Search => "tool_search_output",
        },
    );
    item.string("call_id", &wire_call_id(&result.call_id));
    match sent {
        Sent::Search => {
            if !result.parts.is_empty() {
                setting.losses.add(Loss::degraded(
                    format!("call `{}`", result.call_id),
                    "the text, images, files and audio of its result were left out: a tool search finds tools only",
                ));
            }
            item.string("execution", "client");
            item.string("status", "completed");
            let style = Style {
                profile: setting.profile,
                ledger: setting.ledger,
            };
            write_loaded(
                &result.tools_loaded,
                style,
                setting.losses,
                item.member("tools"),
            );
        }
        Sent::Function | Sent::Custom => write_output(result, setting, item.member("output")),
    }
    item.close();
}

/// Writes the output: one string as long as there is nothing but text, else parts.
fn write_output(result: &ToolResult<'_>, setting: &mut Setting<'_>, out: &mut Vec<u8>) {
    let loaded = (!result.tools_loaded.is_empty())
        .then(|| Part::Text(loaded_list(&result.tools_loaded, setting)));
    let parts: Vec<&Part<'_>> = result.parts.iter().chain(loaded.as_ref()).collect();
    let takes = setting.takes();
    let has_more = parts.iter().any(|part| match part {
        Part::Image(_) => takes.images,
        Part::File(_) => takes.files,
        Part::Text(_) | Part::Refusal(_) | Part::Audio(_) | Part::Unknown { .. } => false,
    });
    if has_more {
        write_array(parts, out, |part, out| {
            write_part(part, Place::Input, takes, setting.losses, out);
        });
        return;
    }
    out.push(b'"');
    let start = out.len();
    for part in parts {
        if out.len() > start && !out.ends_with(br"\n") {
            out.extend_from_slice(br"\n");
        }
        part_text(part, setting.losses).write_escaped(out);
    }
    if out.len() == start {
        out.extend_from_slice(b"(no output)");
    }
    out.push(b'"');
}

/// What a tool search found, in the names under which it can be called.
fn loaded_list(tools: &[Tool<'_>], setting: &mut Setting<'_>) -> Text<'static> {
    let mut list = String::from("Tools that can be called from now on:");
    for_each_callable(tools, &mut |name, namespace, form, description| {
        list.push_str("\n- ");
        list.push_str(setting.ledger.wire_name(name, namespace, form));
        let description = description.map(Text::to_plain).unwrap_or_default();
        if let Some(line) = description.lines().find(|line| !line.trim().is_empty()) {
            list.push_str(": ");
            list.push_str(line.trim());
        }
    });
    Text::plain(list)
}
