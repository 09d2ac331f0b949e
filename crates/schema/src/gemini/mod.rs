//! The subset of `OpenAPI` that Gemini reads: single types with `nullable`, `enum` of strings, `anyOf`, and few keywords besides
//! (the list is that of its documentation, autumn 2026; unknown ones are refused with the whole request).

mod types;
mod values;

use serde_json::{Value, json};

use crate::keywords::{Members, renamed, rewrite_inside};
use crate::notes::{Notes, Place};
use crate::{merge, unions};
use types::{single_type, tuple_as_union, without_null_branch};
use values::{bounds, formats, listed_values};

/// The keywords that are taken.
const TAKEN: [&str; 19] = [
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
    for branch in merge::branches(branches, place, notes).into_iter().rev() {
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
