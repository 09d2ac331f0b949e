//! The keywords of JSON Schema: what stands in them, and which only speak to people.
//!
//! From the drafts 4 to 2020-12, and `nullable` from `OpenAPI` 3.0.

use serde_json::{Map, Value};

use crate::notes::Place;

/// The members of a schema, in their order.
pub(crate) type Members = Map<String, Value>;

/// What a keyword's value is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// One schema.
    Schema,
    /// One schema, in which `true` and `false` are usual and taken everywhere.
    SchemaOrFlag,
    /// An array of schemas.
    Schemas,
    /// One schema, or in old drafts an array of them.
    SchemaOrSchemas,
    /// An object of schemas under names of the author's.
    Named,
    /// The names of types: one, or an array.
    Types,
    /// An array of anything.
    List,
    /// Anything.
    Plain,
}

/// What stands in a keyword. `None` for one that the standard does not know, or that is only about the document: ids, comments,
/// definitions.
pub(crate) fn holds(keyword: &str) -> Option<Holds> {
    Some(match keyword {
        "additionalItems"
        | "additionalProperties"
        | "unevaluatedItems"
        | "unevaluatedProperties" => Holds::SchemaOrFlag,
        "contains" | "propertyNames" | "not" | "if" | "then" | "else" | "contentSchema" => {
            Holds::Schema
        }
        "items" => Holds::SchemaOrSchemas,
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => Holds::Schemas,
        "properties" | "patternProperties" | "dependentSchemas" => Holds::Named,
        "type" => Holds::Types,
        "required" | "enum" => Holds::List,
        "const" | "multipleOf" | "maximum" | "exclusiveMaximum" | "minimum"
        | "exclusiveMinimum" | "maxLength" | "minLength" | "pattern" | "format"
        | "contentEncoding" | "contentMediaType" | "maxItems" | "minItems" | "uniqueItems"
        | "maxContains" | "minContains" | "maxProperties" | "minProperties"
        | "dependentRequired" | "title" | "description" | "default" | "examples" | "deprecated"
        | "readOnly" | "writeOnly" => Holds::Plain,
        _ => return None,
    })
}

/// Whether a keyword is about the document and says nothing about values, so that leaving it out loses nothing. References are
/// written out before anybody asks.
pub(crate) fn is_about_document(keyword: &str) -> bool {
    matches!(
        keyword,
        "$schema" | "$id" | "$comment" | "$anchor" | "$vocabulary" | "$defs" | "definitions"
    )
}

/// Whether a keyword only speaks to whoever reads the schema.
pub(crate) fn is_annotation(keyword: &str) -> bool {
    matches!(
        keyword,
        "title" | "description" | "default" | "examples" | "deprecated" | "readOnly" | "writeOnly"
    )
}

/// The names of types.
pub(crate) const TYPES: [&str; 7] = [
    "string", "number", "integer", "boolean", "object", "array", "null",
];

/// Keywords that change each other's meaning. Two schemas that both use one of the same set cannot be made one by putting their
/// members together.
pub(crate) const ENTANGLED: [&[&str]; 3] = [
    &["if", "then", "else"],
    &["contains", "minContains", "maxContains"],
    &[
        "items",
        "prefixItems",
        "additionalItems",
        "unevaluatedItems",
    ],
];

/// The type that all of these values have, if there is one.
pub(crate) fn type_of_all<'v>(mut values: impl Iterator<Item = &'v Value>) -> Option<&'static str> {
    let first = type_of(values.next()?);
    values.all(|value| type_of(value) == first).then_some(first)
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Rewrites every schema inside of a tidy one, one level down.
pub(crate) fn rewrite_inside(
    members: Members,
    place: &Place<'_>,
    rewrite: &mut dyn FnMut(Members, &Place<'_>) -> Members,
) -> Members {
    let mut rewritten = Map::new();
    for (key, value) in members {
        let inside = place.key(&key);
        let mut schema = |value: Value, place: &Place<'_>| match value {
            Value::Object(members) => Value::Object(rewrite(members, place)),
            other @ (Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)) => other,
        };
        let value = match (holds(&key), value) {
            (
                Some(Holds::Schema | Holds::SchemaOrFlag | Holds::SchemaOrSchemas),
                value @ Value::Object(_),
            ) => schema(value, &inside),
            (Some(Holds::Schemas | Holds::SchemaOrSchemas), Value::Array(schemas)) => {
                let schemas = schemas.into_iter().enumerate();
                schemas
                    .map(|(index, value)| schema(value, &inside.index(index)))
                    .collect()
            }
            (Some(Holds::Named), Value::Object(named)) => {
                let named = named.into_iter().map(|(name, value)| {
                    let value = schema(value, &inside.key(&name));
                    (name, value)
                });
                Value::Object(named.collect())
            }
            (_, value) => value,
        };
        rewritten.insert(key, value);
    }
    rewritten
}

/// The same members with one of them called otherwise, in its place.
pub(crate) fn renamed(schema: Members, from: &str, to: &str) -> Members {
    let named = schema.into_iter().map(|(key, value)| {
        let key = if key == from { to.to_owned() } else { key };
        (key, value)
    });
    named.collect()
}
