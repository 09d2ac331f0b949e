//! Threads that wait for the results of tools.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::worker::{Inbox, Worker};
use crate::ask::{Ask, Since, ToolAnswer, ToolCall};
use crate::frames::Usage;

/// A thread in the middle of its turn: the model has called tools, and the client has gone to carry them out.
#[derive(Debug)]
pub(super) struct WaitingThread {
    pub(super) worker: Arc<Worker>,
    pub(super) thread_id: String,
    pub(super) turn_id: String,
    pub(super) inbox: Inbox,
    /// The calls that the client was given.
    pub(super) calls: Vec<ToolCall>,
    /// Those for which Codex has asked already, with the ids of its requests.
    pub(super) asked: HashMap<String, Value>,
    /// What it has consumed so far, which the client was told.
    pub(super) usage: Usage,
    /// How many items the request had that led here, and its fingerprint.
    pub(super) items: usize,
    pub(super) fingerprint: [u8; 32],
    /// Where it works, if the client has said so.
    pub(super) cwd: Option<PathBuf>,
    /// Tells this thread from others that wait.
    pub(super) ticket: u64,
}

/// The threads that wait, oldest first.
#[derive(Debug, Default)]
pub(super) struct WaitingThreads(Mutex<Vec<WaitingThread>>);

/// A thread found again, and what its tools have answered.
pub(super) struct Found {
    pub(super) thread: WaitingThread,
    pub(super) answers: Vec<ToolAnswer>,
}

impl WaitingThreads {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<WaitingThread>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn len(&self) -> usize {
        let threads = self.lock();
        threads
            .iter()
            .filter(|thread| thread.worker.is_alive())
            .count()
    }

    /// Lets a thread wait. Gives back the oldest ones when there are more than `max`.
    pub(super) fn put(&self, thread: WaitingThread, max: usize) -> Vec<WaitingThread> {
        let mut threads = self.lock();
        // What is gone with its worker takes nobody's place.
        threads.retain(|thread| thread.worker.is_alive());
        threads.push(thread);
        let too_many = threads.len().saturating_sub(max);
        threads.drain(..too_many).collect()
    }

    /// Takes out a thread by its ticket.
    pub(super) fn take(&self, ticket: u64) -> Option<WaitingThread> {
        let mut threads = self.lock();
        let index = threads.iter().position(|thread| thread.ticket == ticket)?;
        Some(threads.remove(index))
    }

    /// Takes out all threads.
    pub(super) fn take_all(&self) -> Vec<WaitingThread> {
        std::mem::take(&mut *self.lock())
    }

    /// Finds the thread that a request goes on: one that waits for exactly the calls whose results the request brings, and whose
    /// conversation is word for word the one of the request up to there. The calls themselves must be what the model said: a person
    /// may have changed one before it was carried out.
    pub(super) fn find(&self, ask: &Ask, cwd: Option<&Path>) -> Option<Found> {
        let answered: HashSet<String> = ask.answered_calls().into_iter().collect();
        if answered.is_empty() {
            return None;
        }
        let mut threads = self.lock();
        for index in 0..threads.len() {
            let thread = &threads[index];
            let calls_match = thread.calls.len() == answered.len()
                && thread.calls.iter().all(|call| answered.contains(&call.id));
            if !calls_match
                || !thread.worker.is_alive()
                || thread.cwd.as_deref() != cwd
                || ask.fingerprint(thread.items) != Some(thread.fingerprint)
            {
                continue;
            }
            let Some(Since { calls, answers }) = ask.since(thread.items) else {
                continue;
            };
            let said = |told: &ToolCall| thread.calls.iter().any(|call| call.is_told_as(told));
            if calls.iter().all(said) {
                let thread = threads.remove(index);
                return Some(Found { thread, answers });
            }
        }
        None
    }
}
