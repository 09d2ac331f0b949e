//! Neutral events to the events of a Responses stream.
//!
//! The writer here keeps the order: which item is open, what ends it, how the answer ends. What the events look like is in
//! `items` and `response`.

mod compaction;
mod finish;
pub(crate) mod frames;
mod items;
mod messages;
pub(crate) mod response;
mod searches;

use std::fmt;

use polywire_conversation::{
    Citation, Event, Fault, FaultClass, Form, Json, Opaque, OpaqueKind, Raised, Retry, Text, Usage,
    WebSearch, WriteStream,
};
use polywire_sse::FrameBuffer;

use crate::limits::OUTPUT_BYTES_MAX;
use crate::{Client, Echo};
use compaction::Compaction;
pub use compaction::{Compacted, Seal, render_compacted};
pub(crate) use finish::write_error_event;
use frames::Frames;
use items::{CallItem, Identity, ReasoningItem, SearchItem, Status, Target};
use messages::{MessageItem, Said};
use response::{Ending, Frame};

/// What a [`ResponsesWriter`] needs to know.
pub struct WriterOptions {
    /// The id of the response, `resp_…`. The ids of its items are made from it.
    pub response_id: String,
    /// When the response began, in seconds since 1970.
    pub created_at: u64,
    /// The model as the client named it.
    pub model: String,
    /// Who reads the stream.
    pub client: Client,
    /// What the response object repeats of the request.
    pub echo: Echo,
    /// The output limit in force, in tokens, for the note that an answer was cut off by it.
    pub output_tokens_max: Option<u64>,
    /// The response that this one goes on from.
    pub previous_response_id: Option<String>,
    /// Whether the response can be asked for later.
    pub store: bool,
    /// Whether the client wants the probabilities of tokens. Each piece of text then waits for its own.
    pub logprobs: bool,
    /// Seals the summary when the answer is to be one that stands in the place of the conversation. Its text is then shown to
    /// nobody, and the answer is one `compaction` item.
    pub compaction: Option<Seal>,
}

impl fmt::Debug for WriterOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriterOptions")
            .field("response_id", &self.response_id)
            .field("model", &self.model)
            .field("client", &self.client)
            .field("compaction", &self.compaction.is_some())
            .finish_non_exhaustive()
    }
}

/// Writes one answer as a stream of Responses events.
///
/// Events that come in an order that [`Event`] does not promise never make it panic or write an ill-formed stream: an item that
/// was left open is closed before the next, a call that was left open counts as cut, deltas without a call are ignored.
///
/// Opaque reasoning goes to the client in `encrypted_content` when its kind is [`OpaqueKind::Sealed`]. Other kinds are
/// meaningless without the name of their provider, which is not known here; whoever knows it seals them into that form first.
#[derive(Debug)]
pub struct ResponsesWriter {
    client: Client,
    response_id: String,
    response: Frame,
    output_tokens_max: Option<u64>,
    now: u64,
    stage: Stage,
    sequence: u64,
    items_begun: u64,
    open: Open,
    /// The items that are done, separated by commas.
    output: Vec<u8>,
    /// Names of tools whose calls were cut off.
    calls_cut: Vec<String>,
    usage: Option<Usage>,
    /// All text so far, to keep the limit.
    text_bytes: usize,
    /// The failure that the writer itself made of the answer.
    own_failure: Option<Fault>,
    wants_logprobs: bool,
    /// A piece of text that waits for its probabilities.
    waiting: Option<(Said, Text<'static>)>,
    compaction: Option<Compaction>,
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Before,
    Streaming,
    Ended(Ending),
}

/// The item that is open.
#[derive(Debug)]
enum Open {
    Nothing,
    Message(MessageItem),
    Reasoning(ReasoningItem),
    Call(CallItem),
    Search(SearchItem),
}

impl ResponsesWriter {
    /// A writer that has written nothing yet.
    pub fn new(options: WriterOptions) -> Self {
        Self {
            client: options.client,
            response: Frame::new(&options),
            response_id: options.response_id,
            output_tokens_max: options.output_tokens_max,
            now: options.created_at,
            stage: Stage::Before,
            sequence: 0,
            items_begun: 0,
            open: Open::Nothing,
            output: Vec::new(),
            calls_cut: Vec::new(),
            usage: None,
            text_bytes: 0,
            own_failure: None,
            wants_logprobs: options.logprobs,
            waiting: None,
            compaction: options.compaction.map(Compaction::new),
        }
    }

