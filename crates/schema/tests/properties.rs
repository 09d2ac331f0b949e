//! What holds for every schema, sensible or not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

mod rules;

use polywire_conversation::Json;
use polywire_schema::{Target, compile};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

const TARGETS: [Target; 7] = [
    Target::Permissive,
    Target::OpenaiStrict,
    Target::Moonshot,
    Target::Gemini,
    Target::Mistral,
    Target::Anthropic,
    Target::Basic,
];

fn name() -> impl Strategy<Value = String> {
    select(vec!["a", "b", "c", "type", "$ref"]).prop_map(str::to_owned)
}

fn reference() -> impl Strategy<Value = Value> {
    let targets = ["#/$defs/a", "#/$defs/b", "#"];
    (select(targets.to_vec()), any::<bool>(), any::<bool>()).prop_map(|(target, words, rule)| {
        let mut schema = json!({ "$ref": target });
        if words {
            schema["description"] = json!("here");
        }
        if rule {
            schema["required"] = json!(["a"]);
        }
        schema
    })
}

fn leaf() -> impl Strategy<Value = Value> {
    let leaves = [
        json!({"type": "string"}),
        json!({"type": "string", "minLength": 2, "pattern": "x", "encrypted": true}),
        json!({"type": "integer", "minimum": 1, "exclusiveMaximum": 5}),
        json!({"type": "number", "exclusiveMinimum": 0.5}),
        json!({"type": ["string", "null"], "format": "date"}),
        json!({"type": ["string", "integer"], "minLength": 1}),
        json!({"enum": ["x", "y", null]}),
        json!({"enum": [1, "x"]}),
        json!({"const": "x", "$comment": "c"}),
        json!({"const": 3}),
        json!({"type": "null"}),
        json!({"type": "boolean", "default": true}),
        json!({"type": "object"}),
        json!({"type": "array"}),
        json!({}),
    ];
    select(leaves.to_vec())
}

/// A schema. References stand in properties and items only, because they must not go in circles without a value in between.
fn schema() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        let placed = prop_oneof![3 => inner.clone(), 2 => reference(), 1 => any::<bool>().prop_map(Value::Bool)];
        let several = prop::collection::vec(inner.clone(), 1..3);
        prop_oneof![
            4 => object(placed.clone()),
            1 => placed.prop_map(|items| json!({"type": "array", "items": items})),
            1 => inner.clone().prop_map(|items| json!({"type": "array", "prefixItems": [items], "items": false})),
            1 => several.clone().prop_map(|branches| json!({"anyOf": branches, "description": "d"})),
            1 => several.clone().prop_map(|branches| json!({"oneOf": branches, "type": "object"})),
            1 => several.prop_map(|branches| json!({"allOf": branches})),
            1 => inner.clone().prop_map(|schema| json!({"not": schema})),
            1 => inner.prop_map(|schema| json!({"if": schema, "then": {"type": "object"}})),
        ]
    })
}

fn object(placed: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Value> {
    let properties = prop::collection::vec((name(), placed), 0..3);
    let required = prop::collection::vec(name(), 0..2);
    let extra = select(vec![
        json!(null),
        json!(false),
        json!(true),
        json!({"type": "string"}),
    ]);
    (properties, required, extra).prop_map(|(properties, required, extra)| {
        let properties: Map<String, Value> = properties.into_iter().collect();
        let mut object = json!({"type": "object", "properties": properties});
        if let [one, other] = required.as_slice()
            && one == other
        {
            object["required"] = json!([one]);
        } else if !required.is_empty() {
            object["required"] = json!(required);
        }
        if !extra.is_null() {
            object["additionalProperties"] = extra;
        }
        object
    })
}

/// A whole schema with definitions. Its root is an object; `unions` says whether it may also be a union.
fn whole(unions: bool) -> impl Strategy<Value = Value> {
    let placed = prop_oneof![2 => schema(), 3 => reference()];
    let branches = prop::collection::vec(object(schema()), 0..3);
    (
        object(placed),
        schema(),
        object(reference()),
        branches,
        any::<bool>(),
    )
        .prop_map(move |(mut root, a, b, mut branches, noise)| {
            root["$defs"] = json!({"a": a, "b": b});
            if unions && !branches.is_empty() {
                // An open branch takes anything under the names of the others; what is put together does not.
                for branch in &mut branches {
                    branch["additionalProperties"] = json!(false);
                }
                root["anyOf"] = json!(branches);
            }
            if noise {
                root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
                root["x-noise"] = json!([1]);
            }
            root
        })
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = select(vec![
        json!("x"),
        json!("xy"),
        json!(1),
        json!(3),
        json!(0.75),
        json!(null),
        json!(true),
        json!([]),
        json!({}),
    ]);
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            3 => arguments(inner.clone()),
            1 => prop::collection::vec(inner, 0..3).prop_map(Value::Array),
        ]
    })
}

fn arguments(inner: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Value> {
    prop::collection::vec((name(), inner), 0..3)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    #[test]
    fn every_target_gets_what_it_takes(
        schema in whole(true),
        elsewhere in select(vec!["#/$defs/b", "#/nowhere", "#/properties/a", "urn:x", "#"]),
    ) {
        let text = schema.to_string().replace("#/$defs/b", elsewhere);
        for target in TARGETS {
            let compiled = compile(&Json::new(&*text), target);
            rules::check(&compiled, target);
            rules::check_again(&compiled, target);
        }
    }

    #[test]
    fn what_was_valid_stays_valid(
        schema in whole(false),
        values in prop::collection::vec(arguments(value()), 8),
    ) {
        let original = jsonschema::validator_for(&schema).unwrap();
        for target in [Target::Permissive, Target::Mistral, Target::Anthropic] {
            let compiled = compile(&Json::new(schema.to_string()), target);
            let rewritten: Value = serde_json::from_str(&compiled.schema).unwrap();
            let rewritten = jsonschema::validator_for(&rewritten).unwrap();
            for value in &values {
                let valid = original.is_valid(value);
                prop_assert!(!valid || rewritten.is_valid(value), "{target:?} {value} {}", compiled.schema);
                // And what was not stays so, as long as no two schemas were put together.
                let exact = !schema.to_string().contains("$ref") && target != Target::Anthropic;
                prop_assert!(!exact || valid || !rewritten.is_valid(value), "{target:?} {value} {}", compiled.schema);
            }
        }
    }

    #[test]
    fn unions_that_are_put_together_take_what_they_took(
        schema in whole(true),
        values in prop::collection::vec(arguments(value()), 8),
    ) {
        let original = jsonschema::validator_for(&schema).unwrap();
        let compiled = compile(&Json::new(schema.to_string()), Target::Anthropic);
        let rewritten: Value = serde_json::from_str(&compiled.schema).unwrap();
        let rewritten = jsonschema::validator_for(&rewritten).unwrap();
        for value in &values {
            prop_assert!(!original.is_valid(value) || rewritten.is_valid(value), "{value} {}", compiled.schema);
        }
    }

    #[test]
    fn anything_is_answered(text in r#"[{}\[\]",:$a-f1 ]{0,30}"#) {
        for target in TARGETS {
            rules::check(&compile(&Json::new(&*text), target), target);
        }
    }
}
