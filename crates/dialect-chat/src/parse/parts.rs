//! The parts of messages and tool results.

use std::borrow::Cow;

use polywire_conversation::{Fault, File, FileContent, Image, Json, Part, Text};
use serde_json::value::RawValue;

use polywire_wire::{At, Field, Many, field, first_byte, read, text, wire_object, wrong_type};

wire_object! {
    WirePart {
        tag: "type",
        text: "text",
        refusal: "refusal",
        image_url: "image_url",
        file: "file",
        cache_control: "cache_control",
        prompt_cache_breakpoint: "prompt_cache_breakpoint",
    }
}

/// What a message says: one string, or an array of parts; nothing when it is not set. Parts that mark the end of what the provider
/// is to keep in its cache are counted in `cache_marks`.
pub(super) fn parts<'a>(
    content: Field<'a, '_>,
    cache_marks: &mut usize,
) -> Result<Vec<Part<'a>>, Fault> {
    if !content.is_set() {
        return Ok(Vec::new());
    }
    let raw = content.required()?;
    match first_byte(raw) {
        b'"' => Ok(vec![Part::Text(text(raw, content.at())?)]),
        b'[' => part_list(raw, content, cache_marks),
        _ => Err(wrong_type(
            raw,
            content.at(),
            "a string or an array of parts",
        )),
    }
}

fn part_list<'a>(
    raw: &'a RawValue,
    content: Field<'a, '_>,
    cache_marks: &mut usize,
) -> Result<Vec<Part<'a>>, Fault> {
    let Many(list) = read::<Many<WirePart<'a>>>(raw.get(), content.at())?;
    // Parts that pass as they are written are rare, so their text is looked up only when one is there.
    let mut written: Option<Vec<&'a RawValue>> = None;
    let mut parts = Vec::with_capacity(list.len());
    for (index, wire) in list.iter().enumerate() {
        let at = content.at().index(index);
        let is_marked = wire.cache_control.is_some() || wire.prompt_cache_breakpoint.is_some();
        *cache_marks += usize::from(is_marked);
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
        "text" => Part::Text(field(wire.text, at, "text").required_text()?),
        "refusal" => Part::Refusal(field(wire.refusal, at, "refusal").required_text()?),
        "image_url" => Part::Image(image(field(wire.image_url, at, "image_url"))?),
        "file" => Part::File(file(field(wire.file, at, "file"))?),
        "input_audio" => Part::Audio(as_written()?),
        _ => Part::Unknown {
            tag,
            raw: as_written()?,
        },
    })
}

wire_object! {
    WireImage {
        url: "url",
        detail: "detail",
    }
}

/// A picture: an object, or the URL alone, as many clients have it.
fn image<'a>(image: Field<'a, '_>) -> Result<Image<'a>, Fault> {
    let raw = image.required()?;
    match first_byte(raw) {
        b'"' => Ok(Image {
            url: text(raw, image.at())?,
            detail: None,
        }),
        b'{' => {
            let wire = image.object::<WireImage<'a>>()?.unwrap_or_default();
            Ok(Image {
                url: field(wire.url, image.at(), "url").required_text()?,
                detail: field(wire.detail, image.at(), "detail").name()?,
            })
        }
        _ => Err(wrong_type(raw, image.at(), "a string or an object")),
    }
}

wire_object! {
    WireFile {
        file_data: "file_data",
        file_id: "file_id",
        filename: "filename",
    }
}

fn file<'a>(file: Field<'a, '_>) -> Result<File<'a>, Fault> {
    file.required()?;
    let wire = file.object::<WireFile<'a>>()?.unwrap_or_default();
    let at = file.at();
    let (media_type, content) =
        if let Some(written) = field(wire.file_data, at, "file_data").text()? {
            data_url(written)
        } else if let Some(id) = field(wire.file_id, at, "file_id").text()? {
            (None, FileContent::Stored(id))
        } else {
            return Err(at.fault("needs `file_data` or `file_id`"));
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
