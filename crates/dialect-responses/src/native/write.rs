//! Passes a provider's events on to a client of the same protocol.

use polywire_conversation::{Event, Fault, Native, Usage, WriteStream};
use polywire_sse::FrameBuffer;
use polywire_wire::{One, wire_object};
use serde_json::value::RawValue;

use super::items::Items;
use super::splice::{self, Edit, json_string, offset_of};
use crate::failure::failed;
use crate::write::frames::Frames;
use crate::write::response::{Ending, Frame, write_usage};
use crate::write::write_error_event;
use crate::{Client, WriterOptions};

wire_object! {
    WireNative {
        tag: "type",
        sequence_number: "sequence_number",
        response: "response",
        item: "item",
        output_index: "output_index",
    }
}

/// Writes the events of a provider as they are.
///
/// Only of a response that is kept here, or goes on from one, the members are ours that say so: the provider keeps nothing, and its ids
/// need not differ from those of another.
///
/// A response at its end that says nothing of its usage is held back until what is known or estimated of it has come.
///
/// Only where something of ours stands among them, a sign of life or a failure, are the numbers of the events behind it moved,
/// so that they have no gaps. When a sign of life has to come before all else, it is a `response.created`, because clients insist
/// on that as the first event; the provider's own is then left out. A failure is told with the response as the provider has told
/// it last.
#[derive(Debug)]
pub struct NativeWriter {
    client: Client,
    own: Frame,
    now: u64,
    /// The response as it was told last.
    response: Option<String>,
    /// The items that are done.
    items: Items,
    /// The number that the next event gets.
    next: u64,
    /// How many events of ours stand among the provider's, less those of the provider's that were left out.
    added: i64,
    /// The answer in one piece, when it came so or has failed.
    whole: Option<Vec<u8>>,
    ended: bool,
    /// Whether anything was written.
    begun: bool,
    /// Whether the first event was ours, in place of the provider's.
    begun_by_us: bool,
    kept: Option<Kept>,
    /// The end of the answer, name and data, which lacks its usage.
    held: Option<(String, String)>,
    usage: Option<Usage>,
}

/// The members of a response that is kept here, as JSON text.
#[derive(Debug)]
struct Kept {
    id: String,
    store: &'static str,
    previous_response_id: String,
}

impl Kept {
    fn new(options: &WriterOptions) -> Option<Self> {
        let previous = options.previous_response_id.as_deref();
        (options.store || previous.is_some()).then(|| Self {
            id: json_string(&options.response_id),
            store: if options.store { "true" } else { "false" },
            previous_response_id: previous.map_or_else(|| "null".to_owned(), json_string),
        })
    }

    /// The response with our members in the place of the provider's.
    fn edit(&self, response: &str) -> Option<String> {
        let members = splice::object(response)?;
        let own = |key: &str| match key {
            "id" => Some(&*self.id),
            "store" => Some(self.store),
            "previous_response_id" => Some(&*self.previous_response_id),
            _ => None,
        };
        let more: Vec<(&str, String)> = ["id", "store", "previous_response_id"]
            .into_iter()
            .filter(|key| !members.has(key))
            .filter_map(|key| Some((key, own(key)?.to_owned())))
            .collect();
        Some(members.rewrite(
            |_, member| own(&member.key).map_or(Edit::Keep, |own| Edit::Replace(own.to_owned())),
            &more,
        ))
    }
}

impl NativeWriter {
    /// A writer that has written nothing yet. What the options say of the response counts only where the provider said nothing.
    pub fn new(options: &WriterOptions) -> Self {
        Self {
            client: options.client,
            own: Frame::new(options),
            now: options.created_at,
            response: None,
            items: Items::default(),
            next: 0,
            added: 0,
            whole: None,
            ended: false,
            begun: false,
            begun_by_us: false,
            kept: Kept::new(options),
            held: None,
            usage: None,
        }
    }

