//! What each tool looks like to the provider.

use std::collections::HashSet;

use polywire_conversation::tools::{FREEFORM_PARAMETERS, NO_PARAMETERS, SEARCH_PARAMETERS};
use polywire_conversation::{Function, Grammar, Json, Ledger, Loss, Text, Tool};
use polywire_wire::{Object, write_array, write_string};

use super::{Collector, Entry, Single, Style};
use crate::profile::Profile;
use crate::render::Losses;
use crate::render::choice::{Choice, Chosen};
use crate::render::format::write_schema;

/// Writes `tools` and `tool_choice`; neither when there is no tool, because an empty list is refused by several providers and a
/// choice without tools by most.
pub(in crate::render) fn write(
    chosen: &Chosen<'_>,
    ledger: &Ledger,
    profile: &Profile,
    body: &mut Object<'_>,
    losses: &mut Losses,
) {
    if chosen.tools.is_empty() {
        return;
    }
    let style = Style { profile, ledger };
    write_array(&chosen.tools, body.member("tools"), |entry, out| {
        write_entry(entry, style, losses, out);
    });
    match &chosen.choice {
        Choice::Unset => {}
        Choice::Word(word) => body.string("tool_choice", word),
        Choice::Object(object) => body.raw("tool_choice", object),
    }
}

/// Writes the tools that a search has found, for a provider that knows the search.
pub(in crate::render) fn write_loaded(
    tools: &[Tool<'_>],
    style: Style<'_>,
    losses: &mut Losses,
    out: &mut Vec<u8>,
) {
    let mut entries = Vec::new();
    let mut collector = Collector {
        profile: style.profile,
        ledger: style.ledger,
        refused: &[],
        with_deferred: true,
        seen: HashSet::new(),
        losses,
    };
    collector.add_all(tools, &mut entries);
    write_array(&entries, out, |entry, out| {
        write_entry(entry, style, losses, out);
    });
}

fn write_entry(entry: &Entry<'_>, style: Style<'_>, losses: &mut Losses, out: &mut Vec<u8>) {
    match entry {
        Entry::Passing { raw, .. } => raw.write(out),
        Entry::Single(single) => {
            write_single(single, single.wire_name(style.ledger), style, losses, out);
        }
        Entry::Group {
            name,
            description,
            tools,
        } => {
            let mut group = Object::open(out);
            group.string("type", "namespace");
            group.string("name", name);
            // The description is required where namespaces are known.
            match description {
                Some(description) => group.text("description", description),
                None => group.string("description", ""),
            }
            write_array(tools, group.member("tools"), |single, out| {
                write_single(single, single.name, style, losses, out);
            });
            group.close();
        }
    }
}

fn write_single(
    single: &Single<'_>,
    name: &str,
    style: Style<'_>,
    losses: &mut Losses,
    out: &mut Vec<u8>,
) {
    let profile = style.profile;
    let mut tool = Object::open(out);
    match single.tool {
        Tool::Function(function) => write_function(single, function, name, profile, losses, tool),
        Tool::Freeform {
            description,
            grammar,
            ..
        } if profile.freeform_tools => {
            tool.string("type", "custom");
            tool.string("name", name);
            write_description(single, description.as_ref(), None, &mut tool);
            if let Some(grammar) = grammar {
                let mut format = Object::open(tool.member("format"));
                format.string("type", "grammar");
                format.string("syntax", &grammar.syntax);
                format.text("definition", &grammar.definition);
                format.close();
            }
            tool.close();
        }
        Tool::Freeform {
            description,
            grammar,
            ..
        } => {
            tool.string("type", "function");
            tool.string("name", name);
            let how = freeform_hint(grammar.as_ref());
            write_description(single, description.as_ref(), Some(&how), &mut tool);
            tool.raw("parameters", FREEFORM_PARAMETERS);
            if profile.strict_tools {
                tool.flag("strict", false);
            }
            tool.close();
            if grammar.is_some() {
                losses.add(Loss::note(
                    format!("tool `{name}`"),
                    "offered as a function; its grammar is told to the model but not enforced",
                ));
            }
        }
        Tool::Search {
            description,
            parameters,
        } => {
            if profile.tool_search {
                tool.string("type", "tool_search");
                tool.string("execution", "client");
            } else {
                tool.string("type", "function");
                tool.string("name", name);
            }
            write_description(single, description.as_ref(), None, &mut tool);
            let parameters = parameters.as_ref();
            write_parameters(parameters, SEARCH_PARAMETERS, profile, losses, &mut tool);
            tool.close();
        }
        // Never collected as something that can be called.
        Tool::Namespace { .. } | Tool::Hosted { .. } | Tool::Unknown { .. } => tool.close(),
    }
}

fn write_function(
    single: &Single<'_>,
    function: &Function<'_>,
    name: &str,
    profile: &Profile,
    losses: &mut Losses,
    mut tool: Object<'_>,
) {
    tool.string("type", "function");
    tool.string("name", name);
    write_description(single, function.description.as_ref(), None, &mut tool);
    let parameters = function.parameters.as_ref();
    write_parameters(parameters, NO_PARAMETERS, profile, losses, &mut tool);
    if profile.strict_tools {
        // Left out, it would mean `true` to OpenAI, and a schema that was not written for that would be refused.
        tool.flag("strict", function.strict.unwrap_or(false));
    } else if function.strict == Some(true) {
        losses.add(Loss::degraded(
            format!("tool `{name}`"),
            "`strict` was left out: the provider does not hold arguments to the schema",
        ));
    }
    if function.deferred && profile.tool_search {
        tool.flag("defer_loading", true);
    }
    tool.close();
}

/// Writes what the model is told about a tool: its group if it is the first of it, the tool itself, and how to pass free text.
fn write_description(
    single: &Single<'_>,
    description: Option<&Text<'_>>,
    hint: Option<&Text<'_>>,
    tool: &mut Object<'_>,
) {
    let texts: Vec<&Text<'_>> = [single.namespace_description, description, hint]
        .into_iter()
        .flatten()
        .filter(|text| !text.is_empty())
        .collect();
    if texts.is_empty() {
        return;
    }
    let out = tool.member("description");
    out.push(b'"');
    for (index, text) in texts.into_iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(br"\n\n");
        }
        text.write_escaped(out);
    }
    out.push(b'"');
}

