//! The tools of a request: each as it is where the provider knows its kind, else as a function.

mod write;

use std::collections::HashSet;

use polywire_conversation::{
    Form, Item, Json, Ledger, Loss, Request, Text, Tool, tools::SEARCH_NAME,
};

use super::Losses;
use crate::profile::Profile;
pub(in crate::render) use write::{choice_of, choice_of_hosted, write, write_loaded};

/// One element of `tools`.
pub(in crate::render) enum Entry<'r> {
    /// A tool that can be called.
    Single(Single<'r>),
    /// A group that goes out as one.
    Group {
        name: &'r str,
        description: Option<&'r Text<'r>>,
        tools: Vec<Single<'r>>,
    },
    /// A tool of the provider, as it was written.
    Passing { tag: &'r str, raw: &'r Json<'r> },
}

impl Entry<'_> {
    /// The name under which the entry stands in the body.
    pub(in crate::render) fn shown_name<'l>(&'l self, ledger: &'l Ledger) -> &'l str {
        match self {
            Entry::Single(single) => single.wire_name(ledger),
            Entry::Group { name, .. } => name,
            Entry::Passing { tag, .. } => tag,
        }
    }
}

/// A tool that can be called.
#[derive(Clone, Copy)]
pub(in crate::render) struct Single<'r> {
    tool: &'r Tool<'r>,
    name: &'r str,
    form: Form,
    namespace: Option<&'r str>,
    /// The description of its group, on the first tool of a group that cannot go out as one.
    namespace_description: Option<&'r Text<'r>>,
}

impl Single<'_> {
    /// The name under which it goes over the wire when its group does not go out as one.
    pub(in crate::render) fn wire_name<'l>(&self, ledger: &'l Ledger) -> &'l str {
        ledger
            .declared_wire_name(self.name, self.namespace)
            .unwrap_or_default()
    }

    /// Whether `name` means this tool: by its own name, its group's, or the one on the wire.
    pub(in crate::render) fn is_called(&self, name: &str, ledger: &Ledger) -> bool {
        self.name == name || self.namespace == Some(name) || self.wire_name(ledger) == name
    }

    pub(in crate::render) fn name(&self) -> &str {
        self.name
    }

    pub(in crate::render) fn namespace(&self) -> Option<&str> {
        self.namespace
    }

    /// Whether it goes out as a `custom` tool.
    pub(in crate::render) fn is_custom(&self, profile: &Profile) -> bool {
        self.form == Form::Freeform && profile.freeform_tools
    }
}

/// How tools are written.
#[derive(Clone, Copy)]
pub(in crate::render) struct Style<'s> {
    pub(in crate::render) profile: &'s Profile,
    pub(in crate::render) ledger: &'s Ledger,
}

/// Everything that goes into `tools`, in the client's order. Tools that a search has loaded are among them where the provider
/// does not know the search itself.
pub(in crate::render) fn collect<'r>(
    request: &'r Request<'r>,
    ledger: &Ledger,
    profile: &Profile,
    losses: &mut Losses,
) -> Vec<Entry<'r>> {
    let searchable = request
        .all_tools()
        .any(|tool| matches!(tool, Tool::Search { .. }));
    let mut collector = Collector {
        profile,
        ledger,
        refused: &request.tools_refused,
        with_deferred: !searchable || profile.tool_search,
        seen: HashSet::new(),
        losses,
    };
    let mut entries = Vec::new();
    collector.add_all(&request.tools, &mut entries);
    for item in &request.items {
        match item {
            Item::ToolsAdded(tools) => collector.add_all(tools, &mut entries),
            Item::Result(result) if !profile.tool_search => {
                let before = std::mem::replace(&mut collector.with_deferred, true);
                collector.add_all(&result.tools_loaded, &mut entries);
                collector.with_deferred = before;
            }
            Item::Result(_)
            | Item::Message(_)
            | Item::Reasoning(_)
            | Item::Call(_)
            | Item::HostedCall { .. }
            | Item::Compaction { .. }
            | Item::Unknown { .. } => {}
        }
    }
    entries
}

