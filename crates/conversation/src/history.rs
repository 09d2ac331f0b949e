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

/// What the model said, thought and called in one go, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assistant<'a> {
    /// The pieces. The order matters to providers that want their reasoning back in its place.
    pub pieces: Vec<Piece<'a>>,
}

/// One piece of what the model did.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece<'a> {
    /// It thought.
    Reasoning(Reasoning<'a>),
    /// It said something.
    Part(Part<'a>),
    /// It called a tool.
    Call(Call<'a>),
}

impl<'a> Assistant<'a> {
    /// What it thought.
    pub fn reasoning(&self) -> impl Iterator<Item = &Reasoning<'a>> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Reasoning(reasoning) => Some(reasoning),
            Piece::Part(_) | Piece::Call(_) => None,
        })
    }

    /// What it said.
    pub fn parts(&self) -> impl Iterator<Item = &Part<'a>> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Part(part) => Some(part),
            Piece::Reasoning(_) | Piece::Call(_) => None,
        })
    }

    /// What it called.
    pub fn calls(&self) -> impl Iterator<Item = &Call<'a>> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Call(call) => Some(call),
            Piece::Reasoning(_) | Piece::Part(_) => None,
        })
    }

    fn calls_mut(&mut self) -> impl Iterator<Item = &mut Call<'a>> {
        self.pieces.iter_mut().filter_map(|piece| match piece {
            Piece::Call(call) => Some(call),
            Piece::Reasoning(_) | Piece::Part(_) => None,
        })
    }
}

/// What stands in for the result of a call that has none.
pub const INTERRUPTED: &str = "(no result: the call was interrupted)";

