//! Which tools a turn offers, flattened to single callable tools with names that the wire allows.

use std::borrow::Cow;

use crate::{Form, Function, Grammar, Item, Json, Ledger, Loss, NameRule, Request, Text, Tool};

/// The tools of a turn as a function-calling provider can take them.
#[derive(Debug)]
pub struct Offer<'r> {
    /// Every callable tool, in the client's order.
    pub tools: Vec<OfferedTool<'r>>,
    /// What their names and forms were lowered from.
    pub ledger: Ledger,
    /// Tools that no function-calling provider can take.
    pub losses: Vec<Loss>,
}

/// One callable tool.
#[derive(Clone, Debug)]
pub struct OfferedTool<'r> {
    /// The tool's own name.
    pub name: &'r str,
    /// The namespace that it lives in.
    pub namespace: Option<&'r str>,
    /// The namespace's description, on the first tool of the namespace only.
    pub namespace_description: Option<&'r Text<'r>>,
    /// What the model is told, by kind.
    pub kind: OfferedKind<'r>,
}

/// What a callable tool takes.
#[derive(Clone, Debug)]
pub enum OfferedKind<'r> {
    /// JSON arguments.
    Function(&'r Function<'r>),
    /// Free text.
    Freeform {
        /// What the tool does.
        description: Option<&'r Text<'r>>,
        /// What the text must look like.
        grammar: Option<&'r Grammar<'r>>,
    },
    /// A search for further tools.
    Search {
        /// What the tool does.
        description: Option<&'r Text<'r>>,
        /// The schema of its arguments.
        parameters: Option<&'r Json<'r>>,
    },
}

/// The name under which the client's tool search is offered and called.
pub const SEARCH_NAME: &str = "tool_search";

/// What a function without parameters takes. Leaving the schema out is refused or misread by several servers.
pub const NO_PARAMETERS: &str = r#"{"type":"object","properties":{}}"#;

/// The one argument of a freeform tool where it is offered as a function.
pub const FREEFORM_PARAMETERS: &str =
    r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#;

/// What a tool search takes when the client did not say.
pub const SEARCH_PARAMETERS: &str = r#"{"type":"object","properties":{"query":{"type":"string"},"limit":{"type":"integer"}},"required":["query"]}"#;

