//! Messages to items of a conversation.

use std::borrow::Cow;

use polywire_conversation::{
    Call, CallInput, Fault, Instruction, Item, Loss, Message, Part, Role, Text, ToolResult, ids,
};

use super::parts::parts;
use super::reasoning;
use polywire_wire::{At, Field, Many, field, quoted, read, wire_object};

wire_object! {
    /// Every member that a message of any role has. One struct for all, so that a message is read in one pass, whatever comes first,
    /// its role or its text; what the members must be is decided by the role afterwards.
    WireMessage {
        role: "role",
        content: "content",
        name: "name",
        tool_calls: "tool_calls",
        tool_call_id: "tool_call_id",
        function_call: "function_call",
        refusal: "refusal",
        audio: "audio",
        reasoning_content: "reasoning_content",
        reasoning: "reasoning",
        reasoning_details: "reasoning_details",
    }
}

/// Reads all messages of a request.
pub(super) fn items<'a>(
    wires: Option<Vec<WireMessage<'a>>>,
    losses: &mut Vec<Loss>,
) -> Result<Vec<Item<'a>>, Fault> {
    let messages = At::Body.key("messages");
    let wires = wires.ok_or_else(|| messages.fault("is required"))?;
    if wires.is_empty() {
        return Err(messages.fault("must not be empty"));
    }
    let mut reader = Reader {
        items: Vec::with_capacity(wires.len()),
        losses,
        names: 0,
        cache_marks: 0,
        calls_without_id: Vec::new(),
    };
    for (index, wire) in wires.iter().enumerate() {
        reader.message(wire, &messages.index(index), index)?;
    }
    let Reader {
        items,
        losses,
        names,
        cache_marks,
        ..
    } = reader;
    if names > 0 {
        losses.push(Loss::note(
            "messages: name",
            format!("left out of {names} messages: a speaker goes by role only"),
        ));
    }
    if cache_marks > 0 {
        losses.push(Loss::note(
            "messages: cache_control",
            format!(
                "left out of {cache_marks} parts: marks of what a cache is to keep are not carried"
            ),
        ));
    }
    Ok(items)
}

struct Reader<'a, 'l> {
    items: Vec<Item<'a>>,
    losses: &'l mut Vec<Loss>,
    /// How many messages name their speaker.
    names: usize,
    /// How many parts mark the end of what is to be kept in a cache.
    cache_marks: usize,
    /// Calls in the form before there were tools, which have no id, as far as nothing has answered them: name and the id that
    /// they were given.
    calls_without_id: Vec<(Cow<'a, str>, String)>,
}

impl<'a> Reader<'a, '_> {
    fn message(&mut self, wire: &WireMessage<'a>, at: &At<'_>, index: usize) -> Result<(), Fault> {
        let role = field(wire.role, at, "role");
        match &*role.required_name()? {
            "system" => self.said(Role::Instructor(Instruction::System), wire, at),
            "developer" => self.said(Role::Instructor(Instruction::Developer), wire, at),
            "user" => self.said(Role::User, wire, at),
            "assistant" => self.assistant(wire, at, index),
            "tool" => self.tool(wire, at),
            "function" => self.function(wire, at, index),
            other => Err(role.at().fault(format_args!(
                "must be `system`, `developer`, `user`, `assistant`, `tool` or `function`, not `{}`",
                quoted(other)
            ))),
        }
    }

    fn said(&mut self, role: Role, wire: &WireMessage<'a>, at: &At<'_>) -> Result<(), Fault> {
        let content = field(wire.content, at, "content");
        content.required()?;
        self.count_name(wire, at)?;
        let parts = parts(content, &mut self.cache_marks)?;
        self.push(role, parts);
        Ok(())
    }

    fn push(&mut self, role: Role, parts: Vec<Part<'a>>) {
        self.items.push(Item::Message(Message {
            role,
            parts,
            phase: None,
        }));
    }

    fn count_name(&mut self, wire: &WireMessage<'a>, at: &At<'_>) -> Result<(), Fault> {
        if field(wire.name, at, "name").text()?.is_some() {
            self.names += 1;
        }
        Ok(())
    }

    /// What the model thought, said and called, in this order: a message has no other.
    fn assistant(
        &mut self,
        wire: &WireMessage<'a>,
        at: &At<'_>,
        index: usize,
    ) -> Result<(), Fault> {
        self.count_name(wire, at)?;
        let reasoning = reasoning::items(wire, at, self.losses)?;
        self.items.extend(reasoning);
        let mut said = parts(field(wire.content, at, "content"), &mut self.cache_marks)?;
        said.extend(
            field(wire.refusal, at, "refusal")
                .text()?
                .map(Part::Refusal),
        );
        if !said.is_empty() {
            self.push(Role::Assistant, said);
        }
        let audio = field(wire.audio, at, "audio");
        if audio.object_as_written()?.is_some() {
            self.losses.push(Loss::degraded(
                audio.at().to_string(),
                "left out: what the model said aloud is kept by its provider only",
            ));
        }
        self.tool_calls(field(wire.tool_calls, at, "tool_calls"))?;
        self.function_call(field(wire.function_call, at, "function_call"), index)
    }

