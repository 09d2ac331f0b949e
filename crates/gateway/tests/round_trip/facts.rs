//! A conversation as the list of its pieces.

use std::collections::HashMap;

use polywire_conversation::tools::SEARCH_NAME;
use polywire_conversation::{
    Call, CallInput, FileContent, Form, Function, Item, Ledger, Loss, Part, Request, Role, Tool,
    VisibleReasoning,
};
use serde_json::Value;

/// Who says a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    Instructor,
    User,
    Model,
    Thought,
    /// The result of the call with this id.
    Result(String),
}

/// A piece of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    Text(Voice, String),
    /// An image, by its URL; a file, by its content; sound, as it was written.
    Media(Voice, Media, String),
    Call {
        id: String,
        name: String,
        namespace: Option<String>,
        form: Form,
        input: String,
    },
    /// A stretch of conversation that nobody can read.
    Sealed,
    /// An item of this type.
    Unknown(String),
}

/// What else than text can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    Image,
    File,
    Audio,
}

/// A tool that is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offered {
    pub(crate) name: String,
    namespace: Option<String>,
}

/// Where the search for pieces stands.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    /// What was found last of texts, and where in it, in bytes; of thoughts; of calls.
    said: (usize, usize),
    thoughts: (usize, usize),
    calls: usize,
    images: usize,
    /// The last words of the user: whatever follows them comes behind them.
    floor: usize,
    /// Under which ids calls are found.
    ids: HashMap<String, String>,
}

impl Fact {
    /// Whether one of the losses tells that this is missing or has changed.
    pub(crate) fn is_explained(&self, losses: &[Loss]) -> bool {
        let any = |words: &[&str]| {
            let told = losses.iter().map(Loss::to_string);
            told.into_iter()
                .any(|loss| words.iter().all(|word| loss.contains(word)))
        };
        let of_result = |id: &str| {
            let id = format!("`{id}`");
            any(&[&id, "result"]) || any(&[&id, "renamed"])
        };
        match self {
            Fact::Text(Voice::Thought, _) => any(&["reasoning"]),
            Fact::Text(Voice::Result(id), _) => of_result(id),
            Fact::Text(Voice::Instructor, _) => any(&["instructions"]),
            Fact::Text(Voice::User | Voice::Model, _) => false,
            Fact::Media(voice, media, _) => {
                any(&[match media {
                    Media::Image => "image",
                    Media::File => "file",
                    Media::Audio => "audio",
                }]) || matches!(voice, Voice::Result(id) if of_result(id))
            }
            Fact::Call { id, .. } => any(&[&format!("`{id}`"), "renamed"]),
            Fact::Sealed => any(&["sealed"]),
            Fact::Unknown(tag) => any(&[&format!("`{tag}`")]),
        }
    }
}

/// The pieces of a conversation, in order. Texts of nothing but white space are none. With a ledger, calls are raised.
pub(crate) fn facts(request: &Request<'_>, ledger: Option<&Ledger>) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(text) = &request.instructions {
        facts.push(Fact::Text(Voice::Instructor, text.to_plain().into_owned()));
    }
    for item in &request.items {
        match item {
            Item::Message(message) => {
                let voice = match message.role {
                    Role::User => Voice::User,
                    Role::Assistant => Voice::Model,
                    Role::Instructor(_) => Voice::Instructor,
                };
                parts(&voice, &message.parts, &mut facts);
            }
            Item::Reasoning(reasoning) => {
                let (VisibleReasoning::Full(texts) | VisibleReasoning::Summary(texts)) =
                    &reasoning.visible
                else {
                    continue;
                };
                for text in texts {
                    facts.push(Fact::Text(Voice::Thought, text.to_plain().into_owned()));
                }
            }
            Item::Call(call) => facts.push(raised(call, ledger)),
            Item::Result(result) => {
                let voice = Voice::Result(result.call_id.clone().into_owned());
                parts(&voice, &result.parts, &mut facts);
            }
            Item::HostedCall { summary, .. } => {
                facts.push(Fact::Text(Voice::Model, summary.to_plain().into_owned()));
            }
            Item::Compaction { summary, .. } => facts.push(match summary {
                Some(text) => Fact::Text(Voice::User, text.to_plain().into_owned()),
                None => Fact::Sealed,
            }),
            Item::Unknown { tag, .. } => facts.push(Fact::Unknown(tag.clone().into_owned())),
            Item::ToolsAdded(_) => {}
        }
    }
    facts
}

