//! The questions that are asked: requests of the Responses protocol, small ones, whose answers can be judged by a program.

use serde_json::{Value, json};

/// The most tokens of an answer. The answers need about fifty; models that think need room for it.
const OUTPUT_TOKENS_MAX: u64 = 1024;

/// The same where the model is asked to think.
const THINKING_TOKENS_MAX: u64 = 2048;

/// What the tool answers. A number that nobody guesses.
pub(crate) const TOOL_RESULT: &str = "The value is 48613.";

/// The number in it.
pub(crate) const TOOL_NUMBER: &str = "48613";

/// The tool.
pub(crate) const TOOL: &str = "look_up";

/// The word that later instructions ask for.
pub(crate) const LATE_WORD: &str = "PINEAPPLE";

/// 32 by 32 red dots, as a PNG file in base64. Some services refuse smaller pictures.
const RED_PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAIAAAD8GO2jAAAAKklEQVR42mN4ICBAU8QwasGoBaMWjFowasGoBaMWjFowasGoBaMWDBULALgcAD3G45K4AAAAAElFTkSuQmCC";

/// Asks for a text that is long enough to come in pieces.
pub(crate) fn count() -> Value {
    json!({
        "instructions": "You are tested by a program. Do exactly what is asked, and nothing else.",
        "input": [user("Write the numbers from 1 to 40, separated by blanks.")],
        "max_output_tokens": OUTPUT_TOKENS_MAX,
    })
}

/// Asks for one call of the tool.
pub(crate) fn one_call() -> Value {
    json!({
        "instructions": "You are tested by a program. Use the tool when you are asked to.",
        "input": [user("What is the value of alpha? Look it up with the tool, then tell the number.")],
        "tools": [tool()],
        "parallel_tool_calls": true,
        "max_output_tokens": THINKING_TOKENS_MAX,
        "reasoning": {"summary": "auto"},
        "include": ["reasoning.encrypted_content"],
    })
}

/// The same conversation after the tool has answered. `answer` is what the model said.
pub(crate) fn after_call(answer: &[Value]) -> Value {
    let mut request = one_call();
    let results = answer
        .iter()
        .filter(|item| item["type"] == "function_call")
        .map(|call| {
            json!({"type": "function_call_output", "call_id": call["call_id"], "output": TOOL_RESULT})
        });
    let results: Vec<Value> = results.collect();
    if let Value::Array(input) = &mut request["input"] {
        input.extend(answer.iter().cloned());
        input.extend(results);
    }
    request
}

/// Asks for two calls in one answer.
pub(crate) fn two_calls() -> Value {
    json!({
        "instructions": "You are tested by a program. Call the tool as often as you are asked to, all calls in one answer.",
        "input": [user("Look up alpha and beta with the tool, both at once: two calls in this answer.")],
        "tools": [tool()],
        "parallel_tool_calls": true,
        "max_output_tokens": OUTPUT_TOKENS_MAX,
    })
}

/// Demands a call that the question does not need.
pub(crate) fn demanded_call() -> Value {
    json!({
        "input": [user("Say hello.")],
        "tools": [tool()],
        "tool_choice": "required",
        "max_output_tokens": OUTPUT_TOKENS_MAX,
    })
}

/// Asks for an answer by a schema, with a question that nobody would answer in JSON by himself.
pub(crate) fn by_schema() -> Value {
    json!({
        "input": [user("Greet me in one short sentence.")],
        "text": {"format": {"type": "json_schema", "name": "greeting", "strict": true, "schema": {
            "type": "object",
            "properties": {
                "sentence": {"type": "string"},
                "language": {"type": "string", "enum": ["en", "fr"]},
                "words": {"type": "integer"},
            },
            "required": ["sentence", "language", "words"],
            "additionalProperties": false,
        }}},
        "max_output_tokens": OUTPUT_TOKENS_MAX,
    })
}

/// Whether a text has the form that [`by_schema`] asks for; else what is wrong with it.
pub(crate) fn fits_schema(text: &str) -> Result<(), String> {
    let value: Value =
        serde_json::from_str(text.trim()).map_err(|_| "the answer is no JSON".to_owned())?;
    let Value::Object(members) = &value else {
        return Err("the answer is JSON, but no object".to_owned());
    };
    let known = ["sentence", "language", "words"];
    if let Some(other) = members.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!(
            "the answer has a member that the schema does not have: `{other}`"
        ));
    }
    let language = value["language"].as_str().unwrap_or_default();
    for (name, fits) in [
        ("sentence", value["sentence"].is_string()),
        ("language", ["en", "fr"].contains(&language)),
        ("words", value["words"].is_i64() || value["words"].is_u64()),
    ] {
        if !fits {
            return Err(format!(
                "`{name}` of the answer is not as the schema wants it"
            ));
        }
    }
    Ok(())
}

/// Gives instructions in the middle of a conversation.
pub(crate) fn late_instructions() -> Value {
    json!({
        "instructions": "Answer shortly.",
        "input": [
            user("Hello."),
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello."}]},
            {"type": "message", "role": "developer", "content": format!("From now on every answer is the one word {LATE_WORD}.")},
            user("What is two and two?"),
        ],
        "max_output_tokens": OUTPUT_TOKENS_MAX,
    })
}

/// Asks for something that takes a thought.
pub(crate) fn think() -> Value {
    json!({
        "input": [user("Which is larger, 17 times 23 or 19 times 21? Answer with the larger product alone.")],
        "max_output_tokens": THINKING_TOKENS_MAX,
        "reasoning": {"summary": "auto"},
        "include": ["reasoning.encrypted_content"],
    })
}

/// Shows a picture.
pub(crate) fn picture() -> Value {
    json!({
        "input": [{"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": "Which colour does this picture have? Answer with one English word."},
            {"type": "input_image", "image_url": format!("data:image/png;base64,{RED_PNG}")},
        ]}],
        "max_output_tokens": OUTPUT_TOKENS_MAX,
    })
}

/// The request with this effort of thinking.
pub(crate) fn with_effort(mut request: Value, effort: Option<&str>) -> Value {
    if let Some(effort) = effort {
        request["reasoning"]["effort"] = effort.into();
    }
    request
}

fn user(text: &str) -> Value {
    json!({"type": "message", "role": "user", "content": text})
}

fn tool() -> Value {
    json!({
        "type": "function",
        "name": TOOL,
        "description": "Looks up the value of a name.",
        "parameters": {
            "type": "object",
            "properties": {"name": {"type": "string", "description": "alpha or beta"}},
            "required": ["name"],
            "additionalProperties": false,
        },
        "strict": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_checked() {
        let good = r#" {"sentence": "Hi!", "language": "en", "words": 1} "#;
        assert_eq!(fits_schema(good), Ok(()));
        for (text, wrong) in [
            ("Hi!", "no JSON"),
            ("[1]", "no object"),
            (
                r#"{"sentence": "Hi!", "language": "en", "words": 1, "tone": "x"}"#,
                "`tone`",
            ),
            (
                r#"{"sentence": "Hi!", "language": "de", "words": 1}"#,
                "`language`",
            ),
            (
                r#"{"sentence": "Hi!", "language": "en", "words": "1"}"#,
                "`words`",
            ),
            (r#"{"language": "en", "words": 1}"#, "`sentence`"),
        ] {
            let told = fits_schema(text).unwrap_err();
            assert!(told.contains(wrong), "{told}");
        }
    }
}
