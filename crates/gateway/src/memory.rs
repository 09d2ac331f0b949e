//! What models thought before their calls, for clients that do not send it back.
//!
//! Some providers refuse what tools have answered unless the reasoning that led to the calls comes back with it, and clients of Chat
//! Completions and Messages may keep no reasoning. So it is remembered for a while, by the call that it led to. When it is forgotten,
//! or polywire was started anew, the request goes out as the client sent it, and the dialects do what they do without it.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use polywire_conversation::envelope::Minter;
use polywire_conversation::{
    CallInput, Event, Item, Reasoning, Request, Role, Text, VisibleReasoning, ids,
};
use serde_json::Value;

use crate::limits::{MEMORY_AGE_MAX, MEMORY_BYTES_MAX, THOUGHTS_BYTES_MAX};
use crate::sealing::open_state;

/// One piece of reasoning, as a client would have got to hold it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Thought {
    text: String,
    /// The envelope around the provider's state.
    sealed: Option<String>,
}

type Thoughts = Arc<[Thought]>;

/// The memory of one gateway; the longest unused goes first.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Shelf>>);

#[derive(Default)]
struct Shelf {
    /// By the hash of the call.
    entries: HashMap<u64, Entry>,
    /// The hashes by when they were last used.
    by_use: BTreeMap<u64, u64>,
    uses: u64,
    bytes: usize,
    hasher: RandomState,
}

struct Entry {
    thoughts: Thoughts,
    bytes: usize,
    used: u64,
    used_at: Instant,
}

impl Memory {
    /// Gives back to a request what led to its calls, where the client has left it out. `false` when there was nothing to give.
    /// State is opened for `home`.
    pub(crate) fn give_back(
        &self,
        request: &mut std::borrow::Cow<'_, Request<'_>>,
        home: &Minter,
    ) -> bool {
        let mut recalled = self.recall(&request.items);
        if recalled.is_empty() {
            return false;
        }
        let request = request.to_mut();
        let items = std::mem::take(&mut request.items);
        let mut woven = Vec::with_capacity(items.len() + recalled.len());
        // Where the stretch of the model's turn begins that leads to the next call.
        let mut begins = 0;
        for (index, item) in items.into_iter().enumerate() {
            if let Some(thoughts) = recalled.remove(&index) {
                weave(&mut woven, begins, &thoughts, home);
            }
            let leads_on = leads_to_a_call(&item);
            woven.push(item);
            if !leads_on {
                begins = woven.len();
            }
        }
        request.items = woven;
        true
    }

