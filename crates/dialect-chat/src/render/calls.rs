//! Calls of earlier turns.

use std::borrow::Cow;

use polywire_conversation::arguments::{ArgumentsCheck, Progress};
use polywire_conversation::{
    Call, CallInput, Form, Ledger, Loss, Text, ids, json, write_freeform_arguments,
};
use polywire_wire::Object;

use super::Losses;
use super::reasoning::write_extra_content;
use crate::profile::CallIds;

/// How the provider wants calls written.
#[derive(Clone, Copy)]
pub(super) struct CallForm {
    pub(super) ids: CallIds,
    /// Whether freeform calls are written as what they are.
    pub(super) freeform: bool,
}

/// Writes one call, and the provider's signature on it if there is one.
pub(super) fn write_call(
    call: &Call<'_>,
    signature: Option<&Text<'_>>,
    form: CallForm,
    ledger: &mut Ledger,
    losses: &mut Losses,
    place: &str,
    out: &mut Vec<u8>,
) {
    let kind = match &call.input {
        CallInput::Arguments(_) => Form::Function,
        CallInput::Freeform(_) => Form::Freeform,
        CallInput::Search(_) => Form::Search,
    };
    let wire_name = ledger.wire_name(&call.name, call.namespace.as_deref(), kind);
    let mut entry = Object::open(out);
    entry.string("id", &wire_call_id(&call.id, form.ids));
    if let (CallInput::Freeform(input), true) = (&call.input, form.freeform) {
        entry.string("type", "custom");
        let mut custom = Object::open(entry.member("custom"));
        custom.string("name", wire_name);
        custom.text("input", input);
        custom.close();
    } else {
        entry.string("type", "function");
        let mut function = Object::open(entry.member("function"));
        function.string("name", wire_name);
        let out = function.member("arguments");
        out.push(b'"');
        match &call.input {
            CallInput::Arguments(arguments) => write_arguments(arguments, losses, place, out),
            CallInput::Freeform(input) => write_freeform_arguments(input, out),
            CallInput::Search(arguments) => json::escape(arguments.as_str(), out),
        }
        out.push(b'"');
        function.close();
    }
    if let Some(signature) = signature {
        write_extra_content(signature, &mut entry);
    }
    entry.close();
}

/// Writes arguments as the model wrote them. Several providers refuse the whole request over one old call whose arguments are no
/// JSON object, so such arguments are wrapped in one; the model still sees what it wrote.
fn write_arguments(arguments: &Text<'_>, losses: &mut Losses, place: &str, out: &mut Vec<u8>) {
    let mut check = ArgumentsCheck::default();
    check.push(arguments);
    let nothing = matches!(arguments.as_written().trim(), "" | "null");
    match check.progress() {
        Progress::Whole => arguments.write_escaped(out),
        Progress::Empty => out.extend_from_slice(b"{}"),
        Progress::Partial | Progress::Broken if nothing => out.extend_from_slice(b"{}"),
        Progress::Partial | Progress::Broken => {
            losses.add(Loss::note(
                place.to_owned(),
                "its arguments are not a JSON object; they are sent inside one",
            ));
            let mut body = Vec::with_capacity(arguments.as_written().len() + 32);
            arguments.write_escaped(&mut body);
            out.extend_from_slice(br#"{\"_invalid_arguments\":\""#);
            json::escape(&String::from_utf8_lossy(&body), out);
            out.extend_from_slice(br#"\"}"#);
        }
    }
}

/// A call id in the form that the provider takes. The same id always becomes the same id, for a call and its result alike.
pub(super) fn wire_call_id(id: &str, form: CallIds) -> Cow<'_, str> {
    match form {
        CallIds::AsGiven if ids::is_usual(id) => id.into(),
        CallIds::AsGiven => ids::made_from(id).into(),
        CallIds::Alphanumeric9 => ids::alphanumeric_9(id),
    }
}
