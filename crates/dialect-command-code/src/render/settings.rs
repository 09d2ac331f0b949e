//! Everything of `params` that is neither messages nor tools.

use polywire_conversation::{Loss, ModelFacts, OutputFormat, Request, Text, effort};
use polywire_wire::Object;

use super::Losses;
use crate::Profile;

/// The form of the answer in words: the provider has no other way to ask for it.
pub(super) fn answer_form(wanted: &OutputFormat<'_>, losses: &mut Losses) -> Option<Text<'static>> {
    let words = match wanted {
        OutputFormat::Text => return None,
        OutputFormat::JsonObject => {
            "Answer with one JSON object and nothing else: no text around it, no code fence."
                .to_owned()
        }
        OutputFormat::JsonSchema { schema, .. } => format!(
            "Answer with one JSON value and nothing else: no text around it, no code fence. It must match this JSON Schema:\n\
             ```json\n{}\n```",
            schema.as_str()
        ),
    };
    losses.add(Loss::degraded(
        "text.format",
        "the form of the answer is told to the model in words, because the provider cannot enforce it",
    ));
    Some(Text::plain(words))
}

/// Writes the settings, each in the form that the provider knows or as a loss.
pub(super) fn write(
    request: &Request<'_>,
    model: &ModelFacts<'_>,
    profile: &Profile,
    params: &mut Object<'_>,
    losses: &mut Losses,
) {
    write_limit(request, model, profile, params, losses);
    params.flag("stream", true);
    if let Some(temperature) = &request.sampling.temperature {
        params.json("temperature", temperature);
    }
    write_effort(request, profile, params, losses);
    note_what_is_left_out(request, losses);
}

fn write_limit(
    request: &Request<'_>,
    model: &ModelFacts<'_>,
    profile: &Profile,
    params: &mut Object<'_>,
    losses: &mut Losses,
) {
    let wanted = request
        .output_tokens_max
        .unwrap_or(profile.max_tokens_default);
    let limit = model
        .output_tokens_max
        .map_or(wanted, |most| wanted.min(most));
    if limit < wanted && request.output_tokens_max.is_some() {
        losses.add(Loss::note(
            "max_output_tokens",
            format!("{limit} instead of {wanted}: the model writes no more"),
        ));
    }
    params.raw("max_tokens", &limit.to_string());
}

fn write_effort(
    request: &Request<'_>,
    profile: &Profile,
    params: &mut Object<'_>,
    losses: &mut Losses,
) {
    let Some(wanted) = request.reasoning.effort.as_deref() else {
        if request.reasoning.budget_tokens.is_some() {
            losses.add(left_out("reasoning.budget_tokens"));
        }
        return;
    };
    let allowed: Vec<&str> = profile.efforts.iter().map(String::as_str).collect();
    match effort::nearest(wanted, &allowed) {
        Some(chosen) => {
            if chosen != wanted {
                losses.add(Loss::note(
                    "reasoning.effort",
                    format!("`{chosen}` instead of `{wanted}`, which the model does not know"),
                ));
            }
            params.string("reasoning_effort", chosen);
        }
        None => losses.add(Loss::note(
            "reasoning.effort",
            format!("`{wanted}` was left out: no effort that the model knows comes near it"),
        )),
    }
}

fn note_what_is_left_out(request: &Request<'_>, losses: &mut Losses) {
    let sampling = &request.sampling;
    let given = [
        ("top_p", sampling.top_p.is_some()),
        ("top_k", sampling.top_k.is_some()),
        ("frequency_penalty", sampling.frequency_penalty.is_some()),
        ("presence_penalty", sampling.presence_penalty.is_some()),
        ("seed", sampling.seed.is_some()),
        (
            "top_logprobs",
            sampling.logprobs || sampling.top_logprobs.is_some(),
        ),
        ("text.verbosity", request.verbosity.is_some()),
        ("prompt_cache_key", request.cache_key.is_some()),
        ("service_tier", request.service_tier.is_some()),
        ("metadata", request.metadata.is_some()),
        ("user", request.user.is_some()),
    ];
    for (field, is_given) in given {
        if is_given {
            losses.add(left_out(field));
        }
    }
    for (field, _) in &request.extra {
        losses.add(Loss::note(
            field.clone().into_owned(),
            "left out: the provider has no such setting",
        ));
    }
    if !request.stop.is_empty() {
        losses.add(Loss::degraded(
            "stop",
            "left out: the provider cannot be told where to stop",
        ));
    }
    if request.parallel_tool_calls == Some(false) {
        losses.add(Loss::degraded(
            "parallel_tool_calls",
            "the provider cannot be kept from calling several tools at once",
        ));
    }
}

fn left_out(field: &'static str) -> Loss {
    Loss::note(field, "left out: the provider has no such setting")
}