    /// What is known of the calls, by their places.
    fn recall(&self, items: &[Item<'_>]) -> HashMap<usize, Thoughts> {
        let mut shelf = self.lock();
        if shelf.entries.is_empty() {
            return HashMap::new();
        }
        let calls = items.iter().enumerate();
        calls
            .filter_map(|(index, item)| {
                let Item::Call(call) = item else {
                    return None;
                };
                let input = match &call.input {
                    CallInput::Arguments(text) | CallInput::Freeform(text) => text.to_plain(),
                    CallInput::Search(json) => json.as_str().into(),
                };
                let key = shelf.key(&call.id, &call.name, &input);
                Some((index, shelf.take_up(key)?))
            })
            .collect()
    }

    fn remember(&self, call: &OpenCall, thoughts: Vec<Thought>) {
        let mut shelf = self.lock();
        let key = shelf.key(&call.id, &call.name, &call.input);
        shelf.put(key, thoughts.into());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether what comes before a call belongs to it: the model thinks, speaks, and calls.
fn leads_to_a_call(item: &Item<'_>) -> bool {
    match item {
        Item::Reasoning(_) | Item::HostedCall { .. } => true,
        Item::Message(message) => message.role == Role::Assistant,
        Item::Call(_)
        | Item::Result(_)
        | Item::ToolsAdded(_)
        | Item::Compaction { .. }
        | Item::Unknown { .. } => false,
    }
}

/// Puts thoughts before what the model said from `begins` on, unless the client has sent them, or more of them, itself.
fn weave(woven: &mut Vec<Item<'_>>, begins: usize, thoughts: &[Thought], home: &Minter) {
    let is_sealed = thoughts.iter().any(|thought| thought.sealed.is_some());
    let knows_as_much = |item: &Item<'_>| matches!(item, Item::Reasoning(own) if own.sealed.is_some() || !is_sealed);
    if woven[begins..].iter().any(knows_as_much) {
        return;
    }
    let said = woven.split_off(begins);
    woven.extend(thoughts.iter().map(|thought| thought.item(home)));
    let is_reasoning = |item: &Item<'_>| matches!(item, Item::Reasoning(_));
    woven.extend(said.into_iter().filter(|item| !is_reasoning(item)));
}

impl Thought {
    fn item(&self, home: &Minter) -> Item<'static> {
        let sealed = self.sealed.clone();
        let state = sealed
            .as_ref()
            .and_then(|sealed| open_state(sealed, home).ok());
        Item::Reasoning(Reasoning {
            visible: if self.text.is_empty() {
                VisibleReasoning::None
            } else {
                VisibleReasoning::Full(vec![Text::plain(self.text.clone())])
            },
            sealed: sealed.filter(|_| state.is_some()).map(Text::plain),
            state: state.unwrap_or_default(),
        })
    }

    fn bytes(&self) -> usize {
        self.text.len() + self.sealed.as_ref().map_or(0, String::len)
    }
}

impl Shelf {
    /// The hash of a call. Ids alone say too little, because some providers begin to count anew in every answer. They are taken in the
    /// form in which every dialect lets them through, and arguments without regard to their spelling.
    fn key(&self, id: &str, name: &str, input: &str) -> u64 {
        let id = if ids::is_usual(id) {
            id.to_owned()
        } else {
            ids::made_from(id)
        };
        let input = match serde_json::from_str::<Value>(input) {
            Ok(value) => value.to_string(),
            Err(_) if input.trim().is_empty() => "{}".to_owned(),
            Err(_) => input.to_owned(),
        };
        self.hasher.hash_one((id, name, input))
    }

    fn take_up(&mut self, key: u64) -> Option<Thoughts> {
        self.forget_old();
        let entry = self.entries.get_mut(&key)?;
        self.by_use.remove(&entry.used);
        self.uses += 1;
        entry.used = self.uses;
        entry.used_at = Instant::now();
        self.by_use.insert(self.uses, key);
        Some(Arc::clone(&entry.thoughts))
    }

    fn put(&mut self, key: u64, thoughts: Thoughts) {
        self.remove(key);
        let bytes = thoughts.iter().map(Thought::bytes).sum();
        self.uses += 1;
        self.bytes += bytes;
        self.by_use.insert(self.uses, key);
        let entry = Entry {
            thoughts,
            bytes,
            used: self.uses,
            used_at: Instant::now(),
        };
        self.entries.insert(key, entry);
        self.forget_old();
        while self.bytes > MEMORY_BYTES_MAX
            && let Some((_, key)) = self.by_use.first_key_value()
        {
            self.remove(*key);
        }
    }

    fn forget_old(&mut self) {
        while let Some((_, key)) = self.by_use.first_key_value()
            && self
                .entries
                .get(key)
                .is_none_or(|entry| entry.used_at.elapsed() > MEMORY_AGE_MAX)
        {
            let key = *key;
            if !self.remove(key) {
                self.by_use.pop_first();
            }
        }
    }

    fn remove(&mut self, key: u64) -> bool {
        let Some(entry) = self.entries.remove(&key) else {
            return false;
        };
        self.by_use.remove(&entry.used);
        self.bytes -= entry.bytes;
        true
    }
}

/// Watches an answer for what leads to its calls.
pub(crate) struct Recorder {
    memory: Memory,
    /// The reasoning that is open.
    open: Option<Thought>,
    /// What was thought since the last call.
    thoughts: Vec<Thought>,
    call: Option<OpenCall>,
}

struct OpenCall {
    id: String,
    name: String,
    input: String,
}

impl Recorder {
    pub(crate) fn new(memory: Memory) -> Self {
        Self {
            memory,
            open: None,
            thoughts: Vec::new(),
            call: None,
        }
    }

    /// Takes note of an event on its way to the client.
    pub(crate) fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::ReasoningStart => self.open = Some(Thought::default()),
            Event::ReasoningDelta(piece) => {
                if let Some(open) = &mut self.open {
                    open.text.push_str(&piece.to_plain());
                }
            }
            Event::ReasoningOpaque(opaque) => {
                if let Some(open) = &mut self.open {
                    open.sealed = Some(opaque.state.to_plain().into_owned());
                }
            }
            Event::ReasoningEnd => self.thoughts.extend(self.open.take()),
            Event::CallStart { id, tool } if !self.thoughts.is_empty() => {
                self.call = Some(OpenCall {
                    id: (*id).to_owned(),
                    name: tool.name.to_owned(),
                    input: String::new(),
                });
            }
            Event::CallDelta(piece) => {
                if let Some(call) = &mut self.call {
                    call.input.push_str(&piece.to_plain());
                }
            }
            Event::CallEnd => self.call_end(),
            Event::CallCut => self.call = None,
            Event::Start { .. }
            | Event::TextStart
            | Event::TextDelta(_)
            | Event::Citation(_)
            | Event::Logprobs(_)
            | Event::TextEnd
            | Event::RefusalStart
            | Event::RefusalDelta(_)
            | Event::RefusalEnd
            | Event::CallStart { .. }
            | Event::WebSearch(_)
            | Event::Native(_)
            | Event::StoppedAt(_)
            | Event::Usage(_)
            | Event::Loss(_)
            | Event::Finish(_)
            | Event::Fault(_) => {}
        }
    }

