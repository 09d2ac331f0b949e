//! Tools that come and go in the middle of a conversation (beta `mid-conversation-tool-changes-2026-07-01`).

use polywire_conversation::{Fault, Item, Role};
use polywire_wire::{Field, field, quoted, wire_object};

use super::blocks::declared;
use super::messages::Reader;
use super::tools;

wire_object! {
    WireChange {
        tag: "type",
        name: "name",
        definition: "definition",
    }
}

/// A tool is offered from here on: one of the request's own, by its name, or one that is defined here.
pub(super) fn addition<'a>(
    reader: &mut Reader<'a, '_>,
    role: Role,
    change: Field<'a, '_>,
) -> Result<(), Fault> {
    let at = change.at();
    let wire: WireChange<'a> = polywire_wire::object(change.required()?, at)?;
    let tag = field(wire.tag, at, "type").required_name()?;
    let tool = match &*tag {
        "tool_definition" => {
            let definition = field(wire.definition, at, "definition");
            let tool = tools::tool(definition.required()?, definition.at(), reader.notes)?;
            Some(tool)
        }
        "tool_reference" => {
            let name = field(wire.name, at, "name").required_name()?;
            declared(&name, reader.tools)
        }
        _ => None,
    };
    match tool {
        Some(tool) => reader.item(role, Item::ToolsAdded(vec![tool])),
        None => reader.notes.degraded(
            at.to_string(),
            format!("left out: no tool is known by this `{}`", quoted(&tag)),
        ),
    }
    Ok(())
}

/// A tool is withdrawn from here on. Tools are offered for the whole of a turn, so it stays.
pub(super) fn removal<'a>(reader: &mut Reader<'a, '_>, change: Field<'a, '_>) -> Result<(), Fault> {
    let at = change.at();
    let wire: WireChange<'a> = polywire_wire::object(change.required()?, at)?;
    let name = field(wire.name, at, "name").name()?.unwrap_or_default();
    reader.notes.degraded(
        at.to_string(),
        format!("left out: `{}` is still offered", quoted(&name)),
    );
    Ok(())
}
