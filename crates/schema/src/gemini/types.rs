//! Types and unions: one type each, `nullable`, and unions of no less than two.

use serde_json::{Value, json};

use crate::compile::nothing;
use crate::keywords::{Members, is_annotation, renamed};
use crate::notes::{Notes, Place};
use crate::{merge, unions};

/// Arrays with a schema for each place become arrays of any of these.
pub(super) fn tuple_as_union(mut schema: Members, place: &Place<'_>, notes: &mut Notes) -> Members {
    let tuple = match (schema.shift_remove("prefixItems"), schema.get("items")) {
        (Some(Value::Array(tuple)), _) => tuple,
        (_, Some(Value::Array(tuple))) => tuple.clone(),
        (_, _) => return schema,
    };
    notes.add(place, "the places of a tuple are not told apart");
    let is_schema = |items: &&Value| items.is_object() && **items != nothing();
    let rest = schema.get("items").filter(is_schema).cloned();
    let kinds = merge::distinct(tuple.into_iter().chain(rest));
    let items = match kinds.as_slice() {
        [one] => one.clone(),
        _ => json!({ "anyOf": kinds }),
    };
    schema.insert("items".to_owned(), items);
    schema
}

/// A list of types becomes one type, `nullable`, or a union.
pub(super) fn single_type(mut schema: Members, place: &Place<'_>, notes: &mut Notes) -> Members {
    let Some(Value::Array(names)) = schema.get("type") else {
        return schema;
    };
    let null = json!("null");
    let rest: Vec<Value> = names
        .iter()
        .filter(|name| **name != null)
        .cloned()
        .collect();
    let takes_null = rest.len() < names.len();
    match rest.as_slice() {
        [] => {
            schema.insert("type".to_owned(), null);
            return schema;
        }
        [one] => {
            schema.insert("type".to_owned(), one.clone());
        }
        _ if schema.contains_key("anyOf") => {
            schema.shift_remove("type");
            notes.add(place, "the types beside a union were left out");
        }
        several => {
            let branches = several.iter().map(|name| json!({ "type": name })).collect();
            schema.insert("type".to_owned(), Value::Array(branches));
            schema = renamed(schema, "type", "anyOf");
            schema = members_into_branches(schema);
        }
    }
    if takes_null {
        schema.insert("nullable".to_owned(), json!(true));
    }
    schema
}

/// Gives every branch of a union of bare types what only means something for its type.
fn members_into_branches(mut schema: Members) -> Members {
    let of_types: [(&[&str], &[&str]); 4] = [
        (
            &["string"],
            &["minLength", "maxLength", "pattern", "format"],
        ),
        (
            &["number", "integer"],
            &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"],
        ),
        (&["array"], &["items", "minItems", "maxItems"]),
        (
            &["object"],
            &["properties", "required", "minProperties", "maxProperties"],
        ),
    ];
    for (types, keywords) in of_types {
        for keyword in keywords {
            let Some(value) = schema.shift_remove(*keyword) else {
                continue;
            };
            let Some(Value::Array(branches)) = schema.get_mut("anyOf") else {
                return schema;
            };
            for branch in branches.iter_mut().filter_map(Value::as_object_mut) {
                let name = branch.get("type").and_then(Value::as_str);
                if name.is_some_and(|name| types.contains(&name)) {
                    branch.insert((*keyword).to_owned(), value.clone());
                }
            }
        }
    }
    schema
}

/// A branch that takes null becomes `nullable`; a union of one is no union, and one of listed texts is a list.
pub(super) fn without_null_branch(mut schema: Members) -> Members {
    let Some(Value::Array(branches)) = schema.get_mut("anyOf") else {
        return schema;
    };
    let before = branches.len();
    branches.retain(|branch| !unions::is_null(branch));
    let takes_null = branches.len() < before;
    if branches.is_empty() {
        schema.shift_remove("anyOf");
        schema.insert("type".to_owned(), json!("null"));
        return schema;
    }
    let alone = match branches.as_slice() {
        [Value::Object(one)] => Some(one.clone()),
        several => {
            let choice = unions::one_choice(several);
            choice.and_then(|choice| choice.as_object().cloned())
        }
    };
    // Nothing that both have is put together here: what stands inside has been rewritten already, each for itself.
    let stands_apart = |alone: &Members| {
        let shared = |key: &String| !is_annotation(key) && schema.contains_key(key);
        !alone.keys().any(|key| key != "anyOf" && shared(key))
    };
    if let Some(alone) = alone.filter(stands_apart) {
        schema.shift_remove("anyOf");
        for (key, value) in alone {
            schema.entry(key).or_insert(value);
        }
    }
    if takes_null {
        schema.insert("nullable".to_owned(), json!(true));
    }
    schema
}
