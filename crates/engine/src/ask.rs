//! A request in the form of the Responses protocol, taken apart into what an engine needs.

use polywire_conversation::{Fault, FaultClass};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// What a model is told when the client gave no instructions. Codex would put in pages of its own for a coding agent.
const INSTRUCTIONS: &str = "You are a helpful assistant.";

/// A request to a model. Items, tools and schemas stay as they are written.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Ask {
    #[serde(default)]
    pub(crate) model: String,
    #[serde(default)]
    instructions: Option<String>,
    #[serde(default)]
    pub(crate) input: Vec<Box<RawValue>>,
    #[serde(default)]
    pub(crate) tools: Vec<Tool>,
    #[serde(default)]
    text: TextSettings,
    #[serde(default)]
    reasoning: ReasoningSettings,
    #[serde(default)]
    pub(crate) service_tier: Option<String>,
}

/// A tool. Engines take functions only; the hosted search is a setting to them.
#[derive(Debug, Deserialize)]
pub(crate) struct Tool {
    #[serde(rename = "type")]
    tag: String,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: Option<String>,
    #[serde(default)]
    pub(crate) parameters: Option<Box<RawValue>>,
    /// Of a search: whether it may look at the web as it is now.
    #[serde(default)]
    external_web_access: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
struct TextSettings {
    #[serde(default)]
    format: Option<Format>,
    #[serde(default)]
    verbosity: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Format {
    #[serde(default)]
    schema: Option<Box<RawValue>>,
}

#[derive(Debug, Default, Deserialize)]
struct ReasoningSettings {
    #[serde(default)]
    effort: Option<String>,
    #[serde(default)]
    summary: Option<String>,
}

/// The little that has to be known of an item.
#[derive(Deserialize)]
struct ItemHead<'a> {
    #[serde(rename = "type", default)]
    tag: &'a str,
    #[serde(default)]
    role: &'a str,
    #[serde(borrow, default)]
    call_id: Option<&'a RawValue>,
}

/// What a tool answered to one call.
#[derive(Debug)]
pub(crate) struct ToolAnswer {
    pub(crate) call_id: String,
    pub(crate) output: Value,
}

/// A call of a tool, as far as it tells whether a conversation is still the same.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ToolCall {
    pub(crate) id: String,
    /// Read, because clients write them anew with other spaces and another order. Whatever is no JSON stays text.
    arguments: Value,
}

impl ToolCall {
    pub(crate) fn new(id: String, arguments: &str) -> Self {
        let arguments = match arguments.trim() {
            "" => Value::Object(serde_json::Map::new()),
            written => serde_json::from_str(written).unwrap_or_else(|_| Value::from(written)),
        };
        Self { id, arguments }
    }

    /// Whether a client tells this call as the model made it. Clients write down switches that are off by default: Claude Code
    /// adds `"replace_all": false`. Whatever else differs was changed.
    pub(crate) fn is_told_as(&self, told: &Self) -> bool {
        let (Value::Object(said), Value::Object(arguments)) = (&self.arguments, &told.arguments)
        else {
            return self == told;
        };
        let is_off = |value: &Value| matches!(value, Value::Null | Value::Bool(false));
        self.id == told.id
            && said
                .iter()
                .all(|(name, value)| arguments.get(name) == Some(value))
            && arguments
                .iter()
                .all(|(name, value)| said.contains_key(name) || is_off(value))
    }
}

/// What a conversation has more than before.
#[derive(Debug)]
pub(crate) struct Since {
    /// What the model called, as the client tells it.
    pub(crate) calls: Vec<ToolCall>,
    /// What the tools have answered.
    pub(crate) answers: Vec<ToolAnswer>,
}

impl Ask {
    /// Takes a body apart.
    ///
    /// # Errors
    /// A [`Fault`] of ours when it is none of the Responses protocol: it is we who write it.
    pub(crate) fn read(body: &[u8]) -> Result<Self, Fault> {
        serde_json::from_slice(body).map_err(|error| {
            Fault::new(
                FaultClass::Server,
                format!("the request cannot be put into the engine's form: {error}"),
            )
        })
    }

    pub(crate) fn instructions(&self) -> &str {
        match self.instructions.as_deref() {
            Some(text) if !text.trim().is_empty() => text,
            Some(_) | None => INSTRUCTIONS,
        }
    }

    pub(crate) fn effort(&self) -> Option<&str> {
        self.reasoning.effort.as_deref()
    }