    fn native(&mut self, native: Native<'_>, may_wait: bool, out: &mut FrameBuffer) {
        let edited = self
            .kept
            .as_ref()
            .and_then(|kept| edit_response(&|it| kept.edit(it), native.event, native.data));
        let native = Native {
            data: edited.as_deref().unwrap_or(native.data),
            ..native
        };
        if native.event.is_empty() {
            if may_wait && lacks_usage(native.data) {
                self.held = Some((String::new(), native.data.to_owned()));
                return;
            }
            self.whole = Some(native.data.as_bytes().to_vec());
            self.ended = true;
            return;
        }
        let wire: WireNative<'_> = serde_json::from_str(native.data)
            .map_or_else(|_| WireNative::default(), |One(wire)| wire);
        let tag = wire.tag.map_or("", RawValue::get).trim_matches('"');
        let is_end = matches!(
            tag,
            "response.completed" | "response.incomplete" | "response.done"
        );
        if self.client == Client::Sdk && !is_public(tag) {
            self.added -= i64::from(wire.sequence_number.is_some());
            return;
        }
        // Some back ends leave the output of the response at the end empty.
        if is_end
            && let Some(filled) =
                edit_response(&|it| self.items.fill(it), native.event, native.data)
        {
            let data = &*filled;
            return self.native(Native { data, ..native }, may_wait, out);
        }
        if is_end
            && may_wait
            && let Some(response) = wire.response
            && lacks_usage(response.get())
        {
            self.held = Some((native.event.to_owned(), native.data.to_owned()));
            return;
        }
        if let Some(response) = wire.response {
            self.response = Some(response.get().to_owned());
        }
        if let ("response.output_item.done", Some(item)) = (tag, wire.item) {
            self.items.done(wire.output_index, item.get());
        }
        if tag == "response.created" && std::mem::take(&mut self.begun_by_us) {
            self.added -= 1;
            return;
        }
        self.begun = true;
        self.ended = is_end;
        self.write_numbered(native, wire.sequence_number, out);
    }

    /// Writes the end that was held back, with the usage that has come since.
    fn finish(&mut self, out: &mut FrameBuffer) {
        let Some((event, data)) = self.held.take() else {
            return;
        };
        let filled = self.usage.as_ref().and_then(|usage| {
            edit_response(&|response| with_usage(response, usage), &event, &data)
        });
        let native = Native {
            event: &event,
            data: filled.as_deref().unwrap_or(&data),
        };
        self.native(native, false, out);
    }

    /// Writes the event with its own number, moved by what was added before it.
    fn write_numbered(
        &mut self,
        native: Native<'_>,
        number: Option<&RawValue>,
        out: &mut FrameBuffer,
    ) {
        let own = number.and_then(|raw| raw.get().parse::<u64>().ok());
        let place = number.and_then(|raw| {
            let start = offset_of(raw.get(), native.data)?;
            Some((start, start + raw.get().len()))
        });
        let data = out.open(native.event);
        match (own, place) {
            (Some(own), Some((start, end))) if self.added != 0 => {
                let moved = own.saturating_add_signed(self.added);
                data.extend_from_slice(&native.data.as_bytes()[..start]);
                data.extend_from_slice(moved.to_string().as_bytes());
                data.extend_from_slice(&native.data.as_bytes()[end..]);
                self.next = moved.saturating_add(1);
            }
            (Some(own), _) => {
                data.extend_from_slice(native.data.as_bytes());
                self.next = own.saturating_add(1);
            }
            (None, _) => {
                data.extend_from_slice(native.data.as_bytes());
                self.next += 1;
            }
        }
        out.close();
    }

    /// Writes an event of ours that carries the response as it was told last.
    fn own_event(&mut self, name: &str, out: &mut FrameBuffer) {
        let response = match &self.response {
            Some(response) => response.clone().into_bytes(),
            None => self.own.in_progress(),
        };
        let mut frames = Frames {
            out,
            sequence: self.next,
        };
        frames.event(name, &[b",\"response\":", &response]);
        self.next = frames.sequence;
        self.added += 1;
    }

    fn begin(&mut self, out: &mut FrameBuffer) {
        self.begun = true;
        self.begun_by_us = true;
        self.own_event("response.created", out);
    }

    fn fail(&mut self, fault: &Fault, out: &mut FrameBuffer) {
        if !self.begun {
            self.begin(out);
        }
        let (code, message) = failed(fault, self.client);
        let response = match &self.response {
            Some(response) => failed_response(response, code, &message),
            None => None,
        };
        let response = response.unwrap_or_else(|| {
            let ending = Ending::Failed {
                code,
                message: message.clone(),
            };
            self.own.ended(&ending, self.now, b"", None)
        });
        let mut frames = Frames {
            out,
            sequence: self.next,
        };
        if self.client == Client::Sdk {
            write_error_event(fault, code, &message, &mut frames);
        }
        frames.event("response.failed", &[b",\"response\":", &response]);
        self.next = frames.sequence;
        self.whole = Some(response);
        self.ended = true;
    }
}