    fn tool_calls(&mut self, list: Field<'a, '_>) -> Result<(), Fault> {
        if !list.is_set() {
            return Ok(());
        }
        let Many(wires) = read::<Many<WireCall<'a>>>(list.required()?.get(), list.at())?;
        for (index, wire) in wires.iter().enumerate() {
            let call = call(wire, &list.at().index(index))?;
            self.items.push(Item::Call(call));
        }
        Ok(())
    }

    /// A call in the form before there were tools. It has no id, so it gets one made of its place, which is the same in the next
    /// request.
    fn function_call(&mut self, call: Field<'a, '_>, index: usize) -> Result<(), Fault> {
        let Some(wire) = call.object::<WireCalled<'a>>()? else {
            return Ok(());
        };
        let (name, input) = function(&wire, call.at())?;
        let id = ids::made_from(&format!("{index} {name}"));
        self.calls_without_id.push((name.clone(), id.clone()));
        self.items.push(Item::Call(Call {
            id: Cow::Owned(id),
            name,
            namespace: None,
            input,
        }));
        Ok(())
    }

    fn tool(&mut self, wire: &WireMessage<'a>, at: &At<'_>) -> Result<(), Fault> {
        let id = field(wire.tool_call_id, at, "tool_call_id").required_name()?;
        // Some clients name the tool here. The call that the id belongs to does so already.
        field(wire.name, at, "name").text()?;
        self.result(id, wire, at)
    }

    /// A result in the form before there were tools. It belongs to the first call of its name that nothing has answered.
    fn function(&mut self, wire: &WireMessage<'a>, at: &At<'_>, index: usize) -> Result<(), Fault> {
        let name = field(wire.name, at, "name").required_name()?;
        let waiting = self
            .calls_without_id
            .iter()
            .position(|(called, _)| *called == name);
        let id = match waiting {
            Some(place) => self.calls_without_id.remove(place).1,
            None => ids::made_from(&format!("{index} {name}")),
        };
        self.result(Cow::Owned(id), wire, at)
    }

    fn result(
        &mut self,
        id: Cow<'a, str>,
        wire: &WireMessage<'a>,
        at: &At<'_>,
    ) -> Result<(), Fault> {
        // A tool that says nothing has null here with some clients.
        let parts = parts(field(wire.content, at, "content"), &mut self.cache_marks)?;
        self.items.push(Item::Result(ToolResult {
            call_id: id,
            parts,
            tools_loaded: Vec::new(),
            is_error: false,
        }));
        Ok(())
    }
}

wire_object! {
    WireCall {
        tag: "type",
        id: "id",
        function: "function",
        custom: "custom",
    }
}

wire_object! {
    WireCalled {
        name: "name",
        arguments: "arguments",
        input: "input",
    }
}

fn call<'a>(wire: &WireCall<'a>, at: &At<'_>) -> Result<Call<'a>, Fault> {
    let tag = field(wire.tag, at, "type");
    let id = field(wire.id, at, "id").required_name()?;
    let (name, input) = match tag.name()?.as_deref() {
        // Some clients leave the type out, as streams do from the second chunk of a call on.
        Some("function") | None => {
            let called = field(wire.function, at, "function");
            called.required()?;
            let wire = called.object::<WireCalled<'a>>()?.unwrap_or_default();
            function(&wire, called.at())?
        }
        Some("custom") => {
            let called = field(wire.custom, at, "custom");
            called.required()?;
            let wire = called.object::<WireCalled<'a>>()?.unwrap_or_default();
            let input = field(wire.input, called.at(), "input").required_text()?;
            let name = field(wire.name, called.at(), "name").required_name()?;
            (name, CallInput::Freeform(input))
        }
        Some(other) => {
            return Err(tag.at().fault(format_args!(
                "must be `function` or `custom`, not `{}`",
                quoted(other)
            )));
        }
    };
    Ok(Call {
        id,
        name,
        namespace: None,
        input,
    })
}

/// The name and the arguments of a function that was called. No arguments are an empty object.
fn function<'a>(
    wire: &WireCalled<'a>,
    at: &At<'_>,
) -> Result<(Cow<'a, str>, CallInput<'a>), Fault> {
    let name = field(wire.name, at, "name").required_name()?;
    let arguments = field(wire.arguments, at, "arguments").text()?;
    let arguments = arguments
        .filter(|arguments| !arguments.is_empty())
        .unwrap_or_else(|| Text::plain("{}"));
    Ok((name, CallInput::Arguments(arguments)))
}
