//! The tools that a model is offered.

use std::borrow::Cow;

use polywire_conversation::{
    Fault, Function, Grammar, Item, Json, Request, Text, Tool, ToolChoice,
};
use serde_json::value::RawValue;

use polywire_wire::wire_object;
use polywire_wire::{At, Field, field, object};

wire_object! {
    WireTool {
        tag: "type",
        name: "name",
        description: "description",
        parameters: "parameters",
        strict: "strict",
        defer_loading: "defer_loading",
        format: "format",
        execution: "execution",
        tools: "tools",
    }
}

/// A list of tools.
pub(super) fn tools<'a>(list: &[&'a RawValue], at: &At<'_>) -> Result<Vec<Tool<'a>>, Fault> {
    each(list, at, Level::Top)
}

/// The tools that an item brings along.
pub(super) fn tools_of_item<'a>(list: Field<'a, '_>) -> Result<Vec<Tool<'a>>, Fault> {
    each(&list.elements()?, list.at(), Level::Top)
}

/// Namespaces hold tools and no namespaces; one inside another is read without its tools, and offering it becomes a loss.
#[derive(Clone, Copy)]
enum Level {
    Top,
    Namespace,
}

fn each<'a>(list: &[&'a RawValue], at: &At<'_>, level: Level) -> Result<Vec<Tool<'a>>, Fault> {
    list.iter()
        .enumerate()
        .map(|(index, raw)| tool(raw, &at.index(index), level))
        .collect()
}

fn tool<'a>(raw: &'a RawValue, at: &At<'_>, level: Level) -> Result<Tool<'a>, Fault> {
    let wire: WireTool<'a> = object(raw, at)?;
    let tag = field(wire.tag, at, "type").required_name()?;
    Ok(match &*tag {
        "function" => Tool::Function(function(&wire, at)?),
        "custom" => Tool::Freeform {
            name: field(wire.name, at, "name").required_name()?,
            description: description(&wire, at)?,
            grammar: grammar(field(wire.format, at, "format"))?,
        },
        "namespace" => Tool::Namespace {
            name: field(wire.name, at, "name").required_name()?,
            description: description(&wire, at)?,
            tools: match level {
                Level::Top => {
                    let inner = field(wire.tools, at, "tools");
                    each(&inner.elements()?, inner.at(), Level::Namespace)?
                }
                Level::Namespace => Vec::new(),
            },
        },
        "tool_search" if is_client_search(&wire, at)? => Tool::Search {
            description: description(&wire, at)?,
            parameters: field(wire.parameters, at, "parameters").object_as_written()?,
        },
        hosted if is_hosted(hosted) => Tool::Hosted {
            raw: Json::new(raw.get()),
            tag,
        },
        _ => Tool::Unknown {
            raw: Json::new(raw.get()),
            tag,
        },
    })
}

/// Tools that the provider carries out, and tools with wire types of their own (shells, typed patches) whose calls could not
/// come back in the form that their client waits for.
fn is_hosted(tag: &str) -> bool {
    matches!(
        tag,
        "tool_search"
            | "file_search"
            | "code_interpreter"
            | "image_generation"
            | "mcp"
            | "programmatic_tool_calling"
            | "local_shell"
            | "shell"
            | "apply_patch"
    ) || tag.starts_with("web_search")
        || tag.starts_with("computer")
}

fn is_client_search(wire: &WireTool<'_>, at: &At<'_>) -> Result<bool, Fault> {
    let execution = field(wire.execution, at, "execution").name()?;
    Ok(execution.as_deref() == Some("client"))
}

fn function<'a>(wire: &WireTool<'a>, at: &At<'_>) -> Result<Function<'a>, Fault> {
    Ok(Function {
        name: field(wire.name, at, "name").required_name()?,
        description: description(wire, at)?,
        parameters: field(wire.parameters, at, "parameters").object_as_written()?,
        strict: field(wire.strict, at, "strict").flag()?,
        deferred: field(wire.defer_loading, at, "defer_loading")
            .flag()?
            .unwrap_or(false),
    })
}

fn description<'a>(wire: &WireTool<'a>, at: &At<'_>) -> Result<Option<Text<'a>>, Fault> {
    field(wire.description, at, "description").text()
}

wire_object! {
    WireFormat {
        tag: "type",
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
        "grammar" => Ok(Some(Grammar {
            syntax: field(wire.syntax, format.at(), "syntax").required_name()?,
            definition: field(wire.definition, format.at(), "definition").required_text()?,
        })),
        _ => Err(tag.at().fault("must be `text` or `grammar`")),
    }
}

/// The namespace of a tool that is called or chosen.
pub(super) fn namespace<'a>(field: Field<'a, '_>) -> Result<Option<Cow<'a, str>>, Fault> {
    let name = field.name()?;
    Ok(name.filter(|name| !name.is_empty()))
}

/// Calls in the namespace `functions` are calls without one, as far as the request declares no namespace of that name: Codex
/// gives its own tools that name in code mode, and uses it for the absence of a namespace otherwise (codex-cli 0.169.0,
/// November 2026).
pub(super) fn settle_default_namespace(request: &mut Request<'_>) {
    const DEFAULT: &str = "functions";
    let is_declared =
        |tool: &Tool<'_>| matches!(tool, Tool::Namespace { name, .. } if name == DEFAULT);
    if request.all_tools().any(is_declared) {
        return;
    }
    let settle = |namespace: &mut Option<Cow<'_, str>>| {
        if namespace.as_deref() == Some(DEFAULT) {
            *namespace = None;
        }
    };
    for item in &mut request.items {
        if let Item::Call(call) = item {
            settle(&mut call.namespace);
        }
    }
    if let ToolChoice::Named { namespace, .. } = &mut request.tool_choice {
        settle(namespace);
    }
}
