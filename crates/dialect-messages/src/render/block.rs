//! Messages and their blocks as they go over the wire.

use polywire_conversation::json::PairMender;
use polywire_conversation::{Json, Text};
use polywire_wire::{Object, write_array};

use super::media::Source;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaker {
    User,
    Assistant,
    /// An instruction in the middle of the conversation.
    System,
}

/// One message.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) speaker: Speaker,
    pub(super) blocks: Vec<Block<'a>>,
}

/// One block of a message.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Block<'a> {
    Text(Text<'a>),
    Image(Source<'a>),
    Document {
        title: Option<Text<'a>>,
        source: Source<'a>,
    },
    Thinking {
        /// The words, in pieces that belong together without anything between.
        words: Vec<Text<'a>>,
        signature: Text<'a>,
    },
    Redacted(Text<'a>),
    Call {
        id: String,
        name: String,
        input: Input<'a>,
    },
    Result {
        id: String,
        content: Vec<Block<'a>>,
        is_error: bool,
    },
}

/// The input of a call, always an object.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Input<'a> {
    /// An object as it was written.
    Json(Json<'a>),
    /// Text as the one member of an object.
    Member(&'static str, Text<'a>),
}

impl Block<'_> {
    /// Whether it is reasoning.
    pub(super) fn is_thinking(&self) -> bool {
        matches!(self, Block::Thinking { .. } | Block::Redacted(_))
    }
}

/// The mark at the end of a prefix that is to be cached. Five minutes, which is what is meant when no time is given.
const CACHE_MARK: &str = r#"{"type":"ephemeral"}"#;

/// Marks what stands before the end of this object for the cache.
pub(super) fn mark(object: &mut Object<'_>) {
    object.raw("cache_control", CACHE_MARK);
}

/// Writes the array of messages. `marked` says which messages end with a mark for the cache.
pub(super) fn write_messages(
    messages: &[Message<'_>],
    marked: impl Fn(usize) -> bool,
    out: &mut Vec<u8>,
) {
    write_array(messages.iter().enumerate(), out, |(place, message), out| {
        let mut object = Object::open(out);
        object.string(
            "role",
            match message.speaker {
                Speaker::User => "user",
                Speaker::Assistant => "assistant",
                Speaker::System => "system",
            },
        );
        let last = message.blocks.len().wrapping_sub(1);
        let blocks = message.blocks.iter().enumerate();
        write_array(blocks, object.member("content"), |(at, block), out| {
            write_block(block, at == last && marked(place), out);
        });
        object.close();
    });
}

fn write_block(block: &Block<'_>, marked: bool, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    match block {
        Block::Text(text) => {
            object.string("type", "text");
            write_text(text, object.member("text"));
        }
        Block::Image(source) => {
            object.string("type", "image");
            write_source(source, object.member("source"));
        }
        Block::Document { title, source } => {
            object.string("type", "document");
            write_source(source, object.member("source"));
            if let Some(title) = title {
                write_text(title, object.member("title"));
            }
        }
        Block::Thinking { words, signature } => {
            object.string("type", "thinking");
            let out = object.member("thinking");
            out.push(b'"');
            // To the letter: the signature is over these words.
            for piece in words {
                piece.write_escaped(out);
            }
            out.push(b'"');
            object.text("signature", signature);
        }
        Block::Redacted(state) => {
            object.string("type", "redacted_thinking");
            object.text("data", state);
        }
        Block::Call { id, name, input } => {
            object.string("type", "tool_use");
            object.string("id", id);
            object.string("name", name);
            write_input(input, object.member("input"));
        }
        Block::Result {
            id,
            content,
            is_error,
        } => {
            object.string("type", "tool_result");
            object.string("tool_use_id", id);
            write_result_content(content, &mut object);
            if *is_error {
                object.flag("is_error", true);
            }
        }
    }
    if marked {
        mark(&mut object);
    }
    object.close();
}

/// A result that is one text goes out as a string, which every server takes; an empty one has no content.
fn write_result_content(content: &[Block<'_>], object: &mut Object<'_>) {
    match content {
        [] => {}
        [Block::Text(text)] => write_text(text, object.member("content")),
        blocks => write_array(blocks, object.member("content"), |block, out| {
            write_block(block, false, out);
        }),
    }
}

fn write_input(input: &Input<'_>, out: &mut Vec<u8>) {
    match input {
        Input::Json(json) => {
            // JSON that holds text with half a character is refused like text that holds it.
            let json = mended(&Text::escaped(json.as_str())).into_owned();
            out.extend_from_slice(json.as_written().as_bytes());
        }
        Input::Member(name, text) => {
            let mut object = Object::open(out);
            write_text(text, object.member(name));
            object.close();
        }
    }
}

fn write_source(source: &Source<'_>, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    match source {
        Source::Base64 { media_type, data } => {
            object.string("type", "base64");
            object.string("media_type", media_type);
            object.text("data", data);
        }
        Source::Url(url) => {
            object.string("type", "url");
            object.text("url", url);
        }
        Source::Text(text) => {
            object.string("type", "text");
            object.string("media_type", "text/plain");
            write_text(text, object.member("data"));
        }
        Source::File(id) => {
            object.string("type", "file");
            object.text("file_id", id);
        }
    }
    object.close();
}

/// Writes a JSON string. Half a character, which JSON can spell, makes Anthropic refuse the whole body ("no low surrogate in
/// string"), so it is replaced.
pub(super) fn write_text(text: &Text<'_>, out: &mut Vec<u8>) {
    mended(text).write_string(out);
}

/// The text without half characters.
pub(super) fn mended<'t>(text: &'t Text<'t>) -> Text<'t> {
    PairMender::mend_whole(text.borrow())
}
