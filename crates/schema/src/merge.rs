//! Two schemas that both hold, as one.

use std::collections::HashSet;

use serde_json::Value;

use crate::keywords::{ENTANGLED, Members, is_annotation};
use crate::notes::{Notes, Place};

/// The most branches of one `allOf` that are put together. Each costs a copy of what came before it; real ones have a handful.
pub(crate) const ALL_OF_MAX: usize = 64;

/// One schema that holds when both do: their members side by side, or the first inside `allOf` when they cannot stand so.
///
/// What `second` says to people wins, because it stands nearer to the place that is described.
pub(crate) fn both(first: Members, second: Members) -> Members {
    if second.is_empty() {
        return first;
    }
    if let Some(merged) = merged(&first, &second) {
        return merged;
    }
    let mut merged = second;
    let first = Value::Object(first);
    match merged.get_mut("allOf") {
        Some(Value::Array(all)) => all.push(first),
        Some(_) | None => {
            merged.insert("allOf".to_owned(), Value::Array(vec![first]));
        }
    }
    merged
}

/// The members of both side by side. `None` when that would say something else than both.
///
/// Where an object is closed (`additionalProperties`) what comes out may take more than both do, never less.
pub(crate) fn merged(first: &Members, second: &Members) -> Option<Members> {
    let uses =
        |schema: &Members, set: &[&str]| set.iter().any(|keyword| schema.contains_key(*keyword));
    if ENTANGLED
        .iter()
        .any(|set| uses(first, set) && uses(second, set))
    {
        return None;
    }
    let mut merged = first.clone();
    for (key, value) in second {
        let value = match merged.get(key) {
            None => value.clone(),
            Some(_) if is_annotation(key) => value.clone(),
            Some(old) if old == value => continue,
            Some(Value::Array(old)) if key == "required" => union(old, value.as_array()?),
            Some(Value::Object(old)) if key == "properties" => {
                Value::Object(properties(old, value.as_object()?)?)
            }
            Some(_) => return None,
        };
        merged.insert(key.clone(), value);
    }
    Some(merged)
}

fn properties(first: &Members, second: &Members) -> Option<Members> {
    let mut all = first.clone();
    for (name, schema) in second {
        let schema = match (all.get(name), schema) {
            (None, schema) => schema.clone(),
            (Some(old), schema) if old == schema => continue,
            (Some(Value::Object(old)), Value::Object(schema)) => {
                Value::Object(merged(old, schema)?)
            }
            (Some(_), _) => return None,
        };
        all.insert(name.clone(), schema);
    }
    Some(all)
}

/// The branches of an `allOf`, as far as they are put together; the rest is left out, which is told.
pub(crate) fn branches(all: Vec<Value>, place: &Place<'_>, notes: &mut Notes) -> Vec<Members> {
    if all.len() > ALL_OF_MAX {
        notes.add(
            place,
            format_args!("`allOf` has more than {ALL_OF_MAX} branches; the rest was left out"),
        );
    }
    let objects = all.into_iter().take(ALL_OF_MAX);
    objects
        .filter_map(|branch| match branch {
            Value::Object(members) => Some(members),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => None,
        })
        .collect()
}

/// The elements of both, each once.
pub(crate) fn union(first: &[Value], second: &[Value]) -> Value {
    Value::Array(distinct(first.iter().chain(second).cloned()))
}

/// The values, each once, in the order in which they came. Compared as they are written, so that many are no matter.
pub(crate) fn distinct(values: impl IntoIterator<Item = Value>) -> Vec<Value> {
    let mut seen = HashSet::new();
    let values = values.into_iter();
    values
        .filter(|value| seen.insert(value.to_string()))
        .collect()
}
