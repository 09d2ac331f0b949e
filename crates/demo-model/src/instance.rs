//! The smallest JSON that a schema allows.

use serde_json::{Map, Value, json};

/// How deep schemas are followed. Deeper ones refer to themselves, or nobody could fill them in by hand.
const DEPTH_MAX: usize = 16;

/// The most items or characters that a minimum can make us write: enough for any honest schema.
const MINIMUM_MAX: u64 = 1_000;

/// A value that fits the schema, as far as it can be told without solving puzzles: patterns and conditions are not looked
/// at. Objects have their required members only.
pub(crate) fn of(schema: &Value) -> Value {
    Maker { root: schema }.make(schema, 0)
}

struct Maker<'s> {
    root: &'s Value,
}

impl Maker<'_> {
    fn make(&self, schema: &Value, depth: usize) -> Value {
        if depth > DEPTH_MAX {
            return Value::Null;
        }
        if let Some(target) = self.referred(schema) {
            return self.make(target, depth + 1);
        }
        let given = [&schema["const"], &schema["default"], &schema["enum"][0]];
        if let Some(value) = given.into_iter().find(|value| !value.is_null()) {
            return value.clone();
        }
        for choice in ["anyOf", "oneOf"] {
            if let Some(first) = schema[choice].get(0) {
                return self.make(first, depth + 1);
            }
        }
        match kind(schema) {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, depth),
            "string" => json!(string(schema)),
            "integer" | "number" => number(schema),
            "boolean" => json!(false),
            _ => Value::Null,
        }
    }

    fn referred(&self, schema: &Value) -> Option<&Value> {
        let path = schema["$ref"].as_str()?.strip_prefix('#')?;
        self.root.pointer(path)
    }

    fn object(&self, schema: &Value, depth: usize) -> Value {
        let mut made = Map::new();
        let parts = schema["allOf"].as_array().into_iter().flatten();
        for part in parts {
            if let Value::Object(members) = self.make(part, depth + 1) {
                made.extend(members);
            }
        }
        for name in schema["required"].as_array().into_iter().flatten() {
            if let Some(name) = name.as_str() {
                let member = self.make(&schema["properties"][name], depth + 1);
                made.insert(name.to_owned(), member);
            }
        }
        Value::Object(made)
    }

    fn array(&self, schema: &Value, depth: usize) -> Value {
        let count = schema["minItems"].as_u64().unwrap_or(0).min(MINIMUM_MAX);
        let item = self.make(&schema["items"], depth + 1);
        (0..count).map(|_| item.clone()).collect()
    }
}

/// The type to make. Of several the first that is not null; without any, what the other keys speak of.
fn kind(schema: &Value) -> &str {
    match &schema["type"] {
        Value::String(kind) => kind,
        Value::Array(kinds) => {
            let mut kinds = kinds.iter().filter_map(Value::as_str);
            kinds.find(|kind| *kind != "null").unwrap_or("null")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => likely_kind(schema),
    }
}

fn likely_kind(schema: &Value) -> &'static str {
    if schema["properties"].is_object() || schema["allOf"].is_array() {
        "object"
    } else if schema["items"].is_object() {
        "array"
    } else {
        // Anything goes, and text is what most readers can show.
        "string"
    }
}

fn string(schema: &Value) -> String {
    let made = match schema["format"].as_str() {
        Some("date-time") => "2026-01-01T00:00:00Z",
        Some("date") => "2026-01-01",
        Some("time") => "00:00:00Z",
        Some("email") => "demo@example.com",
        Some("uri") => "https://example.com",
        Some("uuid") => "00000000-0000-4000-8000-000000000000",
        _ => "demo",
    };
    let length_min = schema["minLength"].as_u64().unwrap_or(0).min(MINIMUM_MAX);
    let length_max = schema["maxLength"].as_u64().unwrap_or(u64::MAX);
    let mut made = made.to_owned();
    while (made.chars().count() as u64) < length_min {
        made.push('.');
    }
    let length_max = usize::try_from(length_max).unwrap_or(usize::MAX);
    made.chars().take(length_max).collect()
}

/// The number nearest to zero that the limits allow.
fn number(schema: &Value) -> Value {
    let lowest = match (&schema["minimum"], schema["exclusiveMinimum"].as_i64()) {
        (_, Some(limit)) => Some(json!(limit.saturating_add(1))),
        (Value::Number(limit), None) => Some(Value::Number(limit.clone())),
        _ => None,
    };
    if let Some(lowest) = lowest.filter(|lowest| lowest.as_f64() > Some(0.0)) {
        return lowest;
    }
    match (&schema["maximum"], schema["exclusiveMaximum"].as_i64()) {
        (_, Some(limit)) if limit <= 0 => json!(limit.saturating_sub(1)),
        (Value::Number(limit), None) if limit.as_f64() < Some(0.0) => Value::Number(limit.clone()),
        _ => json!(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: &str, expected: &str) {
        let schema: Value = serde_json::from_str(schema).unwrap();
        assert_eq!(of(&schema).to_string(), expected, "{schema}");
    }

    #[test]
    fn schemas_are_met() {
        check("{}", r#""demo""#);
        check("true", r#""demo""#);
        check(r#"{"type":"object"}"#, "{}");
        check(
            r#"{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer"}},"required":["b","a"]}"#,
            r#"{"b":0,"a":"demo"}"#,
        );
        check(r#"{"type":["null","boolean"]}"#, "false");
        check(r#"{"type":"null"}"#, "null");
        check(r#"{"enum":["x","y"]}"#, r#""x""#);
        check(r#"{"const":7}"#, "7");
        check(r#"{"type":"string","default":"d"}"#, r#""d""#);
        check(r#"{"type":"string","minLength":6}"#, r#""demo..""#);
        check(r#"{"type":"string","maxLength":2}"#, r#""de""#);
        check(r#"{"type":"string","format":"date"}"#, r#""2026-01-01""#);
        check(r#"{"type":"array","items":{"type":"number"}}"#, "[]");
        check(
            r#"{"type":"array","minItems":2,"items":{"type":"number"}}"#,
            "[0,0]",
        );
        check(r#"{"type":"integer","minimum":3}"#, "3");
        check(r#"{"type":"integer","exclusiveMinimum":3}"#, "4");
        check(r#"{"type":"integer","maximum":-2}"#, "-2");
        check(r#"{"type":"integer","exclusiveMaximum":0}"#, "-1");
        check(r#"{"type":"number","minimum":0.5}"#, "0.5");
        check(r#"{"anyOf":[{"type":"integer"},{"type":"null"}]}"#, "0");
        check(
            r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/x"}},"required":["a"],"$defs":{"x":{"enum":[1]}}}"##,
            r#"{"a":1}"#,
        );
        check(
            r#"{"allOf":[{"type":"object","properties":{"a":{"type":"null"}},"required":["a"]}],"properties":{"b":{}},"required":["b"]}"#,
            r#"{"a":null,"b":"demo"}"#,
        );
    }

    #[test]
    fn schemas_without_end_come_to_one() {
        let endless =
            r##"{"type":"object","properties":{"next":{"$ref":"#"}},"required":["next"]}"##;
        let schema: Value = serde_json::from_str(endless).unwrap();
        assert!(of(&schema).is_object());
        check(r##"{"$ref":"#"}"##, "null");
        let long = json!({"type": "string", "minLength": u64::MAX});
        assert_eq!(of(&long).as_str().map(str::len), Some(1_000));
    }
}
