//! Content blocks, one by one.

use std::borrow::Cow;

use polywire_conversation::{
    Call, CallInput, Fault, Item, Json, Part, Reasoning, Role, Text, Tool, ToolResult,
    VisibleReasoning,
};
use polywire_wire::{At, field, first_byte, quoted, text, wire_object, wrong_type};

use super::media;
use super::messages::{BlockList, Reader};
use super::tool_changes;
use crate::write::SIGNATURE_WITHOUT_STATE;

wire_object! {
    /// The members of all known blocks together.
    WireBlock {
        tag: "type",
        text: "text",
        thinking: "thinking",
        signature: "signature",
        data: "data",
        id: "id",
        name: "name",
        input: "input",
        tool_use_id: "tool_use_id",
        content: "content",
        is_error: "is_error",
        source: "source",
        title: "title",
        context: "context",
        citations: "citations",
        cache_control: "cache_control",
        encrypted_content: "encrypted_content",
        server_name: "server_name",
        tool_name: "tool_name",
        toolset_name: "toolset_name",
        tool: "tool",
    }
}

/// Reads one block of a message.
pub(super) fn block<'a>(
    reader: &mut Reader<'a, '_>,
    role: Role,
    wire: &WireBlock<'a>,
    at: &At<'_>,
    as_written: impl FnOnce() -> Json<'a>,
) -> Result<(), Fault> {
    let tag = field(wire.tag, at, "type").required_name()?;
    refuse_misplaced(&tag, role, wire, at)?;
    reader.notes.cache_mark(wire.cache_control.is_some());
    match &*tag {
        "text" => {
            reader.notes.citations(wire.citations.is_some());
            let text = field(wire.text, at, "text").required_text()?;
            reader.said.push(Part::Text(text));
        }
        "image" => reader.said.push(media::image(wire, at)?),
        "document" => media::document(wire, at, &mut reader.said, reader.notes)?,
        "search_result" => reader.said.push(media::search_result(wire, at)?),
        "thinking" => {
            let item = thinking(wire, at)?;
            reader.item(role, item);
        }
        "redacted_thinking" => {
            let sealed = field(wire.data, at, "data").required_text()?;
            let reasoning = Reasoning {
                sealed: Some(sealed),
                ..Reasoning::default()
            };
            reader.item(role, Item::Reasoning(reasoning));
        }
        "tool_use" => {
            let item = tool_use(wire, at, reader)?;
            reader.item(role, item);
        }
        "tool_result" => {
            let item = tool_result(wire, at, reader)?;
            reader.item(role, item);
        }
        "server_tool_use" | "mcp_tool_use" => reader.hosted_use(&tag, role, wire, at)?,
        "compaction" => {
            let item = Item::Compaction {
                sealed: field(wire.encrypted_content, at, "encrypted_content").text()?,
                summary: field(wire.content, at, "content").text()?,
            };
            reader.item(role, item);
        }
        "tool_addition" => tool_changes::addition(reader, role, field(wire.tool, at, "tool"))?,
        "tool_removal" => tool_changes::removal(reader, field(wire.tool, at, "tool"))?,
        tag if tag.ends_with("_tool_result") => reader.hosted_result(tag, role, wire, at)?,
        _ => reader.said.push(Part::Unknown {
            tag,
            raw: as_written(),
        }),
    }
    Ok(())
}

/// Blocks that only one role can have are refused elsewhere: who called and who answered would be guessed.
fn refuse_misplaced(tag: &str, role: Role, wire: &WireBlock<'_>, at: &At<'_>) -> Result<(), Fault> {
    let (owner, fits) = match tag {
        "thinking" | "redacted_thinking" | "tool_use" | "server_tool_use" | "mcp_tool_use" => {
            ("assistant", role == Role::Assistant)
        }
        "tool_result" => ("user", role == Role::User),
        "image" | "document" | "search_result" => {
            ("user` or `assistant", !matches!(role, Role::Instructor(_)))
        }
        _ => return Ok(()),
    };
    if fits {
        return Ok(());
    }
    Err(field(wire.tag, at, "type").at().fault(format_args!(
        "must not be `{}`: such a block belongs to a message of the role `{owner}`",
        quoted(tag)
    )))
}

