//! The schema of a tool's input, as the protocol insists on it.

use polywire_conversation::Json;
use serde_json::{Map, Value};

/// What a tool without parameters takes.
const NO_PARAMETERS: &str = r#"{"type":"object","properties":{}}"#;

/// The keywords that must not stand at the root.
const UNIONS: [&str; 3] = ["oneOf", "anyOf", "allOf"];

/// What became of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// It stands as the client wrote it.
    AsGiven,
    /// It was none, or no object; an empty object stands in its place.
    Replaced,
    /// Its root was made an object without unions.
    Opened,
}

/// Writes the `input_schema` of a tool: an object at the root, and no union there. Everything below the root passes as it is.
pub(super) fn write(schema: Option<&Json<'_>>, out: &mut Vec<u8>) -> Written {
    let given = schema.filter(|schema| schema.as_str().trim() != "null");
    let Some(given) = given else {
        out.extend_from_slice(NO_PARAMETERS.as_bytes());
        return Written::AsGiven;
    };
    match serde_json::from_str(given.as_str()) {
        Ok(Value::Object(root)) if is_plain_object(&root) => {
            given.write(out);
            Written::AsGiven
        }
        Ok(Value::Object(root)) => {
            out.extend_from_slice(Value::Object(opened(root)).to_string().as_bytes());
            Written::Opened
        }
        Ok(
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_),
        )
        | Err(_) => {
            out.extend_from_slice(NO_PARAMETERS.as_bytes());
            Written::Replaced
        }
    }
}

fn is_plain_object(root: &Map<String, Value>) -> bool {
    root.get("type").and_then(Value::as_str) == Some("object")
        && UNIONS.iter().all(|union| !root.contains_key(*union))
}

/// An object that allows whatever any branch of the unions allows: properties of all branches, and of the required ones those that
/// every alternative requires.
fn opened(mut root: Map<String, Value>) -> Map<String, Value> {
    let mut properties = Map::new();
    if let Some(Value::Object(own)) = root.remove("properties") {
        properties = own;
    }
    let mut required = names(root.remove("required").as_ref());
    for union in UNIONS {
        let Some(Value::Array(branches)) = root.remove(union) else {
            continue;
        };
        let branches: Vec<Map<String, Value>> =
            branches.into_iter().filter_map(into_object).collect();
        let mut demanded = branches.iter().map(|branch| names(branch.get("required")));
        let shared: Vec<String> = if union == "allOf" {
            demanded.flatten().collect()
        } else {
            let first = demanded.next().unwrap_or_default();
            let rest: Vec<Vec<String>> = demanded.collect();
            let everywhere = |name: &String| rest.iter().all(|names| names.contains(name));
            first.into_iter().filter(everywhere).collect()
        };
        for name in shared {
            if !required.contains(&name) {
                required.push(name);
            }
        }
        for branch in branches {
            let own = branch.get("properties").cloned().and_then(into_object);
            for (name, schema) in own.unwrap_or_default() {
                join(&mut properties, name, schema);
            }
        }
    }
    root.insert("type".to_owned(), "object".into());
    root.insert("properties".to_owned(), properties.into());
    if !required.is_empty() {
        root.insert("required".to_owned(), required.into());
    }
    root
}

/// Adds a property. Two schemas of one name become alternatives.
fn join(properties: &mut Map<String, Value>, name: String, schema: Value) {
    match properties.get_mut(&name) {
        None => {
            properties.insert(name, schema);
        }
        Some(known) if *known == schema => {}
        Some(known) => {
            let alternatives = known.get_mut("anyOf").and_then(Value::as_array_mut);
            match alternatives {
                Some(alternatives) if alternatives.contains(&schema) => {}
                Some(alternatives) => alternatives.push(schema),
                None => {
                    let both = vec![known.take(), schema];
                    *known = Value::Object(Map::from_iter([("anyOf".to_owned(), both.into())]));
                }
            }
        }
    }
}

fn into_object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(object) => Some(object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            None
        }
    }
}

fn names(value: Option<&Value>) -> Vec<String> {
    let names = value.and_then(Value::as_array).into_iter().flatten();
    names.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: Option<&str>, expected: &str, written: Written) {
        let mut out = Vec::new();
        let schema = schema.map(Json::new);
        assert_eq!(write(schema.as_ref(), &mut out), written);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn roots() {
        check(None, NO_PARAMETERS, Written::AsGiven);
        check(Some("null"), NO_PARAMETERS, Written::AsGiven);
        check(Some("true"), NO_PARAMETERS, Written::Replaced);
        check(Some("[]"), NO_PARAMETERS, Written::Replaced);
        let plain = r#"{"type": "object", "x-odd": 1.0}"#;
        check(Some(plain), plain, Written::AsGiven);
        check(Some("{}"), NO_PARAMETERS, Written::Opened);
        check(
            Some(r#"{"type":["object","null"],"properties":{"a":{}},"required":["a"]}"#),
            r#"{"type":"object","properties":{"a":{}},"required":["a"]}"#,
            Written::Opened,
        );
    }

    #[test]
    fn unions_are_opened() {
        check(
            Some(
                r#"{"anyOf":[
                    {"type":"object","properties":{"kind":{"const":"a"},"x":{"type":"number"}},"required":["kind","x"]},
                    {"type":"object","properties":{"kind":{"const":"b"},"y":{}},"required":["kind"]},
                    {"properties":{"kind":{"const":"b"}},"required":["kind"]},
                    true
                ],"$defs":{}}"#,
            ),
            r#"{"$defs":{},"type":"object","properties":{"kind":{"anyOf":[{"const":"a"},{"const":"b"}]},"x":{"type":"number"},"y":{}},"required":["kind"]}"#,
            Written::Opened,
        );
        check(
            Some(
                r#"{"type":"object","properties":{"a":{}},"required":["a"],"allOf":[{"required":["b"]},{"properties":{"b":{}},"required":["a"]}]}"#,
            ),
            r#"{"type":"object","properties":{"a":{},"b":{}},"required":["a","b"]}"#,
            Written::Opened,
        );
    }
}
