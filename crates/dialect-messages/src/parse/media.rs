//! Pictures, documents and search results, in messages and in tools' results.

use std::borrow::Cow;

use polywire_conversation::{Fault, File, FileContent, Image, Part, Text};
use polywire_wire::{At, Field, field, first_byte, quoted, text, wire_object, wrong_type};

use super::blocks::WireBlock;
use super::messages::{BlockList, joined};
use super::notes::Notes;

wire_object! {
    WireSource {
        tag: "type",
        media_type: "media_type",
        data: "data",
        url: "url",
        file_id: "file_id",
        content: "content",
    }
}

fn required_source<'a>(source: Field<'a, '_>) -> Result<WireSource<'a>, Fault> {
    polywire_wire::object(source.required()?, source.at())
}

/// A picture. One that is stored with a provider is a file, because the neutral picture has a URL.
pub(super) fn image<'a>(wire: &WireBlock<'a>, at: &At<'_>) -> Result<Part<'a>, Fault> {
    let source = field(wire.source, at, "source");
    let wire = required_source(source)?;
    let at = source.at();
    let tag = field(wire.tag, at, "type");
    Ok(match &*tag.required_name()? {
        "base64" => {
            let media_type = field(wire.media_type, at, "media_type").required_text()?;
            let base64 = field(wire.data, at, "data").required_text()?;
            Part::Image(Image {
                url: data_url(&media_type, &base64),
                detail: None,
            })
        }
        "url" => Part::Image(Image {
            url: field(wire.url, at, "url").required_text()?,
            detail: None,
        }),
        "file" => Part::File(File {
            name: None,
            media_type: Some(Cow::Borrowed("image/*")),
            content: FileContent::Stored(field(wire.file_id, at, "file_id").required_text()?),
        }),
        other => {
            return Err(tag.at().fault(format_args!(
                "must be `base64`, `url` or `file`, not `{}`",
                quoted(other)
            )));
        }
    })
}

fn data_url<'a>(media_type: &Text<'a>, base64: &Text<'a>) -> Text<'a> {
    Text::escaped(format!(
        "data:{};base64,{}",
        media_type.as_written(),
        base64.as_written()
    ))
}

/// A document, with what the client says about it as text before it.
pub(super) fn document<'a>(
    wire: &WireBlock<'a>,
    at: &At<'_>,
    parts: &mut Vec<Part<'a>>,
    notes: &mut Notes,
) -> Result<(), Fault> {
    notes.citations(asks_for_citations(field(wire.citations, at, "citations"))?);
    let name = field(wire.title, at, "title").text()?;
    let context = field(wire.context, at, "context").text()?;
    let source = field(wire.source, at, "source");
    let wire = required_source(source)?;
    parts.extend(context.map(Part::Text));
    let at = source.at();
    let tag = field(wire.tag, at, "type");
    let media_type = field(wire.media_type, at, "media_type").name()?;
    let pdf = || Cow::Borrowed("application/pdf");
    let (media_type, content) = match &*tag.required_name()? {
        "base64" => (
            Some(media_type.unwrap_or_else(pdf)),
            FileContent::Base64(field(wire.data, at, "data").required_text()?),
        ),
        "text" => (
            Some(media_type.unwrap_or(Cow::Borrowed("text/plain"))),
            FileContent::Text(field(wire.data, at, "data").required_text()?),
        ),
        "url" => (
            Some(pdf()),
            FileContent::Url(field(wire.url, at, "url").required_text()?),
        ),
        "file" => (
            None,
            FileContent::Stored(field(wire.file_id, at, "file_id").required_text()?),
        ),
        "content" => {
            parts.extend(name.map(Part::Text));
            return document_content(field(wire.content, at, "content"), parts);
        }
        other => {
            return Err(tag.at().fault(format_args!(
                "must be `base64`, `text`, `url`, `file` or `content`, not `{}`",
                quoted(other)
            )));
        }
    };
    parts.push(Part::File(File {
        name,
        media_type,
        content,
    }));
    Ok(())
}

wire_object! {
    WireCitations {
        enabled: "enabled",
    }
}

fn asks_for_citations(citations: Field<'_, '_>) -> Result<bool, Fault> {
    match citations.object::<WireCitations<'_>>()? {
        Some(wire) => Ok(field(wire.enabled, citations.at(), "enabled")
            .flag()?
            .unwrap_or(false)),
        None => Ok(false),
    }
}

/// A document that consists of texts and pictures.
fn document_content<'a>(content: Field<'a, '_>, parts: &mut Vec<Part<'a>>) -> Result<(), Fault> {
    let raw = content.required()?;
    match first_byte(raw) {
        b'"' => parts.push(Part::Text(text(raw, content.at())?)),
        b'[' => {
            let list = BlockList::read(raw, content)?;
            for (index, block) in list.blocks.iter().enumerate() {
                let at = content.at().index(index);
                let tag = field(block.tag, &at, "type").required_name()?;
                parts.push(match &*tag {
                    "text" => Part::Text(field(block.text, &at, "text").required_text()?),
                    "image" => image(block, &at)?,
                    _ => Part::Unknown {
                        tag,
                        raw: list.as_written(index),
                    },
                });
            }
        }
        _ => {
            return Err(wrong_type(
                raw,
                content.at(),
                "a string or an array of content blocks",
            ));
        }
    }
    Ok(())
}

/// What a search of the client found, as text: title, source, and a blank line before each piece.
pub(super) fn search_result<'a>(wire: &WireBlock<'a>, at: &At<'_>) -> Result<Part<'a>, Fault> {
    let title = field(wire.title, at, "title").required_text()?;
    let source = field(wire.source, at, "source").required_text()?;
    let content = field(wire.content, at, "content");
    let mut texts = vec![title, source];
    let list = BlockList::read(content.required()?, content)?;
    for (index, block) in list.blocks.iter().enumerate() {
        let at = content.at().index(index);
        texts.push(field(block.text, &at, "text").required_text()?);
    }
    Ok(Part::Text(joined(texts).unwrap_or_default()))
}
