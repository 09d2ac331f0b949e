//! How the answer is to be made: choice of tools, thinking, form.

use std::borrow::Cow;

use polywire_conversation::{
    Fault, Json, OutputFormat, ReasoningRequest, Text, Tool, ToolChoice, effort,
};
use polywire_wire::{Field, field, quoted, wire_object};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::Notes;

/// How much of the model's thinking a client wants to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThinkingDisplay {
    /// The readable text, in `thinking` blocks.
    Shown,
    /// `display: omitted`: blocks with their signature only.
    Omitted,
    /// The client asked for no thinking. Many clients of that kind take the first block of an answer for its text, so none stands
    /// before it; what the provider wants back goes before calls only, where the next turn needs it.
    #[default]
    Hidden,
}

/// The code with which a server without threads refuses them, and by which the SDK knows to send the whole conversation
/// (anthropic-python 2.11.0, November 2026).
pub(crate) const THREAD_UNSUPPORTED: &str = "thread_unsupported_request";

/// Refuses conversations that are kept by the server. Ignoring the field would lose all earlier messages, in silence.
pub(super) fn refuse_thread(thread: Field<'_, '_>) -> Result<(), Fault> {
    if !thread.is_set() {
        return Ok(());
    }
    Err(thread
        .at()
        .fault("is not available: conversations are not stored here. Send all messages")
        .with_code(THREAD_UNSUPPORTED))
}

wire_object! {
    WireToolChoice {
        tag: "type",
        name: "name",
        disable_parallel_tool_use: "disable_parallel_tool_use",
    }
}

/// `tool_choice`, and whether several tools may be called at once.
pub(super) fn tool_choice<'a>(
    choice: Field<'a, '_>,
    tools: &[Tool<'a>],
) -> Result<(ToolChoice<'a>, Option<bool>), Fault> {
    let Some(wire) = choice.object::<WireToolChoice<'a>>()? else {
        return Ok((ToolChoice::Unset, None));
    };
    let at = choice.at();
    let tag = field(wire.tag, at, "type");
    let chosen = match &*tag.required_name()? {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => named(field(wire.name, at, "name").required_name()?, tools),
        other => {
            return Err(tag.at().fault(format_args!(
                "must be `auto`, `any`, `tool` or `none`, not `{}`",
                quoted(other)
            )));
        }
    };
    let single = field(
        wire.disable_parallel_tool_use,
        at,
        "disable_parallel_tool_use",
    );
    Ok((chosen, single.flag()?.map(|single| !single)))
}

/// Whether a tool of the provider has this name, and no tool of the client.
fn names_hosted(tools: &[Tool<'_>], wanted: &str) -> bool {
    let is_function =
        |tool: &Tool<'_>| matches!(tool, Tool::Function(function) if function.name == wanted);
    let is_hosted = |tool: &Tool<'_>| matches!(tool, Tool::Hosted { tag, .. } if tag == wanted);
    !tools.iter().any(is_function) && tools.iter().any(is_hosted)
}

/// The choice of one tool by its name.
fn named<'a>(name: Cow<'a, str>, tools: &[Tool<'a>]) -> ToolChoice<'a> {
    if names_hosted(tools, &name) {
        return ToolChoice::Hosted(name);
    }
    ToolChoice::Named {
        name,
        namespace: None,
    }
}

wire_object! {
    WireThinking {
        tag: "type",
        budget_tokens: "budget_tokens",
        display: "display",
    }
}

wire_object! {
    WireOutputConfig {
        effort: "effort",
        format: "format",
        task_budget: "task_budget",
    }
}

/// What a request says about thinking.
#[derive(Debug)]
pub(super) struct Thought<'a> {
    /// How much of it is wanted.
    pub(super) request: ReasoningRequest<'a>,
    /// How much of it is shown.
    pub(super) display: ThinkingDisplay,
}

/// `thinking` and `output_config.effort`.
///
/// An effort that is named counts more than one that is derived from a budget. Any word is taken as effort; who knows the model
/// picks the nearest.
pub(super) fn thinking<'a>(
    thinking: Field<'a, '_>,
    output_config: Field<'a, '_>,
    notes: &mut Notes,
) -> Result<Thought<'a>, Fault> {
    let mut named_effort = None;
    if let Some(wire) = output_config.object::<WireOutputConfig<'a>>()? {
        named_effort = field(wire.effort, output_config.at(), "effort").name()?;
        let budget = field(wire.task_budget, output_config.at(), "task_budget");
        if budget.is_set() {
            notes.note(
                budget.at().to_string(),
                "left out: only a provider of the same protocol counts what a task may cost",
            );
        }
    }
    let Some(wire) = thinking.object::<WireThinking<'a>>()? else {
        return Ok(Thought {
            request: ReasoningRequest {
                effort: named_effort,
                ..ReasoningRequest::default()
            },
            display: ThinkingDisplay::Hidden,
        });
    };
    switched(&wire, thinking, named_effort, notes)
}

