//! Texts, reasoning, and what belongs to them.

use polywire_conversation::parts::Kind;
use polywire_conversation::{Event, EventSink, Loss, OpaqueKind, Text};

use super::{Form, Output, tag_of};
use crate::read::said::{LastWord, Place};
use crate::read::wire::{Raw, WireContent, WireOutput, elements, filled_array, object, text, word};
use crate::read::{lose, searches};

impl Output {
    /// A piece of text.
    pub(in crate::read) fn say(
        &mut self,
        index: u64,
        place: Place,
        piece: Text<'_>,
        sink: &mut dyn EventSink,
    ) {
        if piece.is_empty() {
            return;
        }
        let at = self.item(index, tag_of(place));
        let item = &mut self.items[at];
        if let Some(form) = Form::of(place)
            && *item.form.get_or_insert(form) != form
        {
            // Kept to compare with what is handed out.
            item.channel(place).push(piece);
            return;
        }
        let begins = item.channel(place).is_empty();
        let follows = begins
            && item
                .channels
                .iter()
                .any(|other| Form::of(other.place).is_some() && !other.is_empty());
        let mended = item.channel(place).push(piece).into_owned();
        if follows && Form::of(place).is_some() {
            self.speak(index, place, Text::plain("\n\n"), sink);
        }
        self.speak(index, place, mended, sink);
    }

    /// Hands out a piece of text. Each text of a message is a part of its own; all of one reasoning item is one part.
    pub(super) fn speak(
        &mut self,
        index: u64,
        place: Place,
        piece: Text<'_>,
        sink: &mut dyn EventSink,
    ) {
        if piece.is_empty() {
            return;
        }
        let (kind, key) = match place {
            Place::Text(_) => (Kind::Text, place),
            Place::Refusal(_) => (Kind::Refusal, place),
            Place::Summary(_) | Place::Thought(_) | Place::Input => {
                (Kind::Reasoning, Place::Summary(0))
            }
        };
        if self.speaking != Some((index, key)) {
            self.close_part(sink);
        }
        self.parts.say(kind, piece, sink);
        // While a call is open the piece waits, and nothing can be said of it.
        self.speaking = (!self.parts.call_is_open()).then_some((index, key));
    }

    pub(super) fn close_part(&mut self, sink: &mut dyn EventSink) {
        self.speaking = None;
        self.parts.close(sink);
    }

    /// The whole of a text: hands out what did not come before.
    pub(in crate::read) fn last_word(
        &mut self,
        index: u64,
        place: Place,
        whole: &Text<'_>,
        sink: &mut dyn EventSink,
    ) {
        if whole.is_empty() {
            return;
        }
        let at = self.item(index, tag_of(place));
        let said = self.items[at].channel(place).compare(whole);
        match said {
            LastWord::Same => {}
            LastWord::Rest(rest) => self.say(index, place, rest, sink),
            LastWord::Different => self.note(
                "differs",
                || {
                    Loss::degraded(
                        "stream",
                        "the whole of a text is not what was streamed of it; the streamed text counts",
                    )
                },
                sink,
            ),
        }
    }

    /// Probabilities of the text that came before them.
    pub(in crate::read) fn logprobs(
        &mut self,
        index: u64,
        place: Place,
        raw: Raw<'_>,
        sink: &mut dyn EventSink,
    ) {
        let Some(json) = filled_array(raw) else {
            return;
        };
        if self.speaking != Some((index, place)) {
            lose(
                Loss::degraded("logprobs", "left out: their text is over already"),
                sink,
            );
            return;
        }
        let at = self.item(index, tag_of(place));
        self.items[at].channel(place).has_logprobs = true;
        sink.event(Event::Logprobs(json.mended()));
    }

    /// A source of the text so far.
    pub(in crate::read) fn annotation(
        &mut self,
        index: u64,
        content: u64,
        raw: Raw<'_>,
        sink: &mut dyn EventSink,
    ) {
        let place = Place::Text(content);
        let at = self.item(index, tag_of(place));
        self.items[at].channel(place).citations += 1;
        let Some(citation) = searches::citation(raw, sink) else {
            return;
        };
        if self.speaking == Some((index, place)) {
            sink.event(Event::Citation(citation));
        } else {
            lose(
                Loss::degraded("annotation", "left out: its text is over already"),
                sink,
            );
        }
    }

