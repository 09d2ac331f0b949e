//! Stop texts for providers that know none: the answer is cut where the first of them begins.

use polywire_conversation::{Event, StopReason, Text};

/// The client's stop texts, looked for in what streams by.
///
/// Text that may be the beginning of a stop text waits until it is known to be none; nothing else is held back.
#[derive(Default)]
pub(crate) struct StopTexts {
    texts: Vec<String>,
    /// What may become a stop text.
    held: String,
    cut: bool,
}

impl StopTexts {
    /// Looks for these texts. With none of them everything passes untouched.
    pub(crate) fn new(texts: Vec<String>) -> Self {
        Self {
            texts: texts.into_iter().filter(|text| !text.is_empty()).collect(),
            ..Self::default()
        }
    }

    /// Passes an event on, unless it comes after a stop text.
    pub(crate) fn event(&mut self, event: Event<'_>, next: &mut dyn FnMut(Event<'_>)) {
        if self.texts.is_empty() {
            next(event);
            return;
        }
        if self.cut {
            return;
        }
        if let Event::TextDelta(piece) = &event {
            self.text(piece, next);
            return;
        }
        if event == Event::TextEnd {
            self.give_held(next);
        }
        next(event);
    }

    fn text(&mut self, piece: &Text<'_>, next: &mut dyn FnMut(Event<'_>)) {
        self.held.push_str(&piece.to_plain());
        let found = self
            .texts
            .iter()
            .filter_map(|text| Some((self.held.find(text.as_str())?, text.clone())))
            .min_by_key(|(at, text)| (*at, std::cmp::Reverse(text.len())));
        if let Some((at, text)) = found {
            self.held.truncate(at);
            self.give_held(next);
            self.cut = true;
            next(Event::TextEnd);
            next(Event::StoppedAt(Text::plain(text)));
            next(Event::Finish(StopReason::Stop));
            return;
        }
        let keep = self.may_begin();
        let rest = self.held.split_off(self.held.len() - keep);
        self.give_held(next);
        self.held = rest;
    }

    /// How many bytes at the end may be the beginning of a stop text.
    fn may_begin(&self) -> usize {
        let longest = |text: &String| {
            (1..text.len())
                .rev()
                .filter(|&length| text.is_char_boundary(length))
                .find(|&length| self.held.ends_with(&text[..length]))
                .unwrap_or(0)
        };
        self.texts.iter().map(longest).max().unwrap_or(0)
    }

    fn give_held(&mut self, next: &mut dyn FnMut(Event<'_>)) {
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            next(Event::TextDelta(Text::plain(held)));
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "an outline names what a test is about"
)]
mod tests {
    use super::*;

    fn read(stops: &[&str], pieces: &[&str]) -> String {
        let mut told = String::new();
        let mut stop = StopTexts::new(stops.iter().map(|&text| text.to_owned()).collect());
        let mut next = |event: Event<'_>| match event {
            Event::TextDelta(text) => told.push_str(&text.to_plain()),
            Event::TextEnd => told.push('|'),
            Event::StoppedAt(text) => told.extend(["<", &*text.to_plain(), ">"]),
            Event::Finish(reason) => told.push_str(reason.name()),
            _ => {}
        };
        stop.event(Event::TextStart, &mut next);
        for piece in pieces {
            stop.event(Event::TextDelta(Text::plain(*piece)), &mut next);
        }
        stop.event(Event::TextEnd, &mut next);
        stop.event(Event::Finish(StopReason::Length), &mut next);
        told
    }

    fn check(stops: &[&str], text: &str, expected: &str) {
        assert_eq!(read(stops, &[text]), expected, "{text}");
        let letters: Vec<String> = text.chars().map(String::from).collect();
        let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
        assert_eq!(read(stops, &letters), expected, "letter by letter: {text}");
    }

    #[test]
    fn the_answer_ends_where_a_stop_text_begins() {
        check(&["END"], "one END two", "one |<END>stop");
        check(&["END"], "one EN two", "one EN two|length");
        check(&["END"], "EN", "EN|length");
        check(&["aab"], "aaab", "a|<aab>stop");
        check(&["\n\n", "."], "a.\n\n", "a|<.>stop");
        check(&["é"], "caf\u{e9}!", "caf|<é>stop");
        check(&[], "one END two", "one END two|length");
        check(&[""], "x", "x|length");
    }
}
