//! Whether and how much the model is asked to think.

use polywire_conversation::{Loss, ReasoningRequest, effort};
use polywire_wire::Object;

use super::Losses;
use super::block::{Block, Message, Speaker};
use crate::profile::{Profile, ThinkingForm};

/// The least budget that is accepted.
const BUDGET_MIN: u64 = 1_024;

/// The budget of each effort, in tokens. More than `xhigh` takes all that there is.
const BUDGETS: [(&str, u64); 5] = [
    ("minimal", BUDGET_MIN),
    ("low", 4_096),
    ("medium", 10_240),
    ("high", 20_480),
    ("xhigh", 32_768),
];

/// What the client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Unsaid,
    Off,
    On,
}

/// What goes out.
#[derive(Debug)]
pub(super) struct Thinking<'a> {
    form: Form,
    /// The name for `output_config.effort`.
    pub(super) effort: Option<&'a str>,
    /// Whether the model thinks, as far as can be known, so that the limits of thinking hold.
    pub(super) is_on: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Unsaid,
    Off,
    Budget(u64),
    Adaptive { display: Option<&'static str> },
}

/// Whether the client wants the model to think.
pub(super) fn wish(reasoning: &ReasoningRequest<'_>) -> Wish {
    match (reasoning.effort.as_deref(), reasoning.budget_tokens) {
        (Some(word), _) if effort::is_off(word) => Wish::Off,
        (None, Some(0)) => Wish::Off,
        (Some(_), _) | (None, Some(_)) => Wish::On,
        (None, None) => Wish::Unsaid,
    }
}

/// Whether the client asks the model to think.
pub(crate) fn wants_thinking(reasoning: &ReasoningRequest<'_>) -> bool {
    wish(reasoning) == Wish::On
}

/// Whether the model may think in this request, before its conversation is looked at.
pub(super) fn may_think(reasoning: &ReasoningRequest<'_>, profile: &Profile) -> bool {
    profile.thinking != ThinkingForm::None
        && (wish(reasoning) == Wish::On || !profile.thinking_can_be_off)
}

/// Settles what goes out. `messages` is the conversation, `max_tokens` the limit that goes out with it.
pub(super) fn settle<'a>(
    reasoning: &'a ReasoningRequest<'a>,
    profile: &'a Profile,
    messages: &[Message<'_>],
    max_tokens: u64,
    losses: &mut Losses,
) -> Thinking<'a> {
    let wish = wish(reasoning);
    let can_be_off = profile.thinking_can_be_off;
    let form = match (profile.thinking, wish) {
        (ThinkingForm::None, Wish::On) if profile.efforts.is_empty() => {
            losses.add(Loss::note(
                "reasoning.effort",
                "left out: the provider has no such setting",
            ));
            Form::Unsaid
        }
        (ThinkingForm::None, _) | (_, Wish::Unsaid) => Form::Unsaid,
        (ThinkingForm::Manual | ThinkingForm::Adaptive, Wish::Off) if can_be_off => Form::Off,
        (ThinkingForm::Manual, Wish::On | Wish::Off) if lacks_its_thinking(messages) => {
            losses.add(Loss::degraded(
                "reasoning",
                "thinking is off until the tools have answered: the model's turn did not begin with reasoning of this provider, and the provider would refuse it",
            ));
            off(can_be_off)
        }
        (ThinkingForm::Manual, Wish::On | Wish::Off) => {
            budget(reasoning, wish, can_be_off, max_tokens, losses)
        }
        (ThinkingForm::Adaptive, Wish::On | Wish::Off) => Form::Adaptive {
            display: display(reasoning.summary.as_deref()),
        },
    };
    if wish == Wish::Off && profile.thinking != ThinkingForm::None && !can_be_off {
        losses.add(Loss::note(
            "reasoning.effort",
            "thinking cannot be switched off; the least is asked for",
        ));
    }
    Thinking {
        form,
        effort: effort_name(reasoning, wish, profile, losses),
        is_on: match form {
            Form::Off => false,
            Form::Budget(_) | Form::Adaptive { .. } => true,
            Form::Unsaid => profile.thinking != ThinkingForm::None && !can_be_off,
        },
    }
}

impl Thinking<'_> {
    /// Writes `thinking`, if anything is to be said.
    pub(super) fn write(&self, body: &mut Object<'_>) {
        match self.form {
            Form::Unsaid => {}
            Form::Off => body.raw("thinking", r#"{"type":"disabled"}"#),
            Form::Budget(tokens) => {
                let mut thinking = Object::open(body.member("thinking"));
                thinking.string("type", "enabled");
                thinking.raw("budget_tokens", &tokens.to_string());
                thinking.close();
            }
            Form::Adaptive { display } => {
                let mut thinking = Object::open(body.member("thinking"));
                thinking.string("type", "adaptive");
                if let Some(display) = display {
                    thinking.string("display", display);
                }
                thinking.close();
            }
        }
    }
}

/// No thinking, or nothing said about it where it cannot be switched off.
fn off(can_be_off: bool) -> Form {
    if can_be_off { Form::Off } else { Form::Unsaid }
}

