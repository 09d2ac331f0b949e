//! What was taken away, and where.

use std::fmt;

/// The most remarks about one schema; those beyond are counted. Enough to see what is wrong, few enough for a log.
pub const DROPPED_MAX: usize = 32;

/// The most characters of a name that a remark repeats.
const NAME_CHARS_MAX: usize = 60;

/// Where in a schema something stands. Costs nothing until a remark names it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'p> {
    /// The schema itself.
    Root,
    /// A member of an object.
    Key(&'p Place<'p>, &'p str),
    /// An element of an array.
    Index(&'p Place<'p>, usize),
}

impl<'p> Place<'p> {
    pub(crate) fn key(&'p self, key: &'p str) -> Place<'p> {
        Place::Key(self, key)
    }

    pub(crate) fn index(&'p self, index: usize) -> Place<'p> {
        Place::Index(self, index)
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Root => f.write_str("the root"),
            Place::Key(Place::Root, key) => f.write_str(&short(key)),
            Place::Key(parent, key) => write!(f, "{parent}.{}", short(key)),
            Place::Index(Place::Root, index) => write!(f, "[{index}]"),
            Place::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// A name in a remark: short, and on one line.
pub(crate) fn short(name: &str) -> String {
    let letters = name.chars().take(NAME_CHARS_MAX);
    letters
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

/// Remarks in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    notes: Vec<String>,
    beyond: usize,
}

impl Notes {
    /// Remarks on something at a place. A remark that was made already is not repeated.
    pub(crate) fn add(&mut self, place: &Place<'_>, what: impl fmt::Display) {
        if self.notes.len() >= DROPPED_MAX {
            self.beyond += 1;
            return;
        }
        let note = format!("{place}: {what}");
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    pub(crate) fn into_dropped(mut self) -> Vec<String> {
        if self.beyond > 0 {
            self.notes.push(format!("and {} more", self.beyond));
        }
        self.notes
    }
}