fn parts(voice: &Voice, parts: &[Part<'_>], facts: &mut Vec<Fact>) {
    for part in parts {
        facts.push(match part {
            Part::Text(text) | Part::Refusal(text) => {
                let text = text.to_plain().into_owned();
                if text.trim().is_empty() {
                    continue;
                }
                Fact::Text(voice.clone(), text)
            }
            Part::Image(image) => {
                let url = image.url.to_plain().into_owned();
                Fact::Media(voice.clone(), Media::Image, url)
            }
            Part::File(file) => {
                let (FileContent::Base64(content)
                | FileContent::Text(content)
                | FileContent::Url(content)
                | FileContent::Stored(content)) = &file.content;
                Fact::Media(voice.clone(), Media::File, content.to_plain().into_owned())
            }
            Part::Audio(raw) => Fact::Media(voice.clone(), Media::Audio, raw.as_str().to_owned()),
            Part::Unknown { tag, .. } => Fact::Unknown(tag.clone().into_owned()),
        });
    }
}

/// A call under its own name and in its own form.
fn raised(call: &Call<'_>, ledger: Option<&Ledger>) -> Fact {
    let form = match &call.input {
        CallInput::Arguments(_) => Form::Function,
        CallInput::Freeform(_) => Form::Freeform,
        CallInput::Search(_) => Form::Search,
    };
    let (mut name, mut namespace) = (&*call.name, call.namespace.as_deref());
    let mut raised_form = form;
    if let (Some(ledger), Form::Function | Form::Freeform, None) = (ledger, form, namespace) {
        let raised = ledger.raise(name);
        (name, namespace, raised_form) = (raised.name, raised.namespace, raised.form);
    }
    let input = match &call.input {
        CallInput::Arguments(text) if raised_form == Form::Freeform => {
            free_text(&text.to_plain()).unwrap_or_else(|| {
                // The tool takes free text now, and took arguments when it was called.
                raised_form = Form::Function;
                arguments(&text.to_plain())
            })
        }
        CallInput::Arguments(text) => arguments(&text.to_plain()),
        CallInput::Freeform(text) => text.to_plain().into_owned(),
        CallInput::Search(json) => arguments(json.as_str()),
    };
    Fact::Call {
        id: call.id.clone().into_owned(),
        name: name.to_owned(),
        namespace: namespace.map(str::to_owned),
        form: raised_form,
        input,
    }
}

/// The free text in arguments of a tool that takes such.
fn free_text(arguments: &str) -> Option<String> {
    let arguments: Value = serde_json::from_str(arguments).ok()?;
    Some(arguments.get("input")?.as_str()?.to_owned())
}

/// Arguments in one spelling; what is no object stands for itself, also where it had to be put inside of one.
fn arguments(text: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(members)) => match members.get("_invalid_arguments") {
            Some(Value::String(text)) => text.clone(),
            _ => Value::Object(members).to_string(),
        },
        Ok(_) | Err(_) => text.to_owned(),
    }
}

/// All tools that can be called. With a ledger, they are raised.
pub(crate) fn tools(request: &Request<'_>, ledger: Option<&Ledger>) -> Vec<Offered> {
    let mut offered = Vec::new();
    for tool in &request.tools {
        flatten(tool, None, ledger, &mut offered);
    }
    offered
}

fn flatten(
    tool: &Tool<'_>,
    namespace: Option<&str>,
    ledger: Option<&Ledger>,
    offered: &mut Vec<Offered>,
) {
    let mut push = |name: &str, namespace: Option<&str>| {
        offered.push(Offered {
            name: name.to_owned(),
            namespace: namespace.map(str::to_owned),
        });
    };
    match (tool, ledger) {
        (Tool::Function(Function { name, .. }) | Tool::Freeform { name, .. }, Some(ledger))
            if namespace.is_none() =>
        {
            let raised = ledger.raise(name);
            push(raised.name, raised.namespace);
        }
        (Tool::Function(function), _) => push(&function.name, namespace),
        (Tool::Freeform { name, .. }, _) => push(name, namespace),
        (Tool::Search { .. }, _) => push(SEARCH_NAME, namespace),
        (Tool::Hosted { tag, .. } | Tool::Unknown { tag, .. }, _) => push(tag, None),
        (Tool::Namespace { name, tools, .. }, _) => {
            for tool in tools {
                flatten(tool, Some(name), ledger, offered);
            }
        }
    }
}