    /// What one event means to the client.
    fn event(&mut self, event: Event<'_>, out: &mut Frames<'_>) {
        match self.stage {
            Stage::Ended(_) => return,
            Stage::Before if matches!(event, Event::Usage(_) | Event::Loss(_)) => {}
            Stage::Before => self.begin(out),
            Stage::Streaming => {}
        }
        if self.compaction.is_some() {
            self.compaction_event(event, out);
            return;
        }
        let says_more = matches!(event, Event::Logprobs(_) | Event::Usage(_) | Event::Loss(_));
        if !says_more {
            self.write_waiting(None, out);
        }
        match event {
            // Items are opened by their first piece of text, so that nothing empty is sent.
            Event::Start { .. }
            | Event::ReasoningStart
            | Event::TextStart
            | Event::RefusalStart
            | Event::Loss(_)
            | Event::Native(_)
            | Event::StoppedAt(_) => {}
            Event::TextDelta(text) if self.wants_logprobs => {
                self.waiting = Some((Said::Text, text.into_owned()));
            }
            Event::TextDelta(text) => self.text(Said::Text, &text, out),
            Event::Logprobs(logprobs) => self.logprobs(&logprobs, out),
            Event::Citation(citation) => self.citation(&citation, out),
            Event::WebSearch(search) => self.web_search(&search, out),
            Event::TextEnd | Event::RefusalEnd => self.text_end(),
            Event::RefusalDelta(text) => self.text(Said::Refusal, &text, out),
            Event::ReasoningDelta(text) => self.reasoning_delta(&text, out),
            Event::ReasoningOpaque(opaque) => self.reasoning_opaque(&opaque, out),
            Event::ReasoningEnd => self.reasoning_end(out),
            Event::CallStart { id, tool } => self.call_start(id, &tool, out),
            Event::CallDelta(text) => self.call_delta(&text, out),
            Event::CallEnd => self.call_end(out),
            Event::CallCut => self.call_cut(out),
            Event::Usage(usage) => self.usage = Some(usage),
            Event::Finish(reason) => self.finish(reason, out),
            Event::Fault(fault) => self.fail(&fault, out),
        }
    }

    fn sign_of_life(&mut self, out: &mut Frames<'_>) {
        self.write_waiting(None, out);
        match self.stage {
            Stage::Before => self.begin(out),
            Stage::Streaming => {
                let response = self.response.in_progress();
                out.event("response.in_progress", &[b",\"response\":", &response]);
            }
            Stage::Ended(_) => {}
        }
    }

    fn begin(&mut self, out: &mut Frames<'_>) {
        self.stage = Stage::Streaming;
        let response = self.response.in_progress();
        for name in ["response.created", "response.in_progress"] {
            out.event(name, &[b",\"response\":", &response]);
        }
    }

    fn identity(&mut self, prefix: &str) -> Identity {
        let index = self.items_begun;
        self.items_begun += 1;
        Identity::new(prefix, &self.response_id, index)
    }

    fn keep(&mut self, item: &[u8]) {
        if !self.output.is_empty() {
            self.output.push(b',');
        }
        self.output.extend_from_slice(item);
    }

    /// Counts text against the limit. `false` when there is no room for more, and the answer failed.
    fn has_room(&mut self, text: &Text<'_>, out: &mut Frames<'_>) -> bool {
        self.text_bytes = self.text_bytes.saturating_add(text.as_written().len());
        if self.text_bytes <= OUTPUT_BYTES_MAX {
            return true;
        }
        let message = format!("the answer is longer than {} MiB", OUTPUT_BYTES_MAX >> 20);
        // An answer without end would be as long the next time.
        let fault = Fault::new(FaultClass::Protocol, message).with_retry(Retry::Never);
        self.fail(&fault, out);
        self.own_failure = Some(fault);
        false
    }

    /// Writes the piece of text that waits for its probabilities, with them or because they do not come.
    fn write_waiting(&mut self, logprobs: Option<&Json<'_>>, out: &mut Frames<'_>) {
        if let Some((said, text)) = self.waiting.take() {
            self.text_with(said, &text, logprobs, out);
        }
    }

