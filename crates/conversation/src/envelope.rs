//! Envelopes: reasoning state of a provider on its way through a client.
//!
//! The only thing that clients carry faithfully from one turn to the next is one opaque string beside the reasoning
//! (`encrypted_content`, `signature`). What a provider wants back is put there, tagged with who minted it, so that a thread can
//! move from provider to provider: at home the state is taken out and passed back exactly, elsewhere it is left where it is.
//! A string that is no envelope of ours, or a damaged one, is never passed to anybody.
//!
//! An envelope is not secret and not signed: it holds the user's own conversation. The checksum only tells damage.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::{Opaque, OpaqueKind, Text};

/// Who made the state, and so who can read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minter {
    /// The provider's id in the settings.
    pub provider: String,
    /// A hash of the account: state of one account means nothing to another.
    pub account: String,
    /// The provider's name for the model.
    pub model: String,
}

/// What is inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Reasoning state, in the order in which it came.
    State(Vec<Opaque<'static>>),
    /// A readable summary that stands in the place of a conversation.
    Summary(String),
}

/// An envelope that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Who made it.
    pub minter: Minter,
    /// What is inside.
    pub content: Content,
}

/// How an envelope begins. The digit is the version of the format.
pub const PREFIX: &str = "pw1.";

/// The most bytes of an envelope that is opened. Providers' states are some kB; the largest seen, encrypted reasoning of a long
/// answer, was below 100 kB.
pub const ENVELOPE_BYTES_MAX: usize = 4 << 20;

impl Envelope {
    /// Writes it as one string of letters, digits, `.`, `-` and `_`, which every client carries.
    pub fn seal(&self) -> String {
        let Minter {
            provider,
            account,
            model,
        } = &self.minter;
        let body = match &self.content {
            Content::State(state) => {
                let state: Vec<Value> = state
                    .iter()
                    .map(|opaque| json!([opaque.kind.name(), opaque.state.to_plain()]))
                    .collect();
                json!({"p": provider, "a": account, "m": model, "s": state})
            }
            Content::Summary(summary) => {
                json!({"p": provider, "a": account, "m": model, "t": summary})
            }
        };
        let body = URL_SAFE_NO_PAD.encode(body.to_string());
        let checksum = checksum(&body);
        format!("{PREFIX}{body}.{checksum:08x}")
    }

    /// Opens what a client sent back. `None` for anything that is not one of ours, or damaged.
    pub fn open(sealed: &str) -> Option<Self> {
        if sealed.len() > ENVELOPE_BYTES_MAX {
            return None;
        }
        let (body, told) = sealed.strip_prefix(PREFIX)?.rsplit_once('.')?;
        if u32::from_str_radix(told, 16).ok()? != checksum(body) {
            return None;
        }
        let body: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()?;
        let word = |key: &str| body.get(key)?.as_str().map(str::to_owned);
        let content = match word("t") {
            Some(summary) => Content::Summary(summary),
            None => Content::State(
                body.get("s")?
                    .as_array()?
                    .iter()
                    .map(|entry| {
                        Some(Opaque {
                            kind: OpaqueKind::parse(entry.get(0)?.as_str()?)?,
                            state: Text::plain(entry.get(1)?.as_str()?.to_owned()),
                        })
                    })
                    .collect::<Option<_>>()?,
            ),
        };
        Some(Self {
            minter: Minter {
                provider: word("p")?,
                account: word("a")?,
                model: word("m")?,
            },
            content,
        })
    }
}

/// FNV-1a, 32 bits.
fn checksum(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn minter() -> Minter {
        Minter {
            provider: "house".to_owned(),
            account: "0123".to_owned(),
            model: "small/1".to_owned(),
        }
    }

    #[test]
    fn what_is_sealed_is_opened_and_nothing_else() {
        let envelope = Envelope {
            minter: minter(),
            content: Content::Summary("They talked about \"it\".\n".to_owned()),
        };
        let sealed = envelope.seal();
        assert_eq!(Envelope::open(&sealed), Some(envelope));
        for foreign in ["", "gAAAAABo", "pw1.", "pw1..", "pw1.e30.0", &sealed[1..]] {
            assert_eq!(Envelope::open(foreign), None, "{foreign}");
        }
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone().into_bytes();
            damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
            let damaged = String::from_utf8(damaged).unwrap();
            assert_eq!(Envelope::open(&damaged), None, "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn any_state_survives(states in prop::collection::vec((0usize..6, any::<String>()), 0..5)) {
            let kinds = ["detail", "signature", "encrypted", "redacted", "item", "call_signature"];
            let state = states
                .into_iter()
                .map(|(kind, state)| Opaque {
                    kind: OpaqueKind::parse(kinds[kind]).unwrap(),
                    state: Text::plain(state),
                })
                .collect();
            let envelope = Envelope { minter: minter(), content: Content::State(state) };
            let sealed = envelope.seal();
            prop_assert!(sealed.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)));
            prop_assert_eq!(Envelope::open(&sealed), Some(envelope));
        }

        #[test]
        fn any_text_is_looked_at(text in "(pw1\\.)?[A-Za-z0-9_.-]{0,60}") {
            Envelope::open(&text);
        }
    }
}
