//! The tools of a request: functions, and freeform tools where the provider knows them.

use polywire_conversation::tools::{
    FREEFORM_PARAMETERS, NO_PARAMETERS, OfferedKind, OfferedTool, SEARCH_PARAMETERS,
};
use polywire_conversation::{Grammar, Json, Ledger, Loss, Text};

use super::choice::{Choice, Chosen, wire_name_of};
use super::{Losses, schema};
use crate::Profile;
use polywire_wire::{Object, write_array};

/// Writes `tools` and `tool_choice`; neither when there is no tool, because an empty list is refused by several providers and a
/// choice without tools by most.
pub(super) fn write(
    chosen: &Chosen<'_>,
    ledger: &Ledger,
    profile: &Profile,
    body: &mut Object<'_>,
    losses: &mut Losses,
) {
    if chosen.tools.is_empty() {
        return;
    }
    write_array(&chosen.tools, body.member("tools"), |tool, out| {
        write_tool(tool, wire_name_of(tool, ledger), profile, out, losses);
    });
    match &chosen.choice {
        Choice::Unset => {}
        Choice::Word(word) => body.string("tool_choice", word),
        Choice::Named(wire_name) => {
            let is_freeform = |tool: &&OfferedTool<'_>| {
                matches!(tool.kind, OfferedKind::Freeform { .. })
                    && wire_name_of(tool, ledger) == wire_name
            };
            let custom =
                profile.freeform_tools && chosen.tools.iter().any(|tool| is_freeform(&tool));
            let kind = if custom { "custom" } else { "function" };
            let mut choice = Object::open(body.member("tool_choice"));
            choice.string("type", kind);
            let mut named = Object::open(choice.member(kind));
            named.string("name", wire_name);
            named.close();
            choice.close();
        }
    }
}

/// The names under which the tools go out.
pub(super) fn wire_names(chosen: &Chosen<'_>, ledger: &Ledger) -> Vec<String> {
    let names = chosen.tools.iter().map(|tool| wire_name_of(tool, ledger));
    names.map(str::to_owned).collect()
}

fn write_tool(
    tool: &OfferedTool<'_>,
    wire_name: &str,
    profile: &Profile,
    out: &mut Vec<u8>,
    losses: &mut Losses,
) {
    if let (
        OfferedKind::Freeform {
            description,
            grammar,
        },
        true,
    ) = (&tool.kind, profile.freeform_tools)
    {
        return write_custom(tool, wire_name, *description, *grammar, out);
    }
    out.extend_from_slice(br#"{"type":"function","function":"#);
    let mut function = Object::open(out);
    function.string("name", wire_name);
    match &tool.kind {
        OfferedKind::Function(declared) => {
            write_description(
                tool,
                declared.description.as_ref(),
                &Input::Arguments,
                &mut function,
            );
            let strict_possible = write_parameters(
                declared.parameters.as_ref(),
                NO_PARAMETERS,
                wire_name,
                profile,
                &mut function,
                losses,
            );
            match declared.strict {
                Some(strict) if profile.strict_tools && (strict_possible || !strict) => {
                    function.flag("strict", strict);
                }
                Some(true) => losses.add(Loss::degraded(
                    format!("tool `{wire_name}`"),
                    "`strict` was left out: the provider does not hold arguments to the schema",
                )),
                Some(false) | None => {}
            }
        }
        OfferedKind::Freeform {
            description,
            grammar,
        } => {
            write_description(
                tool,
                *description,
                &Input::Freeform(*grammar),
                &mut function,
            );
            write_parameters(
                None,
                FREEFORM_PARAMETERS,
                wire_name,
                profile,
                &mut function,
                losses,
            );
            if grammar.is_some() {
                losses.add(Loss::note(
                    format!("tool `{wire_name}`"),
                    "offered as a function; its grammar is told to the model but not enforced",
                ));
            }
        }
        OfferedKind::Search {
            description,
            parameters,
        } => {
            write_description(tool, *description, &Input::Arguments, &mut function);
            write_parameters(
                *parameters,
                SEARCH_PARAMETERS,
                wire_name,
                profile,
                &mut function,
                losses,
            );
        }
    }
    function.close();
    out.push(b'}');
}

/// Writes a freeform tool as what it is.
fn write_custom(
    tool: &OfferedTool<'_>,
    wire_name: &str,
    description: Option<&Text<'_>>,
    grammar: Option<&Grammar<'_>>,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(br#"{"type":"custom","custom":"#);
    let mut custom = Object::open(out);
    custom.string("name", wire_name);
    write_description(tool, description, &Input::Arguments, &mut custom);
    if let Some(grammar) = grammar {
        let mut format = Object::open(custom.member("format"));
        format.string("type", "grammar");
        let mut definition = Object::open(format.member("grammar"));
        definition.string("syntax", &grammar.syntax);
        definition.text("definition", &grammar.definition);
        definition.close();
        format.close();
    }
    custom.close();
    out.push(b'}');
}

/// What a tool takes, as far as its description has to say it.
enum Input<'g> {
    Arguments,
    Freeform(Option<&'g Grammar<'g>>),
}

/// Writes what the model is told about a tool: its namespace if it is the first of it, the tool itself, and how to pass free
/// text.
fn write_description(
    tool: &OfferedTool<'_>,
    description: Option<&Text<'_>>,
    input: &Input<'_>,
    function: &mut Object<'_>,
) {
    let own = [tool.namespace_description, description];
    let own: Vec<&Text<'_>> = own
        .into_iter()
        .flatten()
        .filter(|text| !text.is_empty())
        .collect();
    if own.is_empty() && matches!(input, Input::Arguments) {
        return;
    }
    let out = function.member("description");
    out.push(b'"');
    for (index, text) in own.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(br"\n\n");
        }
        text.write_escaped(out);
    }
    if let Input::Freeform(grammar) = input {
        if !own.is_empty() {
            out.extend_from_slice(br"\n\n");
        }
        out.extend_from_slice(b"Put the whole text in `input`.");
        if let Some(grammar) = grammar {
            write_grammar(grammar, out);
        }
    }
    out.push(b'"');
}

fn write_grammar(grammar: &Grammar<'_>, out: &mut Vec<u8>) {
    let syntax = Text::plain(&*grammar.syntax);
    out.extend_from_slice(b" It must match this ");
    syntax.write_escaped(out);
    out.extend_from_slice(br" grammar:\n```");
    syntax.write_escaped(out);
    out.extend_from_slice(br"\n");
    grammar.definition.write_escaped(out);
    out.extend_from_slice(br"\n```");
}

/// Writes the schema of a tool's arguments, and gives whether the provider can hold the model to it.
fn write_parameters(
    parameters: Option<&Json<'_>>,
    otherwise: &str,
    wire_name: &str,
    profile: &Profile,
    function: &mut Object<'_>,
    losses: &mut Losses,
) -> bool {
    let otherwise = Json::new(otherwise);
    let given = parameters.filter(|given| given.as_str() != "null");
    let place = format!("tool `{wire_name}`");
    let lowered = schema::lower(given.unwrap_or(&otherwise), &place, profile, losses);
    function.raw("parameters", &lowered.json);
    lowered.strict_possible
}
