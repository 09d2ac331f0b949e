//! What content blocks are, and what they grow by.

use polywire_conversation::parts::Kind;
use polywire_conversation::{Citation, EventSink, Loss, Text};
use polywire_wire::clean;

use super::call::Call;
use super::notes::Notes;
use super::said::{self, Said};
use super::search::Answer;
use super::wire::{
    Block, Delta, Raw, WireCitation, elements, has_members, inner, string, text, word,
};

/// What a block is, as far as it came.
#[derive(Debug)]
pub(super) enum Body {
    Said(Said),
    Call(Call),
    Redacted(Text<'static>),
    ServerTool {
        id: String,
        name: String,
        input: String,
    },
    Search(Answer),
    /// A call without a name.
    Nameless,
    /// Of no use to anybody but the provider.
    Skipped,
}

/// What a block grows by.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    Said(Kind, Text<'a>),
    Input(Text<'a>),
    Signature(Text<'a>),
    Citation(Citation<'a>),
}

impl Piece<'_> {
    /// How much there is to keep.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Piece::Said(_, text) | Piece::Input(text) | Piece::Signature(text) => {
                text.as_written().len()
            }
            Piece::Citation(citation) => {
                let quote = citation
                    .quote
                    .as_ref()
                    .map_or(0, |text| text.as_written().len());
                quote + citation.url.as_written().len()
            }
        }
    }

    /// The same piece without borrows.
    pub(super) fn into_owned(self) -> Piece<'static> {
        match self {
            Piece::Said(kind, text) => Piece::Said(kind, text.into_owned()),
            Piece::Input(text) => Piece::Input(text.into_owned()),
            Piece::Signature(text) => Piece::Signature(text.into_owned()),
            Piece::Citation(citation) => Piece::Citation(said::owned(citation)),
        }
    }
}

/// What a block is, and the pieces that come with its beginning.
pub(super) fn body(
    block: &Block<'_>,
    notes: &mut Notes,
    sink: &mut dyn EventSink,
) -> (Body, Vec<Piece<'static>>) {
    let mut pieces = Vec::new();
    let body = match word(block.kind) {
        "text" => {
            pieces.extend(text(block.text).map(|text| Piece::Said(Kind::Text, text)));
            for raw in elements(block.citations) {
                pieces.extend(citation(Some(raw), notes, sink).map(Piece::Citation));
            }
            Body::Said(Said::new(block.citations.is_some()))
        }
        "thinking" => {
            let thought = text(block.thinking);
            pieces.extend(thought.map(|text| Piece::Said(Kind::Reasoning, text)));
            pieces.extend(text(block.signature).map(Piece::Signature));
            Body::Said(Said::default())
        }
        "redacted_thinking" => match text(block.data) {
            Some(state) => Body::Redacted(state.into_owned()),
            None => Body::Skipped,
        },
        "tool_use" => {
            let call = Call::new(block);
            if call.name.is_empty() {
                Body::Nameless
            } else {
                Body::Call(call)
            }
        }
        "server_tool_use" | "mcp_tool_use" => Body::ServerTool {
            id: string(block.id).unwrap_or_default(),
            name: string(block.name).unwrap_or_default(),
            input: block
                .input
                .filter(|_| has_members(block.input))
                .map(|raw| raw.get().to_owned())
                .unwrap_or_default(),
        },
        "web_search_tool_result" => Body::Search(Answer::new(block)),
        other => {
            note_skipped(other, notes, sink);
            Body::Skipped
        }
    };
    let pieces = pieces.into_iter().map(Piece::into_owned).collect();
    (body, pieces)
}

fn note_skipped(kind: &str, notes: &mut Notes, sink: &mut dyn EventSink) {
    let what = format!("block `{}`", clean(kind, 60));
    let loss = match kind {
        "compaction" => Loss::degraded(
            what.clone(),
            "left out: the provider has summarised the conversation, and nobody can give it the summary back",
        ),
        "fallback" => Loss::note(what.clone(), "another model took over"),
        _ => Loss::note(what.clone(), "left out: it cannot be carried"),
    };
    notes.add(&what, loss, sink);
}

/// What a delta brings.
pub(super) fn piece_of<'d>(
    delta: &Delta<'d>,
    notes: &mut Notes,
    sink: &mut dyn EventSink,
) -> Option<Piece<'d>> {
    match word(delta.kind) {
        "text_delta" => text(delta.text).map(|text| Piece::Said(Kind::Text, text)),
        "thinking_delta" => text(delta.thinking).map(|text| Piece::Said(Kind::Reasoning, text)),
        "input_json_delta" => {
            let as_object = || {
                let raw = delta
                    .partial_json
                    .filter(|_| has_members(delta.partial_json));
                raw.map(|raw| Text::plain(raw.get()))
            };
            text(delta.partial_json)
                .or_else(as_object)
                .map(Piece::Input)
        }
        "signature_delta" => text(delta.signature).map(Piece::Signature),
        "citations_delta" => citation(delta.citation, notes, sink).map(Piece::Citation),
        // What its block is has been said when it began.
        "compaction_delta" => None,
        other => {
            let what = format!("delta `{}`", clean(other, 60));
            let loss = Loss::note(what.clone(), "left out: it cannot be carried");
            notes.add(&what, loss, sink);
            None
        }
    }
}

/// A source. One without an address is a passage of a document that the client sent; there are no words for it.
fn citation<'c>(raw: Raw<'c>, notes: &mut Notes, sink: &mut dyn EventSink) -> Option<Citation<'c>> {
    let wire: WireCitation<'_> = inner(raw);
    let title = text(wire.title).or_else(|| text(wire.document_title));
    let Some(url) = text(wire.url).or_else(|| text(wire.source)) else {
        notes.add(
            "citation",
            Loss::note(
                "citation",
                "left out: it points into a document and not to an address",
            ),
            sink,
        );
        return None;
    };
    Some(
        Citation {
            url,
            title: title.unwrap_or_default(),
            quote: text(wire.cited_text),
            span: None,
        }
        .mended(),
    )
}
