//! How much the model is asked to think.

use std::borrow::Cow;

use polywire_conversation::{Loss, ReasoningRequest, Request, effort};
use polywire_wire::Object;

use super::Losses;
use super::settings::left_out;
use crate::profile::{Profile, ReasoningForm};

/// Tokens to think with, for each effort between none and all: the table that both directions use. What lies above has no
/// number, since it is the model's own limit.
const BUDGETS: [(&str, u64); 5] = [
    ("minimal", 1_024),
    ("low", 4_096),
    ("medium", 10_240),
    ("high", 20_480),
    ("xhigh", 32_768),
];

/// The fewest tokens that thinking makes sense with.
const BUDGET_MIN: u64 = 1_024;

/// The fewest tokens of output beside which it does.
const OUTPUT_TOKENS_MIN: u64 = 2 * BUDGET_MIN;

/// What is asked for.
struct Wanted<'r> {
    thinks: bool,
    /// The effort by name, named or worked out from a count.
    effort: Cow<'r, str>,
    /// The count, when that is all that the client said.
    budget_tokens: Option<u64>,
}

/// Whether the client asks for no thinking at all.
pub(super) fn is_off(reasoning: &ReasoningRequest<'_>) -> bool {
    match reasoning.effort.as_deref() {
        Some(effort) => effort::is_off(effort),
        None => reasoning.budget_tokens == Some(0),
    }
}

impl<'r> Wanted<'r> {
    fn of(request: &'r Request<'_>) -> Option<Self> {
        let reasoning = &request.reasoning;
        if let Some(effort) = reasoning.effort.as_deref() {
            return Some(Self {
                thinks: !effort::is_off(effort),
                effort: effort.into(),
                budget_tokens: None,
            });
        }
        let budget_tokens = reasoning.budget_tokens?;
        Some(Self {
            thinks: budget_tokens > 0,
            effort: effort_of(budget_tokens).into(),
            budget_tokens: Some(budget_tokens).filter(|&tokens| tokens > 0),
        })
    }
}

/// Writes what is asked for in the form that the provider knows.
pub(super) fn write(
    request: &Request<'_>,
    profile: &Profile,
    body: &mut Object<'_>,
    losses: &mut Losses,
) {
    let Some(wanted) = Wanted::of(request) else {
        return;
    };
    let thinks = wanted.thinks;
    match profile.reasoning_request {
        ReasoningForm::None => {
            losses.add(left_out(match request.reasoning.effort {
                Some(_) => "reasoning.effort",
                None => "reasoning.budget_tokens",
            }));
            return;
        }
        ReasoningForm::ReasoningEffort => {}
        ReasoningForm::ReasoningObject => {
            write_object(&wanted, profile, body, losses);
            return;
        }
        ReasoningForm::ThinkingToggle => write_thinking("enabled", thinks, profile, body),
        ReasoningForm::ThinkingAdaptive => write_thinking("adaptive", thinks, profile, body),
        ReasoningForm::EnableThinking => {
            body.flag("enable_thinking", thinks);
            if let Some(tokens) = wanted.budget_tokens {
                body.raw("thinking_budget", &tokens.to_string());
                return;
            }
        }
        ReasoningForm::ThinkingBudget => {
            write_budget(&wanted, request, body, losses);
            return;
        }
        ReasoningForm::ChatTemplate => body.raw(
            "chat_template_kwargs",
            if thinks {
                r#"{"thinking":true,"enable_thinking":true}"#
            } else {
                r#"{"thinking":false,"enable_thinking":false}"#
            },
        ),
    }
    if let Some(effort) = allowed_effort(&wanted, profile, losses) {
        body.string("reasoning_effort", effort);
    }
}

fn write_object(
    wanted: &Wanted<'_>,
    profile: &Profile,
    body: &mut Object<'_>,
    losses: &mut Losses,
) {
    let mut reasoning = Object::open(body.member("reasoning"));
    if let Some(tokens) = wanted.budget_tokens {
        reasoning.raw("max_tokens", &tokens.to_string());
    } else if let Some(effort) = allowed_effort(wanted, profile, losses) {
        reasoning.string("effort", effort);
    } else {
        reasoning.flag("enabled", wanted.thinks);
    }
    reasoning.close();
}

