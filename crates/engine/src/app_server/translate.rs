//! What happens in a thread, as frames of the Responses protocol.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::rpc::Named;
use crate::acts::changes_something;
use crate::ask::ToolCall;
use crate::fault::TurnError;
use crate::frames::{Frames, Piece, Usage, without_notes};

/// What a notice means for the turn.
#[derive(Debug)]
pub(super) enum Step {
    /// The turn goes on.
    GoesOn,
    /// The model waits for the results of these calls of the client's tools.
    Calls(Vec<ToolCall>),
    /// The model waits for results, but Codex has refused a call as it was written: the thread goes on without them.
    RefusedCalls,
    /// The turn is over, as it should.
    Completed,
    /// The turn was interrupted.
    Interrupted,
    /// The turn has failed.
    Failed(TurnError),
    /// Codex has kept to itself what the model said.
    Withheld,
    /// Codex begins an answer anew of which a part was handed out already.
    BeginsAnew(TurnError),
}

/// How much of one model answer was given to the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    #[default]
    Nothing,
    /// Reasoning only.
    Thought,
    /// Text, or a call.
    Spoken,
}

/// Writes one answer from the notices of a turn.
#[derive(Debug)]
pub(super) struct Translator {
    frames: Frames,
    turn_id: String,
    /// The tools that the client carries out; all others are Codex's own.
    functions: HashSet<String>,
    /// Codex may write in the working directory.
    agent: bool,
    /// Something of the model's answer at hand was given to the client. It ends with the request to the model.
    said: Said,
    /// A message was begun in it of which nothing has come yet.
    has_begun: bool,
    /// The calls of the answer so far that the client has to carry out.
    calls: Vec<ToolCall>,
    /// Codex refuses one of them.
    has_refused: bool,
    usage: Usage,
    /// What the thread consumed in all, which Codex tells for answers that it does not count by themselves.
    thread_usage: Usage,
    /// The same when this answer began: the answers before have told it.
    thread_usage_before: Usage,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeltaNotice<'a> {
    item_id: String,
    #[serde(borrow)]
    delta: std::borrow::Cow<'a, str>,
    #[serde(default)]
    summary_index: u64,
    #[serde(default)]
    content_index: u64,
}

#[derive(Deserialize)]
struct ItemNotice {
    item: StartedItem,
}

#[derive(Deserialize)]
struct StartedItem {
    #[serde(rename = "type")]
    tag: String,
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawItemNotice<'a> {
    #[serde(default)]
    turn_id: String,
    #[serde(borrow)]
    item: &'a RawValue,
}

#[derive(Deserialize)]
struct RawItemHead {
    #[serde(rename = "type")]
    tag: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    role: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    call_id: Option<String>,
    #[serde(default)]
    arguments: Option<Value>,
}

#[derive(Deserialize)]
struct UsageNotice {
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThreadUsageNotice {
    token_usage: ThreadUsage,
}

#[derive(Deserialize)]
struct ThreadUsage {
    total: Usage,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ErrorNotice {
    #[serde(default)]
    error: TurnError,
    #[serde(default)]
    will_retry: bool,
}

#[derive(Deserialize)]
struct TurnNotice {
    turn: EndedTurn,
}

#[derive(Deserialize)]
struct EndedTurn {
    #[serde(flatten)]
    named: Named,
    #[serde(default)]
    status: String,
    #[serde(default)]
    error: Option<TurnError>,
}

impl Translator {
    /// A translator for the answer of one turn, or for what comes of it after the results of tools.
    pub(super) fn new(
        frames: Frames,
        turn_id: String,
        functions: HashSet<String>,
        agent: bool,
    ) -> Self {
        Self {
            frames,
            turn_id,
            functions,
            agent,
            said: Said::Nothing,
            has_begun: false,
            calls: Vec::new(),
            has_refused: false,
            usage: Usage::default(),
            thread_usage: Usage::default(),
            thread_usage_before: Usage::default(),
        }
    }

    /// The same for a thread that goes on, which had consumed so much already.
    pub(super) fn after(self, thread_usage: Usage) -> Self {
        Self {
            thread_usage,
            thread_usage_before: thread_usage,
            ..self
        }
    }

    /// What the thread has consumed in all, as far as it was told.
    pub(super) fn thread_usage(&self) -> Usage {
        self.thread_usage
    }

    /// Whether the model's next answer has begun.
    pub(super) fn is_under_way(&self) -> bool {
        self.said > Said::Nothing
    }

    /// The turn that is translated.
    pub(super) fn turn_id(&self) -> &str {
        &self.turn_id
    }

    /// The answer is complete for the client.
    pub(super) fn complete(&self) {
        self.frames.completed(&self.turn_id, self.consumed());
    }

    /// The answer ended early, for a reason that the protocol has a word for.
    pub(super) fn incomplete(&self, reason: &str) {
        self.frames
            .incomplete(&self.turn_id, self.consumed(), reason);
    }

    /// What the answer consumed: the sum of its model requests; what the whole thread consumed when none was counted by itself.
    fn consumed(&self) -> Usage {
        if self.usage == Usage::default() {
            return self.thread_usage.beyond(self.thread_usage_before);
        }
        self.usage
    }

    /// Reads a notice. One that cannot be read says nothing: its item comes whole when it is done.
    pub(super) fn notice(&mut self, method: &str, params: &RawValue) -> Step {
        match method {
            "item/started" => self.started(params),
            "item/agentMessage/delta" => self.delta(params, |_| Piece::Text),
            "item/reasoning/summaryTextDelta" => {
                self.delta(params, |notice| Piece::Summary(notice.summary_index));
            }
            "item/reasoning/textDelta" => {
                self.delta(params, |notice| Piece::Thought(notice.content_index));
            }
            "rawResponseItem/completed" => self.item(params),
            "rawResponse/completed" => return self.response(params),
            "thread/tokenUsage/updated" => {
                if let Some(notice) = read::<ThreadUsageNotice>(params) {
                    self.thread_usage = notice.token_usage.total;
                }
            }
            "error" => return self.error(params),
            "turn/completed" => return self.ended(params),
            _ => {}
        }
        Step::GoesOn
    }

