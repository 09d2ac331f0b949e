//! The one pass that groups a conversation into turns and mends what providers would refuse.
//!
//! Clients send flat lists of items with interrupted calls, late results and leftovers; providers want every call answered
//! once, directly behind the message that made it. Each mend is a rule with a reason, noted as a loss; nothing else is
//! touched, so that the same history always becomes the same bytes and the provider's prompt cache holds.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::{Call, Item, Loss, Part, Reasoning, Role, Text, ToolResult};

/// A conversation as providers can take it: results follow their calls, each call has exactly one, call ids are unique, no
/// text is empty.
#[derive(Debug, Default)]
pub struct History<'a> {
    /// The turns, in order.
    pub turns: Vec<Turn<'a>>,
    /// What was mended or left out.
    pub losses: Vec<Loss>,
}

/// One speaker's turn.
#[derive(Clone, Debug, PartialEq)]
pub enum Turn<'a> {
    /// Whoever instructs the model speaks.
    Instruction(Vec<Part<'a>>),
    /// The person speaks.
    User(Vec<Part<'a>>),
    /// The model speaks, thinks and calls.
    Assistant(Assistant<'a>),
    /// The tools answer the calls of the turn before, in the order of the calls.
    Results(Vec<ToolResult<'a>>),
}

/// What the model said, thought and called in one go.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assistant<'a> {
    /// What it thought.
    pub reasoning: Vec<Reasoning<'a>>,
    /// What it said.
    pub parts: Vec<Part<'a>>,
    /// What it called.
    pub calls: Vec<Call<'a>>,
}

impl Assistant<'_> {
    fn is_empty(&self) -> bool {
        self.reasoning.is_empty() && self.parts.is_empty() && self.calls.is_empty()
    }
}

/// What stands in for the result of a call that has none.
pub const INTERRUPTED: &str = "(no result: the call was interrupted)";

/// Groups items into turns and mends them.
///
/// The rules: reasoning, messages and calls of the model that follow each other are one turn; results are moved directly
/// behind the turn that made the calls; a second result for one call is left out; a call without a result gets
/// [`INTERRUPTED`]; a result without a call becomes a message of the user; a call id that comes again is renamed; empty texts
/// and empty messages are left out.
pub fn arrange(items: Vec<Item<'_>>) -> History<'_> {
    let mut results: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, item) in items.iter().enumerate().rev() {
        if let Item::Result(result) = item {
            results
                .entry(result.call_id.clone().into_owned())
                .or_default()
                .push(index);
        }
    }
    let mut arranger = Arranger {
        items: items.into_iter().map(Some).collect(),
        results,
        call_ids: HashSet::new(),
        open: Assistant::default(),
        history: History::default(),
    };
    arranger.run();
    arranger.history
}

struct Arranger<'a> {
    items: Vec<Option<Item<'a>>>,
    /// Where the results of each call id are that nobody took yet, last first.
    results: HashMap<String, Vec<usize>>,
    /// Call ids already in use.
    call_ids: HashSet<String>,
    open: Assistant<'a>,
    history: History<'a>,
}

impl<'a> Arranger<'a> {
    fn run(&mut self) {
        for index in 0..self.items.len() {
            // A result that its call has taken leaves a gap, and still ends the model's turn.
            let Some(item) = self.items[index].take() else {
                continue;
            };
            match item {
                Item::Message(message) => self.message(message.role, message.parts),
                Item::Reasoning(reasoning) => self.open.reasoning.push(reasoning),
                Item::Call(call) => self.open.calls.push(call),
                Item::Result(result) => self.result(index, result),
                // Its tools are offered with the request's own; the place in the conversation says nothing more.
                Item::ToolsAdded(_) => {}
                Item::HostedCall { tag, summary } => self.hosted_call(&tag, summary),
                Item::Compaction { .. } => self.compaction(index),
                Item::Unknown { tag, .. } => self.history.losses.push(Loss::degraded(
                    format!("input[{index}]"),
                    format!("left out: an item of type `{tag}` cannot be carried"),
                )),
            }
        }
        self.close();
    }

    fn message(&mut self, role: Role, parts: Vec<Part<'a>>) {
        let parts = without_empty_text(parts);
        match role {
            Role::Assistant => self.open.parts.extend(parts),
            Role::User | Role::Instructor(_) if parts.is_empty() => {}
            Role::User => {
                self.close_before_other();
                self.history.turns.push(Turn::User(parts));
            }
            Role::Instructor(_) => {
                self.close_before_other();
                self.history.turns.push(Turn::Instruction(parts));
            }
        }
    }