fn freeform_hint(grammar: Option<&Grammar<'_>>) -> Text<'static> {
    let how = "Put the whole text in `input`.";
    Text::plain(match grammar {
        None => how.to_owned(),
        Some(Grammar { syntax, definition }) => format!(
            "{how} It must match this {syntax} grammar:\n```{syntax}\n{}\n```",
            definition.to_plain()
        ),
    })
}

fn write_parameters(
    parameters: Option<&Json<'_>>,
    otherwise: &str,
    profile: &Profile,
    losses: &mut Losses,
    tool: &mut Object<'_>,
) {
    match parameters {
        Some(schema) if schema.as_str() != "null" => {
            write_schema(schema, profile.schema, losses, tool.member("parameters"));
        }
        Some(_) | None => tool.raw("parameters", otherwise),
    }
}

/// The object of `tool_choice` that means a tool of the provider.
pub(in crate::render) fn choice_of_hosted(tag: &str) -> String {
    let mut out = Vec::new();
    let mut choice = Object::open(&mut out);
    choice.string("type", tag);
    choice.close();
    String::from_utf8_lossy(&out).into_owned()
}

/// The object of `tool_choice` that means one tool; also an element of `allowed_tools`.
pub(in crate::render) fn choice_of(
    single: &Single<'_>,
    ledger: &Ledger,
    profile: &Profile,
) -> String {
    let mut out = Vec::new();
    let mut choice = Object::open(&mut out);
    let tag = if single.is_custom(profile) {
        "custom"
    } else {
        "function"
    };
    choice.string("type", tag);
    match single.namespace() {
        Some(namespace) if profile.namespaces => {
            choice.string("name", single.name());
            choice.string("namespace", namespace);
        }
        Some(_) | None => write_string(single.wire_name(ledger), choice.member("name")),
    }
    choice.close();
    String::from_utf8_lossy(&out).into_owned()
}
