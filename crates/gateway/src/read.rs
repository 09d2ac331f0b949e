//! Bytes of a provider's answer to events: looks what kind of answer it is, then lets the dialect read it.

use polywire_conversation::{EventSink, Fault, FaultClass, ReadStream, StreamEnd};
use polywire_sse::Decoder;

use crate::limits::{FRAME_BYTES_MAX, WHOLE_BYTES_MAX};

/// Reads the body of one provider answer.
///
/// The content type is no guide: providers answer a request for a stream with a JSON body, and send JSON as octets. The first
/// byte that is not white space tells the two apart.
pub struct BodyReader {
    form: BodyForm,
    reader: Box<dyn ReadStream>,
}

enum BodyForm {
    /// Only white space so far.
    Unknown,
    Events(Decoder),
    /// One JSON body, or a page of HTML; collected and read at its end.
    Whole(Vec<u8>),
}

impl BodyReader {
    /// A reader that gives what it finds to `reader`.
    pub fn new(reader: Box<dyn ReadStream>) -> Self {
        Self {
            form: BodyForm::Unknown,
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
                _ => BodyForm::Events(Decoder::new(FRAME_BYTES_MAX)),
            };
        }
        match &mut self.form {
            BodyForm::Unknown => {}
            BodyForm::Events(decoder) => {
                let reader = &mut self.reader;
                if let Err(error) = decoder.push(chunk, |frame| reader.push(frame, sink)) {
                    let fault =
                        Fault::new(FaultClass::Protocol, format!("the provider sent {error}"));
                    self.reader.finish(StreamEnd::Broken(fault), sink);
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
        let reader = &mut self.reader;
        match &mut self.form {
            BodyForm::Unknown => {}
            BodyForm::Events(decoder) => decoder.finish(|frame| reader.push(frame, sink)),
            BodyForm::Whole(body) if end == StreamEnd::Closed => reader.whole(body, sink),
            BodyForm::Whole(_) => {}
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
