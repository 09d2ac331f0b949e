//! What a request wants of the demo.

use std::borrow::Cow;

use polywire_conversation::{Item, OutputFormat, Part, Request, Role};
use serde_json::Value;

use crate::instance;
use crate::pick::{self, Picked};

/// The most characters that are quoted of what somebody said.
const QUOTE_CHARS_MAX: usize = 400;

/// The most lines that are quoted of a tool's result.
const QUOTE_LINES_MAX: usize = 6;

/// How Codex begins the message that asks for a summary of the conversation (seen with 0.169).
const COMPACTION_BEGINNING: &str = "You are performing a CONTEXT CHECKPOINT COMPACTION";

/// Where, in Codex's request for a thread's title, the user's own words begin (seen with 0.169).
const TITLE_PROMPT: &str = "User prompt:\n";

/// What is wanted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scene {
    /// JSON, and nothing else.
    Structured(String),
    /// A summary of the conversation.
    Summary,
    /// A tool has answered with this.
    AfterTool(String),
    /// The user spoke and there is a tool to show.
    Call(Picked),
    /// The user spoke; the beginning of it.
    Talk(String),
}

impl Scene {
    pub(crate) fn of(request: &Request<'_>) -> Self {
        let last = Last::of(request);
        match &request.format {
            OutputFormat::Text => {}
            OutputFormat::JsonObject => {
                return Scene::Structured("{\"answer\":\"demo\"}".to_owned());
            }
            OutputFormat::JsonSchema { schema, .. } => {
                let schema = serde_json::from_str(schema.as_str()).unwrap_or(Value::Null);
                return Scene::Structured(structured(&schema, &last));
            }
        }
        match last {
            Last::Result(text) => Scene::AfterTool(beginning(&after_header(&text))),
            Last::User(text) if text.starts_with(COMPACTION_BEGINNING) => Scene::Summary,
            Last::User(text) => match pick::pick(request) {
                Some(picked) => Scene::Call(picked),
                None => Scene::Talk(beginning(&text)),
            },
            Last::Nothing => Scene::Talk(String::new()),
        }
    }
}

/// The last thing that happened.
enum Last {
    /// A tool answered.
    Result(String),
    /// The user spoke.
    User(String),
    /// Neither, or the model itself had the last word.
    Nothing,
}

impl Last {
    fn of(request: &Request<'_>) -> Self {
        for item in request.items.iter().rev() {
            match item {
                Item::Result(result) => return Last::Result(text_of(&result.parts)),
                Item::Message(message) => match message.role {
                    Role::User => {
                        let text = text_of(&message.parts);
                        // Clients put notes for the model into user messages of their own, marked with tags.
                        if !text.starts_with('<') {
                            return Last::User(text);
                        }
                    }
                    Role::Assistant => return Last::Nothing,
                    Role::Instructor(_) => {}
                },
                Item::Reasoning(_)
                | Item::Call(_)
                | Item::ToolsAdded(_)
                | Item::HostedCall { .. }
                | Item::Compaction { .. }
                | Item::Unknown { .. } => {}
            }
        }
        Last::Nothing
    }
}

fn text_of(parts: &[Part<'_>]) -> String {
    let texts: Vec<Cow<'_, str>> = parts
        .iter()
        .filter_map(|part| match part {
            Part::Text(text) | Part::Refusal(text) => Some(text.to_plain()),
            Part::Image(_) | Part::File(_) | Part::Audio(_) | Part::Unknown { .. } => None,
        })
        .collect();
    texts.join("\n").trim().to_owned()
}

/// Codex puts a few lines of bookkeeping in front of a command's output, up to a line `Output:`.
fn after_header(text: &str) -> String {
    let mut lines = text.lines();
    match lines.find(|line| *line == "Output:") {
        Some(_) => lines.collect::<Vec<_>>().join("\n"),
        None => text.to_owned(),
    }
}

fn beginning(text: &str) -> String {
    let lines: Vec<&str> = text.trim().lines().take(QUOTE_LINES_MAX).collect();
    let shown: String = lines.join("\n").chars().take(QUOTE_CHARS_MAX).collect();
    if shown.len() < text.trim().len() {
        shown + " …"
    } else {
        shown
    }
}

/// The smallest JSON that the schema allows; a wanted title is made from the user's words.
fn structured(schema: &Value, last: &Last) -> String {
    let mut made = instance::of(schema);
    if let Last::User(text) = last
        && let Some((_, prompt)) = text.split_once(TITLE_PROMPT)
        && let Some(title) = made.get_mut("title").filter(|title| title.is_string())
    {
        let chars_max = schema["properties"]["title"]["maxLength"].as_u64();
        *title = Value::String(title_of(prompt, chars_max.unwrap_or(36)));
    }
    made.to_string()
}

/// The first words of the prompt that fit.
fn title_of(prompt: &str, chars_max: u64) -> String {
    let chars_max = usize::try_from(chars_max).unwrap_or(usize::MAX);
    let mut title = String::new();
    for word in prompt.split_whitespace() {
        let gap = if title.is_empty() { "" } else { " " };
        if title.chars().count() + gap.len() + word.chars().count() > chars_max {
            break;
        }
        title.push_str(gap);
        title.push_str(word);
    }
    if title.is_empty() {
        title = "Demo".chars().take(chars_max).collect();
    }
    title
}
