//! Files: as parts where they are taken, as text where they are text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use polywire_conversation::{File, FileContent, Text};
use polywire_wire::Object;

/// Media types that are text although they are not called `text/…`.
const TEXTUAL: [&str; 6] = [
    "application/json",
    "application/xml",
    "application/yaml",
    "application/toml",
    "application/javascript",
    "application/x-sh",
];

/// Whether a file can go as a `file` part. That part has no place for a URL, and a text file is understood better as text.
pub(super) fn goes_as_part(file: &File<'_>) -> bool {
    match &file.content {
        FileContent::Base64(_) => as_text(file).is_none(),
        FileContent::Stored(_) => true,
        FileContent::Text(_) | FileContent::Url(_) => false,
    }
}

/// The content of a text file, with its name above it.
pub(super) fn as_text<'p>(file: &'p File<'p>) -> Option<Text<'p>> {
    let content = match &file.content {
        FileContent::Text(text) => text.borrow(),
        FileContent::Base64(body) if is_textual(file) => {
            let bytes = STANDARD.decode(payload(&body.to_plain())).ok()?;
            Text::plain(String::from_utf8(bytes).ok()?)
        }
        FileContent::Base64(_) | FileContent::Url(_) | FileContent::Stored(_) => return None,
    };
    let Some(name) = file.name.as_ref().filter(|name| !name.is_empty()) else {
        return (!content.is_empty()).then_some(content);
    };
    let mut body = b"File ".to_vec();
    name.write_escaped(&mut body);
    body.extend_from_slice(br":\n");
    content.write_escaped(&mut body);
    Some(Text::escaped(String::from_utf8_lossy(&body).into_owned()))
}

/// Writes a `file` part.
pub(super) fn write_part(file: &File<'_>, out: &mut Vec<u8>) {
    let mut part = Object::open(out);
    part.string("type", "file");
    let mut body = Object::open(part.member("file"));
    match &file.content {
        FileContent::Stored(id) => body.text("file_id", id),
        FileContent::Base64(content) | FileContent::Text(content) | FileContent::Url(content) => {
            // The name is required there, and tells the kind of the file.
            match &file.name {
                Some(name) => body.text("filename", name),
                None => body.string("filename", "file"),
            }
            write_data_url(file, content, body.member("file_data"));
        }
    }
    body.close();
    part.close();
}

fn write_data_url(file: &File<'_>, content: &Text<'_>, out: &mut Vec<u8>) {
    out.push(b'"');
    if !content.as_written().starts_with("data:") {
        let media_type = file.media_type.as_deref().unwrap_or("application/pdf");
        out.extend_from_slice(b"data:");
        Text::plain(media_type).write_escaped(out);
        out.extend_from_slice(b";base64,");
    }
    content.write_escaped(out);
    out.push(b'"');
}

fn is_textual(file: &File<'_>) -> bool {
    let media_type = file.media_type.as_deref().unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.starts_with("text/") || TEXTUAL.contains(&essence)
}

/// The base64 text, without the head of a data URL.
fn payload(content: &str) -> &str {
    let body = match content.strip_prefix("data:") {
        Some(url) => url.split_once(',').map_or("", |(_, body)| body),
        None => content,
    };
    body.trim()
}
