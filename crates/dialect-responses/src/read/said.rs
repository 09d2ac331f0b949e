//! One text that grows delta by delta, and what its last word says of it.

use polywire_conversation::Text;
use polywire_conversation::json::PairMender;

/// Which text of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A text part of a message, by its number.
    Text(u64),
    /// A refusal in a message.
    Refusal(u64),
    /// A part of the summary of reasoning.
    Summary(u64),
    /// A part of the reasoning itself.
    Thought(u64),
    /// The input of a call.
    Input,
}

/// A text on its way.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) place: Place,
    /// All of it so far, as the body of a JSON string.
    text: Vec<u8>,
    mender: PairMender,
    /// How many sources were handed out.
    pub(super) citations: usize,
    /// Whether probabilities were handed out.
    pub(super) has_logprobs: bool,
}

/// What the whole text is, compared with what came of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LastWord {
    /// What came is all.
    Same,
    /// This is missing.
    Rest(Text<'static>),
    /// Something else came.
    Different,
}

impl Channel {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            text: Vec::new(),
            mender: PairMender::default(),
            citations: 0,
            has_logprobs: false,
        }
    }

    /// Takes a piece and gives what can be handed out.
    pub(super) fn push<'t>(&mut self, piece: Text<'t>) -> Text<'t> {
        piece.write_escaped(&mut self.text);
        self.mender.mend(piece)
    }

    /// Half a character that still waits.
    pub(super) fn finish(&mut self) -> Option<Text<'static>> {
        self.mender.finish()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// All of it so far, decoded.
    pub(super) fn plain(&self) -> String {
        Text::escaped(String::from_utf8_lossy(&self.text))
            .to_plain()
            .into_owned()
    }

    /// Compares with the whole text, which a provider tells at the end. Most tell what they streamed, to the letter.
    pub(super) fn compare(&self, whole: &Text<'_>) -> LastWord {
        if let Text::Escaped(body) = whole
            && let Some(rest) = body.as_bytes().strip_prefix(&*self.text)
        {
            return match String::from_utf8_lossy(rest).into_owned() {
                rest if rest.is_empty() => LastWord::Same,
                rest => LastWord::Rest(Text::escaped(rest)),
            };
        }
        let whole = whole.to_plain();
        match whole.strip_prefix(&*self.plain()) {
            Some("") => LastWord::Same,
            Some(rest) => LastWord::Rest(Text::plain(rest.to_owned())),
            None => LastWord::Different,
        }
    }
}
