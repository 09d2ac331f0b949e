//! What all targets have in common: standard keywords only, each with a value that can stand there.

use serde_json::{Map, Value};

use crate::Target;
use crate::compile::nothing;
use crate::keywords::{Holds, Members, TYPES, holds, is_about_document};
use crate::notes::{Notes, Place, short};

/// Leaves out what no provider needs and some refuse.
pub(crate) fn tidy(schema: Value, target: Target, notes: &mut Notes) -> Members {
    match (Tidier { target, notes }).schema(schema, &Place::Root) {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    }
}

struct Tidier<'n> {
    target: Target,
    notes: &'n mut Notes,
}

impl Tidier<'_> {
    fn schema(&mut self, value: Value, place: &Place<'_>) -> Value {
        match value {
            Value::Object(members) => {
                let mut kept = Map::new();
                for (key, value) in members {
                    let value = self.member(&key, value, place);
                    if let Some(value) = value {
                        kept.insert(key, value);
                    }
                }
                Value::Object(kept)
            }
            // `true` and `false` are schemas, but many providers take objects only.
            Value::Bool(true) => Value::Object(Map::new()),
            Value::Bool(false) => nothing(),
            Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                self.notes.add(place, "is no schema; left open");
                Value::Object(Map::new())
            }
        }
    }

    fn member(&mut self, key: &str, value: Value, place: &Place<'_>) -> Option<Value> {
        let Some(held) = holds(key) else {
            // Gemini's own way to say it, which nobody else reads.
            if key == "nullable" && self.target == Target::Gemini && value.is_boolean() {
                return Some(value);
            }
            if !is_about_document(key) {
                self.notes.add(
                    place,
                    format_args!("`{}` is not a standard keyword", short(key)),
                );
            }
            return None;
        };
        let inside = place.key(key);
        match (held, value) {
            (Holds::SchemaOrFlag, flag @ Value::Bool(_)) => Some(flag),
            (
                Holds::Schema | Holds::SchemaOrFlag | Holds::SchemaOrSchemas,
                schema @ (Value::Object(_) | Value::Bool(_)),
            ) => Some(self.schema(schema, &inside)),
            (Holds::Schemas | Holds::SchemaOrSchemas, Value::Array(schemas)) => {
                let schemas = schemas.into_iter().enumerate();
                let schemas =
                    schemas.map(|(index, schema)| self.schema(schema, &inside.index(index)));
                let schemas: Vec<Value> = schemas.collect();
                if schemas.is_empty() {
                    self.notes.add(place, format_args!("`{key}` is empty"));
                    return None;
                }
                Some(Value::Array(schemas))
            }
            (Holds::Named, Value::Object(named)) => {
                let named = named.into_iter();
                let named = named.map(|(name, schema)| {
                    let schema = self.schema(schema, &inside.key(&name));
                    (name, schema)
                });
                Some(Value::Object(named.collect()))
            }
            (Holds::Types, value) if is_types(&value) => Some(value),
            (Holds::List, Value::Array(list)) if key != "enum" || !list.is_empty() => {
                Some(Value::Array(list))
            }
            (Holds::Plain, value) => Some(value),
            (
                Holds::Schema
                | Holds::SchemaOrFlag
                | Holds::Schemas
                | Holds::SchemaOrSchemas
                | Holds::Named
                | Holds::Types
                | Holds::List,
                _,
            ) => {
                self.notes.add(
                    place,
                    format_args!("`{key}` has no value that can stand there"),
                );
                None
            }
        }
    }
}

fn is_types(value: &Value) -> bool {
    let is_type = |value: &Value| value.as_str().is_some_and(|name| TYPES.contains(&name));
    match value {
        Value::Array(names) => !names.is_empty() && names.iter().all(is_type),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            is_type(value)
        }
    }
}
