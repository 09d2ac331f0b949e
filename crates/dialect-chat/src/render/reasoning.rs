//! What of earlier reasoning goes back with an assistant message, and where it stands.
//!
//! State reaches the renderer only when the provider at hand made it, so it goes back as it came. What is still sealed was made
//! by somebody else and stays where it is.

use std::collections::VecDeque;

use polywire_conversation::history::{Assistant, Piece};
use polywire_conversation::{Loss, OpaqueKind, Reasoning, Text};
use polywire_wire::{Object, write_array};

use super::Losses;
use super::parts::{write_lines, write_paragraphs, write_paragraphs_body, write_text_part};
use crate::details::Details;
use crate::profile::{CallSignature, Profile, ReasoningBack};

/// What stands in for the signature of a call that another provider made: the dummy value that Google documents for that.
const FOREIGN_CALL_SIGNATURE: &str = "skip_thought_signature_validator";

/// What goes back with one assistant message.
#[derive(Default)]
pub(super) struct Back<'r> {
    /// A field with text.
    pub(super) text: Option<(&'static str, Vec<&'r Text<'r>>)>,
    /// Text to stand between tags.
    pub(super) think: Vec<&'r Text<'r>>,
    /// What is encrypted beside the text.
    pub(super) opaque: Option<&'r Text<'r>>,
    /// Entries of `reasoning_details`, as JSON.
    pub(super) details: Vec<String>,
    /// A signature over the message.
    pub(super) signature: Option<&'r Text<'r>>,
    /// The signature of each call, in the order of the calls.
    pub(super) call_signatures: Vec<Option<Text<'r>>>,
    readable: bool,
}

impl Back<'_> {
    /// Whether there is readable reasoning that goes back.
    pub(super) fn has_text(&self) -> bool {
        self.readable
    }
}

/// Settles what goes back with an assistant message.
pub(super) fn back<'r>(
    assistant: &'r Assistant<'r>,
    profile: &Profile,
    losses: &mut Losses,
) -> Back<'r> {
    let form = profile.reasoning_back;
    note_sealed(assistant, profile, losses);
    let texts: Vec<&Text<'_>> = assistant
        .reasoning()
        .flat_map(|item| item.visible.parts())
        .filter(|text| !text.is_empty())
        .collect();
    let required = profile.reasoning_back_required && assistant.calls().next().is_some();
    let mut back = Back {
        readable: !texts.is_empty(),
        call_signatures: call_signatures(assistant, profile, losses),
        ..Back::default()
    };
    let mut kept = vec![OpaqueKind::CallSignature];
    match form {
        ReasoningBack::None => {
            if !texts.is_empty() {
                left_out(losses, "the provider does not take it back");
            }
        }
        ReasoningBack::ReasoningContent | ReasoningBack::Reasoning => {
            let field = form.text_field().filter(|_| required || !texts.is_empty());
            back.text = field.map(|field| (field, texts));
        }
        ReasoningBack::ThinkTags => back.think = texts,
        ReasoningBack::ContentParts => kept.push(OpaqueKind::Signature),
        ReasoningBack::TextAndOpaque => {
            kept.push(OpaqueKind::Encrypted);
            back.opaque = last_state(assistant, OpaqueKind::Encrypted, losses);
            if back.opaque.is_some() || required {
                back.text = Some(("reasoning_text", texts));
            } else if !texts.is_empty() {
                left_out(
                    losses,
                    "the provider takes it back only with what it encrypted beside it",
                );
            }
        }
        ReasoningBack::Details => {
            kept.push(OpaqueKind::Detail);
            back.details = details(assistant, &texts, required);
            if back.details.is_empty() && !texts.is_empty() {
                left_out(losses, "the provider takes back only entries of its own");
            }
        }
    }
    if profile.call_signature == CallSignature::Placeholder && form != ReasoningBack::ContentParts {
        kept.push(OpaqueKind::Signature);
        back.signature = last_state(assistant, OpaqueKind::Signature, losses);
    }
    let homeless = assistant.reasoning().any(|item| {
        // A signed part without its words would be refused.
        let is_bare = form == ReasoningBack::ContentParts && !is_readable(item);
        let has_place = |kind| kept.contains(&kind) && !(is_bare && kind == OpaqueKind::Signature);
        item.state.iter().any(|state| !has_place(state.kind))
    });
    if homeless {
        losses.add(Loss::note(
            "input",
            "sealed reasoning of earlier turns was left out: there is no field for it",
        ));
    }
    back
}

fn left_out(losses: &mut Losses, why: &str) {
    losses.add(Loss::note(
        "input",
        format!("reasoning of earlier turns was left out: {why}"),
    ));
}

/// Notes reasoning that nobody here can open.
fn note_sealed(assistant: &Assistant<'_>, profile: &Profile, losses: &mut Losses) {
    let is_sealed = |item: &Reasoning<'_>| item.sealed.is_some() && item.state.is_empty();
    if !assistant.reasoning().any(is_sealed) {
        return;
    }
    let has_place = profile.reasoning_back.takes_state()
        || profile.call_signature == CallSignature::Placeholder;
    losses.add(Loss::note(
        "input",
        if has_place {
            "sealed reasoning of earlier turns was left out: it was not made by this provider for this model, or is damaged"
        } else {
            "sealed reasoning of earlier turns was left out: there is no field for it"
        },
    ));
}

/// The one state of a kind for which there is one place only.
fn last_state<'r>(
    assistant: &'r Assistant<'r>,
    kind: OpaqueKind,
    losses: &mut Losses,
) -> Option<&'r Text<'r>> {
    if states(assistant, kind).count() > 1 {
        losses.add(Loss::note(
            "input",
            "of several pieces of sealed reasoning in one turn the last one is sent: there is one field for it",
        ));
    }
    states(assistant, kind).last()
}

