//! Pictures and files in the forms that the protocol has for them.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use polywire_conversation::{File, FileContent, Image, Text};

/// Where the content of a picture or a document is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source<'a> {
    Base64 {
        media_type: &'static str,
        data: Text<'a>,
    },
    Url(Text<'a>),
    /// Plain text, for documents only.
    Text(Text<'a>),
    /// Stored with the provider.
    File(Text<'a>),
}

/// A file as it can be sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Sendable<'a> {
    Image(Source<'a>),
    Document(Source<'a>),
}

const PDF: &str = "application/pdf";

/// A picture as it can be sent; `None` when it cannot.
pub(super) fn image(image: Image<'_>) -> Option<Source<'_>> {
    let url = readable(image.url);
    if is_web(&url) {
        return Some(Source::Url(url));
    }
    let (_, data) = data_url(url)?;
    let media_type = image_type(data.as_written())?;
    Some(Source::Base64 { media_type, data })
}

/// A file as it can be sent; `None` when it cannot. `stored_here` says that ids of stored files are the provider's own.
pub(super) fn file(file: File<'_>, stored_here: bool) -> Option<Sendable<'_>> {
    let told = file.media_type.as_deref().map(str::to_ascii_lowercase);
    match file.content {
        FileContent::Text(text) => Some(Sendable::Document(Source::Text(text))),
        FileContent::Stored(id) => stored_here.then_some(Sendable::Document(Source::File(id))),
        FileContent::Url(url) => {
            let url = readable(url);
            let source = is_web(&url).then_some(Source::Url(url))?;
            Some(match told {
                Some(told) if told.starts_with("image/") => Sendable::Image(source),
                Some(_) | None => Sendable::Document(source),
            })
        }
        FileContent::Base64(data) => {
            let data = readable(data);
            let (told, data) = if data.as_written().starts_with("data:") {
                let (inside, data) = data_url(data)?;
                (told.or(Some(inside)), data)
            } else {
                (told, data)
            };
            base64_file(told.as_deref(), data)
        }
    }
}

/// What a file is, is seen from its first bytes; only text has none that tell.
fn base64_file<'a>(told: Option<&str>, data: Text<'a>) -> Option<Sendable<'a>> {
    if let Some(media_type) = image_type(data.as_written()) {
        return Some(Sendable::Image(Source::Base64 { media_type, data }));
    }
    // `%PDF-`
    if data.as_written().starts_with("JVBERi") {
        let media_type = PDF;
        return Some(Sendable::Document(Source::Base64 { media_type, data }));
    }
    let is_text = told.is_some_and(|told| {
        told.starts_with("text/") || ["application/json", "application/xml"].contains(&told)
    });
    if !is_text {
        return None;
    }
    let bytes = STANDARD.decode(data.as_written()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    Some(Sendable::Document(Source::Text(Text::plain(text))))
}

/// The media type that base64 data begins like, of those that the protocol takes. What the client said about it counts for
/// nothing: a type that does not fit is refused by the provider, and with it the whole conversation from there on.
fn image_type(data: &str) -> Option<&'static str> {
    let bytes = data.as_bytes();
    if data.starts_with("iVBORw0KGgo") {
        Some("image/png")
    } else if data.starts_with("/9j/") {
        Some("image/jpeg")
    } else if data.starts_with("R0lGOD") {
        Some("image/gif")
    } else if data.starts_with("UklGR") && bytes.get(11..16) == Some(b"XRUJQ") {
        // `RIFF`, four bytes of length, `WEBP`.
        Some("image/webp")
    } else {
        None
    }
}

/// The media type and the data of a `data:` URL in base64.
fn data_url(url: Text<'_>) -> Option<(String, Text<'_>)> {
    let written = url.as_written();
    let scheme = written.get(..5)?;
    if !scheme.eq_ignore_ascii_case("data:") {
        return None;
    }
    let comma = written.bytes().take(200).position(|byte| byte == b',')?;
    let head = written.get(5..comma)?.to_ascii_lowercase();
    let media_type = head.strip_suffix(";base64")?;
    let media_type = media_type.split(';').next().unwrap_or_default().to_owned();
    let data = behind(url, comma + 1);
    (!data.is_empty()).then_some((media_type, data))
}

fn is_web(url: &Text<'_>) -> bool {
    let written = url.as_written();
    ["https://", "http://"].iter().any(|scheme| {
        written
            .get(..scheme.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(scheme))
    })
}

/// Text in which nothing is escaped. URLs and base64 are long and hardly ever hold an escape.
fn readable(text: Text<'_>) -> Text<'_> {
    match text {
        Text::Plain(text) => Text::Plain(text),
        Text::Escaped(body) if !body.contains('\\') => Text::Plain(body),
        Text::Escaped(body) => Text::plain(Text::Escaped(body).to_plain().into_owned()),
    }
}

/// What stands behind the first `length` bytes.
fn behind(text: Text<'_>, length: usize) -> Text<'_> {
    match text {
        Text::Plain(text) => Text::Plain(cut_front(text, length)),
        Text::Escaped(body) => Text::Escaped(cut_front(body, length)),
    }
}

fn cut_front(text: Cow<'_, str>, length: usize) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(length..).unwrap_or_default()),
        Cow::Owned(text) => Cow::Owned(text.get(length..).unwrap_or_default().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: Option<&str>) {
        let source = image(Image {
            url: Text::plain(url),
            detail: None,
        });
        let found = source.map(|source| match source {
            Source::Base64 { media_type, data } => format!("{media_type} {}", data.to_plain()),
            Source::Url(url) => format!("url {}", url.to_plain()),
            Source::Text(_) | Source::File(_) => String::new(),
        });
        assert_eq!(found.as_deref(), expected, "{url}");
    }

    #[test]
    fn pictures_are_known_by_their_first_bytes() {
        check(
            "https://a.example/x.png",
            Some("url https://a.example/x.png"),
        );
        check(
            "data:image/png;base64,iVBORw0KGgoAAA",
            Some("image/png iVBORw0KGgoAAA"),
        );
        check(
            "data:image/png;base64,/9j/4AAQ",
            Some("image/jpeg /9j/4AAQ"),
        );
        check(
            "data:image/gif;charset=x;base64,R0lGODlh",
            Some("image/gif R0lGODlh"),
        );
        let webp = STANDARD.encode(b"RIFF\x24\x00\x00\x00WEBPVP8 ");
        check(
            &format!("data:;base64,{webp}"),
            Some(&format!("image/webp {webp}")),
        );
        check("data:image/svg+xml;base64,PHN2Zz4", None);
        check("data:image/png;base64,", None);
        check("data:image/png,%89PNG", None);
        check("file:///etc/passwd", None);
        check("", None);
        check("é", None);
    }

    #[test]
    fn files_are_pictures_documents_or_nothing() {
        let of = |media_type: Option<&'static str>, content| {
            let sent = file(
                File {
                    name: None,
                    media_type: media_type.map(Into::into),
                    content,
                },
                false,
            );
            match sent {
                Some(Sendable::Image(_)) => "image",
                Some(Sendable::Document(Source::Base64 { .. })) => "pdf",
                Some(Sendable::Document(Source::Text(_))) => "text",
                Some(Sendable::Document(Source::Url(_) | Source::File(_))) => "elsewhere",
                None => "nothing",
            }
        };
        let base64 = |data: &'static str| FileContent::Base64(Text::plain(data));
        assert_eq!(of(None, base64("JVBERi0xLjcK")), "pdf");
        assert_eq!(
            of(None, base64("data:application/pdf;base64,JVBERi0xLjcK")),
            "pdf"
        );
        assert_eq!(of(Some("image/png"), base64("iVBORw0KGgoAAA")), "image");
        assert_eq!(of(Some("text/plain"), base64("aGk=")), "text");
        assert_eq!(of(Some("text/plain"), base64("aGk")), "nothing");
        assert_eq!(of(Some("audio/wav"), base64("UklGRiQ")), "nothing");
        assert_eq!(
            of(
                None,
                FileContent::Url(Text::plain("https://a.example/a.pdf"))
            ),
            "elsewhere"
        );
        assert_eq!(
            of(None, FileContent::Stored(Text::plain("file_1"))),
            "nothing"
        );
    }
}