/// Gives names to tools that wait for a search, for a provider that carries the search and can so come to call them.
pub(in crate::render) fn declare_deferred(request: &Request<'_>, ledger: &mut Ledger) {
    fn declare(tools: &[Tool<'_>], namespace: Option<&str>, ledger: &mut Ledger) {
        for tool in tools {
            match tool {
                Tool::Function(function) => {
                    ledger.declare(&function.name, namespace, Form::Function);
                }
                Tool::Namespace { name, tools, .. } if namespace.is_none() => {
                    declare(tools, Some(name), ledger);
                }
                Tool::Namespace { .. }
                | Tool::Freeform { .. }
                | Tool::Search { .. }
                | Tool::Hosted { .. }
                | Tool::Unknown { .. } => {}
            }
        }
    }
    declare(&request.tools, None, ledger);
}

struct Collector<'c, 'r> {
    profile: &'c Profile,
    ledger: &'c Ledger,
    refused: &'c [String],
    with_deferred: bool,
    seen: HashSet<(Option<&'r str>, &'r str)>,
    losses: &'c mut Losses,
}

impl<'r> Collector<'_, 'r> {
    fn add_all(&mut self, tools: &'r [Tool<'r>], entries: &mut Vec<Entry<'r>>) {
        for tool in tools {
            match tool {
                Tool::Namespace {
                    name,
                    description,
                    tools,
                } => self.add_group(name, description.as_ref(), tools, entries),
                Tool::Hosted { tag, raw } | Tool::Unknown { tag, raw }
                    if self.profile.passes_hosted(tag) =>
                {
                    entries.push(Entry::Passing { tag, raw });
                }
                // Left out, and noted where names are given.
                Tool::Hosted { .. } | Tool::Unknown { .. } => {}
                Tool::Function(_) | Tool::Freeform { .. } | Tool::Search { .. } => {
                    entries.extend(self.single(tool, None).map(Entry::Single));
                }
            }
        }
    }

    fn add_group(
        &mut self,
        name: &'r str,
        description: Option<&'r Text<'r>>,
        tools: &'r [Tool<'r>],
        entries: &mut Vec<Entry<'r>>,
    ) {
        let mut singles: Vec<Single<'r>> = tools
            .iter()
            .filter_map(|tool| self.single(tool, Some(name)))
            .collect();
        if self.profile.namespaces && !singles.is_empty() {
            entries.push(Entry::Group {
                name,
                description,
                tools: singles,
            });
            return;
        }
        if let Some(first) = singles.first_mut() {
            first.namespace_description = description;
        }
        entries.extend(singles.into_iter().map(Entry::Single));
    }

    fn single(&mut self, tool: &'r Tool<'r>, namespace: Option<&'r str>) -> Option<Single<'r>> {
        let (name, form) = match tool {
            Tool::Function(function) if function.deferred && !self.with_deferred => return None,
            Tool::Function(function) => (&*function.name, Form::Function),
            Tool::Freeform { name, .. } => (&**name, Form::Freeform),
            Tool::Search { .. } => (SEARCH_NAME, Form::Search),
            Tool::Namespace { .. } | Tool::Hosted { .. } | Tool::Unknown { .. } => return None,
        };
        if !self.seen.insert((namespace, name)) {
            return None;
        }
        if !self.profile.tools {
            self.losses.add(Loss::severe(
                format!("tool `{name}`"),
                "left out: the provider takes no tools of its clients",
            ));
            return None;
        }
        let single = Single {
            tool,
            name,
            form,
            namespace,
            namespace_description: None,
        };
        let wire_name = single.wire_name(self.ledger);
        if self.refused.iter().any(|refused| refused == wire_name) {
            self.losses.add(Loss::degraded(
                format!("tool `{wire_name}`"),
                "removed: the provider has refused it",
            ));
            return None;
        }
        Some(single)
    }
}
