//! Types and unions.

use serde_json::{Map, Value, json};

use crate::keywords::{Members, rewrite_inside};
use crate::merge;
use crate::notes::Place;

/// Moves every `type` that stands beside a union into its branches.
pub(crate) fn divide(schema: Members) -> Members {
    divide_at(schema, &Place::Root)
}

fn divide_at(schema: Members, place: &Place<'_>) -> Members {
    rewrite_inside(type_into_branches(schema), place, &mut divide_at)
}

/// Moves the `type` of this schema into the branches of its unions that have none.
pub(crate) fn type_into_branches(mut schema: Members) -> Members {
    let unions = ["anyOf", "oneOf"];
    if !unions.iter().any(|union| schema.contains_key(*union)) {
        return schema;
    }
    let Some(name) = schema.shift_remove("type") else {
        return schema;
    };
    for union in unions {
        let Some(Value::Array(branches)) = schema.get_mut(union) else {
            continue;
        };
        for branch in branches {
            if let Value::Object(members) = branch
                && !members.contains_key("type")
            {
                members.shift_insert(0, "type".to_owned(), name.clone());
            }
        }
    }
    schema
}

/// One `enum` in place of schemas that do nothing but list values of the same type.
pub(crate) fn one_choice(schemas: &[Value]) -> Option<Value> {
    let mut named: Option<Option<&Value>> = None;
    let mut values: Vec<Value> = Vec::new();
    for schema in schemas {
        let members = schema.as_object()?;
        let here = members.get("type");
        if *named.get_or_insert(here) != here {
            return None;
        }
        let listed = match (members.get("const"), members.get("enum")) {
            (Some(value), None) => vec![value],
            (None, Some(Value::Array(listed))) => listed.iter().collect(),
            (Some(_), Some(_)) | (None, Some(_) | None) => return None,
        };
        if members.len() != 1 + usize::from(here.is_some()) {
            return None;
        }
        values.extend(listed.into_iter().cloned());
    }
    let mut choice = Map::new();
    if let Some(Some(name)) = named {
        choice.insert("type".to_owned(), name.clone());
    }
    choice.insert("enum".to_owned(), Value::Array(merge::distinct(values)));
    Some(Value::Object(choice))
}

/// Whether a schema takes null and nothing else.
pub(crate) fn is_null(schema: &Value) -> bool {
    schema
        .as_object()
        .is_some_and(|members| members.len() == 1 && members.get("type") == Some(&json!("null")))
}

/// The same schema, which takes null too.
pub(crate) fn nullable(mut schema: Members) -> Members {
    let no_value = json!("null");
    if schema.contains_key("const") {
        let mut either = Map::new();
        let only = Value::Object(schema);
        either.insert("anyOf".to_owned(), json!([only, {"type": "null"}]));
        return either;
    }
    if let Some(Value::Array(branches)) = schema.get_mut("anyOf") {
        if !branches.iter().any(is_null) {
            branches.push(json!({ "type": "null" }));
        }
        return schema;
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
    match schema.get_mut("type") {
        Some(Value::Array(names)) if !names.contains(&no_value) => names.push(no_value),
        Some(name @ Value::String(_)) if *name != no_value => {
            *name = json!([name.take(), no_value]);
        }
        Some(_) | None => {}
    }
    schema
}
