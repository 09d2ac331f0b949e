//! The form of the answer, and every schema of a request.

use polywire_conversation::{Json, Loss, OutputFormat, Text};
use polywire_schema::{Target, compile};

use super::Losses;
use crate::profile::{Profile, StructuredOutput};

/// Writes a schema in the subset of JSON Schema that the provider takes there. The one place through which every schema of a
/// request goes.
pub(super) fn write_schema(
    schema: &Json<'_>,
    target: Target,
    losses: &mut Losses,
    out: &mut Vec<u8>,
) {
    if target == Target::Permissive {
        schema.write(out);
        return;
    }
    let compiled = compile(schema, target);
    for dropped in &compiled.dropped {
        losses.add(Loss::note("schemas", dropped.clone()));
    }
    out.extend_from_slice(compiled.schema.as_bytes());
}

/// The form of the answer, as it is asked for.
pub(super) enum Format<'r> {
    Unset,
    JsonObject,
    JsonSchema {
        name: &'r str,
        description: Option<&'r Text<'r>>,
        schema: &'r Json<'r>,
        strict: Option<bool>,
    },
    /// In words, for the instructions.
    Told(Text<'r>),
}

impl Format<'_> {
    /// What the model is told about it in words.
    pub(super) fn instruction(&self) -> Option<&Text<'_>> {
        match self {
            Format::Told(words) => Some(words),
            Format::Unset | Format::JsonObject | Format::JsonSchema { .. } => None,
        }
    }
}

/// Settles how the form of the answer is asked for: in the request or in words.
pub(super) fn format<'r>(
    wanted: &'r OutputFormat<'r>,
    profile: &Profile,
    losses: &mut Losses,
) -> Format<'r> {
    let words = match (wanted, profile.structured_output) {
        (OutputFormat::Text, _) => return Format::Unset,
        (OutputFormat::JsonObject, StructuredOutput::JsonSchema) => return Format::JsonObject,
        (
            OutputFormat::JsonSchema {
                name,
                description,
                schema,
                strict,
            },
            StructuredOutput::JsonSchema | StructuredOutput::SchemaOnly,
        ) => {
            return Format::JsonSchema {
                name,
                description: description.as_ref(),
                schema,
                strict: *strict,
            };
        }
        (OutputFormat::JsonObject, StructuredOutput::Prompt | StructuredOutput::SchemaOnly) => {
            "Answer with one JSON object and nothing else: no text around it, no code fence."
                .to_owned()
        }
        (OutputFormat::JsonSchema { schema, .. }, StructuredOutput::Prompt) => format!(
            "Answer with one JSON value and nothing else: no text around it, no code fence. It must match this JSON Schema:\n\
             ```json\n{}\n```",
            schema.as_str()
        ),
    };
    losses.add(Loss::degraded(
        "text.format",
        "the form of the answer is told to the model in words, because the provider cannot enforce it",
    ));
    Format::Told(Text::plain(words))
}
