//! The parts of messages, tool results and reasoning.

use std::borrow::Cow;

use polywire_conversation::{Fault, File, FileContent, Image, Json, Loss, Part, Text};
use serde_json::value::RawValue;

use polywire_wire::{At, Field, field, first_byte, quoted, read, text, wrong_type};
use polywire_wire::{Many, wire_object};

wire_object! {
    WirePart {
        tag: "type",
        text: "text",
        refusal: "refusal",
        image_url: "image_url",
        file_id: "file_id",
        detail: "detail",
        file_data: "file_data",
        file_url: "file_url",
        filename: "filename",
    }
}

/// What a message or a tool result says: one string, or an array of parts.
pub(super) fn parts<'a>(content: Field<'a, '_>) -> Result<Vec<Part<'a>>, Fault> {
    let raw = content.required()?;
    match first_byte(raw) {
        b'"' => Ok(vec![Part::Text(text(raw, content.at())?)]),
        b'[' => part_list(raw, content),
        _ => Err(wrong_type(
            raw,
            content.at(),
            "a string or an array of parts",
        )),
    }
}

fn part_list<'a>(raw: &'a RawValue, content: Field<'a, '_>) -> Result<Vec<Part<'a>>, Fault> {
    let Many(list) = read::<Many<WirePart<'a>>>(raw.get(), content.at())?;
    // Parts that pass as they are written are rare, so their text is looked up only when one is there.
    let mut written: Option<Vec<&'a RawValue>> = None;
    let mut parts = Vec::with_capacity(list.len());
    for (index, wire) in list.iter().enumerate() {
        let at = content.at().index(index);
        let as_written = || {
            let all = match written.take() {
                Some(all) => all,
                None => content.elements()?,
            };
            let raw = all.get(index).map_or("null", |raw| raw.get());
            written = Some(all);
            Ok(Json::new(raw))
        };
        parts.push(part(wire, &at, as_written)?);
    }
    Ok(parts)
}

fn part<'a>(
    wire: &WirePart<'a>,
    at: &At<'_>,
    as_written: impl FnOnce() -> Result<Json<'a>, Fault>,
) -> Result<Part<'a>, Fault> {
    let tag = field(wire.tag, at, "type").required_name()?;
    Ok(match &*tag {
        "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text" => {
            Part::Text(field(wire.text, at, "text").required_text()?)
        }
        "refusal" => Part::Refusal(field(wire.refusal, at, "refusal").required_text()?),
        "input_image" => Part::Image(image(wire, at)?),
        "input_file" => Part::File(file(wire, at)?),
        "input_audio" => Part::Audio(as_written()?),
        _ => Part::Unknown {
            tag,
            raw: as_written()?,
        },
    })
}

fn image<'a>(wire: &WirePart<'a>, at: &At<'_>) -> Result<Image<'a>, Fault> {
    let file_id = field(wire.file_id, at, "file_id");
    if wire.image_url.is_none() && file_id.is_set() {
        return Err(file_id.at().fault(
            "names a stored file, and there are none here: send the picture as `image_url`",
        ));
    }
    Ok(Image {
        url: field(wire.image_url, at, "image_url").required_text()?,
        detail: field(wire.detail, at, "detail").name()?,
    })
}

fn file<'a>(wire: &WirePart<'a>, at: &At<'_>) -> Result<File<'a>, Fault> {
    let (media_type, content) =
        if let Some(written) = field(wire.file_data, at, "file_data").text()? {
            data_url(written)
        } else if let Some(url) = field(wire.file_url, at, "file_url").text()? {
            (None, FileContent::Url(url))
        } else if let Some(id) = field(wire.file_id, at, "file_id").text()? {
            (None, FileContent::Stored(id))
        } else {
            return Err(at.fault("needs `file_data`, `file_url` or `file_id`"));
        };
    Ok(File {
        name: field(wire.filename, at, "filename").text()?,
        media_type,
        content,
    })
}

/// The media type and the base64 of a `data:` URL. Some clients send the base64 alone.
fn data_url(written: Text<'_>) -> (Option<Cow<'_, str>>, FileContent<'_>) {
    let plain = written.to_plain();
    let parts = plain
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(";base64,"));
    match parts {
        Some((media_type, base64)) => (
            Some(Cow::Owned(media_type.to_owned())),
            FileContent::Base64(Text::plain(base64.to_owned())),
        ),
        None => (None, FileContent::Base64(written)),
    }
}

/// The readable texts of a reasoning item; parts of another kind become losses.
pub(super) fn reasoning_texts<'a>(
    list: Field<'a, '_>,
    losses: &mut Vec<Loss>,
) -> Result<Vec<Text<'a>>, Fault> {
    if !list.is_set() {
        return Ok(Vec::new());
    }
    let mut texts = Vec::new();
    for (index, part) in parts(list)?.into_iter().enumerate() {
        match part {
            Part::Text(text) => texts.push(text),
            Part::Unknown { tag, .. } => losses.push(left_out(list.at().index(index), &tag)),
            Part::Image(_) | Part::Refusal(_) | Part::File(_) | Part::Audio(_) => {
                losses.push(left_out(list.at().index(index), "not text"));
            }
        }
    }
    Ok(texts)
}

fn left_out(at: At<'_>, what: &str) -> Loss {
    Loss::degraded(
        at.to_string(),
        format!(
            "left out: reasoning has no part of this kind ({})",
            quoted(what)
        ),
    )
}
