//! Bytes of a provider's answer to events: looks what kind of answer it is, then lets the dialect read it.

use polywire_conversation::{EventSink, Fault, FaultClass, ReadStream, StreamEnd};
use polywire_sse::{Decoder, FrameTooLong, LineDecoder};

use crate::limits::{FRAME_BYTES_MAX, WHOLE_BYTES_MAX};

/// Reads the body of one provider answer.
///
/// The content type is no guide: providers answer a request for a stream with a JSON body, and send JSON as octets. The first
/// byte that is not white space tells the two apart.
pub struct BodyReader {
    form: BodyForm,
    reader: Box<dyn ReadStream>,
}

/// How an answer is cut into frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events, or one JSON body.
    Events,
    /// One JSON value a line.
    Lines,
}

enum BodyForm {
    /// Only white space so far.
    Unknown,
    Lines(LineDecoder),
    Events {
        decoder: Decoder,
        /// The beginning of the body, as long as no frame was found in it: it may be plain text after all.
        head: Option<Vec<u8>>,
    },
    /// One JSON body, or a page of HTML; collected and read at its end.
    Whole(Vec<u8>),
}

/// How much of a body without frames is kept to tell what it was.
const HEAD_BYTES_MAX: usize = 4 * 1024;

impl BodyReader {
    /// A reader that gives what it finds to `reader`.
    pub fn new(reader: Box<dyn ReadStream>, framing: Framing) -> Self {
        Self {
            form: match framing {
                Framing::Events => BodyForm::Unknown,
                Framing::Lines => BodyForm::Lines(LineDecoder::new(FRAME_BYTES_MAX)),
            },
            reader,
        }
    }

    /// Reads a piece of the body.
    pub fn push(&mut self, chunk: &[u8], sink: &mut dyn EventSink) {
        let mut chunk = chunk;
        if let BodyForm::Unknown = self.form {
            let Some(start) = chunk.iter().position(|byte| !byte.is_ascii_whitespace()) else {
                return;
            };
            chunk = &chunk[start..];
            self.form = match chunk[0] {
                b'{' | b'[' | b'<' => BodyForm::Whole(Vec::new()),
                _ => BodyForm::Events {
                    decoder: Decoder::new(FRAME_BYTES_MAX),
                    head: Some(Vec::new()),
                },
            };
        }
        match &mut self.form {
            BodyForm::Unknown => {}
            BodyForm::Lines(decoder) => {
                let reader = &mut self.reader;
                if let Err(error) = decoder.push(chunk, |frame| reader.push(frame, sink)) {
                    self.reader
                        .finish(StreamEnd::Broken(unreadable(error)), sink);
                }
            }
            BodyForm::Events { decoder, head } => {
                let reader = &mut self.reader;
                let mut frames = 0u32;
                let read = decoder.push(chunk, |frame| {
                    frames += 1;
                    reader.push(frame, sink);
                });
                keep_head(head, chunk, frames > 0);
                if let Err(error) = read {
                    self.reader
                        .finish(StreamEnd::Broken(unreadable(error)), sink);
                }
            }
            BodyForm::Whole(body) if body.len() + chunk.len() > WHOLE_BYTES_MAX => {
                let fault = Fault::new(
                    FaultClass::Protocol,
                    format!("the provider's answer is longer than {WHOLE_BYTES_MAX} bytes"),
                );
                self.reader.finish(StreamEnd::Broken(fault), sink);
            }
            BodyForm::Whole(body) => body.extend_from_slice(chunk),
        }
    }

    /// The body ended.
    pub fn finish(&mut self, end: StreamEnd, sink: &mut dyn EventSink) {
        let closed = end == StreamEnd::Closed;
        let reader = &mut self.reader;
        match &mut self.form {
            BodyForm::Unknown if closed => reader.whole(b"", sink),
            BodyForm::Lines(decoder) => decoder.finish(|frame| reader.push(frame, sink)),
            BodyForm::Events { decoder, head } => {
                let text = head
                    .take()
                    .filter(|head| closed && !begins_like_events(head));
                match text {
                    Some(text) => reader.whole(&text, sink),
                    None => decoder.finish(|frame| reader.push(frame, sink)),
                }
            }
            BodyForm::Whole(body) if closed => reader.whole(body, sink),
            BodyForm::Unknown | BodyForm::Whole(_) => {}
        }
        self.reader.finish(end, sink);
    }

    /// Whether the terminal event was handed out.
    pub fn is_done(&self) -> bool {
        self.reader.is_done()
    }

    /// Whether only the usage may still come.
    pub fn is_ending(&self) -> bool {
        self.reader.is_ending()
    }
}

