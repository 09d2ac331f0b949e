//! What a client is written, checked for the promises every answer keeps.

use polywire_conversation::{Event, WriteStream};
use polywire_dialect_chat::{self as chat, ChatWriter};
use polywire_dialect_messages::{self as messages, MessagesWriter, ThinkingDisplay};
use polywire_dialect_responses::{self as responses, Client, Echo, ResponsesWriter};
use polywire_sse::{Decoder, FrameBuffer};
use serde_json::Value;

/// The events that end a Responses stream.
const TERMINALS: [&str; 3] = [
    "response.completed",
    "response.failed",
    "response.incomplete",
];

/// Who reads the answer. A plain client asks for nothing but the answer itself.
#[derive(Clone, Copy)]
pub(crate) enum Reader {
    Responses(Client),
    Chat { plain: bool },
    Messages { plain: bool },
}

/// A writer of the client's dialect with all it has written.
pub(crate) struct Written {
    client: Reader,
    writer: Box<dyn WriteStream>,
    frames: FrameBuffer,
    calls_cut: usize,
}

/// A frame: its name and its data.
type Owned = (String, String);

impl Written {
    pub(crate) fn new(client: Reader) -> Self {
        let writer: Box<dyn WriteStream> = match client {
            Reader::Responses(client) => Box::new(ResponsesWriter::new(for_responses(client))),
            Reader::Chat { plain } => Box::new(ChatWriter::new(for_chat(plain))),
            Reader::Messages { plain } => Box::new(MessagesWriter::new(for_messages(plain))),
        };
        Self {
            client,
            writer,
            frames: FrameBuffer::new(),
            calls_cut: 0,
        }
    }

    pub(crate) fn event(&mut self, event: Event<'_>) {
        self.calls_cut += usize::from(event == Event::CallCut);
        self.writer.push(event, &mut self.frames);
    }

    /// The answer has ended; panics unless the frames are those of a whole stream, and the answer in one piece is JSON.
    pub(crate) fn end(mut self) {
        let frames = read(&self.frames.take());
        match self.client {
            Reader::Responses(_) => check_responses(&frames, self.calls_cut),
            Reader::Chat { .. } => check_chat(&frames),
            Reader::Messages { .. } => check_messages(&frames),
        }
        parse(&self.writer.whole());
    }
}

fn for_responses(client: Client) -> responses::WriterOptions {
    responses::WriterOptions {
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
    }
}

fn for_chat(plain: bool) -> chat::WriterOptions {
    chat::WriterOptions {
        completion_id: "chatcmpl-1".to_owned(),
        created: 1,
        model: "model".to_owned(),
        include_usage: !plain,
        legacy_functions: plain,
        reasoning_details: !plain,
        hide_reasoning: plain,
    }
}

fn for_messages(plain: bool) -> messages::WriterOptions {
    messages::WriterOptions {
        message_id: "msg_1".to_owned(),
        request_id: "req_1".to_owned(),
        model: "model".to_owned(),
        input_tokens_estimate: 1,
        thinking: if plain {
            ThinkingDisplay::Hidden
        } else {
            ThinkingDisplay::Shown
        },
    }
}

/// Every frame is JSON that names its own event, with exactly one terminal, the last, and each item done that was added, but for
/// calls that were cut: those must not be carried out.
fn check_responses(frames: &[Owned], calls_cut: usize) {
    for (name, data) in frames {
        assert_eq!(parse(data.as_bytes())["type"], **name);
    }
    let count = |name: &str| frames.iter().filter(|(event, _)| event == name).count();
    let terminals: usize = TERMINALS.iter().map(|name| count(name)).sum();
    assert_eq!(terminals, 1, "{frames:?}");
    let last = frames.last().map_or("", |(name, _)| name);
    assert!(TERMINALS.contains(&last), "{frames:?}");
    let added = count("response.output_item.added");
    let done = count("response.output_item.done");
    assert!(done <= added && added <= done + calls_cut, "{frames:?}");
}

/// Every frame is JSON, and exactly one says why the answer has ended or what failed. Behind the former comes `[DONE]`; behind the
/// latter nothing, since it would look like success.
fn check_chat(frames: &[Owned]) {
    let is_done = |frame: &Owned| frame.1 == "[DONE]";
    let mut ends = 0;
    let mut failed = false;
    for (_, data) in frames.iter().take_while(|frame| !is_done(frame)) {
        assert!(!failed, "{frames:?}");
        let chunk = parse(data.as_bytes());
        failed = !chunk["error"].is_null();
        ends += usize::from(failed || !chunk["choices"][0]["finish_reason"].is_null());
    }
    assert_eq!(ends, 1, "{frames:?}");
    assert_eq!(
        frames.iter().position(is_done),
        (!failed).then(|| frames.len() - 1),
        "{frames:?}"
    );
}

/// Every frame is JSON that names its own event. Blocks come one after the other, numbered, and each is closed unless the answer
/// failed in it; the last frame ends the message or tells what failed.
fn check_messages(frames: &[Owned]) {
    let mut begun = false;
    let mut index = 0;
    let mut is_open = false;
    for (place, (name, data)) in frames.iter().enumerate() {
        let data = parse(data.as_bytes());
        assert_eq!(data["type"], **name);
        let is_last = place + 1 == frames.len();
        match &**name {
            "message_start" => assert!(!std::mem::replace(&mut begun, true)),
            "content_block_start" => {
                assert!(
                    begun && !std::mem::replace(&mut is_open, true),
                    "{frames:?}"
                );
                assert_eq!(data["index"], index);
            }
            "content_block_delta" => {
                assert!(is_open, "{frames:?}");
                assert_eq!(data["index"], index);
            }
            "content_block_stop" => {
                assert!(std::mem::replace(&mut is_open, false), "{frames:?}");
                assert_eq!(data["index"], index);
                index += 1;
            }
            "message_delta" => assert!(begun && !is_open, "{frames:?}"),
            "message_stop" => assert!(begun && is_last && !is_open, "{frames:?}"),
            "error" => assert!(is_last, "{frames:?}"),
            "ping" => {}
            other => panic!("an event that the protocol does not have: {other}"),
        }
        assert!(
            !is_last || matches!(&**name, "message_stop" | "error"),
            "{frames:?}"
        );
    }
}

fn read(bytes: &[u8]) -> Vec<Owned> {
    let mut frames = Vec::new();
    let mut decoder = Decoder::new(usize::MAX);
    let owned = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let read = decoder.push(bytes, |frame| {
        frames.push((owned(frame.event), owned(frame.data)));
    });
    assert_eq!(read, Ok(()));
    assert_eq!(decoder.buffered_bytes(), 0, "an unfinished frame");
    frames
}

fn parse(json: &[u8]) -> Value {
    match serde_json::from_slice(json) {
        Ok(value) => value,
        Err(error) => panic!("{error}: {}", String::from_utf8_lossy(json)),
    }
}
