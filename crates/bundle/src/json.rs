//! Tables of a settings file as JSON, and back.

use serde_json::{Map, Number, Value};
use toml::Table;

/// A TOML value as JSON.
///
/// # Errors
/// What JSON has no word for: a date, or a number that is none. The text says which.
pub(crate) fn from_toml(value: &toml::Value) -> Result<Value, &'static str> {
    Ok(match value {
        toml::Value::String(text) => Value::String(text.clone()),
        toml::Value::Integer(number) => Value::Number((*number).into()),
        toml::Value::Float(number) => {
            Value::Number(Number::from_f64(*number).ok_or("a number that JSON has no word for")?)
        }
        toml::Value::Boolean(on) => Value::Bool(*on),
        toml::Value::Datetime(_) => return Err("a date, which JSON has no word for"),
        toml::Value::Array(items) => {
            Value::Array(items.iter().map(from_toml).collect::<Result<_, _>>()?)
        }
        toml::Value::Table(table) => Value::Object(from_table(table)?),
    })
}

/// A TOML table as JSON.
///
/// # Errors
/// As [`from_toml`].
pub(crate) fn from_table(table: &Table) -> Result<Map<String, Value>, &'static str> {
    table
        .iter()
        .map(|(key, value)| Ok((key.clone(), from_toml(value)?)))
        .collect()
}

/// A JSON value as TOML.
///
/// # Errors
/// What TOML has no word for: `null`, or a number that is too large. The text says which.
pub(crate) fn to_toml(value: &Value) -> Result<toml::Value, &'static str> {
    Ok(match value {
        Value::Null => return Err("is null"),
        Value::Bool(on) => toml::Value::Boolean(*on),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => toml::Value::Integer(integer),
            (None, Some(float)) if number.is_f64() => toml::Value::Float(float),
            (None, _) => return Err("is a number that is too large"),
        },
        Value::String(text) => toml::Value::String(text.clone()),
        Value::Array(items) => {
            toml::Value::Array(items.iter().map(to_toml).collect::<Result<_, _>>()?)
        }
        Value::Object(members) => toml::Value::Table(to_table(members)?),
    })
}

/// A JSON object as TOML.
///
/// # Errors
/// As [`to_toml`].
pub(crate) fn to_table(members: &Map<String, Value>) -> Result<Table, &'static str> {
    members
        .iter()
        .map(|(key, value)| Ok((key.clone(), to_toml(value)?)))
        .collect()
}

/// The text that stands for a value whatever the order and the layout in which it is written.
pub(crate) fn canonical(value: &Value) -> String {
    sorted(value).to_string()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut keys: Vec<&String> = members.keys().collect();
            keys.sort();
            let members = keys
                .into_iter()
                .map(|key| (key.clone(), sorted(&members[key])));
            Value::Object(members.collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}
