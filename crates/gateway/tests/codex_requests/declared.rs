//! The tools that a client declares, read from its request without any help of the code under test.

use polywire_conversation::Form;
use serde_json::Value;

use crate::Translated;

/// A tool that can be called.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Declared {
    pub(crate) name: String,
    pub(crate) namespace: Option<String>,
    pub(crate) form: Form,
}

/// Every callable tool of a request, each once: those of the request, and those that items brought or loaded.
pub(crate) fn tools(sent: &Value) -> Vec<Declared> {
    let own = list(&sent["tools"]);
    let items = list(&sent["input"]);
    let brought = || {
        items
            .iter()
            .filter(|item| item["type"] == "additional_tools")
    };
    let all = || {
        own.iter()
            .chain(brought().flat_map(|item| list(&item["tools"])))
    };
    let searchable = all().any(|tool| tool["type"] == "tool_search");
    let mut found = Vec::new();
    for tool in all() {
        add(tool, None, !searchable, &mut found);
    }
    for item in items
        .iter()
        .filter(|item| item["type"] == "tool_search_output")
    {
        for tool in list(&item["tools"]) {
            add(tool, None, true, &mut found);
        }
    }
    found
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn add(tool: &Value, namespace: Option<&str>, with_deferred: bool, found: &mut Vec<Declared>) {
    let name = tool["name"].as_str();
    let (name, form) = match (tool["type"].as_str().unwrap(), name) {
        ("function", _) if tool["defer_loading"] == true && !with_deferred => return,
        ("function", Some(name)) => (name, Form::Function),
        ("custom", Some(name)) => (name, Form::Freeform),
        ("tool_search", None) => ("tool_search", Form::Search),
        ("namespace", Some(name)) if namespace.is_none() => {
            for inner in list(&tool["tools"]) {
                add(inner, Some(name), with_deferred, found);
            }
            return;
        }
        // Told as a loss; see `hosted`.
        _ => return,
    };
    let declared = Declared {
        name: name.to_owned(),
        namespace: namespace.map(str::to_owned),
        form,
    };
    let known =
        |other: &Declared| (&other.name, &other.namespace) == (&declared.name, &declared.namespace);
    if !found.iter().any(known) {
        found.push(declared);
    }
}

/// Earlier calls of declared tools bear the names under which the tools are offered.
fn earlier_calls_are_named_alike(place: &str, translated: &Translated) {
    let messages = list(&translated.body["messages"]).iter();
    let called: Vec<&str> = messages
        .flat_map(|message| list(&message["tool_calls"]))
        .map(|call| call["function"]["name"].as_str().unwrap())
        .collect();
    let space = |name: Option<&str>| name.filter(|name| *name != "functions").map(str::to_owned);
    let declared = tools(&translated.sent);
    for item in list(&translated.sent["input"]) {
        let kind = item["type"].as_str().unwrap_or_default();
        if !["function_call", "custom_tool_call"].contains(&kind) {
            continue;
        }
        let same = |tool: &&Declared| {
            item["name"] == *tool.name
                && space(tool.namespace.as_deref()) == space(item["namespace"].as_str())
        };
        if let Some(tool) = declared.iter().find(same) {
            let ledger = &translated.rendered.ledger;
            let name = ledger.declared_wire_name(&tool.name, tool.namespace.as_deref());
            assert!(
                called.contains(&name.unwrap()),
                "{place}: {item} is not called {name:?}"
            );
        }
    }
}

/// The types of the tools that cannot be called by name.
fn hosted(sent: &Value) -> impl Iterator<Item = &str> {
    let types = list(&sent["tools"])
        .iter()
        .filter_map(|tool| tool["type"].as_str());
    types.filter(|kind| !["function", "custom", "namespace", "tool_search"].contains(kind))
}

/// Every declared tool is in the body, in order, or a loss tells that it is not; nothing else is in the body.
pub(crate) fn check(place: &str, translated: &Translated) {
    let Translated {
        sent,
        body,
        rendered,
        losses,
    } = translated;
    let offered: Vec<&str> = list(&body["tools"])
        .iter()
        .map(|tool| tool["function"]["name"].as_str().unwrap())
        .collect();
    let mut expected: Vec<&str> = tools(sent)
        .iter()
        .map(|tool| {
            let name = rendered
                .ledger
                .declared_wire_name(&tool.name, tool.namespace.as_deref());
            name.unwrap_or_else(|| panic!("{place}: {tool:?} is not in the ledger"))
        })
        .collect();
    // A choice that leaves tools out says so.
    if losses.iter().any(|loss| loss.contains("tool_choice")) {
        expected.retain(|name| offered.contains(name));
    }
    assert_eq!(offered, expected, "{place}");
    earlier_calls_are_named_alike(place, translated);
    for kind in hosted(sent) {
        let told = losses
            .iter()
            .any(|loss| loss.contains(&format!("`{kind}`")));
        assert!(told, "{place}: nothing tells that `{kind}` was left out");
    }
}
