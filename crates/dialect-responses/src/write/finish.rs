//! How an answer ends, for each kind of client.

use polywire_conversation::{Event, Fault, FaultClass, StopReason, Text};

use super::frames::Frames;
use super::items::Status;
use super::messages::Said;
use super::response::Ending;
use super::{Open, ResponsesWriter, Stage};
use crate::Client;
use crate::failure::{failed, write_error_members, write_optional};

impl ResponsesWriter {
    /// What one event means for an answer that stands in the place of the conversation: only its text counts.
    pub(super) fn compaction_event(&mut self, event: Event<'_>, out: &mut Frames<'_>) {
        match event {
            Event::TextDelta(text) if self.has_room(&text, out) => {
                if let Some(compaction) = &mut self.compaction {
                    compaction.push(&text);
                }
            }
            Event::Usage(usage) => self.usage = Some(usage),
            Event::Finish(reason) => self.finish_compaction(reason, out),
            Event::Fault(fault) => self.fail(&fault, out),
            Event::TextDelta(_)
            | Event::Start { .. }
            | Event::ReasoningStart
            | Event::ReasoningDelta(_)
            | Event::ReasoningOpaque(_)
            | Event::ReasoningEnd
            | Event::TextStart
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
            | Event::Native(_)
            | Event::StoppedAt(_)
            | Event::Loss(_) => {}
        }
    }

    pub(super) fn finish_compaction(&mut self, reason: StopReason, out: &mut Frames<'_>) {
        let identity = self.identity("cmp");
        let Some(compaction) = &self.compaction else {
            return;
        };
        if let Some(fault) = compaction.failure(reason) {
            self.fail(&fault, out);
            self.own_failure = Some(fault);
            return;
        }
        let item = compaction.write(&identity, out);
        self.keep(&item);
        self.end(Ending::Completed, out);
    }

    pub(super) fn finish(&mut self, reason: StopReason, out: &mut Frames<'_>) {
        if matches!(self.open, Open::Call(_) | Open::Search(_)) {
            self.call_cut(out);
        }
        match self.client {
            Client::Codex => self.finish_for_codex(reason, out),
            Client::Sdk => self.finish_for_sdk(reason, out),
        }
    }

    pub(super) fn finish_for_sdk(&mut self, reason: StopReason, out: &mut Frames<'_>) {
        let ending = match reason {
            StopReason::ContentFilter => Ending::Incomplete {
                reason: "content_filter",
            },
            StopReason::Length => Ending::Incomplete {
                reason: "max_output_tokens",
            },
            // A call that was cut makes the answer incomplete, whatever the provider says; the protocol has no better word.
            StopReason::Stop | StopReason::Calls | StopReason::Pause
                if !self.calls_cut.is_empty() =>
            {
                Ending::Incomplete {
                    reason: "max_output_tokens",
                }
            }
            StopReason::Stop | StopReason::Calls | StopReason::Pause => Ending::Completed,
        };
        let status = match ending {
            Ending::Completed => Status::Completed,
            Ending::Incomplete { .. } | Ending::Failed { .. } => Status::Incomplete,
        };
        self.close_item(status, out);
        self.end(ending, out);
    }

    /// Codex repeats the whole turn after `response.incomplete`, so a cut answer is completed and says in its text that it was
    /// cut; and one that a filter stopped is a failure with a message that is shown.
    pub(super) fn finish_for_codex(&mut self, reason: StopReason, out: &mut Frames<'_>) {
        match reason {
            StopReason::ContentFilter => {
                let fault = Fault::new(
                    FaultClass::ContentFilter,
                    "the provider's content filter stopped the answer",
                );
                self.fail(&fault, out);
                return;
            }
            StopReason::Length if self.calls_cut.is_empty() => self.write_cut_text(out),
            StopReason::Length | StopReason::Stop | StopReason::Calls | StopReason::Pause => {
                self.write_cut_calls(reason, out);
            }
        }
        self.close_item(Status::Completed, out);
        self.end(Ending::Completed, out);
    }

    /// Puts the note behind the text that was cut off, or makes a message of it when there is none.
    pub(super) fn write_cut_text(&mut self, out: &mut Frames<'_>) {
        let note = match self.output_tokens_max {
            Some(tokens) => format!("[cut off: output limit of {tokens} tokens reached]"),
            None => "[cut off: output limit reached]".to_owned(),
        };
        if let Open::Message(item) = &mut self.open {
            item.ended = false;
            self.text(Said::Text, &Text::plain(format!("\n\n{note}")), out);
        } else {
            self.text(Said::Text, &Text::plain(note), out);
        }
        self.close_item(Status::Incomplete, out);
    }

    pub(super) fn write_cut_calls(&mut self, reason: StopReason, out: &mut Frames<'_>) {
        let by = match reason {
            StopReason::Length => " by the output limit",
            StopReason::Stop
            | StopReason::Calls
            | StopReason::ContentFilter
            | StopReason::Pause => "",
        };
        let notes: Vec<String> = self
            .calls_cut
            .iter()
            .map(|name| format!("[the call to `{name}` was cut off{by} and was not run]"))
            .collect();
        if !notes.is_empty() {
            self.close_item(Status::Completed, out);
            self.text(Said::Text, &Text::plain(notes.join("\n")), out);
        }
    }

    /// Ends the answer with a failure. What was said so far is closed as incomplete; a call that is still open never was made.
    pub(super) fn fail(&mut self, fault: &Fault, out: &mut Frames<'_>) {
        if matches!(self.open, Open::Call(_) | Open::Search(_)) {
            self.open = Open::Nothing;
        }
        self.close_item(Status::Incomplete, out);
        let (code, message) = failed(fault, self.client);
        if self.client == Client::Sdk {
            write_error_event(fault, code, &message, out);
        }
        self.end(Ending::Failed { code, message }, out);
    }

    pub(super) fn end(&mut self, ending: Ending, out: &mut Frames<'_>) {
        // The note on a cut answer can be what passes the length limit, and then the answer has failed already.
        if matches!(self.stage, Stage::Ended(_)) {
            return;
        }
        let response = self
            .response
            .ended(&ending, self.now, &self.output, self.usage.as_ref());
        out.event(ending.event(), &[b",\"response\":", &response]);
        self.stage = Stage::Ended(ending);
    }
}

/// Code, message and parameter stand in the event itself, where OpenAI's description wants them, and in an object inside it,
/// where Open Responses wants them and OpenAI really writes them.
pub(crate) fn write_error_event(fault: &Fault, code: &str, message: &str, out: &mut Frames<'_>) {
    let mut members = b",\"code\":".to_vec();
    write_optional(Some(code), &mut members);
    members.extend_from_slice(b",\"message\":");
    write_optional(Some(message), &mut members);
    members.extend_from_slice(b",\"param\":");
    write_optional(fault.param.as_deref(), &mut members);
    members.extend_from_slice(b",\"error\":");
    write_error_members(fault, &mut members);
    out.event("error", &[&members]);
}