    fn call_end(&mut self) {
        let Some(call) = self.call.take() else {
            return;
        };
        let thoughts = std::mem::take(&mut self.thoughts);
        let bytes: usize = thoughts.iter().map(Thought::bytes).sum();
        // Reasoning that says nothing and holds nothing is not worth a place.
        if (1..=THOUGHTS_BYTES_MAX).contains(&bytes) {
            self.memory.remember(&call, thoughts);
        }
    }
}

#[cfg(test)]
mod tests {
    use polywire_conversation::{Call, Message, Part};

    use super::*;

    fn home() -> Minter {
        Minter {
            provider: "house".to_owned(),
            account: "a".to_owned(),
            model: "m".to_owned(),
        }
    }

    fn call(id: &'static str, input: &'static str) -> Item<'static> {
        Item::Call(Call {
            id: id.into(),
            name: "look".into(),
            namespace: None,
            input: CallInput::Arguments(Text::plain(input)),
        })
    }

    fn said(role: Role, text: &'static str) -> Item<'static> {
        Item::Message(Message {
            role,
            parts: vec![Part::Text(Text::plain(text))],
            phase: None,
        })
    }

    fn thought(text: &'static str) -> Item<'static> {
        Thought {
            text: text.to_owned(),
            sealed: None,
        }
        .item(&home())
    }

    fn remember(memory: &Memory, id: &str, input: &str, text: &str) {
        let call = OpenCall {
            id: id.to_owned(),
            name: "look".to_owned(),
            input: input.to_owned(),
        };
        let text = text.to_owned();
        memory.remember(&call, vec![Thought { text, sealed: None }]);
    }

    fn given_back(memory: &Memory, items: Vec<Item<'static>>) -> Vec<Item<'static>> {
        let request = Request {
            items,
            ..Request::default()
        };
        let mut request = std::borrow::Cow::Owned(request);
        memory.give_back(&mut request, &home());
        request.into_owned().items
    }

    #[test]
    fn thoughts_come_back_before_what_they_led_to() {
        let memory = Memory::default();
        remember(&memory, "one", r#"{"a":1}"#, "first");
        remember(&memory, "two", "", "second");
        let (user, speech) = (said(Role::User, "hi"), said(Role::Assistant, "Well."));
        let (one, two) = (call("one", r#"{ "a": 1 }"#), call("two", "{}"));
        assert_eq!(
            given_back(
                &memory,
                vec![user.clone(), speech.clone(), one.clone(), two.clone()]
            ),
            [
                user.clone(),
                thought("first"),
                speech,
                one.clone(),
                thought("second"),
                two
            ]
        );
        // Another call of the same id is not that call, and what the client sends itself stands.
        for items in [
            vec![user.clone(), call("one", r#"{"a":2}"#)],
            vec![user, thought("own"), one],
        ] {
            assert_eq!(given_back(&memory, items.clone()), items);
        }
    }

    #[test]
    fn the_longest_unused_is_forgotten_first() {
        let memory = Memory::default();
        let long = "x".repeat(MEMORY_BYTES_MAX / 4 + 1);
        let knows = |id: &'static str| given_back(&memory, vec![call(id, "{}")]).len() == 2;
        for id in ["a", "b", "c"] {
            remember(&memory, id, "{}", &long);
        }
        assert!(knows("a"));
        remember(&memory, "d", "{}", &long);
        assert!(!knows("b"));
        assert!(knows("a") && knows("c") && knows("d"));
        let shelf = memory.lock();
        assert!(shelf.bytes <= MEMORY_BYTES_MAX);
        assert_eq!(shelf.by_use.len(), shelf.entries.len());
    }
}
