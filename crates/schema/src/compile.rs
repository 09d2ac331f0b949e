//! The passes, in order.

use serde_json::{Value, json};

use crate::keywords::Members;
use crate::notes::{Notes, Place};
use crate::{
    Compiled, SCHEMA_BYTES_MAX, SCHEMA_NESTING_MAX, Target, basic, gemini, inline, root, scan,
    strict, tidy, unions,
};

/// What a schema becomes that cannot be used. Leaving the schema out is refused or misread by several servers.
const OPEN: &str = r#"{"type":"object","properties":{}}"#;

/// Rewrites `text` for `target`.
pub(crate) fn run(text: &str, target: Target) -> Compiled {
    if scan::needs_nothing(text, target) {
        return Compiled {
            schema: text.to_owned(),
            dropped: Vec::new(),
            strict_possible: false,
        };
    }
    match parse(text) {
        Ok(Value::Object(parsed)) => rewrite(text, parsed, target),
        // Nothing was said about the arguments.
        Ok(Value::Null | Value::Bool(true)) => rewrite(text, Members::new(), target),
        Ok(Value::Bool(false) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            open("the root: is no schema of an object; left open")
        }
        Err(problem) => open(problem),
    }
}

fn open(problem: &str) -> Compiled {
    Compiled {
        schema: OPEN.to_owned(),
        dropped: vec![problem.to_owned()],
        strict_possible: false,
    }
}

fn parse(text: &str) -> Result<Value, &'static str> {
    if text.len() > SCHEMA_BYTES_MAX {
        return Err("the root: the schema is longer than 1 MiB; left open");
    }
    let parsed = serde_json::from_str(text);
    let value: Value =
        parsed.map_err(|_| "the root: the schema is not JSON, or nests too deep; left open")?;
    if inline::height(&value) > SCHEMA_NESTING_MAX {
        return Err("the root: the schema nests deeper than 60 levels; left open");
    }
    Ok(value)
}

fn rewrite(text: &str, parsed: Members, target: Target) -> Compiled {
    let mut notes = Notes::default();
    let original = Value::Object(parsed);
    let inlined = inline::inline(&original, &mut notes);
    let was_cut = inlined.was_cut;
    let tidied = tidy::tidy(inlined.schema, target, &mut notes);
    let permissive = root::shape(tidied, &mut notes);
    let mut strict_possible = false;
    let rewritten = match target {
        Target::Permissive | Target::Mistral => permissive,
        Target::Anthropic => root::flatten(permissive, &mut notes),
        Target::Moonshot => unions::divide(root::flatten(permissive, &mut notes)),
        Target::Basic => basic::rewrite(permissive, &mut notes),
        Target::Gemini => gemini::rewrite(root::flatten(permissive, &mut notes), &mut notes),
        Target::OpenaiStrict => match strict::rewrite(&permissive, was_cut, &notes) {
            Ok((strict, told)) => {
                strict_possible = true;
                notes = told;
                strict
            }
            Err(reason) => {
                notes.add(&Place::Root, format!("cannot be strict: {reason}"));
                permissive
            }
        },
    };
    let rewritten = Value::Object(rewritten);
    // What needed nothing keeps its bytes: its spaces, its spelling of numbers.
    let schema = if rewritten == original {
        text.to_owned()
    } else {
        rewritten.to_string()
    };
    Compiled {
        schema,
        dropped: notes.into_dropped(),
        strict_possible,
    }
}

/// A schema that takes nothing.
pub(crate) fn nothing() -> Value {
    json!({"not": {}})
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The look at the text alone and the whole work must agree on what needs nothing.
    #[test]
    fn what_is_passed_unread_would_not_be_changed() {
        let table = include_str!("../tests/schemas.txt").lines();
        let schemas = table.filter_map(|line| line.rsplit_once(" | "));
        let mut passed = 0;
        for (_, schema) in schemas {
            for target in [
                Target::Permissive,
                Target::Moonshot,
                Target::Mistral,
                Target::Anthropic,
            ] {
                if scan::needs_nothing(schema, target) {
                    let Ok(Value::Object(parsed)) = parse(schema) else {
                        panic!("{schema}");
                    };
                    let compiled = rewrite(schema, parsed, target);
                    assert_eq!(compiled.schema, schema, "{target:?}");
                    assert_eq!(compiled.dropped, Vec::<String>::new(), "{schema}");
                    passed += 1;
                }
            }
        }
        assert!(passed > 30, "{passed}");
    }
}
