//! What each target refuses, told independently of how it is taken away.

use polywire_conversation::Json;
use polywire_schema::{Compiled, DROPPED_MAX, Target, compile};
use serde_json::{Map, Value};

/// Checks that a schema can be sent to the target.
pub(crate) fn check(compiled: &Compiled, target: Target) {
    let schema: Value = serde_json::from_str(&compiled.schema).unwrap();
    let root = schema.as_object().unwrap();
    assert_eq!(root.get("type"), Some(&Value::from("object")), "{schema}");
    assert!(root["properties"].is_object(), "{schema}");
    assert!(compiled.dropped.len() <= DROPPED_MAX + 1);
    let no_root_union = match target {
        Target::Anthropic | Target::Moonshot | Target::Gemini => true,
        Target::OpenaiStrict => compiled.strict_possible,
        Target::Permissive | Target::Mistral | Target::Basic => false,
    };
    if no_root_union {
        for union in ["anyOf", "oneOf", "allOf"] {
            assert!(!root.contains_key(union), "{schema}");
        }
    }
    assert!(!compiled.strict_possible || target == Target::OpenaiStrict);
    let rule = Rule {
        target,
        strict: compiled.strict_possible,
    };
    rule.schema(&schema);
}

/// Checks that what came out is not changed any further. A schema that could not be strict is a permissive one.
pub(crate) fn check_again(compiled: &Compiled, target: Target) {
    let target = match target {
        Target::OpenaiStrict if !compiled.strict_possible => Target::Permissive,
        Target::OpenaiStrict
        | Target::Permissive
        | Target::Moonshot
        | Target::Gemini
        | Target::Mistral
        | Target::Anthropic
        | Target::Basic => target,
    };
    let again = compile(&Json::new(&*compiled.schema), target);
    assert_eq!(again.schema, compiled.schema, "for {target:?}");
}

struct Rule {
    target: Target,
    strict: bool,
}

impl Rule {
    fn schema(&self, schema: &Value) {
        let Value::Object(members) = schema else {
            panic!("a schema that is no object: {schema}");
        };
        for (keyword, value) in members {
            assert!(self.takes(keyword), "`{keyword}` in {schema}");
            match keyword.as_str() {
                "properties" | "patternProperties" | "dependentSchemas" => {
                    value
                        .as_object()
                        .unwrap()
                        .values()
                        .for_each(|inner| self.schema(inner));
                }
                "anyOf" | "oneOf" | "allOf" | "prefixItems" => {
                    value
                        .as_array()
                        .unwrap()
                        .iter()
                        .for_each(|inner| self.schema(inner));
                }
                "items" if value.is_array() => {
                    value
                        .as_array()
                        .unwrap()
                        .iter()
                        .for_each(|inner| self.schema(inner));
                }
                "items" | "contains" | "not" | "if" | "then" | "else" | "propertyNames" => {
                    self.schema(value);
                }
                "additionalProperties"
                | "additionalItems"
                | "unevaluatedProperties"
                | "unevaluatedItems"
                    if !value.is_boolean() =>
                {
                    self.schema(value);
                }
                _ => {}
            }
        }
        match self.target {
            Target::Gemini => gemini(members),
            Target::Moonshot => {
                let is_union = members.contains_key("anyOf") || members.contains_key("oneOf");
                assert!(!(is_union && members.contains_key("type")), "{schema}");
            }
            Target::OpenaiStrict if self.strict => strict(members),
            Target::Basic => {
                let untyped = members.contains_key("enum") && !members.contains_key("type");
                let values = members.get("enum").and_then(Value::as_array);
                let mixed = values.is_some_and(|values| {
                    let mut kinds: Vec<_> = values.iter().map(std::mem::discriminant).collect();
                    kinds.dedup();
                    kinds.len() != 1 || values[0].is_number()
                });
                assert!(!untyped || mixed, "{schema}");
            }
            Target::OpenaiStrict | Target::Permissive | Target::Mistral | Target::Anthropic => {}
        }
    }

    fn takes(&self, keyword: &str) -> bool {
        let gemini = [
            "type",
            "format",
            "title",
            "description",
            "nullable",
            "enum",
            "maxItems",
            "minItems",
            "properties",
            "required",
            "minProperties",
            "maxProperties",
            "minLength",
            "maxLength",
            "pattern",
            "anyOf",
            "items",
            "minimum",
            "maximum",
        ];
        let strict = [
            "type",
            "title",
            "description",
            "enum",
            "const",
            "maxItems",
            "minItems",
            "properties",
            "required",
            "additionalProperties",
            "anyOf",
            "items",
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "multipleOf",
        ];
        let basic = [
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
        match self.target {
            Target::Gemini => gemini.contains(&keyword),
            Target::Basic => basic.contains(&keyword),
            Target::OpenaiStrict if self.strict => strict.contains(&keyword),
            Target::OpenaiStrict
            | Target::Permissive
            | Target::Mistral
            | Target::Moonshot
            | Target::Anthropic => {
                !keyword.starts_with(['$', 'x'])
                    && keyword != "encrypted"
                    && keyword != "definitions"
            }
        }
    }
}

fn gemini(members: &Map<String, Value>) {
    if let Some(name) = members.get("type") {
        assert!(name.is_string(), "{members:?}");
        assert!(!members.contains_key("anyOf"), "{members:?}");
    }
    if let Some(values) = members.get("enum") {
        assert!(
            values.as_array().unwrap().iter().all(Value::is_string),
            "{members:?}"
        );
    }
    if let Some(names) = members.get("required") {
        let names = names.as_array().unwrap();
        assert!(!names.is_empty());
        for name in names {
            assert!(
                members["properties"].get(name.as_str().unwrap()).is_some(),
                "{members:?}"
            );
        }
    }
    assert!(
        !members.get("items").is_some_and(Value::is_array),
        "{members:?}"
    );
}

fn strict(members: &Map<String, Value>) {
    assert!(
        ["type", "anyOf"]
            .iter()
            .any(|keyword| members.contains_key(*keyword)),
        "{members:?}"
    );
    let is_object = match members.get("type") {
        Some(Value::Array(names)) => names.iter().any(|name| name == "object"),
        Some(name) => name == "object",
        None => false,
    };
    if is_object {
        assert_eq!(
            members.get("additionalProperties"),
            Some(&Value::Bool(false))
        );
        let required = members["required"].as_array().unwrap();
        let properties = members["properties"].as_object().unwrap();
        assert_eq!(required.len(), properties.len(), "{members:?}");
        for name in required {
            assert!(
                properties.contains_key(name.as_str().unwrap()),
                "{members:?}"
            );
        }
    }
}
