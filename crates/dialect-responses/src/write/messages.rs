//! The messages of an answer: their text, its sources and its probabilities.

use polywire_conversation::{Citation, Json, Text};

use super::frames::{Channel, Decimal, Frames, put};
use super::items::{Identity, Status};
use crate::echo::write_in_one_line;

/// What the one part of a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Text,
    Refusal,
}

/// A message on its way.
#[derive(Debug)]
pub(super) struct MessageItem {
    identity: Identity,
    said: Said,
    channel: Channel,
    /// The sources, separated by commas.
    annotations: Vec<u8>,
    annotations_count: u64,
    /// The probabilities, separated by commas.
    logprobs: Vec<u8>,
    /// The part is over, but what comes next decides whether the message was whole.
    pub(super) ended: bool,
}

impl MessageItem {
    pub(super) fn open(identity: Identity, said: Said, frames: &mut Frames<'_>) -> Self {
        let place = [&identity.place()[..], b",\"content_index\":0"].concat();
        let channel = match said {
            Said::Text => Channel::new(
                "response.output_text.delta",
                &[&place],
                b"\",\"logprobs\":[]",
            ),
            Said::Refusal => Channel::new("response.refusal.delta", &[&place], b"\""),
        };
        let item = Self {
            identity,
            said,
            channel,
            annotations: Vec::new(),
            annotations_count: 0,
            logprobs: Vec::new(),
            ended: false,
        };
        let empty = item.render(b"in_progress", b"");
        item.identity.added(&empty, frames);
        let part = item.part();
        item.identity.event(
            "response.content_part.added",
            &[b",\"content_index\":0,\"part\":", &part],
            frames,
        );
        item
    }

    pub(super) fn said(&self) -> Said {
        self.said
    }

    pub(super) fn push(&mut self, piece: &Text<'_>, frames: &mut Frames<'_>) {
        self.channel.push(piece, frames);
    }

    /// Writes a piece with the probabilities of its tokens.
    pub(super) fn push_with_logprobs(
        &mut self,
        piece: &Text<'_>,
        logprobs: &Json<'_>,
        frames: &mut Frames<'_>,
    ) {
        let start = self.keep_logprobs(logprobs);
        let own = &self.logprobs[start..];
        let tail: [&[u8]; 3] = [b"\",\"logprobs\":[", own, b"]"];
        self.channel.push_with(piece, &tail, frames);
    }

    /// Keeps probabilities for the end of the text, and tells where they begin among all.
    pub(super) fn keep_logprobs(&mut self, logprobs: &Json<'_>) -> usize {
        let array = logprobs.as_str().trim();
        let elements = array
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let elements = elements.map_or("", str::trim);
        if !self.logprobs.is_empty() && !elements.is_empty() {
            self.logprobs.push(b',');
        }
        let start = self.logprobs.len();
        write_in_one_line(elements, &mut self.logprobs);
        start
    }

    /// Adds a source of the text so far. One that does not say which words rest on it stands at the end of them.
    pub(super) fn cite(&mut self, citation: &Citation<'_>, frames: &mut Frames<'_>) {
        let (start, end) = citation.span.unwrap_or_else(|| {
            let text = Text::escaped(String::from_utf8_lossy(self.channel.text()));
            let length = u64::try_from(text.to_plain().chars().count()).unwrap_or(u64::MAX);
            (length, length)
        });
        let mut annotation = Vec::with_capacity(128);
        put(
            &mut annotation,
            &[
                b"{\"type\":\"url_citation\",\"start_index\":",
                Decimal::new(start).digits(),
                b",\"end_index\":",
                Decimal::new(end).digits(),
                b",\"title\":",
            ],
        );
        citation.title.write_string(&mut annotation);
        put(&mut annotation, &[b",\"url\":"]);
        citation.url.write_string(&mut annotation);
        annotation.push(b'}');
        let index = Decimal::new(self.annotations_count);
        self.annotations_count += 1;
        self.identity.event(
            "response.output_text.annotation.added",
            &[
                b",\"content_index\":0,\"annotation_index\":",
                index.digits(),
                b",\"annotation\":",
                &annotation,
            ],
            frames,
        );
        if !self.annotations.is_empty() {
            self.annotations.push(b',');
        }
        self.annotations.append(&mut annotation);
    }

    /// Ends the message and gives the item.
    pub(super) fn close(self, status: Status, frames: &mut Frames<'_>) -> Vec<u8> {
        let text = self.channel.text();
        match self.said {
            Said::Text => self.identity.event(
                "response.output_text.done",
                &[
                    b",\"content_index\":0,\"text\":\"",
                    text,
                    b"\",\"logprobs\":[",
                    &self.logprobs,
                    b"]",
                ],
                frames,
            ),
            Said::Refusal => self.identity.event(
                "response.refusal.done",
                &[b",\"content_index\":0,\"refusal\":\"", text, b"\""],
                frames,
            ),
        }
        let part = self.part();
        self.identity.event(
            "response.content_part.done",
            &[b",\"content_index\":0,\"part\":", &part],
            frames,
        );
        let item = self.render(status.name(), &part);
        self.identity.done(&item, frames);
        item
    }

    fn part(&self) -> Vec<u8> {
        let text = self.channel.text();
        match self.said {
            Said::Text => [
                b"{\"type\":\"output_text\",\"text\":\"",
                text,
                b"\",\"annotations\":[",
                &self.annotations,
                b"],\"logprobs\":[",
                &self.logprobs,
                b"]}",
            ]
            .concat(),
            Said::Refusal => [b"{\"type\":\"refusal\",\"refusal\":\"", text, b"\"}"].concat(),
        }
    }

    fn render(&self, status: &[u8], content: &[u8]) -> Vec<u8> {
        [
            b"{\"type\":\"message\",\"id\":\"",
            self.identity.id.as_bytes(),
            b"\",\"status\":\"",
            status,
            b"\",\"role\":\"assistant\",\"content\":[",
            content,
            b"]}",
        ]
        .concat()
    }
}
