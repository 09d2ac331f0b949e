//! Parts of messages and results as blocks.

use std::borrow::Cow;

use polywire_conversation::arguments::{ArgumentsCheck, Progress};
use polywire_conversation::{File, Json, Loss, Part, Text};

use super::Losses;
use super::block::{Block, Input, mended};
use super::media::{self, Sendable, Source};

/// What is taken beside text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    /// Whether provider and model both take images.
    pub(super) images: bool,
    /// Whether the provider takes documents.
    pub(super) documents: bool,
    /// Whether ids of stored files are the provider's own.
    pub(super) stored_files: bool,
}

/// The parts of a message of the user or of a result.
pub(super) fn blocks<'a>(
    parts: Vec<Part<'a>>,
    taken: Taken,
    losses: &mut Losses,
) -> Vec<Block<'a>> {
    let mut blocks = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Part::Image(image) if taken.images => {
                if image
                    .detail
                    .as_deref()
                    .is_some_and(|detail| detail != "auto")
                {
                    losses.add(Loss::note(
                        "input: image detail",
                        "left out: the provider cannot be told how closely to look",
                    ));
                }
                let source = media::image(image);
                blocks.push(source.map_or_else(|| remark("image", losses), Block::Image));
            }
            Part::File(file) => push_file(file, taken, &mut blocks, losses),
            Part::Text(_)
            | Part::Image(_)
            | Part::Refusal(_)
            | Part::Audio(_)
            | Part::Unknown { .. } => blocks.extend(text(in_words(part, losses), losses)),
        }
    }
    blocks
}

/// Text, unless it is of white space only, which is refused. Half a character, which JSON can spell, is refused too.
pub(super) fn text<'a>(text: Text<'a>, losses: &mut Losses) -> Option<Block<'a>> {
    if is_blank(&text) {
        losses.add(Loss::note(
            "input",
            "text of white space only was left out: the provider refuses it",
        ));
        return None;
    }
    note_half_characters(&text, losses);
    Some(Block::Text(text))
}

/// Notes what is replaced when a text is written.
fn note_half_characters(text: &Text<'_>, losses: &mut Losses) {
    if mended(text).as_written() != text.as_written() {
        losses.add(Loss::note(
            "input",
            "half a character was replaced: the provider refuses it",
        ));
    }
}

fn push_file<'a>(file: File<'a>, taken: Taken, blocks: &mut Vec<Block<'a>>, losses: &mut Losses) {
    let title = file.name.clone().filter(|name| !is_blank(name));
    match media::file(file, taken.stored_files) {
        Some(Sendable::Image(source)) if taken.images => blocks.push(Block::Image(source)),
        Some(Sendable::Document(Source::Text(words))) if is_blank(&words) => {
            blocks.extend(text(words, losses));
        }
        Some(Sendable::Document(source)) if taken.documents => {
            blocks.push(Block::Document { title, source });
        }
        Some(Sendable::Document(Source::Text(words))) => {
            let heading = title.map(|title| format!("[file `{}`]", title.to_plain()));
            blocks.extend(heading.map(|heading| Block::Text(Text::plain(heading))));
            blocks.extend(text(words, losses));
        }
        Some(Sendable::Image(_) | Sendable::Document(_)) | None => {
            blocks.push(remark("file", losses));
        }
    }
}

fn remark<'a>(kind: &str, losses: &mut Losses) -> Block<'a> {
    Block::Text(omitted(kind, losses))
}

/// A part where there can be nothing but text.
pub(super) fn in_words<'a>(part: Part<'a>, losses: &mut Losses) -> Text<'a> {
    let kind: Cow<'_, str> = match part {
        Part::Text(text) | Part::Refusal(text) => return text,
        Part::Image(_) => "image".into(),
        Part::File(_) => "file".into(),
        Part::Audio(_) => "audio".into(),
        Part::Unknown { tag, .. } => format!("part of type `{tag}`").into(),
    };
    omitted(&kind, losses)
}

fn omitted(kind: &str, losses: &mut Losses) -> Text<'static> {
    losses.add(Loss::degraded(
        format!("input: {kind}"),
        "replaced by a remark: the model or its provider cannot take it here",
    ));
    Text::plain(format!(
        "[{kind} omitted: it cannot be shown to this model]"
    ))
}

/// Arguments as an object, which is all that the protocol takes. The model still sees what it wrote when that was none.
pub(super) fn object<'a>(arguments: Text<'a>, losses: &mut Losses) -> Input<'a> {
    let mut check = ArgumentsCheck::default();
    check.push(&arguments);
    let nothing = matches!(arguments.as_written().trim(), "" | "null");
    match check.progress() {
        Progress::Whole => {
            let json = match arguments {
                Text::Plain(json) => json,
                Text::Escaped(_) => Cow::Owned(arguments.to_plain().into_owned()),
            };
            // Escapes in JSON are those of a JSON string.
            note_half_characters(&Text::escaped(&*json), losses);
            Input::Json(Json::new(json))
        }
        Progress::Empty => Input::Json(Json::new("{}")),
        Progress::Partial | Progress::Broken if nothing => Input::Json(Json::new("{}")),
        Progress::Partial | Progress::Broken => {
            losses.add(Loss::note(
                "input: a call",
                "its arguments are not a JSON object; they are sent inside one",
            ));
            Input::Member("_invalid_arguments", arguments)
        }
    }
}

/// Whether there is nothing but white space.
pub(super) fn is_blank(text: &Text<'_>) -> bool {
    let written = text.as_written();
    let first = written.bytes().find(|byte| !byte.is_ascii_whitespace());
    match first {
        None => true,
        // An escape or a character beyond ASCII may be white space too.
        Some(b'\\' | 0x80..) => text.to_plain().trim().is_empty(),
        Some(_) => false,
    }
}
