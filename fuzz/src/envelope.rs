//! Envelopes: what clients send back as reasoning state.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use polywire_conversation::envelope::{Content, Envelope, Minter, PREFIX};
use polywire_conversation::{Opaque, OpaqueKind, Text};

/// Opens the input as a client's string and as the inside of a sound envelope; what opens is sealed to something that opens to
/// the same. Then seals the input as state, and expects it back, and nothing from a damaged copy.
pub fn envelope(input: &[u8]) {
    let (damage, content) = match input {
        [at, by, content @ ..] => ((usize::from(*at), *by), content),
        _ => ((0, 0), input),
    };
    let text = String::from_utf8_lossy(content);
    opens_again(&text);
    opens_again(&wrapped(content));
    let envelope = Envelope {
        minter: Minter {
            provider: "house".to_owned(),
            account: "0123".to_owned(),
            model: text.chars().take(3).collect(),
        },
        content: Content::State(vec![Opaque {
            kind: OpaqueKind::Signature,
            state: Text::plain(text.into_owned()),
        }]),
    };
    let sealed = envelope.seal();
    assert_eq!(Envelope::open(&sealed), Some(envelope.clone()));
    let mut damaged = sealed.into_bytes();
    let at = damage.0 % damaged.len();
    damaged[at] ^= damage.1;
    // The checksum may be spelt in capitals; nothing else may differ.
    let opened = Envelope::open(&String::from_utf8_lossy(&damaged));
    assert!(opened.is_none_or(|opened| opened == envelope));
}

fn opens_again(sealed: &str) {
    if let Some(envelope) = Envelope::open(sealed) {
        assert_eq!(Envelope::open(&envelope.seal()), Some(envelope));
    }
}

/// The content with everything around it that makes an envelope, so that the fuzzer need not find a checksum.
fn wrapped(content: &[u8]) -> String {
    let body = URL_SAFE_NO_PAD.encode(content);
    let checksum = body.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    format!("{PREFIX}{body}.{checksum:08x}")
}
