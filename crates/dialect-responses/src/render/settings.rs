//! Everything of a body that is neither conversation nor tools.

use polywire_conversation::{Dialect, Loss, ModelFacts, Request, effort};
use polywire_wire::Object;

use super::Losses;
use super::format::{Format, write_schema};
use crate::fields;
use crate::profile::Profile;

/// What the settings are made from.
pub(super) struct Asked<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) model: &'a ModelFacts<'a>,
    pub(super) with_tools: bool,
    pub(super) format: &'a Format<'a>,
    pub(super) profile: &'a Profile,
}

/// Writes the settings, each in the form that the provider knows or as a loss.
pub(super) fn write(asked: &Asked<'_>, body: &mut Object<'_>, losses: &mut Losses) {
    body.flag("stream", true);
    body.flag("store", false);
    asked.write_include(body);
    asked.write_parallel(body, losses);
    asked.write_limit(body, losses);
    asked.write_sampling(body, losses);
    asked.write_reasoning(body, losses);
    asked.write_text(body, losses);
    asked.write_extensions(body, losses);
    asked.note_unknown(losses);
    asked.write_extra(body, losses);
}

impl Asked<'_> {
    fn write_include(&self, body: &mut Object<'_>) {
        if let Some(only) = self.profile.include_json() {
            body.raw("include", &only);
            return;
        }
        let mut include = Vec::new();
        if self.profile.reasoning && self.profile.encrypted_reasoning {
            include.push(r#""reasoning.encrypted_content""#);
        }
        if self.asks_logprobs() && self.profile.logprobs {
            include.push(r#""message.output_text.logprobs""#);
        }
        if !include.is_empty() {
            body.raw("include", &format!("[{}]", include.join(",")));
        }
    }

    fn asks_logprobs(&self) -> bool {
        let sampling = &self.request.sampling;
        sampling.logprobs || sampling.top_logprobs.is_some()
    }

    fn write_parallel(&self, body: &mut Object<'_>, losses: &mut Losses) {
        match self.request.parallel_tool_calls {
            Some(_) | None if !self.with_tools => {}
            Some(parallel) if self.profile.parallel_tool_calls => {
                body.flag("parallel_tool_calls", parallel);
            }
            Some(false) => losses.add(Loss::degraded(
                "parallel_tool_calls",
                "the provider cannot be kept from calling several tools at once",
            )),
            Some(true) | None => {}
        }
    }

    fn write_limit(&self, body: &mut Object<'_>, losses: &mut Losses) {
        let Some(wanted) = self.request.output_tokens_max else {
            return;
        };
        if !self.profile.takes_field("max_output_tokens") {
            let value = wanted.to_string();
            losses.0.extend(fields::loss("max_output_tokens", &value));
            return;
        }
        let limit = wanted.min(self.model.output_tokens_max.unwrap_or(u64::MAX));
        if limit < wanted {
            losses.add(Loss::note(
                "max_output_tokens",
                format!("{limit} instead of {wanted}: the model can give no more"),
            ));
        }
        body.raw("max_output_tokens", &limit.to_string());
    }

    fn write_sampling(&self, body: &mut Object<'_>, losses: &mut Losses) {
        let sampling = &self.request.sampling;
        for (field, value) in [
            ("temperature", &sampling.temperature),
            ("top_p", &sampling.top_p),
        ] {
            match value {
                Some(value) if self.profile.sampling => body.json(field, value),
                Some(_) => losses.add(left_out(field)),
                None => {}
            }
        }
        match sampling.top_logprobs {
            Some(count) if self.profile.logprobs => body.raw("top_logprobs", &count.to_string()),
            Some(_) => losses.add(left_out("top_logprobs")),
            None if sampling.logprobs && !self.profile.logprobs => {
                losses.add(left_out("logprobs"));
            }
            None => {}
        }
    }

    fn write_reasoning(&self, body: &mut Object<'_>, losses: &mut Losses) {
        let asked = &self.request.reasoning;
        let budgeted = asked.budget_tokens.map(effort_of_budget);
        let wanted = asked.effort.as_deref().or(budgeted);
        let summary = asked.summary.as_deref();
        if !self.profile.reasoning {
            if wanted.is_some() || summary.is_some() {
                losses.add(left_out("reasoning"));
            }
            return;
        }
        let known = self.profile.known_efforts();
        let effort = wanted.and_then(|wanted| allowed_effort(wanted, &known, losses));
        // `none` is what the field means when it is not there.
        let summary = summary.filter(|&summary| summary != "none");
        if summary.is_some() && !self.profile.reasoning_summary {
            losses.add(left_out("reasoning.summary"));
        }
        let summary = summary.filter(|_| self.profile.reasoning_summary);
        if effort.is_none() && summary.is_none() {
            return;
        }
        let mut reasoning = Object::open(body.member("reasoning"));
        if let Some(effort) = effort {
            reasoning.string("effort", effort);
        }
        if let Some(summary) = summary {
            reasoning.string("summary", summary);
        }
        reasoning.close();
    }

    /// `text`: the form of the answer, and how wordy it should be.
    fn write_text(&self, body: &mut Object<'_>, losses: &mut Losses) {
        let verbosity = self.request.verbosity.as_deref();
        if verbosity.is_some() && !self.profile.verbosity {
            losses.add(left_out("text.verbosity"));
        }
        let verbosity = verbosity.filter(|_| self.profile.verbosity);
        let has_format = match self.format {
            Format::Unset | Format::Told(_) => false,
            Format::JsonObject | Format::JsonSchema { .. } => true,
        };
        if !has_format && verbosity.is_none() {
            return;
        }
        let mut text = Object::open(body.member("text"));
        match self.format {
            Format::Unset | Format::Told(_) => {}
            Format::JsonObject => text.raw("format", r#"{"type":"json_object"}"#),
            Format::JsonSchema {
                name,
                description,
                schema,
                strict,
            } => {
                let mut format = Object::open(text.member("format"));
                format.string("type", "json_schema");
                format.string("name", name);
                if let Some(description) = description {
                    format.text("description", description);
                }
                let target = self.profile.format_schema.unwrap_or(self.profile.schema);
                write_schema(schema, target, losses, format.member("schema"));
                if let Some(strict) = strict {
                    format.flag("strict", *strict);
                }
                format.close();
            }
        }
        if let Some(verbosity) = verbosity {
            text.string("verbosity", verbosity);
        }
        text.close();
    }

    fn write_extensions(&self, body: &mut Object<'_>, losses: &mut Losses) {
        let request = self.request;
        match (&request.cache_key, &self.profile.cache_key_field) {
            (Some(key), Some(field)) => body.text(field, key),
            (Some(_), None) => losses.add(left_out("prompt_cache_key")),
            (None, _) => {}
        }
        match &request.service_tier {
            Some(tier) if self.profile.service_tier => match self.profile.tier(tier) {
                Some(known) => body.string("service_tier", known),
                None => losses.0.extend(tier_left_out(tier)),
            },
            Some(_) => losses.add(left_out("service_tier")),
            None => {}
        }
        match &request.user {
            Some(user) if self.profile.user => body.text("user", user),
            Some(_) => losses.add(user_left_out("user")),
            None => {}
        }
        match &request.metadata {
            Some(metadata) if self.profile.metadata => body.json("metadata", metadata),
            Some(_) => losses.add(left_out("metadata")),
            None => {}
        }
    }

    /// Notes what the protocol has no field for.
    fn note_unknown(&self, losses: &mut Losses) {
        let sampling = &self.request.sampling;
        let fields = [
            ("top_k", sampling.top_k.is_some()),
            ("frequency_penalty", sampling.frequency_penalty.is_some()),
            ("presence_penalty", sampling.presence_penalty.is_some()),
            ("seed", sampling.seed.is_some()),
        ];
        for (field, is_set) in fields {
            if is_set {
                losses.add(Loss::note(
                    field,
                    "left out: the protocol of the provider has no such setting, or only some have it",
                ));
            }
        }
        if !self.request.stop.is_empty() {
            losses.add(Loss::note(
                "stop",
                "left out: the Responses protocol has no stop texts; the answer is cut at them on its way back",
            ));
        }
    }

    fn write_extra(&self, body: &mut Object<'_>, losses: &mut Losses) {
        let mut written: Vec<&str> = Vec::new();
        for (key, value) in &self.request.extra {
            if self.request.dialect != Dialect::Responses {
                losses.add(Loss::note(
                    key.clone().into_owned(),
                    "left out: only the protocol of the client knows it",
                ));
            } else if key == SAFETY_IDENTIFIER && !self.profile.user {
                losses.add(user_left_out(SAFETY_IDENTIFIER));
            } else if !self.profile.takes_field(key) && !self.is_own(key) {
                losses.0.extend(fields::loss(key, value.as_str()));
            } else if self.profile.drop.iter().any(|dropped| dropped == key) {
                losses.add(Loss::note(
                    key.clone().into_owned(),
                    "left out: the provider does not take it",
                ));
            } else if !self.is_own(key) && !written.contains(&&**key) {
                body.json(key, value);
                written.push(key);
            }
        }
        for (key, value) in &self.profile.extra_body {
            if self.is_own(key) || written.contains(&key.as_str()) {
                losses.add(Loss::note(
                    format!("extra_body.{key}"),
                    "left out: the field is decided from the request",
                ));
            } else {
                body.raw(key, &value.to_string());
            }
        }
    }

    /// Whether the renderer decides about a field; a key that comes twice would be read one way here and another way there.
    fn is_own(&self, key: &str) -> bool {
        let profile = self.profile;
        OWN_FIELDS.contains(&key)
            || (key == "reasoning" && profile.reasoning)
            || (key == "service_tier" && profile.service_tier)
            || (key == "user" && profile.user)
            || (key == "metadata" && profile.metadata)
            || profile.cache_key_field.as_deref() == Some(key)
    }
}

/// Fields of the body that the renderer decides about in any case.
const OWN_FIELDS: [&str; 16] = [
    "model",
    "instructions",
    "input",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "stream",
    "store",
    "include",
    "max_output_tokens",
    "temperature",
    "top_p",
    "top_logprobs",
    "text",
    // Would make the provider go on from something that is not in the request.
    "previous_response_id",
    "conversation",
];

/// The other field that tells who the person behind the client is.
const SAFETY_IDENTIFIER: &str = "safety_identifier";

fn user_left_out(field: &'static str) -> Loss {
    Loss::note(
        field,
        "left out: who the user is goes only where the profile says so",
    )
}

/// The loss of a tier that the provider does not know; nothing when it is the usual one.
pub(crate) fn tier_left_out(tier: &str) -> Option<Loss> {
    let is_usual = matches!(tier, "auto" | "default");
    (!is_usual).then(|| {
        let tier = polywire_wire::quoted(tier);
        Loss::note(
            "service_tier",
            format!("`{tier}` was left out: the provider does not know it"),
        )
    })
}

fn left_out(field: &'static str) -> Loss {
    Loss::note(field, "left out: the provider has no such setting")
}

/// The effort that comes nearest to a budget of thinking, by the ratio of the two.
fn effort_of_budget(tokens: u64) -> &'static str {
    // Each row holds up to the geometric mean of its budget and the next.
    match tokens {
        0 => "none",
        1..2_048 => "minimal",
        2_048..6_476 => "low",
        6_476..14_482 => "medium",
        14_482..25_905 => "high",
        _ => "xhigh",
    }
}

fn allowed_effort<'a>(wanted: &'a str, known: &[&'a str], losses: &mut Losses) -> Option<&'a str> {
    let chosen = effort::nearest(wanted, known);
    match chosen {
        Some(chosen) if chosen == wanted => {}
        Some(chosen) => losses.add(Loss::note(
            "reasoning.effort",
            format!("`{chosen}` instead of `{wanted}`, which the provider does not know"),
        )),
        None => losses.add(Loss::note(
            "reasoning.effort",
            format!("`{wanted}` was left out: no effort that the provider knows comes near it"),
        )),
    }
    chosen
}
