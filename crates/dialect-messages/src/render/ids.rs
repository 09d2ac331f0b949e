//! Call ids that the protocol takes.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use polywire_conversation::ids;

/// The most characters of an id that goes out as it is.
const ID_LENGTH_MAX: usize = 64;

/// The id as the protocol takes it: up to 64 letters, digits, `_` and `-`.
pub(crate) fn legal(id: &str) -> Cow<'_, str> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if (1..=ID_LENGTH_MAX).contains(&id.len()) && id.bytes().all(is_legal) {
        id.into()
    } else {
        ids::made_from(id).into()
    }
}

/// What the ids of a conversation became: letters, digits, `_` and `-`, each of them once, the same for a call and its result.
#[derive(Debug, Default)]
pub(super) struct CallIds {
    wire: HashMap<String, String>,
    taken: HashSet<String>,
}

impl CallIds {
    /// The id of a call on the wire. The same id becomes the same one in every turn, because a changed one would cost the
    /// provider's prompt cache.
    pub(super) fn wire(&mut self, id: &str) -> String {
        if let Some(wire) = self.wire.get(id) {
            return wire.clone();
        }
        let mut wire = legal(id).into_owned();
        while !self.taken.insert(wire.clone()) {
            wire = ids::made_from(&wire);
        }
        self.wire.insert(id.to_owned(), wire.clone());
        wire
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_legal_and_apart() {
        let mut ids = CallIds::default();
        assert_eq!(ids.wire("toolu_1-a"), "toolu_1-a");
        let made = ids.wire("functions.x:0");
        assert!(made.starts_with("call_"), "{made}");
        assert_eq!(ids.wire("functions.x:0"), made);
        assert_ne!(ids.wire(&made), made);
        assert_ne!(ids.wire(""), "");
        assert_eq!(CallIds::default().wire("functions.x:0"), made);
    }
}
