//! The root: an object with properties, and no union where the target takes none.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use crate::keywords::Members;
use crate::merge;
use crate::notes::{Notes, Place};
use crate::unions;

/// Makes the root say `type: object` and have `properties`. Arguments are always an object, whatever else the schema allows.
pub(crate) fn shape(schema: Members, notes: &mut Notes) -> Members {
    let may_be_object = match schema.get("type") {
        None => true,
        Some(Value::Array(names)) => names.contains(&json!("object")),
        Some(name) => name == "object",
    };
    if !may_be_object {
        notes.add(&Place::Root, "is no schema of an object; left open");
        return open();
    }
    let mut shaped = Map::new();
    if !schema.contains_key("type") {
        shaped.insert("type".to_owned(), json!("object"));
    }
    for (key, value) in schema {
        let value = if key == "type" {
            json!("object")
        } else {
            value
        };
        shaped.insert(key, value);
    }
    shaped
        .entry("properties")
        .or_insert_with(|| Value::Object(Map::new()));
    shaped
}

fn open() -> Members {
    let mut open = Map::new();
    open.insert("type".to_owned(), json!("object"));
    open.insert("properties".to_owned(), json!({}));
    open
}

/// Takes the unions away from a root of the right [shape]. Their branches are put together: every property that a branch has, required
/// only where all branches require it.
///
/// A property that only one branch has keeps its schema, though another branch, being open, would have taken anything under that
/// name: the model is to learn what the property is for.
pub(crate) fn flatten(mut root: Members, notes: &mut Notes) -> Members {
    if let Some(Value::Array(branches)) = root.shift_remove("allOf") {
        notes.add(&Place::Root, "`allOf` was put together into one object");
        for branch in merge::branches(branches, &Place::Root, notes) {
            // What stands in the branch may itself be a union.
            root = all_of(root, flatten(branch, notes), notes);
        }
    }
    for union in ["anyOf", "oneOf"] {
        if let Some(Value::Array(branches)) = root.shift_remove(union) {
            notes.add(
                &Place::Root,
                format_args!("`{union}` was put together into one object; which properties go together is lost"),
            );
            let branches = branches.into_iter().map(as_map);
            let objects: Vec<Members> = branches
                .filter(may_be_object)
                .map(|branch| flatten(branch, notes))
                .collect();
            root = one_of(root, objects);
        }
    }
    root
}

fn as_map(value: Value) -> Members {
    match value {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    }
}

fn may_be_object(branch: &Members) -> bool {
    match branch.get("type") {
        None => true,
        Some(Value::Array(names)) => names.contains(&json!("object")),
        Some(name) => name == "object",
    }
}

/// Root and branch both hold. What only one of them can say is left open.
fn all_of(mut root: Members, mut branch: Members, notes: &mut Notes) -> Members {
    branch.shift_remove("type");
    // Closed, each for itself: together they would take nothing but what both have.
    if branch.contains_key("properties") {
        root.shift_remove("additionalProperties");
        branch.shift_remove("additionalProperties");
    }
    let properties = branch.shift_remove("properties");
    // Apart from the rest, which is copied.
    let own = root.get_mut("properties").map(Value::take);
    if let Some(merged) = merge::merged(&branch, &root) {
        // The root's members first, in their order.
        root.extend(merged);
    } else {
        notes.add(
            &Place::Root,
            "a branch of `allOf` contradicts the rest; left out",
        );
    }
    if let Some(own) = own {
        root.insert("properties".to_owned(), own);
    }
    if let Some(Value::Object(properties)) = properties {
        add_properties(&mut root, properties);
    }
    root
}

/// The root holds, and any of the branches.
fn one_of(mut root: Members, branches: Vec<Members>) -> Members {
    let closed = json!(false);
    let all_closed = !branches.is_empty()
        && branches
            .iter()
            .all(|branch| branch.get("additionalProperties") == Some(&closed));
    let mut required: Option<Vec<Value>> = None;
    let mut together: Map<String, Value> = Map::new();
    for mut branch in branches {
        let here = names(branch.get("required"));
        required = Some(match required {
            None => here,
            Some(before) => in_both(before, &here),
        });
        if let Some(Value::Object(properties)) = branch.shift_remove("properties") {
            for (name, schema) in properties {
                let schemas = together.entry(name).or_insert_with(|| json!([]));
                if let Value::Array(schemas) = schemas {
                    schemas.push(schema);
                }
            }
        }
    }
    let properties = together
        .into_iter()
        .filter_map(|(name, schemas)| match schemas {
            Value::Array(schemas) => Some((name, any_of(schemas))),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_) => None,
        });
    add_properties(&mut root, properties.collect());
    if let Some(required) = required.filter(|names| !names.is_empty()) {
        let all = merge::union(&names(root.get("required")), &required);
        root.insert("required".to_owned(), all);
    }
    if all_closed {
        root.entry("additionalProperties").or_insert(closed);
    }
    root
}

fn names(required: Option<&Value>) -> Vec<Value> {
    required
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default()
}

fn in_both(mut names: Vec<Value>, others: &[Value]) -> Vec<Value> {
    let others: HashSet<&str> = others.iter().filter_map(Value::as_str).collect();
    names.retain(|name| name.as_str().is_some_and(|name| others.contains(name)));
    names
}

/// A schema that holds when any of these does.
fn any_of(schemas: Vec<Value>) -> Value {
    let mut schemas = merge::distinct(schemas);
    if schemas.len() == 1 {
        return schemas.remove(0);
    }
    unions::one_choice(&schemas).unwrap_or_else(|| json!({ "anyOf": schemas }))
}

/// Adds properties to an object. One that is there already gets both schemas, which both have to hold.
fn add_properties(object: &mut Members, added: Members) {
    let properties = object
        .entry("properties")
        .or_insert_with(|| Value::Object(Map::new()));
    let Value::Object(properties) = properties else {
        return;
    };
    for (name, schema) in added {
        match properties.get_mut(&name) {
            Some(old) if *old == schema => {}
            Some(old) => *old = json!({"allOf": [old.take(), schema]}),
            None => {
                properties.insert(name, schema);
            }
        }
    }
}