    fn started(&mut self, params: &RawValue) {
        let Some(ItemNotice { item }) = read(params) else {
            return;
        };
        if changes_something(&item.tag, self.agent) {
            self.frames.out().acted();
        }
        let kind = match item.tag.as_str() {
            "agentMessage" => "message",
            "reasoning" => "reasoning",
            // Calls come whole, with their arguments as the model wrote them.
            _ => return,
        };
        self.frames.added(&item.id, kind);
        self.has_begun |= kind == "message";
    }

    fn delta(&mut self, params: &RawValue, piece: impl FnOnce(&DeltaNotice<'_>) -> Piece) {
        let Some(notice) = read::<DeltaNotice<'_>>(params) else {
            return;
        };
        let piece = piece(&notice);
        self.came(match piece {
            Piece::Text => Said::Spoken,
            Piece::Summary(_) | Piece::Thought(_) => Said::Thought,
        });
        self.frames.delta(&notice.item_id, piece, &notice.delta);
    }

    /// An item of the model's answer is complete, exactly as the model gave it.
    fn item(&mut self, params: &RawValue) {
        let Some(notice) = read::<RawItemNotice<'_>>(params) else {
            return;
        };
        let Some(head) = read::<RawItemHead>(notice.item) else {
            return;
        };
        // What was put into the thread is told in the same way, with another turn's id.
        if notice.turn_id != self.turn_id || !self.is_of_answer(&head) {
            return;
        }
        let id = head.id.or_else(|| head.call_id.clone()).unwrap_or_default();
        if let (Some(call), "function_call") = (head.call_id, head.tag.as_str()) {
            let arguments = head.arguments.as_ref().and_then(Value::as_str);
            let call = ToolCall::new(call, arguments.unwrap_or_default());
            self.calls.push(call);
            self.has_refused |= arguments.is_some_and(is_blank);
        }
        if let Some(item) = without_notes(notice.item) {
            self.came(match head.tag.as_str() {
                "reasoning" => Said::Thought,
                _ => Said::Spoken,
            });
            self.frames.done(&id, &item);
        }
    }

    /// Something of an item goes to the client.
    fn came(&mut self, said: Said) {
        self.said = self.said.max(said);
    }

    /// Whether an item is one that the client has to see: not the results of Codex's own tools, nor the calls of them.
    fn is_of_answer(&self, head: &RawItemHead) -> bool {
        match head.tag.as_str() {
            "message" => head.role.as_deref() == Some("assistant"),
            "reasoning" | "web_search_call" => true,
            // Codex itself answers calls that it cannot hand out: the model is told, and tries again.
            "function_call" => {
                let declared = head
                    .name
                    .as_ref()
                    .is_some_and(|name| self.functions.contains(name));
                let arguments = head.arguments.as_ref().and_then(Value::as_str);
                declared && arguments.is_some_and(is_object)
            }
            _ => false,
        }
    }

    /// One request to the model is complete.
    fn response(&mut self, params: &RawValue) -> Step {
        if let Some(usage) = read::<UsageNotice>(params).and_then(|notice| notice.usage) {
            self.usage.add(usage);
        }
        let has_begun = std::mem::take(&mut self.has_begun);
        if std::mem::take(&mut self.said) < Said::Spoken && has_begun {
            return Step::Withheld;
        }
        if self.calls.is_empty() {
            return Step::GoesOn;
        }
        if self.has_refused {
            return Step::RefusedCalls;
        }
        Step::Calls(std::mem::take(&mut self.calls))
    }

    fn error(&mut self, params: &RawValue) -> Step {
        let Some(notice) = read::<ErrorNotice>(params) else {
            return Step::GoesOn;
        };
        if !notice.will_retry {
            // The end of the turn tells it again.
            return Step::GoesOn;
        }
        tracing::debug!("the engine tries again: {}", notice.error.message);
        // What was said is said: an answer that begins anew would be said twice.
        if self.said > Said::Nothing {
            Step::BeginsAnew(notice.error)
        } else {
            Step::GoesOn
        }
    }

    fn ended(&mut self, params: &RawValue) -> Step {
        let Some(TurnNotice { turn }) = read(params) else {
            return Step::Failed(TurnError {
                message: "the turn ended in a form that is not known".to_owned(),
                ..TurnError::default()
            });
        };
        if turn.named.id != self.turn_id {
            return Step::GoesOn;
        }
        match turn.status.as_str() {
            "completed" => Step::Completed,
            "interrupted" => Step::Interrupted,
            _ => Step::Failed(turn.error.unwrap_or_default()),
        }
    }
}

/// Arguments that a client can be given: a JSON object, or nothing at all, which means an empty one.
fn is_object(arguments: &str) -> bool {
    is_blank(arguments) || serde_json::from_str::<serde_json::Map<String, Value>>(arguments).is_ok()
}

/// No arguments at all. Some models write that for tools that take none; Codex 0.169 tells the model "failed to parse function
/// arguments" and asks it again.
fn is_blank(arguments: &str) -> bool {
    arguments.trim().is_empty()
}

fn read<'a, T: Deserialize<'a>>(params: &'a RawValue) -> Option<T> {
    serde_json::from_str(params.get()).ok()
}

#[cfg(test)]
mod tests;