/// Calls `visit` with name, namespace, form and description of every tool that can be called.
pub fn for_each_callable(
    tools: &[Tool<'_>],
    visit: &mut impl FnMut(&str, Option<&str>, Form, Option<&Text<'_>>),
) {
    for_each_callable_in(tools, None, visit);
}

fn for_each_callable_in(
    tools: &[Tool<'_>],
    namespace: Option<&str>,
    visit: &mut impl FnMut(&str, Option<&str>, Form, Option<&Text<'_>>),
) {
    for tool in tools {
        match tool {
            Tool::Function(Function {
                name, description, ..
            }) => visit(name, namespace, Form::Function, description.as_ref()),
            Tool::Freeform {
                name, description, ..
            } => visit(name, namespace, Form::Freeform, description.as_ref()),
            Tool::Search { description, .. } => {
                visit(SEARCH_NAME, namespace, Form::Search, description.as_ref());
            }
            Tool::Namespace { name, tools, .. } if namespace.is_none() => {
                for_each_callable_in(tools, Some(name), visit);
            }
            // Not offered, and noted as a loss where the tools are.
            Tool::Namespace { .. } | Tool::Hosted { .. } | Tool::Unknown { .. } => {}
        }
    }
}

impl OfferedKind<'_> {
    /// The form in which a call has to come back.
    pub const fn form(&self) -> Form {
        match self {
            OfferedKind::Function(_) => Form::Function,
            OfferedKind::Freeform { .. } => Form::Freeform,
            OfferedKind::Search { .. } => Form::Search,
        }
    }
}

/// Flattens every tool of the request and of its items, and gives each a name that `rule` allows.
///
/// Deferred tools are left out as long as a tool search can load them; without one they could never be called, so they are
/// offered at once. Hosted and unknown tools become losses. A tool that is declared twice is offered once, and one that the
/// provider has refused not at all; its name stays in the ledger, for its calls in the history.
pub fn offer<'r>(request: &'r Request<'r>, rule: NameRule) -> Offer<'r> {
    offer_beside(request, rule, &|_| false)
}

/// The same for a provider with built-in tools of its own: a hosted tool whose wire type is `built_in` is left to the dialect and
/// is no loss.
pub fn offer_beside<'r>(
    request: &'r Request<'r>,
    rule: NameRule,
    built_in: &dyn Fn(&str) -> bool,
) -> Offer<'r> {
    let searchable = request
        .all_tools()
        .any(|tool| matches!(tool, Tool::Search { .. }));
    let mut collected = Collected {
        tools: Vec::new(),
        losses: Vec::new(),
        built_in,
    };
    for (index, tool) in request.tools.iter().enumerate() {
        collected.add(tool, !searchable, &|| format!("tools[{index}]").into());
    }
    for (index, item) in request.items.iter().enumerate() {
        match item {
            Item::ToolsAdded(tools) => {
                for tool in tools {
                    collected.add(tool, !searchable, &|| {
                        format!("input[{index}].tools").into()
                    });
                }
            }
            Item::Result(result) => {
                for tool in &result.tools_loaded {
                    collected.add(tool, true, &|| format!("input[{index}].tools").into());
                }
            }
            Item::Message(_)
            | Item::Reasoning(_)
            | Item::Call(_)
            | Item::HostedCall { .. }
            | Item::Compaction { .. }
            | Item::Unknown { .. } => {}
        }
    }
    let Collected {
        tools, mut losses, ..
    } = collected;
    let (ledger, mut tools) = Ledger::declare_all(tools, rule);
    tools.retain(|tool| {
        let name = ledger
            .declared_wire_name(tool.name, tool.namespace)
            .unwrap_or_default();
        let refused = request.tools_refused.iter().any(|refused| refused == name);
        if refused {
            losses.push(Loss::severe(
                format!("tool `{name}`"),
                "left out: the provider refuses its declaration",
            ));
        }
        !refused
    });
    Offer {
        tools,
        ledger,
        losses,
    }
}

struct Collected<'r, 'b> {
    tools: Vec<OfferedTool<'r>>,
    losses: Vec<Loss>,
    built_in: &'b dyn Fn(&str) -> bool,
}

impl<'r> Collected<'r, '_> {
    fn add(
        &mut self,
        tool: &'r Tool<'r>,
        with_deferred: bool,
        place: &dyn Fn() -> Cow<'static, str>,
    ) {
        match tool {
            Tool::Namespace {
                name,
                description,
                tools,
            } => {
                let before = self.tools.len();
                for inner in tools {
                    self.add_single(inner, Some(name), with_deferred, place);
                }
                if let Some(first) = self.tools.get_mut(before) {
                    first.namespace_description = description.as_ref();
                }
            }
            Tool::Function(_)
            | Tool::Freeform { .. }
            | Tool::Search { .. }
            | Tool::Hosted { .. }
            | Tool::Unknown { .. } => self.add_single(tool, None, with_deferred, place),
        }
    }

    fn add_single(
        &mut self,
        tool: &'r Tool<'r>,
        namespace: Option<&'r str>,
        with_deferred: bool,
        place: &dyn Fn() -> Cow<'static, str>,
    ) {
        let (name, kind) = match tool {
            Tool::Function(function) if function.deferred && !with_deferred => return,
            Tool::Function(function) => (&*function.name, OfferedKind::Function(function)),
            Tool::Freeform {
                name,
                description,
                grammar,
            } => (
                &**name,
                OfferedKind::Freeform {
                    description: description.as_ref(),
                    grammar: grammar.as_ref(),
                },
            ),
            Tool::Search {
                description,
                parameters,
            } => (
                SEARCH_NAME,
                OfferedKind::Search {
                    description: description.as_ref(),
                    parameters: parameters.as_ref(),
                },
            ),
            Tool::Namespace { name, .. } => {
                self.losses.push(Loss::severe(
                    format!("{} namespace `{name}`", place()),
                    "removed: a namespace inside a namespace has no name to call it by",
                ));
                return;
            }
            Tool::Hosted { tag, .. } if (self.built_in)(tag) => return,
            Tool::Hosted { tag, .. } => {
                self.losses.push(Loss::degraded(
                    format!("{} `{tag}`", place()),
                    "removed: the provider has no such built-in tool",
                ));
                return;
            }
            Tool::Unknown { tag, .. } => {
                self.losses.push(Loss::severe(
                    format!("{} `{tag}`", place()),
                    "removed: a tool of this type is not known",
                ));
                return;
            }
        };
        self.tools.push(OfferedTool {
            name,
            namespace,
            namespace_description: None,
            kind,
        });
    }
}