fn states<'r>(
    assistant: &'r Assistant<'r>,
    kind: OpaqueKind,
) -> impl Iterator<Item = &'r Text<'r>> {
    assistant
        .reasoning()
        .flat_map(|item| &item.state)
        .filter(move |state| state.kind == kind)
        .map(|state| &state.state)
}

/// The provider's entries, whole again. Where an entry is required and there is none, one is made of the readable words.
fn details(assistant: &Assistant<'_>, texts: &[&Text<'_>], required: bool) -> Vec<String> {
    let mut details = Details::default();
    for state in states(assistant, OpaqueKind::Detail) {
        details.join(&state.to_plain());
    }
    details.lend_text(texts);
    if details.is_empty() && required && !texts.is_empty() {
        let mut out = Vec::new();
        let mut entry = Object::open(&mut out);
        entry.string("type", "reasoning.text");
        write_paragraphs(texts.iter().copied(), entry.member("text"));
        entry.close();
        details.join(&String::from_utf8_lossy(&out));
    }
    details.take()
}

/// Which signature belongs to which call: each stands before its call, and some clients put those of several calls before the
/// first one, in order.
fn call_signatures<'r>(
    assistant: &'r Assistant<'r>,
    profile: &Profile,
    losses: &mut Losses,
) -> Vec<Option<Text<'r>>> {
    let mut waiting = VecDeque::new();
    let mut signatures: Vec<Option<Text<'r>>> = Vec::new();
    for piece in &assistant.pieces {
        match piece {
            Piece::Reasoning(reasoning) => waiting.extend(
                reasoning
                    .state
                    .iter()
                    .filter(|state| state.kind == OpaqueKind::CallSignature)
                    .map(|state| state.state.borrow()),
            ),
            Piece::Call(_) => signatures.push(waiting.pop_front()),
            Piece::Part(_) => {}
        }
    }
    if !waiting.is_empty() {
        losses.add(Loss::note(
            "input",
            "a signature was left out: the call that it belongs to is gone",
        ));
    }
    // Of calls made at once the provider itself signs the first one only.
    if profile.call_signature == CallSignature::Placeholder
        && signatures.iter().all(Option::is_none)
        && let Some(first) = signatures.first_mut()
    {
        *first = Some(FOREIGN_CALL_SIGNATURE.into());
    }
    signatures
}

/// Whether an item has words.
fn is_readable(reasoning: &Reasoning<'_>) -> bool {
    reasoning
        .visible
        .parts()
        .iter()
        .any(|text| !text.is_empty())
}

/// Writes an item as a content part of type `thinking`.
fn write_thinking_part(reasoning: &Reasoning<'_>, out: &mut Vec<u8>) {
    let mut part = Object::open(out);
    part.string("type", "thinking");
    let texts = reasoning.visible.parts().iter();
    write_array(
        texts.filter(|text| !text.is_empty()),
        part.member("thinking"),
        write_text_part,
    );
    let signature = reasoning
        .state
        .iter()
        .rfind(|state| state.kind == OpaqueKind::Signature);
    if let Some(signature) = signature {
        part.text("signature", &signature.state);
    }
    part.close();
}

/// Writes `extra_content` with a signature, as Gemini's compatible endpoint has it on calls and messages.
pub(super) fn write_extra_content(signature: &Text<'_>, object: &mut Object<'_>) {
    let mut extra = Object::open(object.member("extra_content"));
    let mut google = Object::open(extra.member("google"));
    google.text("thought_signature", signature);
    google.close();
    extra.close();
}

/// Writes what goes back beside the content.
pub(super) fn write_back(back: &Back<'_>, message: &mut Object<'_>) {
    if let Some((field, texts)) = &back.text {
        write_paragraphs(texts.iter().copied(), message.member(field));
    }
    if let Some(opaque) = back.opaque {
        message.text("reasoning_opaque", opaque);
    }
    if !back.details.is_empty() {
        write_array(
            &back.details,
            message.member("reasoning_details"),
            |entry, out| {
                out.extend_from_slice(entry.as_bytes());
            },
        );
    }
    if let Some(signature) = back.signature {
        write_extra_content(signature, message);
    }
}

/// Writes reasoning and texts as content parts in their order.
pub(super) fn write_thinking_content(
    assistant: &Assistant<'_>,
    texts: &[Text<'_>],
    out: &mut Vec<u8>,
) {
    let mut texts = texts.iter();
    let pieces = assistant.pieces.iter().filter(|piece| match piece {
        Piece::Reasoning(thought) => is_readable(thought),
        Piece::Part(_) => true,
        Piece::Call(_) => false,
    });
    write_array(pieces, out, |piece, out| match piece {
        Piece::Reasoning(thought) => write_thinking_part(thought, out),
        Piece::Part(_) | Piece::Call(_) => {
            write_text_part(texts.next().unwrap_or(&Text::EMPTY), out);
        }
    });
}

/// Writes reasoning between tags, and the texts behind it: as the models write it themselves.
pub(super) fn write_tagged_content(thoughts: &[&Text<'_>], texts: &[Text<'_>], out: &mut Vec<u8>) {
    let mut body = br"<think>\n".to_vec();
    write_paragraphs_body(thoughts.iter().copied(), &mut body);
    if !body.ends_with(br"\n") {
        body.extend_from_slice(br"\n");
    }
    body.extend_from_slice(br"</think>\n\n");
    out.push(b'"');
    out.append(&mut body);
    let mut said = Vec::new();
    write_lines(texts.iter(), &mut said);
    out.extend_from_slice(said.strip_prefix(b"\"").unwrap_or(&said));
}