fn switched<'a>(
    wire: &WireThinking<'a>,
    thinking: Field<'a, '_>,
    named_effort: Option<Cow<'a, str>>,
    notes: &mut Notes,
) -> Result<Thought<'a>, Fault> {
    let at = thinking.at();
    let tag = field(wire.tag, at, "type");
    let budget = field(wire.budget_tokens, at, "budget_tokens");
    let display = display(field(wire.display, at, "display"))?;
    let budget_tokens = match &*tag.required_name()? {
        "disabled" => {
            if named_effort.is_some() {
                notes.note(
                    "output_config.effort",
                    "left out: thinking is switched off, which says more",
                );
            }
            return Ok(Thought {
                request: ReasoningRequest {
                    effort: Some(Cow::Borrowed("none")),
                    ..ReasoningRequest::default()
                },
                display: ThinkingDisplay::Hidden,
            });
        }
        "enabled" => match budget.count()? {
            None => return Err(budget.at().fault("is required")),
            Some(0) => return Err(budget.at().fault("must be at least 1")),
            tokens => tokens,
        },
        "adaptive" => budget.count()?,
        "between_tools" => {
            notes.note(
                at.to_string(),
                "taken as `adaptive`: only the newest models think between tools alone",
            );
            budget.count()?
        }
        other => {
            return Err(tag.at().fault(format_args!(
                "must be `enabled`, `adaptive` or `disabled`, not `{}`",
                quoted(other)
            )));
        }
    };
    let derived = budget_tokens.map(|tokens| Cow::Borrowed(effort::of_budget(tokens)));
    Ok(Thought {
        request: ReasoningRequest {
            effort: named_effort.or(derived),
            budget_tokens,
            summary: Some(Cow::Borrowed(match display {
                ThinkingDisplay::Shown => "auto",
                ThinkingDisplay::Omitted | ThinkingDisplay::Hidden => "none",
            })),
        },
        display,
    })
}

fn display(display: Field<'_, '_>) -> Result<ThinkingDisplay, Fault> {
    // A form of a later protocol version is better shown than hidden.
    Ok(match display.name()?.as_deref() {
        Some("omitted") => ThinkingDisplay::Omitted,
        Some(_) | None => ThinkingDisplay::Shown,
    })
}

wire_object! {
    WireFormat {
        tag: "type",
        name: "name",
        schema: "schema",
    }
}

/// What a schema without a name is called where one is needed.
const SCHEMA_NAME: &str = "answer";

/// `output_config.format`, or the `output_format` of the beta before it.
pub(super) fn format<'a>(
    output_config: Field<'a, '_>,
    output_format: Field<'a, '_>,
) -> Result<OutputFormat<'a>, Fault> {
    if let Some(wire) = output_config.object::<WireOutputConfig<'a>>()? {
        let format = field(wire.format, output_config.at(), "format");
        if format.is_set() {
            return schema(format);
        }
    }
    schema(output_format)
}

fn schema<'a>(format: Field<'a, '_>) -> Result<OutputFormat<'a>, Fault> {
    let Some(wire) = format.object::<WireFormat<'a>>()? else {
        return Ok(OutputFormat::Text);
    };
    let at = format.at();
    let tag = field(wire.tag, at, "type");
    match &*tag.required_name()? {
        "json_schema" => Ok(OutputFormat::JsonSchema {
            name: field(wire.name, at, "name")
                .name()?
                .unwrap_or(Cow::Borrowed(SCHEMA_NAME)),
            description: None,
            schema: field(wire.schema, at, "schema").required_object_as_written()?,
            // The protocol knows no other than to the letter.
            strict: Some(true),
        }),
        other => Err(tag.at().fault(format_args!(
            "must be `json_schema`, not `{}`",
            quoted(other)
        ))),
    }
}

/// `service_tier` in the words of the neutral model, which are OpenAI's.
pub(super) fn service_tier<'a>(tier: Field<'a, '_>) -> Result<Option<Cow<'a, str>>, Fault> {
    match tier.name()?.as_deref() {
        None => Ok(None),
        Some("auto") => Ok(Some(Cow::Borrowed("auto"))),
        Some("standard_only") => Ok(Some(Cow::Borrowed("default"))),
        Some(other) => Err(tier.at().fault(format_args!(
            "must be `auto` or `standard_only`, not `{}`",
            quoted(other)
        ))),
    }
}

wire_object! {
    WireMetadata {
        user_id: "user_id",
    }
}

/// `metadata.user_id`.
pub(super) fn user<'a>(metadata: Field<'a, '_>) -> Result<Option<Text<'a>>, Fault> {
    match metadata.object::<WireMetadata<'a>>()? {
        Some(wire) => field(wire.user_id, metadata.at(), "user_id").text(),
        None => Ok(None),
    }
}

/// What stands in `metadata` besides. The protocol has nothing else there, and clients put labels into it all the same.
pub(super) fn labels(metadata: Option<&RawValue>) -> Option<Json<'static>> {
    let mut labels: Map<String, Value> = serde_json::from_str(metadata?.get()).ok()?;
    labels.shift_remove("user_id");
    (!labels.is_empty()).then(|| Json::new(Value::Object(labels).to_string()))
}
