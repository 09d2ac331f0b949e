//! The parts of messages and results.

use std::borrow::Cow;

use polywire_conversation::{File, FileContent, Image, Loss, Part, Text};
use polywire_wire::Object;

use super::Losses;

/// Where a part stands, which decides what it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In what the user says or a tool answers.
    Input,
    /// In what the model is instructed: words only.
    Instruction,
    /// In what the model said: words only, and refusals.
    Output,
}

/// Which parts the provider and its model take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Takes {
    pub(super) images: bool,
    pub(super) files: bool,
    /// Whether the id of a stored file can mean something to the provider.
    pub(super) stored_files: bool,
}

/// Writes a part in the form that its place wants. What cannot be shown there is told in words and noted.
pub(super) fn write_part(
    part: &Part<'_>,
    place: Place,
    takes: Takes,
    losses: &mut Losses,
    out: &mut Vec<u8>,
) {
    let is_input = place == Place::Input;
    match part {
        Part::Refusal(text) if place == Place::Output => {
            let mut object = Object::open(out);
            object.string("type", "refusal");
            object.text("refusal", text);
            object.close();
        }
        Part::Image(image) if is_input && takes.images => write_image(image, losses, out),
        Part::File(file) if is_input && can_go(file, takes) => write_file(file, out),
        Part::Text(_)
        | Part::Refusal(_)
        | Part::Image(_)
        | Part::File(_)
        | Part::Audio(_)
        | Part::Unknown { .. } => {
            let mut object = Object::open(out);
            let tag = match place {
                Place::Input | Place::Instruction => "input_text",
                Place::Output => "output_text",
            };
            object.string("type", tag);
            object.text("text", &part_text(part, losses));
            object.close();
        }
    }
}

/// A part as text, where there can be nothing else.
pub(super) fn part_text<'p>(part: &'p Part<'p>, losses: &mut Losses) -> Text<'p> {
    let kind: Cow<'_, str> = match part {
        Part::Text(text) | Part::Refusal(text) => return text.borrow(),
        Part::File(File {
            name,
            content: FileContent::Text(text),
            ..
        }) => {
            let name = name.as_ref().map(Text::to_plain).unwrap_or_default();
            return Text::plain(format!(
                "<file name=\"{name}\">\n{}\n</file>",
                text.to_plain()
            ));
        }
        Part::Image(_) => "image".into(),
        Part::File(_) => "file".into(),
        Part::Audio(_) => "audio".into(),
        Part::Unknown { tag, .. } => format!("part of type `{tag}`").into(),
    };
    losses.add(Loss::degraded(
        format!("input: {kind}"),
        "replaced by a remark: the model or its provider cannot take it here",
    ));
    Text::plain(format!(
        "[{kind} omitted: it cannot be shown to this model]"
    ))
}

fn write_image(image: &Image<'_>, losses: &mut Losses, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    object.string("type", "input_image");
    object.text("image_url", &image.url);
    match image.detail.as_deref() {
        Some(detail @ ("auto" | "low" | "high")) => object.string("detail", detail),
        // The public description ends with `high`.
        Some("original") => {
            object.string("detail", "high");
            losses.add(Loss::note(
                "input: image",
                "`high` instead of `original`, which only some providers know",
            ));
        }
        Some(_) => losses.add(Loss::note("input: image", "its detail was left out")),
        None => {}
    }
    object.close();
}

/// Whether a file can go as a file. One that is plain text is told as text, which everybody takes.
fn can_go(file: &File<'_>, takes: Takes) -> bool {
    match file.content {
        FileContent::Text(_) => false,
        FileContent::Stored(_) => takes.files && takes.stored_files,
        FileContent::Base64(_) | FileContent::Url(_) => takes.files,
    }
}

fn write_file(file: &File<'_>, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    object.string("type", "input_file");
    if let Some(name) = &file.name {
        object.text("filename", name);
    }
    match &file.content {
        FileContent::Base64(data) => {
            let out = object.member("file_data");
            let media_type = file.media_type.as_deref();
            out.extend_from_slice(b"\"data:");
            Text::plain(media_type.unwrap_or("application/octet-stream")).write_escaped(out);
            out.extend_from_slice(b";base64,");
            data.write_escaped(out);
            out.push(b'"');
        }
        FileContent::Url(url) => object.text("file_url", url),
        FileContent::Stored(id) => object.text("file_id", id),
        FileContent::Text(text) => object.text("file_data", text),
    }
    object.close();
}
