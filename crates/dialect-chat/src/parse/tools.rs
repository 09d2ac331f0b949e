//! The tools that a model is offered, and which of them it may or must call.

use std::borrow::Cow;

use polywire_conversation::{Fault, Function, Grammar, Json, Text, Tool, ToolChoice};
use serde_json::value::RawValue;

use polywire_wire::{
    At, Field, Object, field, first_byte, name, object, quoted, wire_object, wrong_type,
};

wire_object! {
    WireTool {
        tag: "type",
        function: "function",
        custom: "custom",
    }
}

wire_object! {
    WireFunction {
        name: "name",
        description: "description",
        parameters: "parameters",
        strict: "strict",
        format: "format",
    }
}

/// `tools`.
pub(super) fn tools<'a>(list: Field<'a, '_>) -> Result<Vec<Tool<'a>>, Fault> {
    each(list, tool)
}

/// `functions`, the form before there were tools.
pub(super) fn functions<'a>(list: Field<'a, '_>) -> Result<Vec<Tool<'a>>, Fault> {
    each(list, |raw, at| {
        let wire: WireFunction<'a> = object(raw, at)?;
        function(&wire, at).map(Tool::Function)
    })
}

fn each<'a>(
    list: Field<'a, '_>,
    read: impl Fn(&'a RawValue, &At<'_>) -> Result<Tool<'a>, Fault>,
) -> Result<Vec<Tool<'a>>, Fault> {
    list.elements()?
        .into_iter()
        .enumerate()
        .map(|(index, raw)| read(raw, &list.at().index(index)))
        .collect()
}

fn tool<'a>(raw: &'a RawValue, at: &At<'_>) -> Result<Tool<'a>, Fault> {
    let wire: WireTool<'a> = object(raw, at)?;
    let tag = field(wire.tag, at, "type").required_name()?;
    Ok(match &*tag {
        "function" => {
            let inner = field(wire.function, at, "function");
            let wire: WireFunction<'a> = object(inner.required()?, inner.at())?;
            Tool::Function(function(&wire, inner.at())?)
        }
        "custom" => {
            let inner = field(wire.custom, at, "custom");
            let wire: WireFunction<'a> = object(inner.required()?, inner.at())?;
            freeform(&wire, inner.at())?
        }
        // Some services of this protocol search the web by themselves and call the tool so.
        hosted if hosted.starts_with("web_search") => Tool::Hosted {
            raw: Json::new(raw.get()),
            tag,
        },
        _ => Tool::Unknown {
            raw: Json::new(raw.get()),
            tag,
        },
    })
}

fn function<'a>(wire: &WireFunction<'a>, at: &At<'_>) -> Result<Function<'a>, Fault> {
    Ok(Function {
        name: field(wire.name, at, "name").required_name()?,
        description: description(wire, at)?,
        parameters: field(wire.parameters, at, "parameters").object_as_written()?,
        strict: field(wire.strict, at, "strict").flag()?,
        deferred: false,
    })
}

fn freeform<'a>(wire: &WireFunction<'a>, at: &At<'_>) -> Result<Tool<'a>, Fault> {
    Ok(Tool::Freeform {
        name: field(wire.name, at, "name").required_name()?,
        description: description(wire, at)?,
        grammar: grammar(field(wire.format, at, "format"))?,
    })
}

fn description<'a>(wire: &WireFunction<'a>, at: &At<'_>) -> Result<Option<Text<'a>>, Fault> {
    field(wire.description, at, "description").text()
}

wire_object! {
    WireFormat {
        tag: "type",
        grammar: "grammar",
    }
}

wire_object! {
    WireGrammar {
        syntax: "syntax",
        definition: "definition",
    }
}

/// What the text of a freeform tool must look like; nothing when any text will do.
fn grammar<'a>(format: Field<'a, '_>) -> Result<Option<Grammar<'a>>, Fault> {
    let Some(wire) = format.object::<WireFormat<'a>>()? else {
        return Ok(None);
    };
    let tag = field(wire.tag, format.at(), "type");
    match &*tag.required_name()? {
        "text" => Ok(None),
        "grammar" => {
            let inner = field(wire.grammar, format.at(), "grammar");
            let wire: WireGrammar<'a> = object(inner.required()?, inner.at())?;
            Ok(Some(Grammar {
                syntax: field(wire.syntax, inner.at(), "syntax").required_name()?,
                definition: field(wire.definition, inner.at(), "definition").required_text()?,
            }))
        }
        _ => Err(tag.at().fault("must be `text` or `grammar`")),
    }
}

wire_object! {
    WireSearch {
        context_size: "search_context_size",
        location: "user_location",
    }
}

wire_object! {
    WireLocation {
        approximate: "approximate",
    }
}