/// The data of an event, or a whole answer, with its response changed by `edit`; nothing when there is no response in it.
fn edit_response(edit: &dyn Fn(&str) -> Option<String>, event: &str, data: &str) -> Option<String> {
    if event.is_empty() {
        return edit(data);
    }
    let One(wire): One<WireNative<'_>> = serde_json::from_str(data).ok()?;
    let response = wire.response?.get();
    let start = offset_of(response, data)?;
    let edited = edit(response)?;
    Some([&data[..start], &edited, &data[start + response.len()..]].concat())
}

/// Whether an event is one that the protocol's description has, or may come to have. Others are a provider's own: strict clients stop at
/// them.
fn is_public(tag: &str) -> bool {
    tag.starts_with("response.") || tag == "error"
}

fn lacks_usage(response: &str) -> bool {
    splice::object(response).is_some_and(|members| {
        let mut pieces = members.pieces.iter();
        !pieces.any(|member| member.key == "usage" && member.value != "null")
    })
}

/// The response with this usage in the place of none.
fn with_usage(response: &str, usage: &Usage) -> Option<String> {
    let members = splice::object(response)?;
    let mut written = Vec::new();
    write_usage(Some(usage), &mut written);
    let written = String::from_utf8(written).ok()?;
    let more = (!members.has("usage")).then(|| ("usage", written.clone()));
    Some(members.rewrite(
        |_, member| match &*member.key {
            "usage" => Edit::Replace(written.clone()),
            _ => Edit::Keep,
        },
        more.as_slice(),
    ))
}

/// A response of the provider as one that has failed.
fn failed_response(response: &str, code: &str, message: &str) -> Option<Vec<u8>> {
    let members = splice::object(response)?;
    let error = format!(
        "{{\"code\":{},\"message\":{}}}",
        json_string(code),
        json_string(message)
    );
    let mut more = Vec::new();
    for (key, value) in [("status", "\"failed\""), ("error", &*error)] {
        if !members.has(key) {
            more.push((key, value.to_owned()));
        }
    }
    let response = members.rewrite(
        |_, member| match &*member.key {
            "status" => Edit::Replace("\"failed\"".to_owned()),
            "error" => Edit::Replace(error.clone()),
            _ => Edit::Keep,
        },
        &more,
    );
    Some(response.into_bytes())
}

impl WriteStream for NativeWriter {
    fn tick(&mut self, unix_seconds: u64) {
        self.now = self.now.max(unix_seconds);
    }

    fn push(&mut self, event: Event<'_>, out: &mut FrameBuffer) {
        if self.ended {
            return;
        }
        match event {
            Event::Native(native) => self.native(native, true, out),
            Event::Fault(fault) => self.fail(&fault, out),
            Event::Usage(usage) => self.usage = Some(usage),
            Event::Finish(_) => self.finish(out),
            Event::Start { .. }
            | Event::ReasoningStart
            | Event::ReasoningDelta(_)
            | Event::ReasoningOpaque(_)
            | Event::ReasoningEnd
            | Event::TextStart
            | Event::TextDelta(_)
            | Event::Citation(_)
            | Event::Logprobs(_)
            | Event::TextEnd
            | Event::RefusalStart
            | Event::RefusalDelta(_)
            | Event::RefusalEnd
            | Event::CallStart { .. }
            | Event::CallDelta(_)
            | Event::CallEnd
            | Event::CallCut
            | Event::WebSearch(_)
            | Event::StoppedAt(_)
            | Event::Loss(_) => {}
        }
    }

    fn heartbeat(&mut self, out: &mut FrameBuffer) {
        if self.ended {
            return;
        }
        if self.begun {
            self.own_event("response.in_progress", out);
        } else {
            self.begin(out);
        }
    }

    fn whole(&mut self) -> Vec<u8> {
        if let Some(whole) = &self.whole {
            return whole.clone();
        }
        let Some(response) = &self.response else {
            return self.own.in_progress();
        };
        let filled = self.items.fill(response);
        filled.unwrap_or_else(|| response.clone()).into_bytes()
    }
}
