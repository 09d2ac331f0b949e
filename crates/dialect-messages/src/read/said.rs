//! Text or readable reasoning of one block.

use polywire_conversation::json::PairMender;
use polywire_conversation::parts::{Kind, Parts};
use polywire_conversation::{Citation, Event, EventSink, Loss, OpaqueKind, Text};

/// Text or readable reasoning.
#[derive(Debug, Default)]
pub(super) struct Said {
    mender: PairMender,
    /// The signature over the reasoning, as the body of a JSON string.
    signature: Vec<u8>,
    citations: Vec<Citation<'static>>,
    /// How many characters were said, where sources may have to point to them.
    chars: Option<u64>,
    /// What was said last.
    last: Option<Kind>,
}

impl Said {
    /// Nothing so far. `cited` says that sources may come, which point to characters of the text.
    pub(super) fn new(cited: bool) -> Self {
        Self {
            chars: cited.then_some(0),
            ..Self::default()
        }
    }

    /// Adds a piece of the signature.
    pub(super) fn sign(&mut self, piece: &Text<'_>) {
        piece.write_escaped(&mut self.signature);
    }

    /// Adds a source. It is handed out at the end, because some come before the text that rests on them.
    pub(super) fn cite(&mut self, citation: Citation<'_>) {
        self.citations.push(owned(citation));
    }

    /// Hands a piece out.
    pub(super) fn say(
        &mut self,
        kind: Kind,
        text: Text<'_>,
        parts: &mut Parts,
        sink: &mut dyn EventSink,
    ) {
        let text = self.mender.mend(text);
        self.last = Some(kind);
        if let (Kind::Text, Some(chars)) = (kind, &mut self.chars) {
            *chars += text.to_plain().chars().count() as u64;
        }
        parts.say(kind, text, sink);
    }

    /// Ends the part. `signed` says that the signature is whole.
    pub(super) fn end(mut self, signed: bool, parts: &mut Parts, sink: &mut dyn EventSink) {
        if let (Some(rest), Some(kind)) = (self.mender.finish(), self.last) {
            self.say(kind, rest, parts, sink);
        }
        let span = self
            .chars
            .filter(|&chars| chars > 0)
            .map(|chars| (0, chars));
        for citation in self.citations {
            if self.last == Some(Kind::Text) {
                sink.event(Event::Citation(Citation { span, ..citation }));
            } else {
                sink.event(Event::Loss(Loss::note(
                    "citation",
                    "left out: nothing was said that it could be a source of",
                )));
            }
        }
        if signed && !self.signature.is_empty() {
            let signature = String::from_utf8_lossy(&self.signature).into_owned();
            parts.opaque(OpaqueKind::Signature, Text::escaped(signature), sink);
        }
        parts.close(sink);
    }
}

/// The same source without borrows.
pub(super) fn owned(citation: Citation<'_>) -> Citation<'static> {
    Citation {
        url: citation.url.into_owned(),
        title: citation.title.into_owned(),
        quote: citation.quote.map(Text::into_owned),
        span: citation.span,
    }
}