    pub(crate) fn summary(&self) -> Option<&str> {
        self.reasoning.summary.as_deref()
    }

    pub(crate) fn verbosity(&self) -> Option<&str> {
        self.text.verbosity.as_deref()
    }

    /// The schema that the answer has to follow.
    pub(crate) fn schema(&self) -> Option<&RawValue> {
        self.text.format.as_ref()?.schema.as_deref()
    }

    /// The tools that the client carries out.
    pub(crate) fn functions(&self) -> impl Iterator<Item = &Tool> {
        self.tools.iter().filter(|tool| tool.tag == "function")
    }

    /// How Codex searches the web for the model, in the words of its own setting.
    pub(crate) fn web_search(&self) -> Option<&'static str> {
        let mut tools = self.tools.iter();
        let search = tools.find(|tool| tool.tag == "web_search")?;
        Some(match search.external_web_access {
            Some(false) => "cached",
            Some(true) | None => "live",
        })
    }

    /// A fingerprint of everything that shapes the answer: settings, tools, and the first `count` items.
    pub(crate) fn fingerprint(&self, count: usize) -> Option<[u8; 32]> {
        let items = self.input.get(..count)?;
        let mut hash = Sha256::new();
        let mut add = |part: &str| {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        };
        for word in [
            Some(self.model.as_str()),
            Some(self.instructions()),
            self.effort(),
            self.summary(),
            self.verbosity(),
            self.service_tier.as_deref(),
            self.schema().map(RawValue::get),
        ] {
            add(if word.is_some() { "+" } else { "-" });
            add(word.unwrap_or_default());
        }
        add(self.web_search().unwrap_or_default());
        for tool in self.functions() {
            add(&tool.name);
            add(tool.description.as_deref().unwrap_or_default());
            add(tool.parameters.as_deref().map_or("", RawValue::get));
        }
        add("items");
        for item in items {
            add(item.get());
        }
        Some(hash.finalize().into())
    }

    /// The results of tools with which the conversation ends, when they are all that the client has added to what the model said
    /// behind the first `count` items; and the calls that it said.
    pub(crate) fn since(&self, count: usize) -> Option<Since> {
        let (mut calls, mut answers) = (Vec::new(), Vec::new());
        for item in self.input.get(count..)? {
            let head: ItemHead<'_> = serde_json::from_str(item.get()).ok()?;
            match head.tag {
                "function_call_output" => answers.push(tool_answer(item)?),
                "function_call" if answers.is_empty() => calls.push(tool_call(item)?),
                "reasoning" if answers.is_empty() => {}
                "message" | "" if answers.is_empty() && head.role == "assistant" => {}
                _ => return None,
            }
        }
        (!answers.is_empty()).then_some(Since { calls, answers })
    }

    /// The ids of the calls that the conversation's last results answer.
    pub(crate) fn answered_calls(&self) -> Vec<String> {
        let mut ids = Vec::new();
        for item in self.input.iter().rev() {
            let Ok(head) = serde_json::from_str::<ItemHead<'_>>(item.get()) else {
                break;
            };
            if head.tag != "function_call_output" {
                break;
            }
            let id = head.call_id.map(|raw| serde_json::from_str(raw.get()));
            ids.extend(id.and_then(Result::ok));
        }
        ids
    }
}

fn tool_answer(item: &RawValue) -> Option<ToolAnswer> {
    #[derive(Deserialize)]
    struct Output {
        call_id: String,
        output: Value,
    }
    let Output { call_id, output } = serde_json::from_str(item.get()).ok()?;
    Some(ToolAnswer { call_id, output })
}

