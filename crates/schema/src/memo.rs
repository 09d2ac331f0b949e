//! Schemas that were compiled before.
//!
//! A client sends the same tools with every request of a conversation, so nearly every schema has been seen. The memo cannot be
//! noticed from outside but by its speed: compiling is a pure function of text and target, the key is that text itself and not
//! only its hash, and an entry that was forgotten is made again with the same bytes.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use crate::{Compiled, Target};

/// The most bytes of schemas, before and after, that one generation keeps. Two generations are alive, so the memo stays below
/// twice as much: some hundred tools of several clients for several targets.
const GENERATION_BYTES_MAX: usize = 4 << 20;

/// The most schemas that one generation keeps, so that a flood of tiny ones is bounded too.
const GENERATION_ENTRIES_MAX: usize = 2_048;

static MEMO: LazyLock<Mutex<Memo>> = LazyLock::new(Mutex::default);

/// What was compiled lately, and what was before that. When the young generation is full it becomes the old one and the old one
/// is forgotten; what is asked for again moves to the young one. Costs nothing per look-up, unlike an order of use.
#[derive(Default)]
struct Memo {
    young: Generation,
    old: Generation,
}

#[derive(Default)]
struct Generation {
    by_target: HashMap<Target, HashMap<Box<str>, Arc<Compiled>>>,
    entries: usize,
    bytes: usize,
}

impl Generation {
    fn get(&self, text: &str, target: Target) -> Option<Arc<Compiled>> {
        self.by_target.get(&target)?.get(text).cloned()
    }
}

impl Memo {
    fn get(&mut self, text: &str, target: Target) -> Option<Arc<Compiled>> {
        if let Some(found) = self.young.get(text, target) {
            return Some(found);
        }
        let found = self.old.get(text, target)?;
        self.keep(text, target, &found);
        Some(found)
    }

    fn keep(&mut self, text: &str, target: Target, compiled: &Arc<Compiled>) {
        let dropped_bytes: usize = compiled.dropped.iter().map(String::len).sum();
        let bytes = text.len() + compiled.schema.len() + dropped_bytes;
        if bytes > GENERATION_BYTES_MAX {
            return;
        }
        let is_full = self.young.bytes + bytes > GENERATION_BYTES_MAX
            || self.young.entries >= GENERATION_ENTRIES_MAX;
        if is_full {
            self.old = std::mem::take(&mut self.young);
        }
        let entries = self.young.by_target.entry(target).or_default();
        if entries.insert(text.into(), Arc::clone(compiled)).is_none() {
            self.young.entries += 1;
            self.young.bytes += bytes;
        }
    }
}

/// What `text` compiles to: from memory, or made by `compile`, which runs without the lock.
pub(crate) fn compiled(
    text: &str,
    target: Target,
    compile: impl FnOnce() -> Compiled,
) -> Arc<Compiled> {
    // A panic while the lock is held can only leave a memo that knows less.
    let lock = || MEMO.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = lock().get(text, target) {
        return found;
    }
    let made = Arc::new(compile());
    lock().keep(text, target, &made);
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(bytes: usize) -> Arc<Compiled> {
        Arc::new(Compiled {
            schema: "x".repeat(bytes),
            dropped: Vec::new(),
            strict_possible: false,
        })
    }

    #[test]
    fn the_memo_is_bounded_and_keeps_what_is_used() {
        let mut memo = Memo::default();
        memo.keep("used", Target::Gemini, &entry(1));
        for number in 0..10_000 {
            memo.keep(&number.to_string(), Target::Gemini, &entry(10));
            assert!(memo.young.entries <= GENERATION_ENTRIES_MAX);
            assert!(memo.get("used", Target::Gemini).is_some(), "{number}");
        }
        assert!(memo.get("used", Target::Mistral).is_none());
        assert!(memo.get("1", Target::Gemini).is_none());
        for number in 0..20 {
            memo.keep(&format!("large {number}"), Target::Gemini, &entry(1 << 20));
            assert!(memo.young.bytes <= GENERATION_BYTES_MAX);
            assert!(memo.old.bytes <= GENERATION_BYTES_MAX);
        }
        memo.keep("huge", Target::Gemini, &entry(GENERATION_BYTES_MAX));
        assert!(memo.get("huge", Target::Gemini).is_none());
    }
}
