//! The tools of a request: each as it is where the provider knows its kind, else as a function.

use std::collections::HashSet;

use polywire_conversation::{
    Form, Function, Grammar, Item, Json, Ledger, Loss, Request, Text, Tool, tools::SEARCH_NAME,
};
use polywire_wire::{Object, write_array, write_string};

use super::Losses;
use super::choice::{Choice, Chosen};
use super::settings::write_schema;
use crate::profile::Profile;

/// What a function without parameters takes. Leaving the schema out is refused or misread by several servers.
const NO_PARAMETERS: &str = r#"{"type":"object","properties":{}}"#;

/// The one argument of a freeform tool.
const FREEFORM_PARAMETERS: &str =
    r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#;

/// What a tool search takes when the client did not say.
const SEARCH_PARAMETERS: &str = r#"{"type":"object","properties":{"query":{"type":"string"},"limit":{"type":"integer"}},"required":["query"]}"#;

/// One element of `tools`.
pub(super) enum Entry<'r> {
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
    pub(super) fn shown_name<'l>(&'l self, ledger: &'l Ledger) -> &'l str {
        match self {
            Entry::Single(single) => single.wire_name(ledger),
            Entry::Group { name, .. } => name,
            Entry::Passing { tag, .. } => tag,
        }
    }
}

/// A tool that can be called.
#[derive(Clone, Copy)]
pub(super) struct Single<'r> {
    tool: &'r Tool<'r>,
    name: &'r str,
    form: Form,
    namespace: Option<&'r str>,
    /// The description of its group, on the first tool of a group that cannot go out as one.
    namespace_description: Option<&'r Text<'r>>,
}

impl Single<'_> {
    /// The name under which it goes over the wire when its group does not go out as one.
    pub(super) fn wire_name<'l>(&self, ledger: &'l Ledger) -> &'l str {
        ledger
            .declared_wire_name(self.name, self.namespace)
            .unwrap_or_default()
    }

    /// Whether `name` means this tool: by its own name, its group's, or the one on the wire.
    pub(super) fn is_called(&self, name: &str, ledger: &Ledger) -> bool {
        self.name == name || self.namespace == Some(name) || self.wire_name(ledger) == name
    }

    pub(super) fn name(&self) -> &str {
        self.name
    }

    pub(super) fn namespace(&self) -> Option<&str> {
        self.namespace
    }

    /// Whether it goes out as a `custom` tool.
    pub(super) fn is_custom(&self, profile: &Profile) -> bool {
        self.form == Form::Freeform && profile.freeform_tools
    }
}

/// How tools are written.
#[derive(Clone, Copy)]
pub(super) struct Style<'s> {
    pub(super) profile: &'s Profile,
    pub(super) ledger: &'s Ledger,
}

