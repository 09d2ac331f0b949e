//! The tools of a request.

use std::collections::HashSet;

use polywire_conversation::tools::{
    FREEFORM_PARAMETERS, NO_PARAMETERS, OfferedKind, OfferedTool, SEARCH_PARAMETERS,
};
use polywire_conversation::{Grammar, Json, Ledger, Loss, Text};
use polywire_wire::{Object, write_array};

use super::Losses;
use super::block::{Block, Message, mark, mended};
use super::choice::{Chosen, wire_name_of};
use super::schema;
use crate::Profile;

/// Writes `tools`; the last one ends the prefix that is cached, when caching is asked for.
pub(super) fn write(
    chosen: &Chosen<'_>,
    ledger: &Ledger,
    profile: &Profile,
    body: &mut Object<'_>,
    losses: &mut Losses,
) {
    let functions = chosen.tools.iter().map(Some);
    let all: Vec<Option<&OfferedTool<'_>>> = functions
        .chain(chosen.web_search.as_ref().map(|_| None))
        .collect();
    let last = all.len().wrapping_sub(1);
    let entries = all.into_iter().enumerate();
    write_array(entries, body.member("tools"), |(place, entry), out| {
        let mut tool = Object::open(out);
        match (entry, &chosen.web_search) {
            (Some(function), _) => {
                write_tool(
                    function,
                    wire_name_of(function, ledger),
                    profile,
                    &mut tool,
                    losses,
                );
            }
            (None, Some(search)) => search.write(&mut tool),
            (None, None) => {}
        }
        if profile.cache_marks && place == last {
            mark(&mut tool);
        }
        tool.close();
    });
}

/// The names of the tools that were called in a conversation.
pub(super) fn called<'m>(messages: &'m [Message<'_>]) -> Vec<&'m str> {
    let mut seen = HashSet::new();
    let blocks = messages.iter().flat_map(|message| &message.blocks);
    let names = blocks.filter_map(|block| match block {
        Block::Call { name, .. } => Some(name.as_str()),
        Block::Text(_)
        | Block::Image(_)
        | Block::Document { .. }
        | Block::Thinking { .. }
        | Block::Redacted(_)
        | Block::Result { .. } => None,
    });
    names.filter(|name| seen.insert(*name)).collect()
}

/// Writes `tools` and `tool_choice` for a turn that offers no tool, but whose conversation has calls: the provider insists on
/// declarations then.
pub(super) fn write_called(names: &[&str], body: &mut Object<'_>) {
    write_array(names, body.member("tools"), |name, out| {
        let mut tool = Object::open(out);
        tool.string("name", name);
        tool.raw("input_schema", NO_PARAMETERS);
        tool.close();
    });
    body.raw("tool_choice", r#"{"type":"none"}"#);
}

fn write_tool(
    tool: &OfferedTool<'_>,
    wire_name: &str,
    profile: &Profile,
    object: &mut Object<'_>,
    losses: &mut Losses,
) {
    object.string("name", wire_name);
    match &tool.kind {
        OfferedKind::Function(declared) => {
            let description = declared.description.as_ref();
            write_description(tool, description, &Passed::Arguments, object);
            write_schema(
                declared.parameters.as_ref(),
                wire_name,
                profile,
                object,
                losses,
            );
            match declared.strict {
                Some(strict) if profile.strict_tools => object.flag("strict", strict),
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
            write_description(tool, *description, &Passed::Freeform(*grammar), object);
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
            write_description(tool, *description, &Passed::Arguments, object);
            let otherwise = Json::new(SEARCH_PARAMETERS);
            let given = parameters.filter(|schema| schema.as_str() != "null");
            write_schema(
                given.or(Some(&otherwise)),
                wire_name,
                profile,
                object,
                losses,
            );
        }
    }
}

fn write_schema(
    schema: Option<&Json<'_>>,
    wire_name: &str,
    profile: &Profile,
    object: &mut Object<'_>,
    losses: &mut Losses,
) {
    let place = format!("tool `{wire_name}`");
    schema::write(
        schema,
        &place,
        profile,
        losses,
        object.member("input_schema"),
    );
}

/// What a tool takes, as far as its description has to say it.
enum Passed<'g> {
    Arguments,
    Freeform(Option<&'g Grammar<'g>>),
}

/// Writes what the model is told about a tool: its namespace if it is the first of it, the tool itself, and how to pass free
/// text.
fn write_description(
    tool: &OfferedTool<'_>,
    description: Option<&Text<'_>>,
    passed: &Passed<'_>,
    object: &mut Object<'_>,
) {
    let own = [tool.namespace_description, description];
    let own: Vec<&Text<'_>> = own
        .into_iter()
        .flatten()
        .filter(|text| !text.is_empty())
        .collect();
    if own.is_empty() && matches!(passed, Passed::Arguments) {
        return;
    }
    let out = object.member("description");
    out.push(b'"');
    for (index, text) in own.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(br"\n\n");
        }
        mended(text).write_escaped(out);
    }
    if let Passed::Freeform(grammar) = passed {
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
    mended(&grammar.definition).write_escaped(out);
    out.extend_from_slice(br"\n```");
}
