//! How the answer is to be made: choice of tools, form, effort.

use std::borrow::Cow;

use polywire_conversation::{Fault, Loss, OutputFormat, ReasoningRequest, ToolChoice};
use serde_json::value::RawValue;

use super::tools::namespace;
use polywire_wire::wire_object;
use polywire_wire::{Field, field, first_byte, name, object, quoted, wrong_type};

wire_object! {
    WireToolChoice {
        tag: "type",
        name: "name",
        namespace: "namespace",
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
        b'"' => chosen_word(&name(raw, choice.at())?, choice),
        b'{' => chosen_tool(raw, choice),
        _ => Err(wrong_type(raw, choice.at(), "a string or an object")),
    }
}

fn chosen_word<'a>(word: &str, choice: Field<'_, '_>) -> Result<ToolChoice<'a>, Fault> {
    match word {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        "required" => Ok(ToolChoice::Required),
        _ => Err(choice.at().fault(format_args!(
            "must be `none`, `auto`, `required` or an object, not `{}`",
            quoted(word)
        ))),
    }
}

fn chosen_tool<'a>(raw: &'a RawValue, choice: Field<'a, '_>) -> Result<ToolChoice<'a>, Fault> {
    let at = choice.at();
    let wire: WireToolChoice<'a> = object(raw, at)?;
    let tag = field(wire.tag, at, "type").required_name()?;
    match &*tag {
        "function" | "custom" => Ok(ToolChoice::Named {
            name: field(wire.name, at, "name").required_name()?,
            namespace: namespace(field(wire.namespace, at, "namespace"))?,
        }),
        "allowed_tools" => {
            let mode = field(wire.mode, at, "mode");
            let required = match mode.name()?.as_deref() {
                Some("required") => true,
                Some("auto") | None => false,
                Some(_) => return Err(mode.at().fault("must be `auto` or `required`")),
            };
            Ok(ToolChoice::Allowed {
                required,
                names: allowed_names(field(wire.tools, at, "tools"))?,
            })
        }
        _ => Ok(ToolChoice::Hosted(tag)),
    }
}

/// The names of allowed tools; a tool of the provider goes by its type.
fn allowed_names<'a>(list: Field<'a, '_>) -> Result<Vec<Cow<'a, str>>, Fault> {
    let mut names = Vec::new();
    for (index, raw) in list.elements()?.into_iter().enumerate() {
        let at = list.at().index(index);
        let wire: WireToolChoice<'a> = object(raw, &at)?;
        let own = field(wire.name, &at, "name").name()?;
        names.push(match own {
            Some(own) => own,
            None => field(wire.tag, &at, "type").required_name()?,
        });
    }
    Ok(names)
}

wire_object! {
    WireText {
        format: "format",
        verbosity: "verbosity",
    }
}

wire_object! {
    WireOutputFormat {
        tag: "type",
        name: "name",
        description: "description",
        schema: "schema",
        strict: "strict",
    }
}

/// `text`: the form of the answer, and how wordy it should be.
pub(super) fn text<'a>(
    text: Field<'a, '_>,
) -> Result<(OutputFormat<'a>, Option<Cow<'a, str>>), Fault> {
    let Some(wire) = text.object::<WireText<'a>>()? else {
        return Ok((OutputFormat::Text, None));
    };
    Ok((
        output_format(field(wire.format, text.at(), "format"))?,
        field(wire.verbosity, text.at(), "verbosity").name()?,
    ))
}

fn output_format<'a>(format: Field<'a, '_>) -> Result<OutputFormat<'a>, Fault> {
    let Some(wire) = format.object::<WireOutputFormat<'a>>()? else {
        return Ok(OutputFormat::Text);
    };
    let at = format.at();
    let tag = field(wire.tag, at, "type");
    match &*tag.required_name()? {
        "text" => Ok(OutputFormat::Text),
        "json_object" => Ok(OutputFormat::JsonObject),
        "json_schema" => Ok(OutputFormat::JsonSchema {
            name: field(wire.name, at, "name").required_name()?,
            description: field(wire.description, at, "description").text()?,
            schema: field(wire.schema, at, "schema").required_object_as_written()?,
            strict: field(wire.strict, at, "strict").flag()?,
        }),
        other => Err(tag.at().fault(format_args!(
            "must be `text`, `json_object` or `json_schema`, not `{}`",
            quoted(other)
        ))),
    }
}

wire_object! {
    WireReasoning {
        effort: "effort",
        summary: "summary",
        generate_summary: "generate_summary",
        context: "context",
        mode: "mode",
    }
}

/// `reasoning`. Any word is taken as effort, because clients send what their user wrote; who knows the model picks the nearest.
pub(super) fn reasoning<'a>(
    reasoning: Field<'a, '_>,
    losses: &mut Vec<Loss>,
) -> Result<ReasoningRequest<'a>, Fault> {
    let Some(wire) = reasoning.object::<WireReasoning<'a>>()? else {
        return Ok(ReasoningRequest::default());
    };
    let at = reasoning.at();
    for unused in [
        field(wire.context, at, "context"),
        field(wire.mode, at, "mode"),
    ] {
        if unused.is_set() {
            losses.push(Loss::note(
                unused.at().to_string(),
                "left out: only OpenAI's own models know it",
            ));
        }
    }
    let mut summary = field(wire.summary, at, "summary").name()?;
    if summary.is_none() {
        // The name of the field before 2025-05.
        summary = field(wire.generate_summary, at, "generate_summary").name()?;
    }
    Ok(ReasoningRequest {
        effort: field(wire.effort, at, "effort").name()?,
        budget_tokens: None,
        summary,
    })
}
