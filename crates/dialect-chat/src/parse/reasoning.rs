//! How much the model should think, in all the ways in which clients say it, and what it thought in earlier turns.

use std::borrow::Cow;

use polywire_conversation::envelope;
use polywire_conversation::{
    Fault, Item, Loss, Reasoning, ReasoningRequest, Text, VisibleReasoning,
};

use super::body::WireSettings;
use super::messages::WireMessage;
use super::top;
use polywire_wire::{At, Field, Many, field, quoted, read, wire_object};

/// What a request says about reasoning.
#[derive(Debug, Default)]
pub(super) struct ReasoningSettings<'a> {
    /// How much of it is wanted.
    pub(super) request: ReasoningRequest<'a>,
    /// Whether none of it is to be shown.
    pub(super) hidden: bool,
    /// Whether the `reasoning` object was used.
    pub(super) asked_by_object: bool,
    /// Whether it was switched on or off without saying how much.
    switch: Option<bool>,
}

/// The effort that `enabled: true` without an effort means, as the services say that brought this form into use.
const ENABLED_EFFORT: &str = "medium";

/// Reads `reasoning_effort`, `reasoning`, `include_reasoning`, `thinking`, `enable_thinking` and `thinking_budget`.
///
/// Off wins over everything else, because who switches thinking off means it; an effort or a budget wins over a mere switch. Any word
/// is taken as effort, because clients send what their user wrote; who knows the model picks the nearest.
pub(super) fn settings<'a>(
    wire: &WireSettings<'a>,
    losses: &mut Vec<Loss>,
) -> Result<ReasoningSettings<'a>, Fault> {
    let mut settings = ReasoningSettings::default();
    settings.request.effort = top(wire.reasoning_effort, "reasoning_effort").name()?;
    settings.read_object(top(wire.reasoning, "reasoning"), losses)?;
    settings.read_thinking(top(wire.thinking, "thinking"))?;
    if let Some(enabled) = top(wire.enable_thinking, "enable_thinking").flag()? {
        settings.switched(enabled);
    }
    let budget = top(wire.thinking_budget, "thinking_budget").count()?;
    let request = &mut settings.request;
    request.budget_tokens = request.budget_tokens.or(budget);
    if top(wire.include_reasoning, "include_reasoning").flag()? == Some(false) {
        settings.hidden = true;
    }
    settings.settle(losses);
    Ok(settings)
}

wire_object! {
    WireReasoning {
        effort: "effort",
        max_tokens: "max_tokens",
        enabled: "enabled",
        exclude: "exclude",
        summary: "summary",
    }
}

wire_object! {
    WireThinking {
        tag: "type",
        budget_tokens: "budget_tokens",
    }
}

impl<'a> ReasoningSettings<'a> {
    fn read_object(
        &mut self,
        reasoning: Field<'a, '_>,
        losses: &mut Vec<Loss>,
    ) -> Result<(), Fault> {
        let Some(wire) = reasoning.object::<WireReasoning<'a>>()? else {
            return Ok(());
        };
        let at = reasoning.at();
        self.asked_by_object = true;
        let effort = field(wire.effort, at, "effort").name()?;
        let other = self.request.effort.take();
        if other.is_some() && effort.is_some() && other != effort {
            losses.push(Loss::note(
                "reasoning.effort",
                "left out: `reasoning_effort` says something else",
            ));
        }
        self.request.effort = other.or(effort);
        self.request.budget_tokens = field(wire.max_tokens, at, "max_tokens").count()?;
        self.request.summary = field(wire.summary, at, "summary").name()?;
        self.hidden = field(wire.exclude, at, "exclude").flag()?.unwrap_or(false);
        if let Some(enabled) = field(wire.enabled, at, "enabled").flag()? {
            self.switched(enabled);
        }
        Ok(())
    }

    fn read_thinking(&mut self, thinking: Field<'a, '_>) -> Result<(), Fault> {
        let Some(wire) = thinking.object::<WireThinking<'a>>()? else {
            return Ok(());
        };
        let at = thinking.at();
        let tag = field(wire.tag, at, "type");
        match tag.name()?.as_deref() {
            Some("enabled") => self.switched(true),
            Some("disabled") => self.switched(false),
            // The model decides, as it does when nothing is said.
            Some("adaptive" | "auto") | None => {}
            Some(other) => {
                return Err(tag.at().fault(format_args!(
                    "must be `enabled`, `disabled` or `adaptive`, not `{}`",
                    quoted(other)
                )));
            }
        }
        let budget = field(wire.budget_tokens, at, "budget_tokens").count()?;
        let request = &mut self.request;
        request.budget_tokens = request.budget_tokens.or(budget);
        Ok(())
    }

    fn switched(&mut self, on: bool) {
        self.switch = Some(on && self.switch != Some(false));
    }

    /// Makes one wish of all that was said.
    fn settle(&mut self, losses: &mut Vec<Loss>) {
        if self.request.budget_tokens == Some(0) {
            // A budget of nothing is how some callers switch thinking off.
            self.request.budget_tokens = None;
            self.switched(false);
        }
        let request = &mut self.request;
        match self.switch {
            Some(false) => {
                let contradicted = request
                    .effort
                    .as_deref()
                    .is_some_and(|effort| effort != "none");
                if contradicted || request.budget_tokens.is_some() {
                    losses.push(Loss::note(
                        "reasoning",
                        "the amount of thinking was left out: the request switches thinking off as well",
                    ));
                }
                request.effort = Some(Cow::Borrowed("none"));
                request.budget_tokens = None;
            }
            Some(true) if request.effort.is_none() && request.budget_tokens.is_none() => {
                request.effort = Some(Cow::Borrowed(ENABLED_EFFORT));
            }
            Some(true) | None => {}
        }
    }
}

