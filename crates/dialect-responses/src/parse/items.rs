//! The items of a conversation.

use std::borrow::Cow;

use polywire_conversation::{
    Call, CallInput, Fault, Instruction, Item, Json, Loss, Message, Part, Phase, Reasoning, Role,
    Text, ToolResult, VisibleReasoning, tools::SEARCH_NAME,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::hosted;
use super::parts::{parts, reasoning_texts};
use super::tools::{namespace, tools_of_item};
use polywire_wire::wire_object;
use polywire_wire::{At, Field, field, first_byte, quoted, read};

wire_object! {
    /// Every member that any kind of item has. One struct for all, so that an item is read in one pass, whatever comes first, its
    /// type or its text; what the members must be is decided by the type afterwards.
    WireItem {
        tag: "type",
        id: "id",
        role: "role",
        phase: "phase",
        content: "content",
        summary: "summary",
        encrypted_content: "encrypted_content",
        call_id: "call_id",
        name: "name",
        namespace: "namespace",
        arguments: "arguments",
        input: "input",
        output: "output",
        execution: "execution",
        tools: "tools",
        action: "action",
        operation: "operation",
        status: "status",
        queries: "queries",
        code: "code",
        result: "result",
        revised_prompt: "revised_prompt",
        server_label: "server_label",
    }
}

/// Reads all items of a request. `body` is the whole request, for the rare items that are kept as they are written.
pub(super) fn items<'a>(
    wires: &[WireItem<'a>],
    body: &'a str,
    losses: &mut Vec<Loss>,
) -> Result<Vec<Item<'a>>, Fault> {
    let input = At::Body.key("input");
    let mut written = AsWritten { body, items: None };
    let mut items = Vec::with_capacity(wires.len());
    for (index, wire) in wires.iter().enumerate() {
        let at = input.index(index);
        if is_trigger(wire) {
            return Err(at.fault("must be the last item: it asks for a summary of all before it"));
        }
        let item = match tag(wire, &at)? {
            Some(tag) => typed(&tag, wire, &at, losses)?.map_or_else(
                || {
                    Ok(Item::Unknown {
                        tag,
                        raw: written.item(index)?,
                    })
                },
                Ok,
            )?,
            None => message(wire, &at)?,
        };
        items.push(item);
    }
    Ok(items)
}

/// Takes off the item at the end that asks for a summary of the conversation instead of an answer.
pub(super) fn split_trigger<'w, 'a>(wires: &'w [WireItem<'a>]) -> (&'w [WireItem<'a>], bool) {
    match wires.split_last() {
        Some((last, rest)) if is_trigger(last) => (rest, true),
        Some(_) | None => (wires, false),
    }
}

fn is_trigger(wire: &WireItem<'_>) -> bool {
    wire.tag
        .is_some_and(|tag| tag.get() == "\"compaction_trigger\"")
}

/// The item's type. Messages may go without one.
fn tag<'a>(wire: &WireItem<'a>, at: &At<'_>) -> Result<Option<Cow<'a, str>>, Fault> {
    let tag = field(wire.tag, at, "type");
    if !tag.is_set() && wire.role.is_some() {
        return Ok(None);
    }
    tag.required_name().map(Some)
}

/// The item, or nothing when its type is not known.
fn typed<'a>(
    tag: &str,
    wire: &WireItem<'a>,
    at: &At<'_>,
    losses: &mut Vec<Loss>,
) -> Result<Option<Item<'a>>, Fault> {
    Ok(Some(match tag {
        "message" => message(wire, at)?,
        "reasoning" => reasoning(wire, at, losses)?,
        "function_call" => function_call(wire, at)?,
        "custom_tool_call" => custom_tool_call(wire, at)?,
        "function_call_output" | "custom_tool_call_output" => output(wire, at)?,
        "tool_search_call" => tool_search_call(wire, at)?,
        "tool_search_output" => tool_search_output(wire, at)?,
        "additional_tools" => Item::ToolsAdded(tools_of_item(field(wire.tools, at, "tools"))?),
        "compaction" => Item::Compaction {
            sealed: field(wire.encrypted_content, at, "encrypted_content").text()?,
            summary: None,
        },
        "item_reference" => return Err(item_reference(wire, at)),
        "local_shell_call" => hosted::shell_call("local_shell", wire, at)?,
        "shell_call" => hosted::shell_call("shell", wire, at)?,
        "apply_patch_call" => hosted::apply_patch_call(wire, at)?,
        "local_shell_call_output" | "shell_call_output" | "apply_patch_call_output" => {
            hosted::shell_output(wire, at)?
        }
        _ => return hosted::hosted_call(tag, wire, at, losses),
    }))
}

fn message<'a>(wire: &WireItem<'a>, at: &At<'_>) -> Result<Item<'a>, Fault> {
    let role = field(wire.role, at, "role");
    let role = match &*role.required_name()? {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::Instructor(Instruction::System),
        "developer" => Role::Instructor(Instruction::Developer),
        other => {
            return Err(role.at().fault(format_args!(
                "must be `user`, `assistant`, `system` or `developer`, not `{}`",
                quoted(other)
            )));
        }
    };
    // A phase of a later protocol version says nothing that the text does not say.
    let phase = match field(wire.phase, at, "phase").name()?.as_deref() {
        Some("commentary") => Some(Phase::Commentary),
        Some("final_answer") => Some(Phase::FinalAnswer),
        Some(_) | None => None,
    };
    Ok(Item::Message(Message {
        role,
        parts: parts(field(wire.content, at, "content"))?,
        phase,
    }))
}

