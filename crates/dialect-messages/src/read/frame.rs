//! What a frame holds, at first sight.

use std::borrow::Cow;

use polywire_wire::read_embedded_error;

use super::wire::{self, Envelope, Raw, text, word};

/// What a frame holds.
pub(crate) enum Content<'d> {
    Nothing,
    /// `[DONE]`, which is no word of this protocol, but some gateways end every stream with it.
    Done,
    Event(Box<Envelope<'d>>),
    Error,
    Unreadable,
}

/// Looks at the data of a frame, which was sent under this event name.
pub(crate) fn content<'d>(event: &[u8], data: &'d str) -> Content<'d> {
    match data {
        "" => Content::Nothing,
        "[DONE]" => Content::Done,
        _ if event == b"error" => Content::Error,
        // An array is no event, but errors come in one.
        _ if data.starts_with('[') && read_embedded_error(data).is_some() => Content::Error,
        _ => match wire::read::<Envelope<'_>>(data) {
            Some(envelope) if is_error(&envelope) => Content::Error,
            Some(envelope) => Content::Event(Box::new(envelope)),
            None => Content::Unreadable,
        },
    }
}

fn is_error(envelope: &Envelope<'_>) -> bool {
    let says = |raw: Raw<'_>| text(raw).is_some() || wire::has_members(raw);
    match word(envelope.kind) {
        "error" => true,
        "" => {
            says(envelope.error) || (says(envelope.message) && !wire::has_members(envelope.message))
        }
        _ => false,
    }
}

/// The text of a frame's data or of a body, without the white space around it.
pub(crate) fn utf8(data: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(data) {
        Ok(text) => Cow::Borrowed(text.trim()),
        Err(_) => Cow::Owned(String::from_utf8_lossy(data).trim().to_owned()),
    }
}
