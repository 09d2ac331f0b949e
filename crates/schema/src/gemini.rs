//! The subset of `OpenAPI` that Gemini reads: single types with `nullable`, `enum` of strings, `anyOf`, and few keywords besides
//! (the list is that of its documentation, autumn 2026; unknown ones are refused with the whole request).

use serde_json::{Value, json};

use crate::compile::nothing;
use crate::keywords::{Members, is_annotation, renamed, rewrite_inside, type_of_all};
use crate::notes::{Notes, Place};
use crate::{merge, unions};

/// The keywords that are taken.
pub(crate) const TAKEN: [&str; 19] = [
    "type",
    "format",
    "title",
    "description",
    "nullable",
    "enum",
    "items",
    "minItems",
    "maxItems",
    "properties",
    "required",
    "minProperties",
    "maxProperties",
    "minLength",
    "maxLength",
    "pattern",
    "anyOf",
    "minimum",
    "maximum",
];

/// The formats that are taken. Any other is refused with the whole request.
pub(crate) const FORMATS: [&str; 6] = ["enum", "date-time", "float", "double", "int32", "int64"];

/// Rewrites a tidy schema.
pub(crate) fn rewrite(schema: Members, notes: &mut Notes) -> Members {
    rewrite_at(schema, &Place::Root, notes)
}

fn rewrite_at(schema: Members, place: &Place<'_>, notes: &mut Notes) -> Members {
    let schema = join_all_of(schema, place, notes);
    let schema = one_union(schema, place, notes);
    let schema = tuple_as_union(schema, place, notes);
    let schema = single_type(schema, place, notes);
    let schema = unions::type_into_branches(schema);
    let mut schema = rewrite_inside(schema, place, &mut |inner, place| {
        rewrite_at(inner, place, notes)
    });
    schema = listed_values(schema, place, notes);
    bounds(&mut schema, place, notes);
    formats(&mut schema, place, notes);
    existing_names(&mut schema, place, notes);
    schema = taken_only(schema, place, notes);
    // Last, because what stands beside a union of one decides whether the two become one.
    inferred_type(without_null_branch(schema))
}

fn join_all_of(mut schema: Members, place: &Place<'_>, notes: &mut Notes) -> Members {
    let Some(Value::Array(branches)) = schema.shift_remove("allOf") else {
        return schema;
    };
    for branch in branches.into_iter().rev() {
        let Value::Object(branch) = branch else {
            continue;
        };
        // A branch may have branches of its own; their depth is that of the schema, which is limited.
        let branch = join_all_of(branch, place, notes);
        if let Some(merged) = merge::merged(&branch, &schema) {
            schema.extend(merged);
        } else {
            notes.add(
                place,
                "a branch of `allOf` was left out: it cannot be put together with the rest",
            );
        }
    }
    schema
}

fn one_union(mut schema: Members, place: &Place<'_>, notes: &mut Notes) -> Members {
    if !schema.contains_key("oneOf") {
        return schema;
    }
    if schema.contains_key("anyOf") {
        schema.shift_remove("oneOf");
        notes.add(place, "`oneOf` was left out: there is `anyOf` besides");
        return schema;
    }
    notes.add(place, "`oneOf` is sent as `anyOf`");
    renamed(schema, "oneOf", "anyOf")
}

/// Arrays with a schema for each place become arrays of any of these.
fn tuple_as_union(mut schema: Members, place: &Place<'_>, notes: &mut Notes) -> Members {
    let tuple = match (schema.shift_remove("prefixItems"), schema.get("items")) {
        (Some(Value::Array(tuple)), _) => tuple,
        (_, Some(Value::Array(tuple))) => tuple.clone(),
        (_, _) => return schema,
    };
    notes.add(place, "the places of a tuple are not told apart");
    let mut kinds: Vec<Value> = Vec::new();
    let is_schema = |items: &&Value| items.is_object() && **items != nothing();
    let rest = schema.get("items").filter(is_schema);
    for kind in tuple.into_iter().chain(rest.cloned()) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let items = match kinds.as_slice() {
        [one] => one.clone(),
        _ => json!({ "anyOf": kinds }),
    };
    schema.insert("items".to_owned(), items);
    schema
}