/// Everything that goes into `tools`, in the client's order. Tools that a search has loaded are among them where the provider
/// does not know the search itself.
pub(super) fn collect<'r>(
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
pub(super) fn declare_deferred(request: &Request<'_>, ledger: &mut Ledger) {
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

/// Writes `tools` and `tool_choice`; neither when there is no tool, because an empty list is refused by several providers and a
/// choice without tools by most.
pub(super) fn write(
    chosen: &Chosen<'_>,
    ledger: &Ledger,
    profile: &Profile,
    body: &mut Object<'_>,
    losses: &mut Losses,
) {
    if chosen.tools.is_empty() {
        return;
    }
    let style = Style { profile, ledger };
    write_array(&chosen.tools, body.member("tools"), |entry, out| {
        write_entry(entry, style, losses, out);
    });
    match &chosen.choice {
        Choice::Unset => {}
        Choice::Word(word) => body.string("tool_choice", word),
        Choice::Object(object) => body.raw("tool_choice", object),
    }
}

/// Writes the tools that a search has found, for a provider that knows the search.
pub(super) fn write_loaded(
    tools: &[Tool<'_>],
    style: Style<'_>,
    losses: &mut Losses,
    out: &mut Vec<u8>,
) {
    let mut entries = Vec::new();
    let mut collector = Collector {
        profile: style.profile,
        ledger: style.ledger,
        refused: &[],
        with_deferred: true,
        seen: HashSet::new(),
        losses,
    };
    collector.add_all(tools, &mut entries);
    write_array(&entries, out, |entry, out| {
        write_entry(entry, style, losses, out);
    });
}

fn write_entry(entry: &Entry<'_>, style: Style<'_>, losses: &mut Losses, out: &mut Vec<u8>) {
    match entry {
        Entry::Passing { raw, .. } => raw.write(out),
        Entry::Single(single) => {
            write_single(single, single.wire_name(style.ledger), style, losses, out);
        }
        Entry::Group {
            name,
            description,
            tools,
        } => {
            let mut group = Object::open(out);
            group.string("type", "namespace");
            group.string("name", name);
            // The description is required where namespaces are known.
            match description {
                Some(description) => group.text("description", description),
                None => group.string("description", ""),
            }
            write_array(tools, group.member("tools"), |single, out| {
                write_single(single, single.name, style, losses, out);
            });
            group.close();
        }
    }
}

fn write_single(
    single: &Single<'_>,
    name: &str,
    style: Style<'_>,
    losses: &mut Losses,
    out: &mut Vec<u8>,
) {
    let profile = style.profile;
    let mut tool = Object::open(out);
    match single.tool {
        Tool::Function(function) => write_function(single, function, name, profile, losses, tool),
        Tool::Freeform {
            description,
            grammar,
            ..
        } if profile.freeform_tools => {
            tool.string("type", "custom");
            tool.string("name", name);
            write_description(single, description.as_ref(), None, &mut tool);
            if let Some(grammar) = grammar {
                let mut format = Object::open(tool.member("format"));
                format.string("type", "grammar");
                format.string("syntax", &grammar.syntax);
                format.text("definition", &grammar.definition);
                format.close();
            }
            tool.close();
        }
        Tool::Freeform {
            description,
            grammar,
            ..
        } => {
            tool.string("type", "function");
            tool.string("name", name);
            let how = freeform_hint(grammar.as_ref());
            write_description(single, description.as_ref(), Some(&how), &mut tool);
            tool.raw("parameters", FREEFORM_PARAMETERS);
            if profile.strict_tools {
                tool.flag("strict", false);
            }
            tool.close();
            if grammar.is_some() {
                losses.add(Loss::note(
                    format!("tool `{name}`"),
                    "offered as a function; its grammar is told to the model but not enforced",
                ));
            }
        }
        Tool::Search {
            description,
            parameters,
        } => {
            if profile.tool_search {
                tool.string("type", "tool_search");
                tool.string("execution", "client");
            } else {
                tool.string("type", "function");
                tool.string("name", name);
            }
            write_description(single, description.as_ref(), None, &mut tool);
            let parameters = parameters.as_ref();
            write_parameters(parameters, SEARCH_PARAMETERS, profile, losses, &mut tool);
            tool.close();
        }
        // Never collected as something that can be called.
        Tool::Namespace { .. } | Tool::Hosted { .. } | Tool::Unknown { .. } => tool.close(),
    }
}

fn write_function(
    single: &Single<'_>,
    function: &Function<'_>,
    name: &str,
    profile: &Profile,
    losses: &mut Losses,
    mut tool: Object<'_>,
) {
    tool.string("type", "function");
    tool.string("name", name);
    write_description(single, function.description.as_ref(), None, &mut tool);
    let parameters = function.parameters.as_ref();
    write_parameters(parameters, NO_PARAMETERS, profile, losses, &mut tool);
    if profile.strict_tools {
        // Left out, it would mean `true` to OpenAI, and a schema that was not written for that would be refused.
        tool.flag("strict", function.strict.unwrap_or(false));
    } else if function.strict == Some(true) {
        losses.add(Loss::degraded(
            format!("tool `{name}`"),
            "`strict` was left out: the provider does not hold arguments to the schema",
        ));
    }
    if function.deferred && profile.tool_search {
        tool.flag("defer_loading", true);
    }
    tool.close();
}

/// Writes what the model is told about a tool: its group if it is the first of it, the tool itself, and how to pass free text.
fn write_description(
    single: &Single<'_>,
    description: Option<&Text<'_>>,
    hint: Option<&Text<'_>>,
    tool: &mut Object<'_>,
) {
    let texts: Vec<&Text<'_>> = [single.namespace_description, description, hint]
        .into_iter()
        .flatten()
        .filter(|text| !text.is_empty())
        .collect();
    if texts.is_empty() {
        return;
    }
    let out = tool.member("description");
    out.push(b'"');
    for (index, text) in texts.into_iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(br"\n\n");
        }
        text.write_escaped(out);
    }
    out.push(b'"');
}

fn freeform_hint(grammar: Option<&Grammar<'_>>) -> Text<'static> {
    let how = "Put the whole text in `input`.";
    Text::plain(match grammar {
        None => how.to_owned(),
        Some(Grammar { syntax, definition }) => format!(
            "{how} It must match this {syntax} grammar:\n```{syntax}\n{}\n```",
            definition.to_plain()
        ),
    })
}

fn write_parameters(
    parameters: Option<&Json<'_>>,
    otherwise: &str,
    profile: &Profile,
    losses: &mut Losses,
    tool: &mut Object<'_>,
) {
    match parameters {
        Some(schema) if schema.as_str() != "null" => {
            write_schema(schema, profile, losses, tool.member("parameters"));
        }
        Some(_) | None => tool.raw("parameters", otherwise),
    }
}

/// The object of `tool_choice` that means a tool of the provider.
pub(super) fn choice_of_hosted(tag: &str) -> String {
    let mut out = Vec::new();
    let mut choice = Object::open(&mut out);
    choice.string("type", tag);
    choice.close();
    String::from_utf8_lossy(&out).into_owned()
}

/// The object of `tool_choice` that means one tool; also an element of `allowed_tools`.
pub(super) fn choice_of(single: &Single<'_>, ledger: &Ledger, profile: &Profile) -> String {
    let mut out = Vec::new();
    let mut choice = Object::open(&mut out);
    let tag = if single.is_custom(profile) {
        "custom"
    } else {
        "function"
    };
    choice.string("type", tag);
    match single.namespace() {
        Some(namespace) if profile.namespaces => {
            choice.string("name", single.name());
            choice.string("namespace", namespace);
        }
        Some(_) | None => write_string(single.wire_name(ledger), choice.member("name")),
    }
    choice.close();
    String::from_utf8_lossy(&out).into_owned()
}