/// How much of the thinking is shown. Nothing is said when the client said nothing.
fn display(summary: Option<&str>) -> Option<&'static str> {
    summary.map(|summary| match summary {
        "none" | "omitted" => "omitted",
        _ => "summarized",
    })
}

/// The budget: at least the least, and so much less than the limit that there is room for an answer.
fn budget(
    reasoning: &ReasoningRequest<'_>,
    wish: Wish,
    can_be_off: bool,
    max_tokens: u64,
    losses: &mut Losses,
) -> Form {
    if max_tokens < 2 * BUDGET_MIN {
        losses.add(Loss::degraded(
            "reasoning",
            format!("thinking is off: {max_tokens} tokens of output leave no room for it"),
        ));
        return off(can_be_off);
    }
    let half = (max_tokens / 2).max(BUDGET_MIN);
    let wanted = match (wish, reasoning.effort.as_deref(), reasoning.budget_tokens) {
        (Wish::Off, _, _) => BUDGET_MIN,
        (_, _, Some(tokens)) if (BUDGET_MIN..max_tokens).contains(&tokens) => {
            return Form::Budget(tokens);
        }
        (_, _, Some(tokens)) => {
            let tokens_sent = tokens.clamp(BUDGET_MIN, half);
            losses.add(Loss::note(
                "thinking.budget_tokens",
                format!("{tokens_sent} instead of {tokens}: it must be at least 1024 and less than the limit of the answer"),
            ));
            tokens
        }
        (_, Some("max" | "ultra"), None) => u64::MAX,
        (_, Some(word), None) => {
            let known = BUDGETS.iter().find(|(name, _)| *name == word);
            known.map_or_else(
                || {
                    losses.add(Loss::note(
                        "reasoning.effort",
                        format!("`{word}` is not known; taken for `medium`"),
                    ));
                    BUDGETS[2].1
                },
                |(_, tokens)| *tokens,
            )
        }
        (_, None, None) => BUDGETS[2].1,
    };
    Form::Budget(wanted.clamp(BUDGET_MIN, half))
}

/// The effort by name, of those that the provider knows.
fn effort_name<'a>(
    reasoning: &'a ReasoningRequest<'a>,
    wish: Wish,
    profile: &'a Profile,
    losses: &mut Losses,
) -> Option<&'a str> {
    let allowed: Vec<&str> = profile.efforts.iter().map(String::as_str).collect();
    if allowed.is_empty() {
        return None;
    }
    let wanted = match wish {
        Wish::Unsaid => return None,
        // "Off" is spelled in another field.
        Wish::Off if profile.thinking_can_be_off && !allowed.contains(&"none") => return None,
        Wish::Off => "none",
        Wish::On => match (reasoning.effort.as_deref(), reasoning.budget_tokens) {
            (Some(word), _) => word,
            (None, Some(tokens)) => effort_of(tokens),
            (None, None) => return None,
        },
    };
    let chosen = effort::nearest(wanted, &allowed);
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

/// The effort whose budget is nearest, measured in factors.
fn effort_of(tokens: u64) -> &'static str {
    let (mut nearest, mut above) = (BUDGETS[0].0, BUDGETS[0].1);
    for (name, budget) in BUDGETS.into_iter().skip(1) {
        // Beyond the geometric mean of two budgets the greater one is nearer.
        if u128::from(tokens) * u128::from(tokens) < u128::from(above) * u128::from(budget) {
            break;
        }
        (nearest, above) = (name, budget);
    }
    nearest
}

/// Whether the tools answer a turn of the model that does not begin with thinking. With a budget the provider refuses that
/// ("Expected `thinking` or `redacted_thinking`, but found `tool_use`").
///
/// A turn goes from what the user said to the answer, over all rounds of calls; messages that hold results only do not divide it.
fn lacks_its_thinking(messages: &[Message<'_>]) -> bool {
    let mut spoken = messages
        .iter()
        .rev()
        .filter(|message| message.speaker != Speaker::System);
    let is_result = |block: &Block<'_>| matches!(block, Block::Result { .. });
    let answers = spoken
        .next()
        .is_some_and(|message| message.blocks.first().is_some_and(is_result));
    if !answers {
        return false;
    }
    let turn = spoken.take_while(|message| {
        message.speaker == Speaker::Assistant || message.blocks.iter().all(is_result)
    });
    let beginning = turn
        .filter(|message| message.speaker == Speaker::Assistant)
        .last();
    beginning.is_some_and(|message| !message.blocks.first().is_some_and(Block::is_thinking))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_read_as_the_nearest_effort() {
        for (tokens, expected) in [
            (0, "minimal"),
            (1_024, "minimal"),
            (2_047, "minimal"),
            (2_048, "low"),
            (6_000, "low"),
            (8_000, "medium"),
            (16_000, "high"),
            (26_000, "xhigh"),
            (u64::MAX, "xhigh"),
        ] {
            assert_eq!(effort_of(tokens), expected, "{tokens}");
        }
    }
}