/// A thinking block. Its signature is what the model's provider wants back, in an envelope of ours or as somebody else wrote it; the
/// word that stands for the lack of one means nothing.
fn thinking<'a>(wire: &WireBlock<'a>, at: &At<'_>) -> Result<Item<'a>, Fault> {
    let visible = field(wire.thinking, at, "thinking").required_text()?;
    let sealed = field(wire.signature, at, "signature").text()?;
    Ok(Item::Reasoning(Reasoning {
        visible: if visible.is_empty() {
            VisibleReasoning::None
        } else {
            VisibleReasoning::Full(vec![visible])
        },
        sealed: sealed
            .filter(|sealed| !sealed.is_empty() && sealed.as_written() != SIGNATURE_WITHOUT_STATE),
        state: Vec::new(),
    }))
}

fn tool_use<'a>(
    wire: &WireBlock<'a>,
    at: &At<'_>,
    reader: &mut Reader<'a, '_>,
) -> Result<Item<'a>, Fault> {
    let toolset = field(wire.toolset_name, at, "toolset_name");
    if toolset.is_set() {
        reader.notes.note(
            toolset.at().to_string(),
            "left out: only a provider of the same protocol knows toolsets",
        );
    }
    let input = field(wire.input, at, "input");
    input.required_object_as_written()?;
    let written = input.required()?.get();
    Ok(Item::Call(Call {
        id: field(wire.id, at, "id").required_name()?,
        name: field(wire.name, at, "name").required_name()?,
        namespace: None,
        input: CallInput::Arguments(Text::plain(written)),
    }))
}

fn tool_result<'a>(
    wire: &WireBlock<'a>,
    at: &At<'_>,
    reader: &mut Reader<'a, '_>,
) -> Result<Item<'a>, Fault> {
    let mut result = ToolResult {
        call_id: field(wire.tool_use_id, at, "tool_use_id").required_name()?,
        parts: Vec::new(),
        tools_loaded: Vec::new(),
        is_error: field(wire.is_error, at, "is_error")
            .flag()?
            .unwrap_or(false),
    };
    let content = field(wire.content, at, "content");
    if content.is_set() {
        let raw = content.required()?;
        match first_byte(raw) {
            b'"' => result.parts.push(Part::Text(text(raw, content.at())?)),
            b'[' => {
                let list = BlockList::read(raw, content)?;
                for (index, block) in list.blocks.iter().enumerate() {
                    let place = content.at().index(index);
                    let as_written = || list.as_written(index);
                    result_block(block, &place, as_written, &mut result, reader)?;
                }
            }
            _ => {
                return Err(wrong_type(
                    raw,
                    content.at(),
                    "a string or an array of content blocks",
                ));
            }
        }
    }
    Ok(Item::Result(result))
}

/// One block of a tool's result.
fn result_block<'a>(
    wire: &WireBlock<'a>,
    at: &At<'_>,
    as_written: impl FnOnce() -> Json<'a>,
    result: &mut ToolResult<'a>,
    reader: &mut Reader<'a, '_>,
) -> Result<(), Fault> {
    let tag = field(wire.tag, at, "type").required_name()?;
    reader.notes.cache_mark(wire.cache_control.is_some());
    match &*tag {
        "text" => {
            let text = field(wire.text, at, "text").required_text()?;
            result.parts.push(Part::Text(text));
        }
        "image" => result.parts.push(media::image(wire, at)?),
        "document" => media::document(wire, at, &mut result.parts, reader.notes)?,
        "search_result" => result.parts.push(media::search_result(wire, at)?),
        "tool_reference" => {
            let name = field(wire.tool_name, at, "tool_name").required_name()?;
            match declared(&name, reader.tools) {
                Some(tool) => result.tools_loaded.push(tool),
                None => result.parts.push(unresolved(&name)),
            }
        }
        "tool_use" | "tool_result" | "thinking" | "redacted_thinking" => {
            return Err(field(wire.tag, at, "type").at().fault(format_args!(
                "must not be `{tag}`: a tool's result holds text, images and documents"
            )));
        }
        _ => result.parts.push(Part::Unknown {
            tag,
            raw: as_written(),
        }),
    }
    Ok(())
}

/// The function of this name, to be offered from now on.
pub(super) fn declared<'a>(name: &str, tools: &[Tool<'a>]) -> Option<Tool<'a>> {
    tools
        .iter()
        .find(|tool| matches!(tool, Tool::Function(function) if function.name == name))
        .cloned()
}

fn unresolved<'a>(name: &Cow<'a, str>) -> Part<'a> {
    Part::Text(Text::plain(format!("[tool: {name}]")))
}
