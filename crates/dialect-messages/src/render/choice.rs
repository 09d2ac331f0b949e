//! Which tools are offered, and how far the model is free to call them.

use polywire_conversation::tools::OfferedTool;
use polywire_conversation::{Fault, Ledger, Loss, Request, ToolChoice};
use polywire_wire::Object;

use super::Losses;
use super::hosted::{SEARCH_NAME, WebSearch, is_web_search};
use crate::Profile;

/// The tools that go out, and the `tool_choice` that goes with them.
pub(super) struct Chosen<'r> {
    pub(super) tools: Vec<OfferedTool<'r>>,
    pub(super) web_search: Option<WebSearch<'r>>,
    pub(super) choice: Choice,
}

impl Chosen<'_> {
    /// The names under which tools stand in the body.
    pub(super) fn names(&self, ledger: &Ledger) -> Vec<String> {
        let own = self.tools.iter().map(|tool| wire_name_of(tool, ledger));
        let search = self.web_search.iter().map(|_| "web_search");
        own.chain(search).map(str::to_owned).collect()
    }

    /// Whether there is no tool at all.
    pub(super) fn is_empty(&self) -> bool {
        self.tools.is_empty() && self.web_search.is_none()
    }
}

/// A `tool_choice` as it goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Unset,
    Auto,
    None,
    Any,
    /// One tool, by wire name.
    Named(String),
}

/// Settles the choice. `forcing` says that a call can be demanded.
pub(super) fn choose<'r>(
    request: &Request<'_>,
    mut tools: Vec<OfferedTool<'r>>,
    web_search: Option<WebSearch<'r>>,
    ledger: &Ledger,
    forcing: bool,
    losses: &mut Losses,
) -> Result<Chosen<'r>, Fault> {
    let mut web_search = web_search;
    let choice = match &request.tool_choice {
        ToolChoice::Unset => Choice::Unset,
        ToolChoice::Auto => Choice::Auto,
        ToolChoice::None => Choice::None,
        ToolChoice::Required => demanded(Choice::Any, forcing, losses),
        ToolChoice::Hosted(tag) => match &web_search {
            Some(_) if is_web_search(tag) => {
                demanded(Choice::Named(SEARCH_NAME.to_owned()), forcing, losses)
            }
            Some(_) | None => {
                return Err(Fault::invalid(
                    "tool_choice",
                    format!(
                        "the provider has no built-in tool `{tag}`, and the request insists on it"
                    ),
                ));
            }
        },
        ToolChoice::Named { name, namespace } => {
            let is_it = |tool: &&OfferedTool<'_>| {
                tool.name == &**name && tool.namespace == namespace.as_deref()
            };
            if let Some(tool) = tools.iter().find(is_it) {
                let wire_name = wire_name_of(tool, ledger).to_owned();
                demanded(Choice::Named(wire_name), forcing, losses)
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
            web_search = web_search.filter(|_| names.iter().any(|name| is_web_search(name)));
            losses.add(Loss::note(
                "tool_choice",
                "`allowed_tools`: only those tools are sent; the prompt cache may miss",
            ));
            if *required {
                demanded(Choice::Any, forcing, losses)
            } else {
                Choice::Auto
            }
        }
    };
    Ok(Chosen {
        tools,
        web_search,
        choice,
    })
}

/// A demand, where one can be made.
fn demanded(choice: Choice, forcing: bool, losses: &mut Losses) -> Choice {
    if forcing {
        return choice;
    }
    losses.add(Loss::degraded(
        "tool_choice",
        "the provider refuses a demanded call while the model thinks; the model is free to choose",
    ));
    Choice::Auto
}

/// Writes `tool_choice`. There must be tools.
pub(super) fn write(
    request: &Request<'_>,
    choice: &Choice,
    profile: &Profile,
    body: &mut Object<'_>,
    losses: &mut Losses,
) {
    let alone = request.parallel_tool_calls == Some(false);
    if alone && !profile.parallel_control {
        losses.add(Loss::degraded(
            "parallel_tool_calls",
            "the provider cannot be kept from calling several tools at once",
        ));
    }
    let alone = alone && profile.parallel_control;
    let kind = match choice {
        Choice::Unset if alone => "auto",
        Choice::Unset => return,
        Choice::Auto => "auto",
        Choice::None => "none",
        Choice::Any => "any",
        Choice::Named(_) => "tool",
    };
    let mut object = Object::open(body.member("tool_choice"));
    object.string("type", kind);
    if let Choice::Named(name) = choice {
        object.string("name", name);
    }
    if alone && *choice != Choice::None {
        object.flag("disable_parallel_tool_use", true);
    }
    object.close();
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