fn reasoning<'a>(
    wire: &WireItem<'a>,
    at: &At<'_>,
    losses: &mut Vec<Loss>,
) -> Result<Item<'a>, Fault> {
    let full = reasoning_texts(field(wire.content, at, "content"), losses)?;
    let summary = reasoning_texts(field(wire.summary, at, "summary"), losses)?;
    let visible = match (full.is_empty(), summary.is_empty()) {
        (false, _) => VisibleReasoning::Full(full),
        (true, false) => VisibleReasoning::Summary(summary),
        (true, true) => VisibleReasoning::None,
    };
    Ok(Item::Reasoning(Reasoning {
        visible,
        sealed: field(wire.encrypted_content, at, "encrypted_content").text()?,
        state: Vec::new(),
    }))
}

pub(super) fn call_id<'a>(wire: &WireItem<'a>, at: &At<'_>) -> Result<Cow<'a, str>, Fault> {
    field(wire.call_id, at, "call_id").required_name()
}

fn call<'a>(wire: &WireItem<'a>, at: &At<'_>, input: CallInput<'a>) -> Result<Item<'a>, Fault> {
    Ok(Item::Call(Call {
        id: call_id(wire, at)?,
        name: field(wire.name, at, "name").required_name()?,
        namespace: namespace(field(wire.namespace, at, "namespace"))?,
        input,
    }))
}

fn function_call<'a>(wire: &WireItem<'a>, at: &At<'_>) -> Result<Item<'a>, Fault> {
    let arguments = field(wire.arguments, at, "arguments").required_text()?;
    call(wire, at, CallInput::Arguments(arguments))
}

fn custom_tool_call<'a>(wire: &WireItem<'a>, at: &At<'_>) -> Result<Item<'a>, Fault> {
    let input = field(wire.input, at, "input").required_text()?;
    call(wire, at, CallInput::Freeform(input))
}

fn output<'a>(wire: &WireItem<'a>, at: &At<'_>) -> Result<Item<'a>, Fault> {
    Ok(Item::Result(ToolResult {
        call_id: call_id(wire, at)?,
        parts: parts(field(wire.output, at, "output"))?,
        tools_loaded: Vec::new(),
        is_error: false,
    }))
}

/// A search for tools. One without a call id was carried out by the provider of an earlier turn.
fn tool_search_call<'a>(wire: &WireItem<'a>, at: &At<'_>) -> Result<Item<'a>, Fault> {
    let arguments = field(wire.arguments, at, "arguments").required_object_as_written()?;
    if wire.call_id.is_none() {
        return Ok(Item::HostedCall {
            tag: Cow::Borrowed("tool_search_call"),
            summary: Text::EMPTY,
        });
    }
    Ok(Item::Call(Call {
        id: call_id(wire, at)?,
        name: Cow::Borrowed(SEARCH_NAME),
        namespace: None,
        input: CallInput::Search(arguments),
    }))
}

/// What a search found. Whoever renders the conversation writes the list for the model, since it knows the names on the wire.
fn tool_search_output<'a>(wire: &WireItem<'a>, at: &At<'_>) -> Result<Item<'a>, Fault> {
    let tools = tools_of_item(field(wire.tools, at, "tools"))?;
    if wire.call_id.is_none() {
        return Ok(Item::ToolsAdded(tools));
    }
    Ok(Item::Result(ToolResult {
        call_id: call_id(wire, at)?,
        parts: Vec::new(),
        tools_loaded: tools,
        is_error: false,
    }))
}

#[cold]
fn item_reference(wire: &WireItem<'_>, at: &At<'_>) -> Fault {
    let id = field(wire.id, at, "id");
    match id.required_name() {
        Ok(name) => id.at().fault(format_args!(
            "refers to the stored item `{}`, but items are not stored here: send the item itself",
            quoted(&name)
        )),
        Err(fault) => fault,
    }
}

/// Finds the text of single items, with one more pass over the body when the first of them is asked for.
struct AsWritten<'a> {
    body: &'a str,
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OnlyInput<'a> {
    #[serde(borrow)]
    input: Vec<&'a RawValue>,
}

impl<'a> AsWritten<'a> {
    fn item(&mut self, index: usize) -> Result<Json<'a>, Fault> {
        let items = match self.items.take() {
            Some(items) => items,
            None => read::<OnlyInput<'a>>(self.body, &At::Body)?.input,
        };
        let raw = items.get(index).map_or("null", |raw| raw.get());
        self.items = Some(items);
        Ok(Json::new(raw))
    }
}

/// The text of a part that only carries text, for items whose output is one string or something else.
pub(super) fn text_or_json<'a>(output: Field<'a, '_>) -> Result<Vec<Part<'a>>, Fault> {
    if !output.is_set() {
        return Ok(Vec::new());
    }
    let raw = output.required()?;
    Ok(vec![Part::Text(match first_byte(raw) {
        b'"' => output.required_text()?,
        _ => Text::plain(raw.get()),
    })])
}
