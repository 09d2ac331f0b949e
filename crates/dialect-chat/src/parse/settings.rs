//! How the answer is to be made: length, sampling, form.

use std::borrow::Cow;

use polywire_conversation::{Fault, Json, Loss, OutputFormat, Sampling, Text};

use super::body::WireSettings;
use super::top;
use polywire_wire::{Field, field, first_byte, name, quoted, text, wire_object, wrong_type};

/// Refuses what would give another kind of answer than the client waits for.
pub(super) fn refuse_what_there_is_not(
    wire: &WireSettings<'_>,
    losses: &mut Vec<Loss>,
) -> Result<(), Fault> {
    let count = top(wire.n, "n");
    match count.count()? {
        None | Some(1) => {}
        Some(0) => return Err(count.at().fault("must be at least 1")),
        Some(_) => {
            return Err(count.at().fault(
                "asks for several answers, and one is given here: send the request several times instead",
            ));
        }
    }
    let modalities = top(wire.modalities, "modalities");
    for (index, raw) in modalities.elements()?.into_iter().enumerate() {
        let at = modalities.at().index(index);
        let modality = name(raw, &at)?;
        if modality != "text" {
            return Err(at.fault(format_args!(
                "asks for an answer in `{}`, and answers are text here",
                quoted(&modality)
            )));
        }
    }
    let audio = top(wire.audio, "audio");
    if audio.object_as_written()?.is_some() {
        losses.push(Loss::note("audio", "left out: answers are text here"));
    }
    Ok(())
}

/// `max_completion_tokens`, or `max_tokens`, which it replaces.
pub(super) fn output_tokens_max(
    wire: &WireSettings<'_>,
    losses: &mut Vec<Loss>,
) -> Result<Option<u64>, Fault> {
    let older = limit(top(wire.max_tokens, "max_tokens"))?;
    let newer = limit(top(wire.max_completion_tokens, "max_completion_tokens"))?;
    if older.is_some() && newer.is_some() && older != newer {
        losses.push(Loss::note(
            "max_tokens",
            "left out: `max_completion_tokens` stands in its place",
        ));
    }
    Ok(newer.or(older))
}

fn limit(field: Field<'_, '_>) -> Result<Option<u64>, Fault> {
    match count_or_unlimited(field)? {
        Some(0) => Err(field.at().fault("must be at least 1")),
        count => Ok(count),
    }
}

/// A count, or -1, with which local servers (LM Studio, vLLM, llama.cpp) spell that there is no limit.
fn count_or_unlimited(field: Field<'_, '_>) -> Result<Option<u64>, Fault> {
    let unlimited = field.is_set() && field.required()?.get() == "-1";
    if unlimited { Ok(None) } else { field.count() }
}

/// `stop`: one text or several. An empty one would stop before the first word and is no text.
pub(super) fn stop<'a>(stop: Field<'a, '_>) -> Result<Vec<Text<'a>>, Fault> {
    if !stop.is_set() {
        return Ok(Vec::new());
    }
    let raw = stop.required()?;
    let mut texts = match first_byte(raw) {
        b'"' => vec![text(raw, stop.at())?],
        b'[' => stop
            .elements()?
            .into_iter()
            .enumerate()
            .map(|(index, raw)| text(raw, &stop.at().index(index)))
            .collect::<Result<_, _>>()?,
        _ => {
            return Err(wrong_type(
                raw,
                stop.at(),
                "a string or an array of strings",
            ));
        }
    };
    texts.retain(|text| !text.is_empty());
    Ok(texts)
}

pub(super) fn sampling<'a>(wire: &WireSettings<'a>) -> Result<Sampling<'a>, Fault> {
    let top_logprobs = top(wire.top_logprobs, "top_logprobs").count()?;
    Ok(Sampling {
        temperature: top(wire.temperature, "temperature").number()?,
        top_p: top(wire.top_p, "top_p").number()?,
        top_k: count_or_unlimited(top(wire.top_k, "top_k"))?,
        frequency_penalty: top(wire.frequency_penalty, "frequency_penalty").number()?,
        presence_penalty: top(wire.presence_penalty, "presence_penalty").number()?,
        seed: top(wire.seed, "seed").number()?,
        logprobs: top(wire.logprobs, "logprobs").flag()?.unwrap_or(false),
        top_logprobs,
    })
}

wire_object! {
    WireFormat {
        tag: "type",
        json_schema: "json_schema",
    }
}

wire_object! {
    WireSchema {
        name: "name",
        description: "description",
        schema: "schema",
        strict: "strict",
    }
}

/// `response_format`.
pub(super) fn response_format<'a>(format: Field<'a, '_>) -> Result<OutputFormat<'a>, Fault> {
    let Some(wire) = format.object::<WireFormat<'a>>()? else {
        return Ok(OutputFormat::Text);
    };
    let tag = field(wire.tag, format.at(), "type");
    match &*tag.required_name()? {
        "text" => Ok(OutputFormat::Text),
        "json_object" => Ok(OutputFormat::JsonObject),
        "json_schema" => json_schema(field(wire.json_schema, format.at(), "json_schema")),
        other => Err(tag.at().fault(format_args!(
            "must be `text`, `json_object` or `json_schema`, not `{}`",
            quoted(other)
        ))),
    }
}

fn json_schema<'a>(schema: Field<'a, '_>) -> Result<OutputFormat<'a>, Fault> {
    schema.required()?;
    let wire = schema.object::<WireSchema<'a>>()?.unwrap_or_default();
    let at = schema.at();
    let written = field(wire.schema, at, "schema").object_as_written()?;
    Ok(OutputFormat::JsonSchema {
        name: field(wire.name, at, "name").required_name()?,
        description: field(wire.description, at, "description").text()?,
        // The description of the protocol requires none, and then any JSON will do.
        schema: written.unwrap_or_else(|| Json::new(Cow::Borrowed("{}"))),
        strict: field(wire.strict, at, "strict").flag()?,
    })
}