/// Looks for a piece behind what was found before, and moves on to it.
pub(crate) fn find(fact: &Fact, found: &[Fact], cursor: &mut Cursor) -> bool {
    match fact {
        Fact::Text(Voice::Thought, text) => {
            let is_thought = |voice: &Voice| *voice == Voice::Thought;
            let at = text_behind(text, found, cursor.thoughts, is_thought);
            at.is_some_and(|at| {
                cursor.thoughts = (at.0, at.1 + text.len());
                at.0 >= cursor.floor
            })
        }
        Fact::Text(Voice::Result(id), text) => {
            // A result without its call is something that the user tells.
            let wanted = cursor.ids.get(id).cloned();
            let is_result = |voice: &Voice| match (voice, &wanted) {
                (Voice::Result(id), Some(wanted)) => id == wanted,
                (voice, _) => *voice == Voice::User,
            };
            text_behind(text, found, (0, 0), is_result).is_some()
        }
        Fact::Text(voice, text) => {
            let is_speaker = |speaker: &Voice| {
                speaker == voice
                    // Late instructions go out as notes of the user where the protocol has no place for them.
                    || (*voice == Voice::Instructor && *speaker == Voice::User)
            };
            let Some(at) = text_behind(text, found, cursor.said, is_speaker) else {
                return false;
            };
            cursor.said = (at.0, at.1 + text.len());
            let is_in_order = at.0 >= cursor.floor;
            if *voice == Voice::User {
                cursor.floor = at.0;
            }
            is_in_order
        }
        Fact::Media(voice, Media::Image, url) => {
            let is_it =
                |found: &Fact| matches!(found, Fact::Media(_, Media::Image, found) if found == url);
            // Results follow their calls in the order of the calls, whichever came first.
            let is_of_result = matches!(voice, Voice::Result(_));
            let start = if is_of_result { 0 } else { cursor.images };
            let Some(at) = (start..found.len()).find(|at| is_it(&found[*at])) else {
                return false;
            };
            if !is_of_result {
                cursor.images = at;
            }
            true
        }
        Fact::Media(_, media, content) => found.iter().any(|found| match found {
            Fact::Media(_, found_media, found) => found_media == media && found.contains(content),
            // What is in a file that is text may go out as text.
            Fact::Text(_, text) => *media == Media::File && text.contains(content),
            Fact::Call { .. } | Fact::Sealed | Fact::Unknown(_) => false,
        }),
        Fact::Call { id, .. } => {
            let at = (cursor.calls.max(cursor.floor)..found.len())
                .find(|at| is_same_call(fact, &found[*at]));
            let Some(at) = at else {
                return false;
            };
            cursor.calls = at + 1;
            let Fact::Call { id: found_id, .. } = &found[at] else {
                return false;
            };
            cursor.ids.insert(id.clone(), found_id.clone());
            // Ids that not every provider takes are replaced; the result must follow its call.
            found_id == id || !is_plain_id(id)
        }
        Fact::Sealed | Fact::Unknown(_) => found.contains(fact),
    }
}

fn is_plain_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=64).contains(&id.len()) && id.bytes().all(plain)
}

fn is_same_call(one: &Fact, other: &Fact) -> bool {
    let without_id = |fact: &Fact| match fact {
        Fact::Call {
            name,
            namespace,
            form,
            input,
            ..
        } => Some((name.clone(), namespace.clone(), *form, input.clone())),
        _ => None,
    };
    without_id(one).is_some_and(|one| Some(one) == without_id(other))
}

/// Where a text stands, at or behind a place: in which piece, and where in it.
fn text_behind(
    text: &str,
    found: &[Fact],
    (start, offset): (usize, usize),
    is_speaker: impl Fn(&Voice) -> bool,
) -> Option<(usize, usize)> {
    (start..found.len()).find_map(|at| {
        let Fact::Text(voice, found) = &found[at] else {
            return None;
        };
        let offset = if at == start { offset } else { 0 };
        let inside = found.get(offset..)?.find(text)?;
        is_speaker(voice).then_some((at, offset + inside))
    })
}
