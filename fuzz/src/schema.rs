//! Schemas on their way to providers that take subsets of JSON Schema.

use polywire_conversation::Json;
use polywire_schema::{Compiled, DROPPED_MAX, Target, compile};
use serde_json::Value;
use serde_json::value::RawValue;

const TARGETS: [Target; 7] = [
    Target::Permissive,
    Target::OpenaiStrict,
    Target::Moonshot,
    Target::Gemini,
    Target::Mistral,
    Target::Anthropic,
    Target::Basic,
];

/// Compiles any JSON for each target. Expects an object with properties, a list of what was dropped that keeps its limit, and that
/// what came out needs no more work.
pub fn schema(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    // Whoever hands out JSON has checked that it is some.
    if serde_json::from_str::<&RawValue>(&text).is_err() {
        return;
    }
    for target in TARGETS {
        let compiled = compile(&Json::new(&*text), target);
        check(&compiled);
        assert!(!compiled.strict_possible || target == Target::OpenaiStrict);
        let again = match target {
            // A schema that could not be strict is a permissive one.
            Target::OpenaiStrict if !compiled.strict_possible => Target::Permissive,
            Target::OpenaiStrict
            | Target::Permissive
            | Target::Moonshot
            | Target::Gemini
            | Target::Mistral
            | Target::Anthropic
            | Target::Basic => target,
        };
        let again = compile(&Json::new(&*compiled.schema), again);
        assert_eq!(again.schema, compiled.schema, "for {target:?}");
    }
}

fn check(compiled: &Compiled) {
    let schema: Value = match serde_json::from_str(&compiled.schema) {
        Ok(schema) => schema,
        Err(error) => panic!("{error}: {}", compiled.schema),
    };
    assert_eq!(schema["type"], "object", "{schema}");
    assert!(schema["properties"].is_object(), "{schema}");
    assert!(compiled.dropped.len() <= DROPPED_MAX + 1);
}
