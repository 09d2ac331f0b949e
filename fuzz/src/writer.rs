//! What a client is written, checked for the promises every answer keeps.

use polywire_conversation::{Event, WriteStream};
use polywire_dialect_responses::{Client, Echo, ResponsesWriter, WriterOptions};
use polywire_sse::{Decoder, FrameBuffer};
use serde_json::Value;

/// The events that end a Responses stream.
const TERMINALS: [&str; 3] = [
    "response.completed",
    "response.failed",
    "response.incomplete",
];

/// A writer of the Responses dialect with all it has written.
pub(crate) struct Written {
    writer: ResponsesWriter,
    frames: FrameBuffer,
    calls_cut: usize,
}

impl Written {
    pub(crate) fn new(client: Client) -> Self {
        let options = WriterOptions {
            response_id: "resp_1".to_owned(),
            created_at: 1,
            model: "model".to_owned(),
            client,
            echo: Echo::default(),
            output_tokens_max: None,
            previous_response_id: None,
            store: false,
            logprobs: false,
            compaction: None,
        };
        Self {
            writer: ResponsesWriter::new(options),
            frames: FrameBuffer::new(),
            calls_cut: 0,
        }
    }

    pub(crate) fn event(&mut self, event: Event<'_>) {
        self.calls_cut += usize::from(event == Event::CallCut);
        self.writer.push(event, &mut self.frames);
    }

    /// The answer has ended; panics unless every frame is JSON that names its own event, with exactly one terminal, the last,
    /// and each item done that was added, but for calls that were cut: those must not be carried out.
    pub(crate) fn end(mut self) {
        let events = read(&self.frames.take());
        let count = |name: &str| events.iter().filter(|event| *event == name).count();
        let terminals: usize = TERMINALS.iter().map(|name| count(name)).sum();
        assert_eq!(terminals, 1, "{events:?}");
        let last = events.last().map_or("", String::as_str);
        assert!(TERMINALS.contains(&last), "{events:?}");
        let added = count("response.output_item.added");
        let done = count("response.output_item.done");
        assert!(
            done <= added && added <= done + self.calls_cut,
            "{events:?}"
        );
        parse(&self.writer.whole());
    }
}

fn read(bytes: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    let mut decoder = Decoder::new(usize::MAX);
    let read = decoder.push(bytes, |frame| {
        let name = parse(frame.data)["type"].as_str().map(str::to_owned);
        assert_eq!(name.as_deref().map(str::as_bytes), Some(frame.event));
        names.extend(name);
    });
    assert_eq!(read, Ok(()));
    assert_eq!(decoder.buffered_bytes(), 0, "an unfinished frame");
    names
}

fn parse(json: &[u8]) -> Value {
    match serde_json::from_slice(json) {
        Ok(value) => value,
        Err(error) => panic!("{error}: {}", String::from_utf8_lossy(json)),
    }
}