/// `web_search_options` as the tool that it stands for, in the form that the tool has in a list of tools.
pub(super) fn web_search<'a>(options: Field<'a, '_>) -> Result<Option<Tool<'a>>, Fault> {
    let Some(wire) = options.object::<WireSearch<'a>>()? else {
        return Ok(None);
    };
    let mut raw = Vec::new();
    let mut tool = Object::open(&mut raw);
    tool.string("type", "web_search");
    if let Some(size) = field(wire.context_size, options.at(), "search_context_size").text()? {
        tool.text("search_context_size", &size);
    }
    let location = field(wire.location, options.at(), "user_location");
    if let Some(wire) = location.object::<WireLocation<'a>>()? {
        let place = field(wire.approximate, location.at(), "approximate").object_as_written()?;
        let place = place.as_ref().map_or("{}", Json::as_str);
        write_location(place, tool.member("user_location"));
    }
    tool.close();
    Ok(Some(Tool::Hosted {
        tag: "web_search".into(),
        raw: Json::new(String::from_utf8_lossy(&raw).into_owned()),
    }))
}

/// Writes a place with its kind in front of its own members, where lists of tools have it.
fn write_location(place: &str, out: &mut Vec<u8>) {
    let members = place.trim_start_matches('{').trim_start();
    out.extend_from_slice(b"{\"type\":\"approximate\"");
    if !members.starts_with('}') {
        out.push(b',');
    }
    out.extend_from_slice(members.as_bytes());
}

wire_object! {
    WireChoice {
        tag: "type",
        function: "function",
        custom: "custom",
        allowed_tools: "allowed_tools",
    }
}

wire_object! {
    WireName {
        name: "name",
    }
}

wire_object! {
    WireAllowed {
        mode: "mode",
        tools: "tools",
    }
}

/// `tool_choice`: a word, or an object that names one tool, several tools, or a tool of the provider.
pub(super) fn tool_choice<'a>(choice: Field<'a, '_>) -> Result<ToolChoice<'a>, Fault> {
    if !choice.is_set() {
        return Ok(ToolChoice::Unset);
    }
    let raw = choice.required()?;
    match first_byte(raw) {
        b'"' => match &*name(raw, choice.at())? {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            // Mistral's clients say `any`.
            "required" | "any" => Ok(ToolChoice::Required),
            word => Err(choice.at().fault(format_args!(
                "must be `none`, `auto`, `required` or an object, not `{}`",
                quoted(word)
            ))),
        },
        b'{' => chosen_tool(raw, choice.at()),
        _ => Err(wrong_type(raw, choice.at(), "a string or an object")),
    }
}

fn chosen_tool<'a>(raw: &'a RawValue, at: &At<'_>) -> Result<ToolChoice<'a>, Fault> {
    let wire: WireChoice<'a> = object(raw, at)?;
    let tag = field(wire.tag, at, "type").required_name()?;
    match &*tag {
        "function" => named(field(wire.function, at, "function")),
        "custom" => named(field(wire.custom, at, "custom")),
        "allowed_tools" => allowed(field(wire.allowed_tools, at, "allowed_tools")),
        _ => Ok(ToolChoice::Hosted(tag)),
    }
}

fn named<'a>(tool: Field<'a, '_>) -> Result<ToolChoice<'a>, Fault> {
    Ok(ToolChoice::Named {
        name: named_tool(tool)?,
        namespace: None,
    })
}

fn named_tool<'a>(tool: Field<'a, '_>) -> Result<Cow<'a, str>, Fault> {
    let wire: WireName<'a> = object(tool.required()?, tool.at())?;
    field(wire.name, tool.at(), "name").required_name()
}

fn allowed<'a>(allowed: Field<'a, '_>) -> Result<ToolChoice<'a>, Fault> {
    let wire: WireAllowed<'a> = object(allowed.required()?, allowed.at())?;
    let mode = field(wire.mode, allowed.at(), "mode");
    let required = match mode.name()?.as_deref() {
        Some("required") => true,
        Some("auto") | None => false,
        Some(_) => return Err(mode.at().fault("must be `auto` or `required`")),
    };
    let list = field(wire.tools, allowed.at(), "tools");
    let mut names = Vec::new();
    for (index, raw) in list.elements()?.into_iter().enumerate() {
        names.push(allowed_name(raw, &list.at().index(index))?);
    }
    Ok(ToolChoice::Allowed { required, names })
}

/// The name of an allowed tool; a tool of the provider goes by its type.
fn allowed_name<'a>(raw: &'a RawValue, at: &At<'_>) -> Result<Cow<'a, str>, Fault> {
    let wire: WireTool<'a> = object(raw, at)?;
    let tag = field(wire.tag, at, "type").required_name()?;
    match &*tag {
        "function" => named_tool(field(wire.function, at, "function")),
        "custom" => named_tool(field(wire.custom, at, "custom")),
        _ => Ok(tag),
    }
}

/// `function_call`, the choice before there were tools: a word, or an object with a name.
pub(super) fn function_choice<'a>(choice: Field<'a, '_>) -> Result<ToolChoice<'a>, Fault> {
    if !choice.is_set() {
        return Ok(ToolChoice::Unset);
    }
    let raw = choice.required()?;
    match first_byte(raw) {
        b'"' => match &*name(raw, choice.at())? {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            word => Err(choice.at().fault(format_args!(
                "must be `none`, `auto` or an object, not `{}`",
                quoted(word)
            ))),
        },
        b'{' => named(choice),
        _ => Err(wrong_type(raw, choice.at(), "a string or an object")),
    }
}