    fn logprobs(&mut self, logprobs: &Json<'_>, out: &mut Frames<'_>) {
        if !self.wants_logprobs {
            return;
        }
        if self.waiting.is_some() {
            self.write_waiting(Some(logprobs), out);
        } else if let Open::Message(item) = &mut self.open {
            item.keep_logprobs(logprobs);
        }
    }

    fn citation(&mut self, citation: &Citation<'_>, out: &mut Frames<'_>) {
        if !self.has_room(&citation.url, out) {
            return;
        }
        if let Open::Message(item) = &mut self.open {
            item.cite(citation, out);
        }
    }

    fn web_search(&mut self, search: &WebSearch<'_>, out: &mut Frames<'_>) {
        let urls = search.sources.iter().map(|(url, _)| url);
        for text in std::iter::once(&search.query).chain(urls) {
            if !self.has_room(text, out) {
                return;
            }
        }
        self.close_item(Status::Completed, out);
        let identity = self.identity("ws");
        let item = searches::write(search, &identity, out);
        self.keep(&item);
    }

    fn text(&mut self, said: Said, text: &Text<'_>, out: &mut Frames<'_>) {
        self.text_with(said, text, None, out);
    }

    fn text_with(
        &mut self,
        said: Said,
        text: &Text<'_>,
        logprobs: Option<&Json<'_>>,
        out: &mut Frames<'_>,
    ) {
        if text.is_empty() || !self.has_room(text, out) {
            return;
        }
        // Codex drops a whole message that holds a refusal part.
        let said = match self.client {
            Client::Codex => Said::Text,
            Client::Sdk => said,
        };
        let fits = matches!(&self.open, Open::Message(item) if !item.ended && item.said() == said);
        if !fits {
            self.close_item(Status::Completed, out);
            let identity = self.identity("msg");
            self.open = Open::Message(MessageItem::open(identity, said, out));
        }
        if let Open::Message(item) = &mut self.open {
            match logprobs {
                Some(logprobs) => item.push_with_logprobs(text, logprobs, out),
                None => item.push(text, out),
            }
        }
    }

    /// The open reasoning item, opened if need be.
    fn reasoning(&mut self, out: &mut Frames<'_>) -> Option<&mut ReasoningItem> {
        if !matches!(self.open, Open::Reasoning(_)) {
            self.close_item(Status::Completed, out);
            let identity = self.identity("rs");
            self.open = Open::Reasoning(ReasoningItem::open(identity, out));
        }
        match &mut self.open {
            Open::Reasoning(item) => Some(item),
            Open::Nothing | Open::Message(_) | Open::Call(_) | Open::Search(_) => None,
        }
    }

    fn reasoning_delta(&mut self, text: &Text<'_>, out: &mut Frames<'_>) {
        if text.is_empty() || !self.has_room(text, out) {
            return;
        }
        if let Some(item) = self.reasoning(out) {
            item.push(text, out);
        }
    }

    fn reasoning_opaque(&mut self, opaque: &Opaque<'_>, out: &mut Frames<'_>) {
        match opaque.kind {
            OpaqueKind::Sealed if self.has_room(&opaque.state, out) => {
                if let Some(item) = self.reasoning(out) {
                    item.seal(&opaque.state);
                }
            }
            OpaqueKind::Sealed
            | OpaqueKind::Encrypted
            | OpaqueKind::Redacted
            | OpaqueKind::Item
            | OpaqueKind::Detail
            | OpaqueKind::Signature
            | OpaqueKind::CallSignature => {}
        }
    }

    fn call_start(&mut self, id: &str, tool: &Raised<'_>, out: &mut Frames<'_>) {
        self.close_item(Status::Completed, out);
        let target = Target::new(id, tool);
        self.open = match tool.form {
            Form::Search => Open::Search(SearchItem {
                target,
                arguments: Vec::new(),
            }),
            Form::Function | Form::Freeform => Open::Call(self.open_call(tool.form, target, out)),
        };
    }

