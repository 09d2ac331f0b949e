//! The small tools with which events are put together.

use polywire_conversation::Text;
use polywire_sse::FrameBuffer;
use polywire_wire::Object;

/// Announces a block. `write` gives what is known of it.
pub(super) fn block_start(index: u64, out: &mut FrameBuffer, write: impl FnOnce(&mut Object<'_>)) {
    let mut event = Object::open(out.open("content_block_start"));
    event.string("type", "content_block_start");
    event.raw("index", &index.to_string());
    let mut block = Object::open(event.member("content_block"));
    write(&mut block);
    block.close();
    event.close();
    out.close();
}

/// Ends a block.
pub(super) fn block_stop(index: u64, out: &mut FrameBuffer) {
    let mut event = Object::open(out.open("content_block_stop"));
    event.string("type", "content_block_stop");
    event.raw("index", &index.to_string());
    event.close();
    out.close();
}

/// Writes a sign of life.
pub(super) fn ping(out: &mut FrameBuffer) {
    out.open("ping").extend_from_slice(b"{\"type\":\"ping\"}");
    out.close();
}

/// What the deltas of one block have in common, put together once, so that a delta costs a few copies.
#[derive(Debug)]
pub(super) struct DeltaHead(Vec<u8>);

impl DeltaHead {
    /// Deltas of the type `kind`, whose piece of text is called `key`.
    pub(super) fn new(index: u64, kind: &str, key: &str) -> Self {
        Self(
            format!(
                "{{\"type\":\"content_block_delta\",\"index\":{index},\"delta\":{{\"type\":\"{kind}\",\"{key}\":\""
            )
            .into_bytes(),
        )
    }

    /// Writes a piece, given as the body of a JSON string.
    pub(super) fn write(&self, escaped: &[u8], out: &mut FrameBuffer) {
        let bytes = out.open("content_block_delta");
        bytes.extend_from_slice(&self.0);
        bytes.extend_from_slice(escaped);
        bytes.extend_from_slice(b"\"}}");
        out.close();
    }
}

/// Appends a piece to a text that is kept escaped, and gives the place of what is new.
pub(super) fn append<'t>(piece: &Text<'_>, text: &'t mut Vec<u8>) -> &'t [u8] {
    let start = text.len();
    piece.write_escaped(text);
    &text[start..]
}

/// The text whose escaped form this is.
pub(super) fn text_of(escaped: &[u8]) -> Text<'static> {
    Text::escaped(String::from_utf8_lossy(escaped).into_owned())
}

/// One block as a whole: an object with a type and more members.
pub(super) fn block(kind: &str, write: impl FnOnce(&mut Object<'_>)) -> Vec<u8> {
    let mut body = Vec::new();
    let mut object = Object::open(&mut body);
    object.string("type", kind);
    write(&mut object);
    object.close();
    body
}
