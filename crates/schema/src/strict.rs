//! OpenAI's strict subset (its documentation on structured outputs, autumn 2026): every object closed and with all of its properties
//! required, no composition but `anyOf` below the root, bounded size. What is optional becomes something that may be null.

use serde_json::{Map, Value, json};

use crate::keywords::{Members, renamed, type_of_all};
use crate::notes::{Notes, Place};
use crate::{merge, unions};

/// The deepest that objects may nest.
const OBJECTS_NESTING_MAX: usize = 10;
/// The most properties of all objects together.
const PROPERTIES_MAX: usize = 5_000;
/// The most values of all lists together.
const ENUM_VALUES_MAX: usize = 1_000;
/// The most characters of all names and listed values together.
const NAMES_CHARS_MAX: usize = 120_000;

/// Keywords whose meaning would be lost. With one of them a schema cannot be strict.
const INEXPRESSIBLE: [&str; 14] = [
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
    "propertyNames",
    "prefixItems",
    "additionalItems",
    "unevaluatedItems",
    "contains",
    "minContains",
    "maxContains",
];

/// Keywords that are left out, because they only narrow a single value down or speak to people.
const LEFT_OUT: [&str; 15] = [
    "pattern",
    "format",
    "minLength",
    "maxLength",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
];

/// The schema in the strict subset, with the remarks on it after those before; or why it cannot be.
pub(crate) fn rewrite(
    permissive: &Members,
    was_cut: bool,
    notes: &Notes,
) -> Result<(Members, Notes), String> {
    if was_cut {
        return Err("a reference is left open".to_owned());
    }
    let mut writer = Writer {
        notes: notes.clone(),
        properties: 0,
        enum_values: 0,
        names_chars: 0,
    };
    let schema = writer.schema(permissive.clone(), &Place::Root, 0)?;
    if schema.contains_key("anyOf") {
        return Err("a union at the root".to_owned());
    }
    Ok((schema, writer.notes))
}

struct Writer {
    notes: Notes,
    properties: usize,
    enum_values: usize,
    names_chars: usize,
}

impl Writer {
    /// `objects` is the number of objects around this schema.
    fn schema(
        &mut self,
        schema: Members,
        place: &Place<'_>,
        objects: usize,
    ) -> Result<Members, String> {
        let mut schema = composed(schema, place)?;
        for keyword in INEXPRESSIBLE {
            if schema.contains_key(keyword) {
                return Err(format!("`{keyword}` at {place}"));
            }
        }
        for keyword in LEFT_OUT {
            if schema.shift_remove(keyword).is_some() {
                self.notes.add(
                    place,
                    format_args!("`{keyword}` is not taken in strict schemas"),
                );
            }
        }
        self.count_values(&schema)?;
        if schema.contains_key("anyOf") {
            return self.union(schema, place, objects);
        }
        if !schema.contains_key("type") {
            let name = inferred_type(&schema).ok_or_else(|| format!("no type at {place}"))?;
            schema.shift_insert(0, "type".to_owned(), json!(name));
        }
        if has_type(&schema, "object") {
            schema = self.object(schema, place, objects + 1)?;
        }
        if has_type(&schema, "array") {
            let Some(Value::Object(items)) = schema.get_mut("items") else {
                return Err(format!("an array of anything at {place}"));
            };
            *items = self.schema(std::mem::take(items), &place.key("items"), objects)?;
        }
        Ok(schema)
    }

    fn union(
        &mut self,
        schema: Members,
        place: &Place<'_>,
        objects: usize,
    ) -> Result<Members, String> {
        let mut schema = unions::type_into_branches(schema);
        for keyword in [
            "properties",
            "required",
            "additionalProperties",
            "items",
            "enum",
            "const",
        ] {
            if schema.contains_key(keyword) {
                return Err(format!("`{keyword}` beside a union at {place}"));
            }
        }
        if let Some(Value::Array(branches)) = schema.get_mut("anyOf") {
            let place = place.key("anyOf");
            for (index, branch) in branches.iter_mut().enumerate() {
                if let Value::Object(members) = branch {
                    *members =
                        self.schema(std::mem::take(members), &place.index(index), objects)?;
                }
            }
        }
        Ok(schema)
    }