    fn open_call(&mut self, form: Form, target: Target, out: &mut Frames<'_>) -> CallItem {
        let identity = self.identity(CallItem::prefix(form));
        CallItem::open(identity, form, target, out)
    }

    fn call_delta(&mut self, text: &Text<'_>, out: &mut Frames<'_>) {
        if text.is_empty() || !self.has_room(text, out) {
            return;
        }
        match &mut self.open {
            Open::Call(item) => item.push(text, out),
            Open::Search(item) => text.write_escaped(&mut item.arguments),
            Open::Nothing | Open::Message(_) | Open::Reasoning(_) => {}
        }
    }

    fn call_end(&mut self, out: &mut Frames<'_>) {
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Call(item) => {
                let item = item.close(out);
                self.keep(&item);
            }
            Open::Search(item) => self.search_end(item, out),
            other @ (Open::Nothing | Open::Message(_) | Open::Reasoning(_)) => self.open = other,
        }
    }

    /// A search whose arguments are no object goes out as a function call, so that the client can tell the model so.
    fn search_end(&mut self, search: SearchItem, out: &mut Frames<'_>) {
        let item = if let Some(object) = search.object() {
            let identity = self.identity("tsc");
            search.write(&identity, &object, out)
        } else {
            let call = self.search_as_function(search, out);
            call.close(out)
        };
        self.keep(&item);
    }

    fn search_as_function(&mut self, search: SearchItem, out: &mut Frames<'_>) -> CallItem {
        let mut call = self.open_call(Form::Function, search.target, out);
        if !search.arguments.is_empty() {
            let arguments = Text::escaped(String::from_utf8_lossy(&search.arguments));
            call.push(&arguments, out);
        }
        call
    }

    /// A call was cut off. Codex gets no finished item for it, because it would carry out whatever it gets; others get one that
    /// says it is incomplete.
    fn call_cut(&mut self, out: &mut Frames<'_>) {
        let call = match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Call(call) => call,
            Open::Search(search) if self.client == Client::Codex => {
                self.calls_cut.push(search.target.plain_name);
                return;
            }
            Open::Search(search) => self.search_as_function(search, out),
            other @ (Open::Nothing | Open::Message(_) | Open::Reasoning(_)) => {
                self.open = other;
                return;
            }
        };
        self.calls_cut.push(call.name().to_owned());
        if self.client == Client::Sdk {
            let item = call.cut(out);
            self.keep(&item);
        }
    }

    /// Closes whatever is open. A message gets the given status; a call that is still open was cut.
    fn close_item(&mut self, status: Status, out: &mut Frames<'_>) {
        let item = match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => return,
            Open::Message(item) => item.close(status, out),
            Open::Reasoning(item) => item.close(out),
            open @ (Open::Call(_) | Open::Search(_)) => {
                self.open = open;
                self.call_cut(out);
                return;
            }
        };
        self.keep(&item);
    }

    fn text_end(&mut self) {
        // The message stays open: only what comes next tells whether it was cut off.
        if let Open::Message(item) = &mut self.open {
            item.ended = true;
        }
    }

    fn reasoning_end(&mut self, out: &mut Frames<'_>) {
        if matches!(self.open, Open::Reasoning(_)) {
            self.close_item(Status::Completed, out);
        }
    }
}

impl WriteStream for ResponsesWriter {
    fn tick(&mut self, unix_seconds: u64) {
        self.now = self.now.max(unix_seconds);
    }

    fn push(&mut self, event: Event<'_>, out: &mut FrameBuffer) {
        let mut frames = Frames {
            out,
            sequence: self.sequence,
        };
        self.event(event, &mut frames);
        self.sequence = frames.sequence;
    }

    fn heartbeat(&mut self, out: &mut FrameBuffer) {
        let mut frames = Frames {
            out,
            sequence: self.sequence,
        };
        self.sign_of_life(&mut frames);
        self.sequence = frames.sequence;
    }

    fn failure(&self) -> Option<&Fault> {
        self.own_failure.as_ref()
    }

    fn whole(&mut self) -> Vec<u8> {
        match &self.stage {
            Stage::Ended(ending) => {
                self.response
                    .ended(ending, self.now, &self.output, self.usage.as_ref())
            }
            Stage::Before | Stage::Streaming => self.response.in_progress(),
        }
    }
}
