//! Which tools are offered, and how far the model is free to call them.

use polywire_conversation::tools::OfferedTool;
use polywire_conversation::{Fault, Ledger, Loss, Request, ToolChoice};

use super::{Losses, thinking};
use crate::profile::{ChoiceForm, Profile, ReasoningForm};

/// The tools that go out, and the `tool_choice` that goes with them.
pub(super) struct Chosen<'r> {
    pub(super) tools: Vec<OfferedTool<'r>>,
    pub(super) choice: Choice,
}

/// A `tool_choice` as it goes out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// The field is left out.
    Unset,
    /// One of the words.
    Word(&'static str),
    /// One function, by wire name.
    Named(String),
}

/// Settles the choice in the forms that the provider knows.
pub(super) fn choose<'r>(
    request: &Request<'_>,
    mut tools: Vec<OfferedTool<'r>>,
    ledger: &Ledger,
    profile: &Profile,
    losses: &mut Losses,
) -> Result<Chosen<'r>, Fault> {
    let knows = |form| profile.tool_choice.contains(&form);
    let choice = match &request.tool_choice {
        ToolChoice::Hosted(tag) => {
            return Err(Fault::invalid(
                "tool_choice",
                format!("the provider has no built-in tool `{tag}`, and the request insists on it"),
            ));
        }
        ToolChoice::Unset => Choice::Unset,
        ToolChoice::Auto => auto(profile),
        ToolChoice::None if knows(ChoiceForm::None) => Choice::Word("none"),
        ToolChoice::None => {
            tools.clear();
            losses.add(Loss::note(
                "tool_choice",
                "`none`: the tools were left out, because the provider does not know the word",
            ));
            Choice::Unset
        }
        ToolChoice::Required => demand(request, profile, losses),
        ToolChoice::Named { name, namespace } => {
            let Some(wire_name) = ledger.declared_wire_name(name, namespace.as_deref()) else {
                losses.add(Loss::degraded(
                    "tool_choice",
                    format!("`{name}` is not among the tools; the model is free to choose"),
                ));
                return Ok(Chosen {
                    tools,
                    choice: auto(profile),
                });
            };
            named(
                wire_name.to_owned(),
                request,
                &mut tools,
                ledger,
                profile,
                losses,
            )
        }
        ToolChoice::Allowed { required, names } => {
            tools.retain(|tool| names.iter().any(|name| is_called(tool, name, ledger)));
            losses.add(Loss::note(
                "tool_choice",
                "`allowed_tools`: only those tools are sent; the prompt cache may miss",
            ));
            if *required {
                demand(request, profile, losses)
            } else {
                auto(profile)
            }
        }
    };
    Ok(Chosen { tools, choice })
}

fn auto(profile: &Profile) -> Choice {
    if profile.tool_choice.contains(&ChoiceForm::Auto) {
        Choice::Word("auto")
    } else {
        Choice::Unset
    }
}

/// Demands a call, whichever.
fn demand(request: &Request<'_>, profile: &Profile, losses: &mut Losses) -> Choice {
    if forbidden_by_thinking(request, profile, losses) {
        return auto(profile);
    }
    if profile.tool_choice.contains(&ChoiceForm::Required) {
        Choice::Word("required")
    } else if profile.tool_choice.contains(&ChoiceForm::Any) {
        Choice::Word("any")
    } else {
        losses.add(Loss::degraded(
            "tool_choice",
            "the provider cannot be made to call a tool; the model is free to choose",
        ));
        auto(profile)
    }
}

/// Demands a call of one tool: by its name, or by leaving out all others.
fn named(
    wire_name: String,
    request: &Request<'_>,
    tools: &mut Vec<OfferedTool<'_>>,
    ledger: &Ledger,
    profile: &Profile,
    losses: &mut Losses,
) -> Choice {
    if forbidden_by_thinking(request, profile, losses) {
        return auto(profile);
    }
    if profile.tool_choice.contains(&ChoiceForm::Named) {
        return Choice::Named(wire_name);
    }
    let choice = demand(request, profile, losses);
    if matches!(choice, Choice::Word("required" | "any")) {
        tools.retain(|tool| wire_name_of(tool, ledger) == wire_name);
        losses.add(Loss::note(
            "tool_choice",
            format!("only `{wire_name}` is sent, because the provider takes no name here"),
        ));
    }
    choice
}

fn forbidden_by_thinking(request: &Request<'_>, profile: &Profile, losses: &mut Losses) -> bool {
    let thinks =
        profile.reasoning_request != ReasoningForm::None && !thinking::is_off(&request.reasoning);
    let forbidden = thinks && !profile.forced_choice_with_thinking;
    if forbidden {
        losses.add(Loss::degraded(
            "tool_choice",
            "the provider refuses a demanded call while the model thinks; the model is free to choose",
        ));
    }
    forbidden
}

fn is_called(tool: &OfferedTool<'_>, name: &str, ledger: &Ledger) -> bool {
    tool.name == name || tool.namespace == Some(name) || wire_name_of(tool, ledger) == name
}

/// The name under which an offered tool goes over the wire.
pub(super) fn wire_name_of<'l>(tool: &OfferedTool<'_>, ledger: &'l Ledger) -> &'l str {
    ledger
        .declared_wire_name(tool.name, tool.namespace)
        .unwrap_or_default()
}