/// Writes a switch and a count. An answer that has no room for both thinking and words is for words.
fn write_budget(
    wanted: &Wanted<'_>,
    request: &Request<'_>,
    body: &mut Object<'_>,
    losses: &mut Losses,
) {
    let is_short = wanted.budget_tokens.is_none()
        && request
            .output_tokens_max
            .is_some_and(|output| output < OUTPUT_TOKENS_MIN);
    if wanted.thinks && is_short {
        losses.add(Loss::note(
            "reasoning.effort",
            format!("thinking is off: fewer than {OUTPUT_TOKENS_MIN} tokens of output leave no room for it"),
        ));
    }
    let thinks = wanted.thinks && !is_short;
    body.flag("enable_thinking", thinks);
    if let Some(tokens) = budget(wanted, request).filter(|_| thinks) {
        body.raw("thinking_budget", &tokens.to_string());
    }
}

/// The count to send: the client's own, or the one that stands for the effort it named. Of the latter no more than half of the
/// output, or nothing would be left for the answer. Above the table the model's own limit holds.
fn budget(wanted: &Wanted<'_>, request: &Request<'_>) -> Option<u64> {
    if !wanted.thinks || wanted.budget_tokens.is_some() {
        return wanted.budget_tokens;
    }
    let tokens = budget_of(&wanted.effort)?;
    let most = request
        .output_tokens_max
        .map_or(tokens, |output| output / 2);
    Some(tokens.min(most).max(BUDGET_MIN))
}

/// The tokens that stand for an effort.
fn budget_of(effort: &str) -> Option<u64> {
    let found = BUDGETS.iter().find(|(name, _)| *name == effort);
    found.map(|&(_, tokens)| tokens)
}

/// The effort that stands for so many tokens: the nearest on a logarithmic scale.
fn effort_of(budget_tokens: u64) -> &'static str {
    if budget_tokens == 0 {
        return "none";
    }
    let tokens = u128::from(budget_tokens);
    // Between two neighbours the border is where the square of the count is the product of theirs.
    let above = BUDGETS.windows(2).find(|pair| {
        let border = u128::from(pair[0].1) * u128::from(pair[1].1);
        tokens * tokens < border
    });
    above.map_or(BUDGETS[BUDGETS.len() - 1].0, |pair| pair[0].0)
}

fn write_thinking(on: &str, thinks: bool, profile: &Profile, body: &mut Object<'_>) {
    let mut thinking = Object::open(body.member("thinking"));
    thinking.string("type", if thinks { on } else { "disabled" });
    if thinks {
        for (key, value) in profile
            .thinking_extra
            .iter()
            .filter(|(key, _)| *key != "type")
        {
            thinking.raw(key, &value.to_string());
        }
    }
    thinking.close();
}

/// The effort to ask for by name, if any.
fn allowed_effort<'a>(
    wanted: &'a Wanted<'_>,
    profile: &'a Profile,
    losses: &mut Losses,
) -> Option<&'a str> {
    let counted = wanted.budget_tokens;
    let wanted = &*wanted.effort;
    let listed: Vec<&str> = profile.efforts.iter().map(String::as_str).collect();
    let allowed: &[&str] = match profile.reasoning_request {
        ReasoningForm::None | ReasoningForm::ThinkingBudget => return None,
        ReasoningForm::ReasoningEffort | ReasoningForm::ReasoningObject if listed.is_empty() => {
            &["low", "medium", "high"]
        }
        ReasoningForm::ReasoningEffort => &listed,
        // "Off" is spelled in another field there.
        ReasoningForm::ReasoningObject
        | ReasoningForm::ThinkingToggle
        | ReasoningForm::ThinkingAdaptive
        | ReasoningForm::EnableThinking
        | ReasoningForm::ChatTemplate => {
            if counted.is_some() && listed.is_empty() {
                losses.add(Loss::note(
                    "reasoning.budget_tokens",
                    "left out: the provider only knows whether to think at all",
                ));
            }
            if effort::is_off(wanted) || listed.is_empty() {
                return None;
            }
            &listed
        }
    };
    let chosen = effort::nearest(wanted, allowed);
    match chosen {
        Some(chosen) if counted.is_some() => losses.add(Loss::note(
            "reasoning.budget_tokens",
            format!("asked for as effort `{chosen}`, because the provider does not count"),
        )),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_efforts_stand_for_each_other() {
        for (effort, tokens) in BUDGETS {
            assert_eq!(effort_of(tokens), effort);
            assert_eq!(budget_of(effort), Some(tokens));
        }
        for (tokens, effort) in [
            (0, "none"),
            (1, "minimal"),
            (2_047, "minimal"),
            (2_048, "low"),
            (6_000, "low"),
            (7_000, "medium"),
            (16_000, "high"),
            (64_000, "xhigh"),
            (u64::MAX, "xhigh"),
        ] {
            assert_eq!(effort_of(tokens), effort, "{tokens}");
        }
        assert_eq!(budget_of("max"), None);
    }
}