    /// A part is over. It stays open, because what the item says at its end may add sources.
    pub(in crate::read) fn part_done(
        &mut self,
        index: u64,
        content: u64,
        raw: Raw<'_>,
        sink: &mut dyn EventSink,
    ) {
        let Some(part) = object::<WireContent<'_>>(raw) else {
            return;
        };
        match word(part.tag).as_deref() {
            Some("output_text" | "text") => {
                let place = Place::Text(content);
                if let Some(whole) = text(part.text) {
                    self.last_word(index, place, &whole, sink);
                }
                self.last_logprobs(index, place, part.logprobs, sink);
                let at = self.item(index, tag_of(place));
                let known = self.items[at].channel(place).citations;
                for annotation in elements(part.annotations).into_iter().skip(known) {
                    self.annotation(index, content, Some(annotation), sink);
                }
            }
            Some("refusal") => {
                if let Some(whole) = text(part.refusal) {
                    self.last_word(index, Place::Refusal(content), &whole, sink);
                }
            }
            Some("reasoning_text") => {
                if let Some(whole) = text(part.text) {
                    self.last_word(index, Place::Thought(content), &whole, sink);
                }
            }
            Some(tag) => self.note(
                tag,
                || {
                    Loss::degraded(
                        "stream",
                        format!("left out: a part of type `{tag}` cannot be carried"),
                    )
                },
                sink,
            ),
            None => {}
        }
    }

    /// Probabilities of a whole text, which repeat those of its pieces.
    pub(in crate::read) fn last_logprobs(
        &mut self,
        index: u64,
        place: Place,
        raw: Raw<'_>,
        sink: &mut dyn EventSink,
    ) {
        let at = self.item(index, tag_of(place));
        if !self.items[at].channel(place).has_logprobs {
            self.logprobs(index, place, raw, sink);
        }
    }

    pub(super) fn message_done(
        &mut self,
        index: u64,
        wire: &WireOutput<'_>,
        sink: &mut dyn EventSink,
    ) {
        for (content, part) in elements(wire.content).into_iter().enumerate() {
            let content = u64::try_from(content).unwrap_or_default();
            self.part_done(index, content, Some(part), sink);
        }
        self.close_part(sink);
        if word(wire.phase).is_some_and(|phase| phase != "final_answer") {
            self.note(
                "phase",
                || {
                    Loss::note(
                        "message.phase",
                        "left out: whether the model talks on the way cannot be told apart",
                    )
                },
                sink,
            );
        }
    }

    pub(super) fn reasoning_done(
        &mut self,
        at: usize,
        wire: &WireOutput<'_>,
        raw: &str,
        sink: &mut dyn EventSink,
    ) {
        let index = self.items[at].index;
        let content = texts_of(wire.content);
        let summary = texts_of(wire.summary);
        let has_content = content.iter().any(|text| !text.is_empty());
        for (number, whole) in (0..).zip(&summary) {
            self.last_word(index, Place::Summary(number), whole, sink);
        }
        for (number, whole) in (0..).zip(&content) {
            self.last_word(index, Place::Thought(number), whole, sink);
        }
        self.note_other_form(at, sink);
        let is_state =
            word(wire.encrypted_content).is_some() || (self.content_is_state && has_content);
        if is_state {
            if self.speaking != Some((index, Place::Summary(0))) {
                self.close_part(sink);
            }
            self.parts.opaque(OpaqueKind::Item, Text::plain(raw), sink);
        }
        self.close_part(sink);
    }

    /// Tells of the form of reasoning that was not handed out, unless it has the same words.
    pub(super) fn note_other_form(&mut self, at: usize, sink: &mut dyn EventSink) {
        let item = &self.items[at];
        let other = match item.form {
            Some(Form::Summary) => Form::Thought,
            Some(Form::Thought) => Form::Summary,
            None => return,
        };
        let left_out = item.reasoning(other);
        let same = item
            .form
            .is_some_and(|form| item.reasoning(form).contains(left_out.trim()));
        if !same {
            self.note(
                "other form",
                || {
                    Loss::note(
                        "reasoning",
                        "came in two forms, as a summary and in full; the one that came first is shown",
                    )
                },
                sink,
            );
        }
    }
}

/// The texts of an array of parts.
pub(super) fn texts_of(raw: Raw<'_>) -> Vec<Text<'_>> {
    elements(raw)
        .into_iter()
        .filter_map(|part| {
            let part: WireContent<'_> = object(Some(part))?;
            text(part.text).or_else(|| text(part.refusal))
        })
        .collect()
}