    fn result(&mut self, index: usize, result: ToolResult<'a>) {
        if self.open.calls.iter().any(|call| call.id == result.call_id) {
            self.items[index] = Some(Item::Result(result));
            self.close();
            return;
        }
        if self.call_ids.contains(&*result.call_id) {
            self.history.losses.push(Loss::note(
                format!("input[{index}]"),
                format!("left out: call `{}` has a result already", result.call_id),
            ));
            return;
        }
        self.close();
        self.history.losses.push(Loss::note(
            format!("input[{index}]"),
            format!(
                "made a message: no call `{}` comes before this result",
                result.call_id
            ),
        ));
        let mut parts = vec![Part::Text(Text::plain("Result of an earlier tool call:"))];
        parts.extend(without_empty_text(result.parts));
        self.history.turns.push(Turn::User(parts));
    }

    fn hosted_call(&mut self, tag: &str, summary: Text<'a>) {
        let text = if summary.is_empty() {
            Text::plain(format!("[{}]", tag.replace('_', " ")))
        } else {
            summary
        };
        self.open.parts.push(Part::Text(text));
    }

    fn compaction(&mut self, index: usize) {
        self.close_before_other();
        self.history.losses.push(Loss::severe(
            format!("input[{index}]"),
            "the summary of the conversation before this point is sealed by another provider and cannot be read",
        ));
        self.history.turns.push(Turn::User(vec![Part::Text(Text::plain(
            "[The conversation before this point was summarised in a form that cannot be read here.]",
        ))]));
    }

    fn close_before_other(&mut self) {
        if !self.open.calls.is_empty() {
            let late = self
                .open
                .calls
                .iter()
                .any(|call| self.results.contains_key(&*call.id));
            if late {
                self.history.losses.push(Loss::note(
                    "input",
                    "a tool result was moved directly behind its call",
                ));
            }
        }
        self.close();
    }

    /// Ends the model's turn and puts the results of its calls behind it.
    fn close(&mut self) {
        let mut turn = std::mem::take(&mut self.open);
        if turn.is_empty() {
            return;
        }
        let results: Vec<ToolResult<'a>> = turn
            .calls
            .iter_mut()
            .map(|call| self.take_result(call))
            .collect();
        self.history.turns.push(Turn::Assistant(turn));
        if !results.is_empty() {
            self.history.turns.push(Turn::Results(results));
        }
    }

    fn take_result(&mut self, call: &mut Call<'a>) -> ToolResult<'a> {
        let index = self.results.get_mut(&*call.id).and_then(Vec::pop);
        if let Some(rest) = self.results.get(&*call.id)
            && rest.is_empty()
        {
            self.results.remove(&*call.id);
        }
        let found = index.and_then(|index| self.items[index].take());
        let mut result = if let Some(Item::Result(result)) = found {
            result
        } else {
            self.history.losses.push(Loss::note(
                format!("call `{}`", call.id),
                "has no result; one was put in that says so",
            ));
            ToolResult {
                call_id: call.id.clone(),
                parts: vec![Part::Text(Text::plain(INTERRUPTED))],
                tools_loaded: Vec::new(),
            }
        };
        result.parts = without_empty_text(result.parts);
        self.make_unique(call, &mut result);
        result
    }

    fn make_unique(&mut self, call: &mut Call<'a>, result: &mut ToolResult<'a>) {
        if self.call_ids.insert(call.id.clone().into_owned()) {
            return;
        }
        let fresh = (2..=self.call_ids.len() + 2)
            .map(|count| format!("{}_{count}", call.id))
            .find(|id| !self.call_ids.contains(id))
            .unwrap_or_default();
        self.history.losses.push(Loss::note(
            format!("call `{}`", call.id),
            format!("renamed `{fresh}`: an earlier call has the same id"),
        ));
        self.call_ids.insert(fresh.clone());
        result.call_id = Cow::Owned(fresh.clone());
        call.id = Cow::Owned(fresh);
    }
}

fn without_empty_text(mut parts: Vec<Part<'_>>) -> Vec<Part<'_>> {
    parts.retain(|part| !matches!(part, Part::Text(text) | Part::Refusal(text) if text.is_empty()));
    parts
}