fn tool_call(item: &RawValue) -> Option<ToolCall> {
    #[derive(Deserialize)]
    struct Call {
        call_id: String,
        arguments: String,
    }
    let Call { call_id, arguments } = serde_json::from_str(item.get()).ok()?;
    Some(ToolCall::new(call_id, &arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLED: &str = r#"{"model":"m","input":[
        {"type":"message","role":"user","content":[]},
        {"type":"reasoning","summary":[]},
        {"type":"message","role":"assistant","content":[]},
        {"type":"function_call","call_id":"a","name":"f","arguments":"{}"},
        {"type":"function_call","call_id":"b","name":"f","arguments":"{}"},
        {"type":"function_call_output","call_id":"b","output":"2"},
        {"type":"function_call_output","call_id":"a","output":[{"type":"input_text","text":"1"}]}]}"#;

    fn read(body: &str) -> Ask {
        Ask::read(body.as_bytes()).unwrap()
    }

    #[test]
    fn results_are_told_from_the_rest() {
        let ask = read(CALLED);
        assert_eq!(ask.answered_calls(), ["a", "b"]);
        let Since { calls, answers } = ask.since(1).unwrap();
        let called = ["a", "b"].map(|id| ToolCall::new(id.to_owned(), " "));
        assert_eq!(calls, called, "no arguments are an empty object");
        let ids: Vec<&str> = answers.iter().map(|answer| &*answer.call_id).collect();
        assert_eq!(ids, ["b", "a"]);
        assert_eq!(answers[0].output, "2");
        assert!(ask.since(0).is_none(), "the user said something");
        assert!(ask.since(7).is_none(), "nothing came since");
        assert!(ask.since(8).is_none(), "there are not as many items");
        let and_more = CALLED.replace(
            "\"text\":\"1\"}]}]}",
            "\"text\":\"1\"}]},{\"type\":\"message\",\"role\":\"user\",\"content\":[]}]}",
        );
        let ask = read(&and_more);
        assert!(ask.since(1).is_none(), "the user said more");
        assert!(ask.answered_calls().is_empty());
    }

    #[test]
    fn switches_that_are_off_change_no_call() {
        for (said, told, same) in [
            (r#"{"a":1,"b":"x"}"#, r#"{"b": "x", "a": 1}"#, true),
            (r#"{"a":1}"#, r#"{"a":1,"all":false,"limit":null}"#, true),
            (r#"{"a":1}"#, r#"{"a":1,"all":true}"#, false),
            (r#"{"a":1,"b":false}"#, r#"{"a":1}"#, false),
            (r#"{"a":1}"#, r#"{"a":2}"#, false),
            ("[1]", "[1]", true),
            ("{}", "no JSON", false),
        ] {
            let call = |id: &str, arguments| ToolCall::new(id.to_owned(), arguments);
            let (said, told) = (call("c", said), call("c", told));
            assert_eq!(said.is_told_as(&told), same, "{said:?} {told:?}");
        }
        let [one, other] = ["c", "d"].map(|id| ToolCall::new(id.to_owned(), "{}"));
        assert!(!one.is_told_as(&other));
    }

    #[test]
    fn a_fingerprint_changes_with_everything_that_shapes_the_answer() {
        let print = |body: &str, count| read(body).fingerprint(count);
        let base = print(CALLED, 1).unwrap();
        assert_eq!(
            print(&CALLED.replace("\"output\":\"2\"", "\"output\":\"3\""), 1),
            Some(base)
        );
        assert_eq!(print(CALLED, 8), None);
        let changes = [
            CALLED.replace("\"model\":\"m\"", "\"model\":\"n\""),
            CALLED.replace("\"model\":\"m\"", "\"model\":\"m\",\"instructions\":\"x\""),
            CALLED.replace(
                "\"model\":\"m\"",
                "\"model\":\"m\",\"reasoning\":{\"effort\":\"low\"}",
            ),
            CALLED.replace(
                "\"model\":\"m\"",
                "\"model\":\"m\",\"reasoning\":{\"summary\":\"low\"}",
            ),
            CALLED.replace(
                "\"model\":\"m\"",
                "\"model\":\"m\",\"text\":{\"format\":{\"schema\":{}}}",
            ),
            CALLED.replace(
                "\"model\":\"m\"",
                "\"model\":\"m\",\"tools\":[{\"type\":\"function\",\"name\":\"f\"}]",
            ),
            CALLED.replace(
                "\"model\":\"m\"",
                "\"model\":\"m\",\"tools\":[{\"type\":\"web_search\"}]",
            ),
            CALLED.replace(
                "\"role\":\"user\",\"content\":[]",
                "\"role\":\"user\",\"content\":[1]",
            ),
        ];
        let mut prints: Vec<_> = changes.iter().map(|body| print(body, 1).unwrap()).collect();
        prints.push(base);
        prints.sort_unstable();
        let all = prints.len();
        prints.dedup();
        assert_eq!(prints.len(), all);
    }

    #[test]
    fn instructions_are_never_empty() {
        for body in [r#"{"instructions":" "}"#, r#"{"instructions":null}"#, "{}"] {
            assert_eq!(read(body).instructions(), INSTRUCTIONS);
        }
        assert_eq!(read(r#"{"instructions":"x"}"#).instructions(), "x");
    }
}
