//! What reading a request meets and cannot carry.

use std::borrow::Cow;

use polywire_conversation::Loss;

/// Collects losses. What comes in great numbers is counted and told once.
#[derive(Debug, Default)]
pub(super) struct Notes {
    losses: Vec<Loss>,
    cache_marks: usize,
    citations: usize,
}

impl Notes {
    /// Something that leaves the meaning alone.
    pub(super) fn note(
        &mut self,
        what: impl Into<Cow<'static, str>>,
        why: impl Into<Cow<'static, str>>,
    ) {
        self.losses.push(Loss::note(what, why));
    }

    /// Something that makes the turn poorer.
    pub(super) fn degraded(
        &mut self,
        what: impl Into<Cow<'static, str>>,
        why: impl Into<Cow<'static, str>>,
    ) {
        self.losses.push(Loss::degraded(what, why));
    }

    /// A mark for the prompt cache.
    pub(super) fn cache_mark(&mut self, is_set: bool) {
        self.cache_marks += usize::from(is_set);
    }

    /// The sources of an earlier answer's text.
    pub(super) fn citations(&mut self, is_set: bool) {
        self.citations += usize::from(is_set);
    }

    /// All losses; what was counted comes last.
    pub(super) fn into_losses(mut self) -> Vec<Loss> {
        if self.cache_marks > 0 {
            let why = format!(
                "left out in {}: who sends the request knows where the provider caches",
                places(self.cache_marks)
            );
            self.note("cache_control", why);
        }
        if self.citations > 0 {
            let why = format!(
                "left out in {}: the sources of earlier texts are not told again",
                places(self.citations)
            );
            self.note("citations", why);
        }
        self.losses
    }
}

fn places(count: usize) -> String {
    match count {
        1 => "one place".to_owned(),
        count => format!("{count} places"),
    }
}