    fn object(
        &mut self,
        mut schema: Members,
        place: &Place<'_>,
        objects: usize,
    ) -> Result<Members, String> {
        if objects > OBJECTS_NESTING_MAX {
            return Err(format!(
                "objects nest deeper than {OBJECTS_NESTING_MAX} at {place}"
            ));
        }
        let closed = json!(false);
        let unevaluated = schema.shift_remove("unevaluatedProperties");
        let said = schema.get("additionalProperties").or(unevaluated.as_ref());
        let is_closed = said == Some(&closed);
        if said.is_some() && !is_closed {
            return Err(format!("an open object at {place}"));
        }
        // Without properties an object takes anything, but at the root that is how a tool without arguments is written.
        let is_free = !schema.contains_key("properties") && objects > 1;
        if is_free && !is_closed {
            return Err(format!("an object of anything at {place}"));
        }
        let required = schema.get("required").and_then(Value::as_array);
        let mut required = required.cloned().unwrap_or_default();
        let properties = schema
            .entry("properties")
            .or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(properties) = properties {
            if properties.is_empty() && objects > 1 && !is_closed {
                return Err(format!("an object of anything at {place}"));
            }
            let inside = place.key("properties");
            self.close(properties, &mut required, &inside, objects)?;
        }
        schema.insert("required".to_owned(), Value::Array(required));
        schema.insert("additionalProperties".to_owned(), closed);
        Ok(schema)
    }

    /// Rewrites the properties of an object and requires each of them.
    fn close(
        &mut self,
        properties: &mut Members,
        required: &mut Vec<Value>,
        place: &Place<'_>,
        objects: usize,
    ) -> Result<(), String> {
        let is_described = |name: &Value| {
            name.as_str()
                .is_some_and(|name| properties.contains_key(name))
        };
        if !required.iter().all(is_described) {
            return Err(format!(
                "`required` names what is not described, near {place}"
            ));
        }
        self.properties += properties.len();
        self.names_chars += properties.keys().map(String::len).sum::<usize>();
        self.check_size()?;
        for (name, value) in properties {
            let place = place.key(name);
            let Value::Object(members) = value else {
                return Err(format!("no schema at {place}"));
            };
            let mut schema = self.schema(std::mem::take(members), &place, objects)?;
            let name = Value::String(name.clone());
            if !required.contains(&name) {
                required.push(name);
                schema = unions::nullable(schema);
                self.notes
                    .add(&place, "optional; null stands for leaving it out");
            }
            *members = schema;
        }
        Ok(())
    }

    fn count_values(&mut self, schema: &Members) -> Result<(), String> {
        let listed = schema.get("enum").and_then(Value::as_array);
        let listed = listed.map(Vec::as_slice).unwrap_or_default();
        self.enum_values += listed.len();
        let texts = listed
            .iter()
            .chain(schema.get("const"))
            .filter_map(Value::as_str);
        self.names_chars += texts.map(str::len).sum::<usize>();
        self.check_size()
    }

    fn check_size(&self) -> Result<(), String> {
        if self.properties > PROPERTIES_MAX
            || self.enum_values > ENUM_VALUES_MAX
            || self.names_chars > NAMES_CHARS_MAX
        {
            return Err("the schema is too large".to_owned());
        }
        Ok(())
    }
}

/// Composition as far as the subset has it: `allOf` put together, `oneOf` as `anyOf`.
fn composed(mut schema: Members, place: &Place<'_>) -> Result<Members, String> {
    if let Some(Value::Array(branches)) = schema.shift_remove("allOf") {
        if branches.len() > merge::ALL_OF_MAX {
            return Err(format!("too many branches of `allOf` at {place}"));
        }
        let branches = merge::branches(branches, place, &mut Notes::default());
        for branch in branches.into_iter().rev() {
            let branch = composed(branch, place)?;
            let merged = merge::merged(&branch, &schema);
            schema.extend(merged.ok_or_else(|| format!("`allOf` at {place}"))?);
        }
    }
    match (schema.contains_key("oneOf"), schema.contains_key("anyOf")) {
        (false, _) => Ok(schema),
        (true, false) => Ok(renamed(schema, "oneOf", "anyOf")),
        (true, true) => Err(format!("`oneOf` beside `anyOf` at {place}")),
    }
}

fn has_type(schema: &Members, name: &str) -> bool {
    match schema.get("type") {
        Some(Value::Array(names)) => names.iter().any(|one| one == name),
        Some(one) => one == name,
        None => false,
    }
}

fn inferred_type(schema: &Members) -> Option<&'static str> {
    if schema.contains_key("properties") {
        return Some("object");
    }
    if schema.contains_key("items") {
        return Some("array");
    }
    let listed = schema.get("enum").and_then(Value::as_array);
    type_of_all(listed.into_iter().flatten().chain(schema.get("const")))
}