wire_object! {
    WireDetail {
        tag: "type",
        text: "text",
        summary: "summary",
        data: "data",
    }
}

/// What an assistant message says that the model thought: `reasoning_content` or `reasoning`, which hold the same words, and
/// `reasoning_details`, whose entries are ours when they begin as an [envelope] does.
pub(super) fn items<'a>(
    wire: &WireMessage<'a>,
    at: &At<'_>,
    losses: &mut Vec<Loss>,
) -> Result<Vec<Item<'a>>, Fault> {
    let written = field(wire.reasoning_content, at, "reasoning_content").text()?;
    let other = field(wire.reasoning, at, "reasoning").text()?;
    let details = details(
        field(wire.reasoning_details, at, "reasoning_details"),
        losses,
    )?;
    let text = written
        .filter(|text| !text.is_empty())
        .or(other.filter(|text| !text.is_empty()));
    let visible = match text {
        Some(text) => VisibleReasoning::Full(vec![text]),
        None => details.visible,
    };
    let mut sealed = details.sealed.into_iter();
    let first = Reasoning {
        visible,
        sealed: sealed.next(),
        state: Vec::new(),
    };
    let first = (first != Reasoning::default()).then_some(first);
    let rest = sealed.map(|sealed| Reasoning {
        sealed: Some(sealed),
        ..Reasoning::default()
    });
    Ok(first.into_iter().chain(rest).map(Item::Reasoning).collect())
}

#[derive(Default)]
struct Details<'a> {
    visible: VisibleReasoning<'a>,
    sealed: Vec<Text<'a>>,
}

fn details<'a>(list: Field<'a, '_>, losses: &mut Vec<Loss>) -> Result<Details<'a>, Fault> {
    if !list.is_set() {
        return Ok(Details::default());
    }
    let Many(wires) = read::<Many<WireDetail<'a>>>(list.required()?.get(), list.at())?;
    let (mut full, mut summary, mut sealed) = (Vec::new(), Vec::new(), Vec::new());
    for (index, wire) in wires.iter().enumerate() {
        let at = list.at().index(index);
        let tag = field(wire.tag, &at, "type").required_name()?;
        let text = field(wire.text, &at, "text").text()?;
        let short = field(wire.summary, &at, "summary").text()?;
        let state = field(wire.data, &at, "data").text()?;
        match &*tag {
            "reasoning.text" => full.extend(text.filter(|text| !text.is_empty())),
            "reasoning.summary" => summary.extend(short.filter(|text| !text.is_empty())),
            "reasoning.encrypted" if state.as_ref().is_some_and(is_ours) => sealed.extend(state),
            "reasoning.encrypted" => losses.push(Loss::note(
                at.to_string(),
                "left out: reasoning that somebody else sealed is of no use here",
            )),
            other => losses.push(Loss::note(
                at.to_string(),
                format!(
                    "left out: reasoning of type `{}` is not known",
                    quoted(other)
                ),
            )),
        }
    }
    let visible = match (full.is_empty(), summary.is_empty()) {
        (false, _) => VisibleReasoning::Full(full),
        (true, false) => VisibleReasoning::Summary(summary),
        (true, true) => VisibleReasoning::None,
    };
    Ok(Details { visible, sealed })
}

fn is_ours(state: &Text<'_>) -> bool {
    state.to_plain().starts_with(envelope::PREFIX)
}
