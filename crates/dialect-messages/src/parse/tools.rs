//! The tools that a model is offered.

use std::borrow::Cow;

use polywire_conversation::{Fault, Function, Json, Tool};
use polywire_wire::{At, Field, field, first_byte, object, wire_object};
use serde_json::value::RawValue;

use super::notes::Notes;
use super::typed_tools;

wire_object! {
    WireTool {
        tag: "type",
        name: "name",
        description: "description",
        input_schema: "input_schema",
        strict: "strict",
        defer_loading: "defer_loading",
        input_examples: "input_examples",
        allowed_callers: "allowed_callers",
        cache_control: "cache_control",
        max_uses: "max_uses",
        display_width_px: "display_width_px",
        display_height_px: "display_height_px",
    }
}

/// A list of tools.
pub(super) fn tools<'a>(
    list: &[&'a RawValue],
    at: &At<'_>,
    notes: &mut Notes,
) -> Result<Vec<Tool<'a>>, Fault> {
    list.iter()
        .enumerate()
        .map(|(index, raw)| tool(raw, &at.index(index), notes))
        .collect()
}

/// One tool.
pub(super) fn tool<'a>(
    raw: &'a RawValue,
    at: &At<'_>,
    notes: &mut Notes,
) -> Result<Tool<'a>, Fault> {
    let wire: WireTool<'a> = object(raw, at)?;
    notes.cache_mark(wire.cache_control.is_some());
    note_callers(field(wire.allowed_callers, at, "allowed_callers"), notes)?;
    let tag = field(wire.tag, at, "type").name()?;
    let Some(tag) = tag.filter(|tag| tag != "custom") else {
        return custom(&wire, at, notes);
    };
    if let Some(known) = typed_tools::client_run(&tag) {
        let name = field(wire.name, at, "name").name()?;
        return Ok(Tool::Function(Function {
            name: name.unwrap_or(Cow::Borrowed(known.name)),
            description: Some(typed_tools::description(
                known,
                field(wire.display_width_px, at, "display_width_px").count()?,
                field(wire.display_height_px, at, "display_height_px").count()?,
            )),
            parameters: Some(Json::new(known.schema)),
            strict: None,
            deferred: deferred(&wire, at)?,
        }));
    }
    let raw = Json::new(raw.get());
    Ok(match typed_tools::hosted(&tag) {
        Some(neutral) => Tool::Hosted {
            tag: Cow::Borrowed(neutral),
            raw,
        },
        None => Tool::Unknown { tag, raw },
    })
}

/// A tool of the client's own.
fn custom<'a>(wire: &WireTool<'a>, at: &At<'_>, notes: &mut Notes) -> Result<Tool<'a>, Fault> {
    let examples = field(wire.input_examples, at, "input_examples");
    if examples.is_set() {
        notes.note(
            examples.at().to_string(),
            "left out: other protocols have no place for examples",
        );
    }
    Ok(Tool::Function(Function {
        name: field(wire.name, at, "name").required_name()?,
        description: field(wire.description, at, "description").text()?,
        parameters: Some(
            field(wire.input_schema, at, "input_schema").required_object_as_written()?,
        ),
        strict: field(wire.strict, at, "strict").flag()?,
        deferred: deferred(wire, at)?,
    }))
}

fn deferred(wire: &WireTool<'_>, at: &At<'_>) -> Result<bool, Fault> {
    let flag = field(wire.defer_loading, at, "defer_loading").flag()?;
    Ok(flag.unwrap_or(false))
}

/// A tool that only the provider's code execution may call is offered to the model itself, which nobody asked for.
fn note_callers(callers: Field<'_, '_>, notes: &mut Notes) -> Result<(), Fault> {
    let mut others = false;
    for raw in callers.elements()? {
        others |= first_byte(raw) == b'"' && raw.get() != "\"direct\"";
    }
    if others {
        notes.degraded(
            callers.at().to_string(),
            "left out: only the model itself can call tools",
        );
    }
    Ok(())
}