/// The loss of a result that tells of a failure, for protocols without a word for it. None for one that was put in by
/// [`arrange`], which has said so already.
pub fn failure_untold(result: &ToolResult<'_>) -> Option<Loss> {
    // Asked first: results are the largest part of a request, and to compare their text means to decode it.
    if !result.is_error {
        return None;
    }
    let is_ours = matches!(&*result.parts, [Part::Text(text)] if text.to_plain() == INTERRUPTED);
    (!is_ours).then(|| {
        Loss::note(
            "input: is_error",
            "left out: only the words of a result tell that it failed, the protocol has no field for it",
        )
    })
}

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
            // A result that its call has taken leaves a gap. It ends no turn: it stands further up now, so that what the model
            // said before and behind the gap follows each other; and some providers refuse two messages of the model in a row.
            let Some(item) = self.items[index].take() else {
                continue;
            };
            match item {
                Item::Message(message) => self.message(message.role, message.parts),
                Item::Reasoning(reasoning) => self.open.pieces.push(Piece::Reasoning(reasoning)),
                Item::Call(call) => self.open.pieces.push(Piece::Call(call)),
                Item::Result(result) => self.result(index, result),
                // Its tools are offered with the request's own; the place in the conversation says nothing more.
                Item::ToolsAdded(_) => {}
                Item::HostedCall { tag, summary } => self.hosted_call(&tag, summary),
                Item::Compaction { summary, .. } => self.compaction(index, summary),
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
            Role::Assistant => self.open.pieces.extend(parts.into_iter().map(Piece::Part)),
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
        if self.open.calls().any(|call| call.id == result.call_id) {
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
        self.open.pieces.push(Piece::Part(Part::Text(text)));
    }

    fn compaction(&mut self, index: usize, summary: Option<Text<'a>>) {
        self.close_before_other();
        if let Some(summary) = summary {
            let parts = ["Summary of the conversation so far:".into(), summary];
            let parts = parts.into_iter().map(Part::Text).collect();
            self.history.turns.push(Turn::User(parts));
            return;
        }
        self.history.losses.push(Loss::severe(
            format!("input[{index}]"),
            "the summary of the conversation before this point is sealed by another provider and cannot be read",
        ));
        self.history.turns.push(Turn::User(vec![Part::Text(Text::plain(
            "[The conversation before this point was summarised in a form that cannot be read here.]",
        ))]));
    }

    fn close_before_other(&mut self) {
        let late = self
            .open
            .calls()
            .any(|call| self.results.contains_key(&*call.id));
        if late {
            self.history.losses.push(Loss::note(
                "input",
                "a tool result was moved directly behind its call",
            ));
        }
        self.close();
    }

    /// Ends the model's turn and puts the results of its calls behind it.
    fn close(&mut self) {
        let mut turn = std::mem::take(&mut self.open);
        if turn.pieces.is_empty() {
            return;
        }
        let results: Vec<ToolResult<'a>> = turn
            .calls_mut()
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
                is_error: true,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CallInput, Image, Instruction, Json, Message};
    use proptest::prelude::*;

    /// Items in shorthand: `u:hi` and `a:hi` and `d:hi` are messages, `r:why` is reasoning, `c:1` a call with id `1`, `=1:out` its
    /// result, `h:tag` a hosted call, `z` a compaction, `t` added tools, `?` an unknown item. No text means an empty one.
    fn item(short: &str) -> Item<'_> {
        let (kind, rest) = short.split_once(':').unwrap_or((short, ""));
        let message = |role| {
            Item::Message(Message {
                role,
                parts: vec![Part::Text(Text::plain(rest))],
                phase: None,
            })
        };
        match kind {
            "u" => message(Role::User),
            "a" => message(Role::Assistant),
            "d" => message(Role::Instructor(Instruction::Developer)),
            "r" => Item::Reasoning(Reasoning {
                visible: crate::VisibleReasoning::Full(vec![Text::plain(rest)]),
                ..Reasoning::default()
            }),
            "c" => Item::Call(Call {
                id: rest.into(),
                name: "tool".into(),
                namespace: None,
                input: CallInput::Arguments(Text::plain("{}")),
            }),
            "h" => Item::HostedCall {
                tag: rest.into(),
                summary: Text::EMPTY,
            },
            "z" => Item::Compaction {
                sealed: None,
                summary: None,
            },
            "t" => Item::ToolsAdded(Vec::new()),
            "?" => Item::Unknown {
                tag: "odd".into(),
                raw: Json::new("{}"),
            },
            result => Item::Result(ToolResult {
                call_id: result.trim_start_matches('=').into(),
                parts: vec![Part::Text(Text::plain(rest))],
                tools_loaded: Vec::new(),
                is_error: false,
            }),
        }
    }

    fn texts<'t>(parts: impl IntoIterator<Item = &'t Part<'t>>) -> String {
        let texts: Vec<String> = parts
            .into_iter()
            .map(|part| match part {
                Part::Text(text) | Part::Refusal(text) => text.to_plain().into_owned(),
                Part::Image(_) | Part::File(_) | Part::Audio(_) | Part::Unknown { .. } => {
                    "(other)".to_owned()
                }
            })
            .collect();
        texts.join("+")
    }

    fn outline(turn: &Turn<'_>) -> String {
        match turn {
            Turn::Instruction(parts) => format!("d:{}", texts(parts)),
            Turn::User(parts) => format!("u:{}", texts(parts)),
            Turn::Assistant(assistant) => {
                let reasoning = assistant.reasoning().flat_map(|item| item.visible.parts());
                let reasoning: Vec<_> = reasoning
                    .map(|text| format!("r:{}", text.to_plain()))
                    .collect();
                let calls: Vec<_> = assistant
                    .calls()
                    .map(|call| format!("c:{}", call.id))
                    .collect();
                let said = format!("a:{}", texts(assistant.parts()));
                [reasoning.join(" "), said, calls.join(" ")]
                    .join(" ")
                    .trim()
                    .to_owned()
            }
            Turn::Results(results) => {
                let results: Vec<_> = results
                    .iter()
                    .map(|result| format!("={}:{}", result.call_id, texts(&result.parts)))
                    .collect();
                results.join(" ")
            }
        }
    }

    fn check(items: &[&str], turns: &[&str], losses: &[&str]) {
        let history = arrange(items.iter().map(|short| item(short)).collect());
        let found: Vec<String> = history.turns.iter().map(outline).collect();
        assert_eq!(found, turns, "{items:?}");
        let found: Vec<String> = history.losses.iter().map(ToString::to_string).collect();
        assert_eq!(found, losses, "{items:?}");
    }

    #[test]
    fn what_is_in_order_stays() {
        check(&[], &[], &[]);
        check(
            &[
                "d:base", "u:hi", "r:why", "a:look", "c:1", "c:2", "=1:x", "=2:y", "a:done", "u:ok",
            ],
            &[
                "d:base",
                "u:hi",
                "r:why a:look c:1 c:2",
                "=1:x =2:y",
                "a:done",
                "u:ok",
            ],
            &[],
        );
        check(
            &["c:1", "=1:x", "c:2", "=2:y"],
            &["a: c:1", "=1:x", "a: c:2", "=2:y"],
            &[],
        );
        check(&["a:one", "t", "a:two"], &["a:one+two"], &[]);
    }

    #[test]
    fn results_stand_directly_behind_their_calls_in_their_order() {
        check(
            &["c:1", "c:2", "=2:y", "=1:x"],
            &["a: c:1 c:2", "=1:x =2:y"],
            &[],
        );
        check(
            &["c:1", "u:wait", "=1:x", "u:so"],
            &["a: c:1", "=1:x", "u:wait", "u:so"],
            &["input: a tool result was moved directly behind its call"],
        );
        check(
            &["=1:x", "c:1"],
            &[
                "u:Result of an earlier tool call:+x",
                "a: c:1",
                &format!("=1:{INTERRUPTED}"),
            ],
            &[
                "input[0]: made a message: no call `1` comes before this result",
                "call `1`: has no result; one was put in that says so",
            ],
        );
    }

    #[test]
    fn a_result_that_was_moved_divides_nothing_where_it_stood() {
        check(
            &["c:1", "c:2", "=1:x", "a:one", "=2:y", "a:two"],
            &["a: c:1 c:2", "=1:x =2:y", "a:one+two"],
            &[],
        );
        check(
            &[
                "c:1", "u:wait", "a:so", "c:2", "=1:x", "c:3", "=2:y", "=3:z",
            ],
            &["a: c:1", "=1:x", "u:wait", "a:so c:2 c:3", "=2:y =3:z"],
            &["input: a tool result was moved directly behind its call"],
        );
    }

    #[test]
    fn every_call_has_one_result() {
        check(
            &["c:1", "u:stop"],
            &["a: c:1", &format!("=1:{INTERRUPTED}"), "u:stop"],
            &["call `1`: has no result; one was put in that says so"],
        );
        check(
            &["c:1", "=1:x", "=1:again"],
            &["a: c:1", "=1:x"],
            &["input[2]: left out: call `1` has a result already"],
        );
        check(&["c:1", "=1:"], &["a: c:1", "=1:"], &[]);
    }

    #[test]
    fn a_call_id_that_comes_again_is_renamed() {
        check(
            &["c:1", "=1:x", "c:1", "=1:y", "c:1", "=1:z"],
            &["a: c:1", "=1:x", "a: c:1_2", "=1_2:y", "a: c:1_3", "=1_3:z"],
            &[
                "call `1`: renamed `1_2`: an earlier call has the same id",
                "call `1`: renamed `1_3`: an earlier call has the same id",
            ],
        );
        check(
            &["c:1", "c:1", "=1:x", "=1:y"],
            &["a: c:1 c:1_2", "=1:x =1_2:y"],
            &["call `1`: renamed `1_2`: an earlier call has the same id"],
        );
        check(
            &["c:1_2", "c:1", "c:1", "=1_2:x", "=1:y", "=1:z"],
            &["a: c:1_2 c:1 c:1_3", "=1_2:x =1:y =1_3:z"],
            &["call `1`: renamed `1_3`: an earlier call has the same id"],
        );
    }

    #[test]
    fn empty_things_are_left_out() {
        check(&["u:", "a:", "d:", "u:hi"], &["u:hi"], &[]);
        check(&["a:one", "u:", "a:two"], &["a:one+two"], &[]);
        let image = Part::Image(Image {
            url: Text::plain("data:"),
            detail: None,
        });
        let history = arrange(vec![Item::Message(Message {
            role: Role::User,
            parts: vec![
                Part::Text(Text::EMPTY),
                image.clone(),
                Part::Refusal(Text::EMPTY),
            ],
            phase: None,
        })]);
        assert_eq!(history.turns, [Turn::User(vec![image])]);
    }

    #[test]
    fn what_cannot_be_carried_is_told() {
        check(
            &["h:web_search_call", "a:so"],
            &["a:[web search call]+so"],
            &[],
        );
        check(
            &["z", "u:hi"],
            &[
                "u:[The conversation before this point was summarised in a form that cannot be read here.]",
                "u:hi",
            ],
            &[
                "input[0]: the summary of the conversation before this point is sealed by another provider and cannot be read",
            ],
        );
        check(
            &["u:hi", "?"],
            &["u:hi"],
            &["input[1]: left out: an item of type `odd` cannot be carried"],
        );
    }

    fn shorthand() -> impl Strategy<Value = String> {
        let id = "[123]";
        prop_oneof![
            "[uadr]:[xy]?",
            id.prop_map(|id| format!("c:{id}")),
            id.prop_map(|id| format!("={id}:out")),
            prop::sample::select(vec!["h:search", "z", "t", "?", "c:1_2"]).prop_map(str::to_owned),
        ]
    }

    proptest! {
        #[test]
        fn any_history_is_one_that_providers_take(shorts in prop::collection::vec(shorthand(), 0..16)) {
            let history = arrange(shorts.iter().map(|short| item(short)).collect());
            let mut ids = HashSet::new();
            let mut turns = history.turns.iter().peekable();
            while let Some(turn) = turns.next() {
                match turn {
                    Turn::Assistant(assistant) => {
                        prop_assert!(!assistant.pieces.is_empty());
                        let called: Vec<&str> = assistant.calls().map(|call| &*call.id).collect();
                        prop_assert!(called.iter().all(|&id| ids.insert(id)), "{called:?}");
                        let answered: Vec<&str> = match turns.peek() {
                            Some(Turn::Results(results)) => results.iter().map(|result| &*result.call_id).collect(),
                            Some(Turn::Instruction(_) | Turn::User(_) | Turn::Assistant(_)) | None => Vec::new(),
                        };
                        prop_assert_eq!(answered, called);
                        turns.next_if(|turn| matches!(turn, Turn::Results(_)));
                    }
                    Turn::Instruction(parts) | Turn::User(parts) => prop_assert!(!parts.is_empty()),
                    Turn::Results(_) => prop_assert!(false, "results without calls"),
                }
            }
        }

        #[test]
        fn arranged_histories_stay_as_they_are(shorts in prop::collection::vec(shorthand(), 0..16)) {
            let once = arrange(shorts.iter().map(|short| item(short)).collect());
            let again = arrange(once.turns.iter().cloned().flat_map(items_of).collect());
            prop_assert_eq!(&again.turns, &once.turns);
            prop_assert!(again.losses.is_empty(), "{:?}", again.losses);
        }
    }

    fn items_of(turn: Turn<'_>) -> Vec<Item<'_>> {
        let message = |role, parts| {
            Item::Message(Message {
                role,
                parts,
                phase: None,
            })
        };
        match turn {
            Turn::Instruction(parts) => {
                vec![message(Role::Instructor(Instruction::Developer), parts)]
            }
            Turn::User(parts) => vec![message(Role::User, parts)],
            Turn::Assistant(assistant) => {
                let item = |piece| match piece {
                    Piece::Reasoning(reasoning) => Item::Reasoning(reasoning),
                    Piece::Part(part) => message(Role::Assistant, vec![part]),
                    Piece::Call(call) => Item::Call(call),
                };
                assistant.pieces.into_iter().map(item).collect()
            }
            Turn::Results(results) => results.into_iter().map(Item::Result).collect(),
        }
    }
}
