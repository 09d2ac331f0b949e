//! Items of tools with types of their own: shells and patches, which a client carries out, and everything that a provider
//! carried out in an earlier turn.

use std::borrow::Cow;

use polywire_conversation::{Call, CallInput, Fault, Item, Loss, Part, Text, ToolResult};
use serde_json::value::RawValue;

use super::items::{WireItem, call_id, text_or_json};
use polywire_wire::wire_object;
use polywire_wire::{At, field, first_byte};

/// A shell call as a function call whose arguments are the action.
pub(super) fn shell_call<'a>(
    name: &'static str,
    wire: &WireItem<'a>,
    at: &At<'_>,
) -> Result<Item<'a>, Fault> {
    let action = field(wire.action, at, "action").required_object_as_written()?;
    Ok(Item::Call(Call {
        id: call_id(wire, at)?,
        name: Cow::Borrowed(name),
        namespace: None,
        input: CallInput::Arguments(Text::plain(action.as_str().to_owned())),
    }))
}

/// A typed patch as a function call `{"operation": …}`.
pub(super) fn apply_patch_call<'a>(wire: &WireItem<'a>, at: &At<'_>) -> Result<Item<'a>, Fault> {
    let operation = field(wire.operation, at, "operation").required_object_as_written()?;
    let arguments = format!("{{\"operation\":{}}}", operation.as_str());
    Ok(Item::Call(Call {
        id: call_id(wire, at)?,
        name: Cow::Borrowed("apply_patch"),
        namespace: None,
        input: CallInput::Arguments(Text::plain(arguments)),
    }))
}

/// What a shell or a patch said: the text, or the list of outcomes as JSON, which the model reads as well.
pub(super) fn shell_output<'a>(wire: &WireItem<'a>, at: &At<'_>) -> Result<Item<'a>, Fault> {
    // `local_shell_call_output` has the call's id as its own in the description, and a `call_id` in its list of required members.
    let id = if wire.call_id.is_some() {
        call_id(wire, at)?
    } else {
        field(wire.id, at, "id").required_name()?
    };
    let mut parts = text_or_json(field(wire.output, at, "output"))?;
    if parts.is_empty() {
        let status = field(wire.status, at, "status").text()?;
        parts.extend(status.map(Part::Text));
    }
    Ok(Item::Result(ToolResult {
        call_id: id,
        parts,
        tools_loaded: Vec::new(),
        is_error: false,
    }))
}

/// A call that a provider carried out, told in a few words; nothing when the type is not one of those.
pub(super) fn hosted_call<'a>(
    tag: &str,
    wire: &WireItem<'a>,
    at: &At<'_>,
    losses: &mut Vec<Loss>,
) -> Result<Option<Item<'a>>, Fault> {
    let (tag, summary) = match tag {
        "web_search_call" => ("web_search_call", web_search(wire, at)?),
        "file_search_call" => ("file_search_call", file_search(wire, at)?),
        "image_generation_call" => ("image_generation_call", image_generation(wire, at, losses)?),
        "code_interpreter_call" => (
            "code_interpreter_call",
            told("code interpreter:", field(wire.code, at, "code").name()?),
        ),
        "mcp_call" => ("mcp_call", mcp_call(wire, at)?),
        "computer_call" => ("computer_call", Text::EMPTY),
        "computer_call_output" => ("computer_call_output", Text::EMPTY),
        "mcp_list_tools" => ("mcp_list_tools", Text::EMPTY),
        "mcp_approval_request" => ("mcp_approval_request", Text::EMPTY),
        "mcp_approval_response" => ("mcp_approval_response", Text::EMPTY),
        _ => return Ok(None),
    };
    Ok(Some(Item::HostedCall {
        tag: Cow::Borrowed(tag),
        summary,
    }))
}

wire_object! {
    WireSearchAction {
        tag: "type",
        query: "query",
        queries: "queries",
        url: "url",
        pattern: "pattern",
    }
}

fn web_search<'a>(wire: &WireItem<'a>, at: &At<'_>) -> Result<Text<'a>, Fault> {
    let place = field(wire.action, at, "action");
    let Some(action) = place.object::<WireSearchAction<'a>>()? else {
        return Ok(Text::EMPTY);
    };
    let url = field(action.url, place.at(), "url").name()?;
    Ok(
        match field(action.tag, place.at(), "type").name()?.as_deref() {
            Some("open_page") => told("web search: opened", url),
            Some("find_in_page") => {
                let pattern = field(action.pattern, place.at(), "pattern").name()?;
                told(
                    &format!(
                        "web search: looked for `{}` in",
                        pattern.unwrap_or_default()
                    ),
                    url,
                )
            }
            Some(_) | None => {
                let mut query = field(action.query, place.at(), "query").name()?;
                if query.is_none() {
                    query = all_names(action.queries, place.at())?;
                }
                told("web search:", query)
            }
        },
    )
}

fn file_search<'a>(wire: &WireItem<'a>, at: &At<'_>) -> Result<Text<'a>, Fault> {
    Ok(told("file search:", all_names(wire.queries, at)?))
}

fn image_generation<'a>(
    wire: &WireItem<'a>,
    at: &At<'_>,
    losses: &mut Vec<Loss>,
) -> Result<Text<'a>, Fault> {
    let result = field(wire.result, at, "result");
    if result.is_set() {
        losses.push(Loss::degraded(
            result.at().to_string(),
            "left out: a picture that was made in an earlier turn cannot be shown to the model",
        ));
    }
    let prompt = field(wire.revised_prompt, at, "revised_prompt").name()?;
    Ok(told("image generation:", prompt))
}

fn mcp_call<'a>(wire: &WireItem<'a>, at: &At<'_>) -> Result<Text<'a>, Fault> {
    let name = field(wire.name, at, "name").name()?.unwrap_or_default();
    let server = field(wire.server_label, at, "server_label").name()?;
    let output = field(wire.output, at, "output").name()?.unwrap_or_default();
    Ok(Text::plain(format!(
        "[tool `{name}` of `{}`: {output}]",
        server.unwrap_or_default()
    )))
}

/// `[what: detail]`, or nothing where there is no detail.
fn told<'a>(what: &str, detail: Option<Cow<'_, str>>) -> Text<'a> {
    match detail {
        Some(detail) if !detail.is_empty() => Text::plain(format!("[{what} {detail}]")),
        Some(_) | None => Text::EMPTY,
    }
}

/// The strings of `queries`, joined.
fn all_names<'a>(
    queries: Option<&'a RawValue>,
    at: &At<'_>,
) -> Result<Option<Cow<'a, str>>, Fault> {
    let list = field(queries, at, "queries");
    let names: Vec<Cow<'a, str>> = list
        .elements()?
        .into_iter()
        .filter(|raw| first_byte(raw) == b'"')
        .map(|raw| polywire_wire::name(raw, list.at()))
        .collect::<Result<_, _>>()?;
    Ok((!names.is_empty()).then(|| Cow::Owned(names.join("; "))))
}
