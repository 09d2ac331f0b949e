//! Message content: pieces as a string or as parts, and texts joined into strings.

use polywire_conversation::{File, Image, Json, Text};
use polywire_wire::{Object, write_array};

use super::files;

/// A part as it can be written.
pub(super) enum Piece<'p> {
    Text(Text<'p>),
    Image(&'p Image<'p>),
    File(&'p File<'p>),
    /// As the client wrote it.
    Audio(&'p Json<'p>),
}

/// Writes `content`: a string as long as there are only texts, unless they are to stay apart.
pub(super) fn write_content(pieces: &[Piece<'_>], as_parts: bool, out: &mut Vec<u8>) {
    let texts: Option<Vec<&Text<'_>>> = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => Some(text),
            Piece::Image(_) | Piece::File(_) | Piece::Audio(_) => None,
        })
        .collect();
    if let Some(texts) = texts
        && !as_parts
    {
        write_paragraphs(texts.into_iter(), out);
        return;
    }
    write_array(pieces, out, |piece, out| match piece {
        Piece::Text(text) => write_text_part(text, out),
        Piece::Image(image) => write_image_part(image, out),
        Piece::File(file) => files::write_part(file, out),
        Piece::Audio(audio) => audio.write(out),
    });
}

/// Writes a text as a part of content.
pub(super) fn write_text_part(text: &Text<'_>, out: &mut Vec<u8>) {
    let mut part = Object::open(out);
    part.string("type", "text");
    part.text("text", text);
    part.close();
}

fn write_image_part(image: &Image<'_>, out: &mut Vec<u8>) {
    let mut part = Object::open(out);
    part.string("type", "image_url");
    let mut url = Object::open(part.member("image_url"));
    url.text("url", &image.url);
    match image.detail.as_deref() {
        // Chat knows no more than `high`.
        Some("original") => url.string("detail", "high"),
        Some(detail) => url.string("detail", detail),
        None => {}
    }
    url.close();
    part.close();
}

/// Writes texts as one string with a blank line between them: they were apart for a reason.
pub(super) fn write_paragraphs<'t>(texts: impl Iterator<Item = &'t Text<'t>>, out: &mut Vec<u8>) {
    out.push(b'"');
    write_paragraphs_body(texts, out);
    out.push(b'"');
}

pub(super) fn write_paragraphs_body<'t>(
    texts: impl Iterator<Item = &'t Text<'t>>,
    out: &mut Vec<u8>,
) {
    for (index, text) in texts.enumerate() {
        if index > 0 {
            out.extend_from_slice(br"\n\n");
        }
        text.write_escaped(out);
    }
}

/// Writes texts as one string with each on a line of its own: they are pieces of one output.
pub(super) fn write_lines<'t>(texts: impl Iterator<Item = &'t Text<'t>>, out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    for text in texts {
        if out.len() > start && !out.ends_with(br"\n") {
            out.extend_from_slice(br"\n");
        }
        text.write_escaped(out);
    }
    out.push(b'"');
}