/// A list of types becomes one type, `nullable`, or a union.
fn single_type(mut schema: Members, place: &Place<'_>, notes: &mut Notes) -> Members {
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
fn without_null_branch(mut schema: Members) -> Members {
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
            let several: Vec<&Value> = several.iter().collect();
            unions::one_choice(&several).and_then(|choice| choice.as_object().cloned())
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

/// `const` and `enum` as a list of texts. Values of other types are told in the description.
fn listed_values(mut schema: Members, place: &Place<'_>, notes: &mut Notes) -> Members {
    if let Some(only) = schema.get("const").cloned() {
        if schema.contains_key("enum") {
            schema.shift_remove("const");
        }
        schema = renamed(schema, "const", "enum");
        schema.insert("enum".to_owned(), Value::Array(vec![only]));
    }
    let Some(Value::Array(values)) = schema.get_mut("enum") else {
        return schema;
    };
    let before = values.len();
    values.retain(|value| !value.is_null());
    let takes_null = values.len() < before;
    let values = values.clone();
    if !values.iter().all(Value::is_string) || values.is_empty() {
        schema.shift_remove("enum");
        if let Some(name) = type_of_all(values.iter())
            && !schema.contains_key("anyOf")
        {
            schema.entry("type").or_insert_with(|| json!(name));
        }
        if !values.is_empty() {
            notes.add(
                place,
                "the listed values are told in words: only texts can be listed",
            );
            describe_values(&mut schema, &values);
        }
    }
    if takes_null {
        schema.insert("nullable".to_owned(), json!(true));
    }
    schema
}

fn describe_values(schema: &mut Members, values: &[Value]) {
    let listed: Vec<String> = values.iter().map(Value::to_string).collect();
    let words = format!("One of: {}.", listed.join(", "));
    let described = match schema.get("description").and_then(Value::as_str) {
        Some(before) if !before.is_empty() => format!("{before} {words}"),
        Some(_) | None => words,
    };
    schema.insert("description".to_owned(), json!(described));
}

/// Bounds that exclude their own value: the next whole number, or told as left out.
fn bounds(schema: &mut Members, place: &Place<'_>, notes: &mut Notes) {
    for (exclusive, inclusive, step) in [
        ("exclusiveMinimum", "minimum", 1),
        ("exclusiveMaximum", "maximum", -1),
    ] {
        let Some(bound) = schema.shift_remove(exclusive) else {
            continue;
        };
        let is_integer = schema.get("type") == Some(&json!("integer"));
        let next = bound.as_i64().and_then(|bound| bound.checked_add(step));
        match next {
            Some(next) if is_integer && !schema.contains_key(inclusive) => {
                schema.insert(inclusive.to_owned(), json!(next));
            }
            Some(_) | None => notes.add(place, format_args!("`{exclusive}` is not taken")),
        }
    }
}

fn formats(schema: &mut Members, place: &Place<'_>, notes: &mut Notes) {
    let Some(format) = schema.get("format") else {
        return;
    };
    if !format
        .as_str()
        .is_some_and(|format| FORMATS.contains(&format))
    {
        notes.add(place, format_args!("the format {format} is not taken"));
        schema.shift_remove("format");
    }
}

/// Only properties that exist can be required.
fn existing_names(schema: &mut Members, place: &Place<'_>, notes: &mut Notes) {
    let Some(Value::Array(required)) = schema.get("required") else {
        return;
    };
    let exists = |name: &&Value| match (name.as_str(), schema.get("properties")) {
        (Some(name), Some(Value::Object(properties))) => properties.contains_key(name),
        (_, _) => false,
    };
    let existing: Vec<Value> = required.iter().filter(exists).cloned().collect();
    if existing.len() == required.len() && !existing.is_empty() {
        return;
    }
    if existing.len() < required.len() {
        notes.add(place, "`required` names properties that are not described");
    }
    if existing.is_empty() {
        schema.shift_remove("required");
    } else {
        schema.insert("required".to_owned(), Value::Array(existing));
    }
}

fn inferred_type(mut schema: Members) -> Members {
    let inferred = [
        ("enum", "string"),
        ("properties", "object"),
        ("items", "array"),
    ];
    if schema.contains_key("type") || schema.contains_key("anyOf") {
        return schema;
    }
    for (keyword, name) in inferred {
        if schema.contains_key(keyword) {
            schema.shift_insert(0, "type".to_owned(), json!(name));
            return schema;
        }
    }
    schema
}

fn taken_only(mut schema: Members, place: &Place<'_>, notes: &mut Notes) -> Members {
    schema.retain(|key, _| {
        let taken = TAKEN.contains(&key.as_str());
        if !taken {
            notes.add(place, format_args!("`{key}` is not taken"));
        }
        taken
    });
    schema
}