fn unreadable(error: FrameTooLong) -> Fault {
    Fault::new(FaultClass::Protocol, format!("the provider sent {error}"))
}

fn keep_head(head: &mut Option<Vec<u8>>, chunk: &[u8], frames_found: bool) {
    if frames_found {
        *head = None;
    } else if let Some(head) = head {
        let room = HEAD_BYTES_MAX.saturating_sub(head.len());
        head.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
}

/// Whether the first line is one of an event stream: then a body without frames is one that was cut, not plain text.
fn begins_like_events(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
    [&b":"[..], b"data", b"event:", b"id:", b"retry:", b"error:"]
        .iter()
        .any(|name| head.starts_with(name))
}

#[cfg(test)]
#[allow(
    clippy::wildcard_enum_match_arm,
    clippy::format_push_string,
    reason = "an outline names what a test is about"
)]
mod tests {
    use std::sync::Arc;

    use polywire_conversation::{Event, Ledger};
    use polywire_dialect_chat::ChatReader;

    use super::*;

    const STREAM: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n\
        data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

    const WHOLE: &str = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}"#;

    /// The events of a body in brief: its text, and how it ended.
    fn read(chunks: &[&[u8]], end: StreamEnd) -> String {
        let mut told = String::new();
        let mut sink = |event: Event<'_>| match event {
            Event::TextDelta(text) => told.push_str(&text.to_plain()),
            Event::Finish(reason) => told.push_str(&format!(" / {}", reason.name())),
            Event::Fault(fault) => {
                told.push_str(&format!(" / {}: {}", fault.class.name(), fault.message));
            }
            _ => {}
        };
        let reader = ChatReader::new(Arc::new(Ledger::default()), "seed");
        let mut body = BodyReader::new(Box::new(reader), Framing::Events);
        for chunk in chunks {
            body.push(chunk, &mut sink);
        }
        body.finish(end, &mut sink);
        assert!(body.is_done());
        told
    }

    fn check(chunks: &[&[u8]], expected: &str) {
        assert_eq!(read(chunks, StreamEnd::Closed), expected);
    }

    fn broken() -> StreamEnd {
        StreamEnd::Broken(Fault::new(FaultClass::NetworkCut, "cut"))
    }

    #[test]
    fn events_and_whole_bodies_are_told_apart_by_their_first_byte() {
        for body in [STREAM, WHOLE] {
            check(&[body.as_bytes()], "hi / stop");
            check(&[b"\r\n \n", b" ", body.as_bytes()], "hi / stop");
            let bytes: Vec<&[u8]> = body.as_bytes().chunks(1).collect();
            check(&bytes, "hi / stop");
        }
        check(&[b": a comment\n\n", STREAM.as_bytes()], "hi / stop");
    }

    #[test]
    fn what_is_no_answer_is_a_fault() {
        let page = read(
            &[b"<html><title>Sign in</title>", b"</html>"],
            StreamEnd::Closed,
        );
        assert!(page.contains("Sign in"), "{page}");
        assert!(!page.contains('<'), "{page}");
        for nothing in [[].as_slice(), &[b"".as_slice()], &[b" \n".as_slice()]] {
            let told = read(nothing, StreamEnd::Closed);
            assert!(told.starts_with(" / ") && told.contains(": "), "{told}");
        }
    }

    #[test]
    fn a_cut_body_is_no_answer() {
        assert_eq!(read(&[], broken()), " / network_cut: cut");
        assert_eq!(read(&[WHOLE.as_bytes()], broken()), " / network_cut: cut");
        let half = &STREAM.as_bytes()[..70];
        assert_eq!(read(&[half], broken()), "hi / network_cut: cut");
        // The end mark came: what breaks off behind it belongs to nothing.
        assert_eq!(read(&[STREAM.as_bytes()], broken()), "hi / stop");
    }

    #[test]
    fn bodies_have_limits() {
        let piece = vec![b'x'; 1 << 20];
        let mut event: Vec<&[u8]> = vec![b"data: "];
        event.extend(vec![piece.as_slice(); FRAME_BYTES_MAX / piece.len() + 1]);
        let told = read(&event, StreamEnd::Closed);
        assert!(told.starts_with(" / protocol: the provider sent"), "{told}");

        let mut whole: Vec<&[u8]> = vec![b"{\"a\":\""];
        whole.extend(vec![piece.as_slice(); WHOLE_BYTES_MAX / piece.len()]);
        let told = read(&whole, StreamEnd::Closed);
        assert!(
            told.starts_with(" / protocol: the provider's answer is longer"),
            "{told}"
        );
    }
}
