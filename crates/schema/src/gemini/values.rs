//! What narrows single values down.

use serde_json::{Value, json};

use crate::keywords::{Members, renamed, type_of_all};
use crate::notes::{Notes, Place};

/// The formats that are taken. Any other is refused with the whole request.
const FORMATS: [&str; 6] = ["enum", "date-time", "float", "double", "int32", "int64"];

/// `const` and `enum` as a list of texts. Values of other types are told in the description.
pub(super) fn listed_values(mut schema: Members, place: &Place<'_>, notes: &mut Notes) -> Members {
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
pub(super) fn bounds(schema: &mut Members, place: &Place<'_>, notes: &mut Notes) {
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

pub(super) fn formats(schema: &mut Members, place: &Place<'_>, notes: &mut Notes) {
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
