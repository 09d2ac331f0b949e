//! The few keywords that programs know which rebuild a schema from types of their own: types, listed values, properties, items and
//! unions. What else a schema says about values is told to the model in the description, because whoever leaves it out does so
//! without a word.

use serde_json::{Value, json};

use crate::keywords::{Members, renamed, rewrite_inside, type_of_all};
use crate::notes::{Notes, Place};

/// The keywords that are kept.
const TAKEN: [&str; 11] = [
    "type",
    "description",
    "enum",
    "items",
    "minItems",
    "properties",
    "required",
    "additionalProperties",
    "anyOf",
    "oneOf",
    "allOf",
];

/// Keywords that narrow values down and can be said in a few words.
const TOLD: [&str; 15] = [
    "format",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "default",
    "examples",
];

/// Rewrites a tidy schema.
pub(crate) fn rewrite(schema: Members, notes: &mut Notes) -> Members {
    rewrite_at(schema, &Place::Root, notes)
}

fn rewrite_at(schema: Members, place: &Place<'_>, notes: &mut Notes) -> Members {
    let mut schema = rewrite_inside(schema, place, &mut |inner, place| {
        rewrite_at(inner, place, notes)
    });
    schema = one_value_as_list(schema);
    typed_values(&mut schema);
    let mut words = Vec::new();
    schema.retain(|keyword, value| {
        // A list of schemas for the first items, as old drafts have it, is known to nobody here.
        let is_tuple = keyword == "items" && value.is_array();
        if TAKEN.contains(&keyword.as_str()) && !is_tuple {
            return true;
        }
        if TOLD.contains(&keyword.as_str()) {
            notes.add(place, format_args!("`{keyword}` is told in words"));
            words.push(format!("{keyword}: {value}"));
        } else {
            notes.add(place, format_args!("`{keyword}` is not taken"));
        }
        false
    });
    described_items(&mut schema);
    if !words.is_empty() {
        describe(&mut schema, &words.join(", "));
    }
    schema
}

fn one_value_as_list(mut schema: Members) -> Members {
    let Some(only) = schema.get("const").cloned() else {
        return schema;
    };
    schema.shift_remove("enum");
    schema = renamed(schema, "const", "enum");
    schema.insert("enum".to_owned(), Value::Array(vec![only]));
    schema
}

/// Listed values without a type would be taken for texts.
fn typed_values(schema: &mut Members) {
    let Some(Value::Array(values)) = schema.get("enum") else {
        return;
    };
    if let Some(name) = type_of_all(values.iter()).filter(|_| !schema.contains_key("type")) {
        schema.shift_insert(0, "type".to_owned(), json!(name));
    }
}

/// Items of which nothing is said would be taken for texts.
fn described_items(schema: &mut Members) {
    let is_array = match schema.get("type") {
        Some(Value::String(name)) => name == "array",
        Some(Value::Array(names)) => names.iter().any(|name| name == "array"),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => false,
    };
    if is_array && !schema.contains_key("items") {
        schema.insert("items".to_owned(), json!({}));
    }
}

fn describe(schema: &mut Members, words: &str) {
    let described = match schema.get("description").and_then(Value::as_str) {
        Some(before) if !before.is_empty() => format!("{before} ({words})"),
        Some(_) | None => words.to_owned(),
    };
    schema.insert("description".to_owned(), json!(described));
}
