//! Blocks of text, of thinking and of searches.

use polywire_conversation::{Citation, Text, WebSearch, ids};
use polywire_sse::FrameBuffer;
use polywire_wire::{Object, write_array};

use super::frames::{DeltaHead, append, block, block_start, block_stop, text_of};

/// The signature of a thinking block whose provider wants nothing back. Clients refuse a block without one, and it means nothing
/// when it returns.
pub(crate) const SIGNATURE_WITHOUT_STATE: &str = "polywire-without-state";

/// Visible text.
#[derive(Debug)]
pub(super) struct TextBlock {
    index: u64,
    head: DeltaHead,
    /// All text so far, escaped.
    text: Vec<u8>,
    /// The sources so far, separated by commas.
    citations: Vec<u8>,
}

impl TextBlock {
    pub(super) fn open(index: u64, out: &mut FrameBuffer) -> Self {
        block_start(index, out, |block| {
            block.string("type", "text");
            block.string("text", "");
        });
        Self {
            index,
            head: DeltaHead::new(index, "text_delta", "text"),
            text: Vec::new(),
            citations: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, piece: &Text<'_>, out: &mut FrameBuffer) {
        let piece = append(piece, &mut self.text);
        self.head.write(piece, out);
    }

    pub(super) fn cite(&mut self, citation: &Citation<'_>, out: &mut FrameBuffer) {
        if !self.citations.is_empty() {
            self.citations.push(b',');
        }
        let start = self.citations.len();
        write_citation(citation, &mut self.citations);
        let mut event = Object::open(out.open("content_block_delta"));
        event.string("type", "content_block_delta");
        event.raw("index", &self.index.to_string());
        let mut delta = Object::open(event.member("delta"));
        delta.string("type", "citations_delta");
        delta
            .member("citation")
            .extend_from_slice(&self.citations[start..]);
        delta.close();
        event.close();
        out.close();
    }

    /// Ends the block and gives the whole of it.
    pub(super) fn close(self, out: &mut FrameBuffer) -> Vec<u8> {
        block_stop(self.index, out);
        block("text", |whole| {
            whole.text("text", &text_of(&self.text));
            if !self.citations.is_empty() {
                let place = whole.member("citations");
                place.push(b'[');
                place.extend_from_slice(&self.citations);
                place.push(b']');
            }
        })
    }
}

/// A source as a place in a web search, the only form that names a URL. What the protocol seals in it belongs to the provider that
/// searched, so it is empty here.
fn write_citation(citation: &Citation<'_>, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    object.string("type", "web_search_result_location");
    object.text("url", &citation.url);
    if citation.title.is_empty() {
        object.raw("title", "null");
    } else {
        object.text("title", &citation.title);
    }
    match &citation.quote {
        Some(quote) => object.text("cited_text", quote),
        None => object.string("cited_text", ""),
    }
    object.string("encrypted_index", "");
    object.close();
}

/// Readable thinking.
#[derive(Debug)]
pub(super) struct ThinkingBlock {
    index: u64,
    head: DeltaHead,
    /// All text so far, escaped.
    text: Vec<u8>,
}

impl ThinkingBlock {
    pub(super) fn open(index: u64, out: &mut FrameBuffer) -> Self {
        block_start(index, out, |block| {
            block.string("type", "thinking");
            block.string("thinking", "");
            block.string("signature", "");
        });
        Self {
            index,
            head: DeltaHead::new(index, "thinking_delta", "thinking"),
            text: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, piece: &Text<'_>, out: &mut FrameBuffer) {
        let piece = append(piece, &mut self.text);
        self.head.write(piece, out);
    }

    /// Signs and ends the block, and gives the whole of it.
    pub(super) fn close(self, signature: Option<&Text<'_>>, out: &mut FrameBuffer) -> Vec<u8> {
        let stand_in = Text::plain(SIGNATURE_WITHOUT_STATE);
        let signature = signature.unwrap_or(&stand_in);
        let mut escaped = Vec::new();
        signature.write_escaped(&mut escaped);
        DeltaHead::new(self.index, "signature_delta", "signature").write(&escaped, out);
        block_stop(self.index, out);
        block("thinking", |whole| {
            whole.text("thinking", &text_of(&self.text));
            whole.text("signature", signature);
        })
    }
}

/// Writes thinking that nobody can read, whole.
pub(super) fn redacted(index: u64, sealed: &Text<'_>, out: &mut FrameBuffer) -> Vec<u8> {
    let members = |block: &mut Object<'_>| block.text("data", sealed);
    block_start(index, out, |block| {
        block.string("type", "redacted_thinking");
        members(block);
    });
    block_stop(index, out);
    block("redacted_thinking", members)
}

/// Writes a search as the call and what was found, two blocks.
pub(super) fn web_search(
    index: u64,
    message_id: &str,
    search: &WebSearch<'_>,
    out: &mut FrameBuffer,
) -> [Vec<u8>; 2] {
    let id = search_id(index, message_id, search.id);
    let call = |block: &mut Object<'_>, with_query: bool| {
        block.string("id", &id);
        block.string("name", "web_search");
        let mut input = Object::open(block.member("input"));
        if with_query {
            input.text("query", &search.query);
        }
        input.close();
    };
    block_start(index, out, |block| {
        block.string("type", "server_tool_use");
        call(block, false);
    });
    let mut query = br#"{\"query\":\""#.to_vec();
    let mut escaped = Vec::new();
    search.query.write_escaped(&mut escaped);
    polywire_conversation::json::escape(&String::from_utf8_lossy(&escaped), &mut query);
    query.extend_from_slice(br#"\"}"#);
    DeltaHead::new(index, "input_json_delta", "partial_json").write(&query, out);
    block_stop(index, out);

    let found = |block: &mut Object<'_>| {
        block.string("tool_use_id", &id);
        write_found(search, block.member("content"));
    };
    block_start(index + 1, out, |block| {
        block.string("type", "web_search_tool_result");
        found(block);
    });
    block_stop(index + 1, out);
    [
        block("server_tool_use", |whole| call(whole, true)),
        block("web_search_tool_result", found),
    ]
}

/// Searches have ids of their own form, by which clients tell them from calls that they must answer.
fn search_id(index: u64, message_id: &str, id: &str) -> String {
    if id.starts_with("srvtoolu_") && ids::is_usual(id) {
        return id.to_owned();
    }
    let hash = ids::made_from(&format!("{message_id} {index} {id}"));
    format!("srvtoolu_{}", hash.trim_start_matches("call_"))
}

fn write_found(search: &WebSearch<'_>, out: &mut Vec<u8>) {
    if let Some(failure) = &search.failure {
        let mut error = Object::open(out);
        error.string("type", "web_search_tool_result_error");
        error.string("error_code", error_code(&failure.to_plain()));
        error.close();
        return;
    }
    write_array(&search.sources, out, |(url, title), out| {
        let mut page = Object::open(out);
        page.string("type", "web_search_result");
        page.text("url", url);
        page.text("title", title);
        // The words of the page, sealed by the provider that searched; it keeps them to itself here.
        page.string("encrypted_content", "");
        page.raw("page_age", "null");
        page.close();
    });
}

/// The protocol's word for why a search failed.
fn error_code(failure: &str) -> &'static str {
    [
        "invalid_tool_input",
        "max_uses_exceeded",
        "too_many_requests",
        "query_too_long",
        "request_too_large",
    ]
    .into_iter()
    .find(|&code| code == failure)
    .unwrap_or("unavailable")
}
