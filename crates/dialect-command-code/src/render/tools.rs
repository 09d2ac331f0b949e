//! The tools of a request, every one as a function.

use polywire_conversation::tools::{
    FREEFORM_PARAMETERS, NO_PARAMETERS, OfferedKind, OfferedTool, SEARCH_PARAMETERS,
};
use polywire_conversation::{Grammar, Json, Ledger, Loss, Text};
use polywire_schema::{Target, compile};
use polywire_wire::{Object, write_array};

use super::Losses;
use super::choice::{Choice, Chosen, wire_name_of};
use crate::Profile;

/// Writes `tools`, which has to be there even when it is empty, and `tool_choice`.
pub(super) fn write(
    chosen: &Chosen<'_>,
    ledger: &Ledger,
    profile: &Profile,
    params: &mut Object<'_>,
    losses: &mut Losses,
) {
    write_array(&chosen.tools, params.member("tools"), |tool, out| {
        write_tool(
            tool,
            wire_name_of(tool, ledger),
            profile.schema,
            out,
            losses,
        );
    });
    let (word, wire_name) = match &chosen.choice {
        Choice::Unset => return,
        Choice::Auto => ("auto", None),
        Choice::Any => ("any", None),
        Choice::Tool(wire_name) => ("tool", Some(wire_name)),
    };
    let mut choice = Object::open(params.member("tool_choice"));
    choice.string("type", word);
    if let Some(wire_name) = wire_name {
        choice.string("name", wire_name);
    }
    choice.close();
}

/// The names under which the tools go out.
pub(super) fn names(chosen: &Chosen<'_>, ledger: &Ledger) -> Vec<String> {
    let names = chosen.tools.iter().map(|tool| wire_name_of(tool, ledger));
    names.map(str::to_owned).collect()
}

fn write_tool(
    tool: &OfferedTool<'_>,
    wire_name: &str,
    target: Target,
    out: &mut Vec<u8>,
    losses: &mut Losses,
) {
    let mut object = Object::open(out);
    object.string("name", wire_name);
    match &tool.kind {
        OfferedKind::Function(function) => {
            write_description(
                tool,
                function.description.as_ref(),
                &Input::Arguments,
                &mut object,
            );
            let parameters = function.parameters.as_ref();
            write_schema(
                parameters,
                NO_PARAMETERS,
                wire_name,
                target,
                &mut object,
                losses,
            );
            if function.strict == Some(true) {
                losses.add(Loss::degraded(
                    format!("tool `{wire_name}`"),
                    "`strict` was left out: the provider does not hold arguments to the schema",
                ));
            }
        }
        OfferedKind::Freeform {
            description,
            grammar,
        } => {
            write_description(tool, *description, &Input::Freeform(*grammar), &mut object);
            object.raw("input_schema", FREEFORM_PARAMETERS);
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
            write_description(tool, *description, &Input::Arguments, &mut object);
            write_schema(
                *parameters,
                SEARCH_PARAMETERS,
                wire_name,
                target,
                &mut object,
                losses,
            );
        }
    }
    object.close();
}

fn write_schema(
    parameters: Option<&Json<'_>>,
    otherwise: &str,
    wire_name: &str,
    target: Target,
    object: &mut Object<'_>,
    losses: &mut Losses,
) {
    let Some(parameters) = parameters else {
        object.raw("input_schema", otherwise);
        return;
    };
    let compiled = compile(parameters, target);
    object.raw("input_schema", &compiled.schema);
    for dropped in &compiled.dropped {
        losses.add(Loss::note(
            format!("schema of tool `{wire_name}`"),
            dropped.clone(),
        ));
    }
}

/// What a tool takes, as far as its description has to say it.
enum Input<'g> {
    Arguments,
    Freeform(Option<&'g Grammar<'g>>),
}

/// Writes what the model is told about a tool: its namespace if it is the first of it, the tool itself, and, for a freeform tool,
/// how to pass the text.
fn write_description(
    tool: &OfferedTool<'_>,
    description: Option<&Text<'_>>,
    input: &Input<'_>,
    object: &mut Object<'_>,
) {
    let mut paragraphs: Vec<Text<'_>> = Vec::new();
    let told = [tool.namespace_description, description];
    paragraphs.extend(told.into_iter().flatten().map(Text::borrow));
    if let Input::Freeform(grammar) = input {
        paragraphs.push("Put the whole text in `input`.".into());
        paragraphs.extend(grammar.map(grammar_in_words));
    }
    paragraphs.retain(|text| !text.is_empty());
    if paragraphs.is_empty() {
        return;
    }
    let out = object.member("description");
    out.push(b'"');
    super::messages::write_joined(paragraphs.iter(), br"\n\n", out);
    out.push(b'"');
}

fn grammar_in_words(grammar: &Grammar<'_>) -> Text<'static> {
    let syntax = &grammar.syntax;
    let definition = grammar.definition.to_plain();
    Text::plain(format!(
        "It must match this {syntax} grammar:\n```{syntax}\n{definition}\n```"
    ))
}
