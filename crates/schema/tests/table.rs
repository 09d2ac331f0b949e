//! Schemas in, schemas and remarks out, per target.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::format_push_string,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

mod rules;

use polywire_conversation::Json;
use polywire_schema::{SCHEMA_BYTES_MAX, Target, compile};
use serde_json::Value;

const TARGETS: [(&str, Target); 7] = [
    ("permissive", Target::Permissive),
    ("openai_strict", Target::OpenaiStrict),
    ("moonshot", Target::Moonshot),
    ("gemini", Target::Gemini),
    ("mistral", Target::Mistral),
    ("anthropic", Target::Anthropic),
    ("basic", Target::Basic),
];

/// The rows of `schemas.txt`: targets, name, schema.
fn rows() -> Vec<(&'static str, &'static str, &'static str)> {
    let lines = include_str!("schemas.txt").lines();
    let rows = lines.filter(|line| !line.starts_with('#')).map(|line| {
        let (targets, rest) = line.split_once(" | ").unwrap();
        let (name, schema) = rest.split_once(" | ").unwrap();
        (targets, name, schema)
    });
    rows.collect()
}

#[test]
fn targets_are_named_in_settings_as_here() {
    for (name, target) in TARGETS {
        let read: Target = serde_json::from_value(Value::from(name)).unwrap();
        assert_eq!(read, target);
    }
}

/// Snapshots every row: `=` stands for the same bytes. What comes out obeys the rules and is not changed any further.
#[test]
fn table() {
    let mut count = 0;
    for (name, target) in TARGETS {
        let mut text = String::new();
        for (targets, row, schema) in rows() {
            if targets != "all" && !targets.split(' ').any(|one| one == name) {
                continue;
            }
            count += 1;
            let compiled = compile(&Json::new(schema), target);
            let out = if compiled.schema == schema {
                "="
            } else {
                &compiled.schema
            };
            text.push_str(&format!("{row}\n  in  {schema}\n  out {out}\n"));
            if compiled.strict_possible {
                text.push_str("  strict\n");
            }
            for dropped in &compiled.dropped {
                text.push_str(&format!("  - {dropped}\n"));
            }
            rules::check(&compiled, target);
            rules::check_again(&compiled, target);
        }
        insta::with_settings!({ description => "tests/schemas.txt", omit_expression => true }, {
            insta::assert_snapshot!(name, text);
        });
    }
    assert!(count >= 90, "{count}");
}

/// Schemas that are made to be too much: each is answered soon, with something small and open, and says so.
#[test]
fn bombs_are_bounded() {
    let doubling: Vec<String> = (0..40)
        .map(|level| {
            let next = level + 1;
            format!(r##""d{level}":{{"type":"object","properties":{{"l":{{"$ref":"#/$defs/d{next}"}},"r":{{"$ref":"#/$defs/d{next}"}}}}}}"##)
        })
        .collect();
    let doubling = format!(
        r##"{{"type":"object","properties":{{"a":{{"$ref":"#/$defs/d0"}}}},"$defs":{{{},"d40":{{"type":"string"}}}}}}"##,
        doubling.join(",")
    );
    let long = "x".repeat(100_000);
    let copies: Vec<String> = (0..2_000)
        .map(|number| format!(r##""p{number}":{{"$ref":"#/$defs/long"}}"##))
        .collect();
    let copies = format!(
        r#"{{"type":"object","properties":{{{}}},"$defs":{{"long":{{"type":"string","description":"{long}"}}}}}}"#,
        copies.join(",")
    );
    let deep = format!(
        r#"{{"type":"object","properties":{{"a":{}{}}}}}"#,
        r#"{"type":"array","items":"#.repeat(100),
        format_args!("{{}}{}", "}".repeat(100))
    );
    let deeper = format!(
        r#"{{"type":"object","default":{}{}}}"#,
        "[".repeat(190),
        "]".repeat(190)
    );
    let loops = r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/a"}},"$defs":{"a":{"anyOf":[{"$ref":"#/$defs/b"},{"$ref":"#/$defs/a"},{"$ref":"#"}]},"b":{"allOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/b"},{"$ref":"#/properties/a"}]}}}"##;
    let large = format!(
        r#"{{"type":"object","description":"{}"}}"#,
        "x".repeat(SCHEMA_BYTES_MAX)
    );
    let many = |count: usize, one: &dyn Fn(usize) -> String| {
        (0..count).map(one).collect::<Vec<String>>().join(",")
    };
    let branch = |number: usize| {
        format!(
            r#"{{"type":"object","properties":{{"k":{{"const":"{number}"}}}},"required":["k"]}}"#
        )
    };
    let one_of = format!(r#"{{"type":"object","oneOf":[{}]}}"#, many(3_000, &branch));
    let branch = |number: usize| {
        format!(
            r#"{{"properties":{{"p{number}":{{"type":"string","x":1}}}},"required":["p{number}"]}}"#
        )
    };
    let all_of = format!(r#"{{"type":"object","allOf":[{}]}}"#, many(3_000, &branch));
    let name = |number: usize| format!(r#""{number}""#);
    let names = many(20_000, &name);
    let required = format!(
        r#"{{"type":"object","required":[{names}],"anyOf":[{{"required":[{names}]}},{{"required":[{names}]}}],"x":1}}"#
    );
    let place = |number: usize| format!(r#"{{"const":{number},"x":1}}"#);
    let tuple = format!(
        r#"{{"type":"object","properties":{{"a":{{"type":"array","prefixItems":[{}]}}}}}}"#,
        many(8_000, &place)
    );
    for schema in [
        &doubling, &copies, &deep, &deeper, loops, &large, &one_of, &all_of, &required, &tuple,
    ] {
        for (name, target) in TARGETS {
            let compiled = compile(&Json::new(schema), target);
            assert!(
                compiled.schema.len() < 4 << 20,
                "{name}: {}",
                compiled.schema.len()
            );
            // `const` becomes a list with a type beside it.
            let room = if target == Target::Basic {
                schema.len()
            } else {
                20
            };
            let is_plain =
                compiled.dropped.is_empty() && compiled.schema.len() <= schema.len() + room;
            assert!(
                is_plain || !compiled.dropped.is_empty(),
                "{name}: {schema:.100}"
            );
            rules::check(&compiled, target);
        }
    }
}
