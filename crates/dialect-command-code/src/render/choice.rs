//! Which tools are offered, and how far the model is free to call them.

use polywire_conversation::tools::OfferedTool;
use polywire_conversation::{Fault, Ledger, Loss, Request, ToolChoice};

use super::Losses;

/// The tools that go out, and the `tool_choice` that goes with them.
pub(super) struct Chosen<'r> {
    pub(super) tools: Vec<OfferedTool<'r>>,
    pub(super) choice: Choice,
}

/// A `tool_choice` as it goes out. There is no `none`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// The field is left out.
    Unset,
    Auto,
    Any,
    /// One tool, by wire name.
    Tool(String),
}

/// Settles the choice in the forms that the provider knows.
pub(super) fn choose<'r>(
    request: &Request<'_>,
    mut tools: Vec<OfferedTool<'r>>,
    ledger: &Ledger,
    losses: &mut Losses,
) -> Result<Chosen<'r>, Fault> {
    let choice = match &request.tool_choice {
        ToolChoice::Hosted(tag) => {
            return Err(Fault::invalid(
                "tool_choice",
                format!("the provider has no built-in tool `{tag}`, and the request insists on it"),
            ));
        }
        ToolChoice::Unset => Choice::Unset,
        ToolChoice::Auto => Choice::Auto,
        ToolChoice::None => {
            tools.clear();
            losses.add(Loss::note(
                "tool_choice",
                "`none`: the tools were left out, because the provider does not know the word",
            ));
            Choice::Unset
        }
        ToolChoice::Required => Choice::Any,
        ToolChoice::Named { name, namespace } => {
            let wire_name = ledger.declared_wire_name(name, namespace.as_deref());
            let offered = |wire_name: &&str| {
                tools
                    .iter()
                    .any(|tool| wire_name_of(tool, ledger) == *wire_name)
            };
            if let Some(wire_name) = wire_name.filter(offered) {
                Choice::Tool(wire_name.to_owned())
            } else {
                losses.add(Loss::degraded(
                    "tool_choice",
                    format!("`{name}` is not among the tools; the model is free to choose"),
                ));
                Choice::Auto
            }
        }
        ToolChoice::Allowed { required, names } => {
            tools.retain(|tool| names.iter().any(|name| is_called(tool, name, ledger)));
            losses.add(Loss::note(
                "tool_choice",
                "`allowed_tools`: only those tools are sent; the prompt cache may miss",
            ));
            if *required { Choice::Any } else { Choice::Auto }
        }
    };
    let choice = if tools.is_empty() {
        Choice::Unset
    } else {
        choice
    };
    Ok(Chosen { tools, choice })
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
