//! The typed parts that messages are made of.

use std::borrow::Cow;

use polywire_conversation::arguments::{ArgumentsCheck, Progress};
use polywire_conversation::{Call, CallInput, Form, Json, Loss, Text, ids};
use polywire_wire::{Object, write_string};

use super::Losses;

/// A part as it can be written.
pub(super) enum Written<'p> {
    Text(Text<'p>),
    Reasoning(Text<'p>),
    Image { url: Text<'p>, media_type: String },
    Call(&'p Call<'p>),
}

/// Writes a piece of text, visible or not.
pub(super) fn write_text(kind: &str, text: &Text<'_>, out: &mut Vec<u8>) {
    let mut part = Object::open(out);
    part.string("type", kind);
    part.text("text", text);
    part.close();
}

/// Writes a picture.
pub(super) fn write_image(url: &Text<'_>, media_type: &str, out: &mut Vec<u8>) {
    let mut part = Object::open(out);
    part.string("type", "image");
    part.text("image", url);
    part.string("mimeType", media_type);
    part.close();
}

/// Writes a call of the tool that goes over the wire as `name`. `place` is where notes about it say it stands.
pub(super) fn write_call(
    call: &Call<'_>,
    name: &str,
    place: &str,
    losses: &mut Losses,
    out: &mut Vec<u8>,
) {
    let mut part = Object::open(out);
    part.string("type", "tool-call");
    part.string("toolCallId", &wire_call_id(&call.id));
    part.string("toolName", name);
    write_input(&call.input, part.member("input"), place, losses);
    part.close();
}

/// Writes the input of a call, which has to be an object. Arguments that are none are put inside of one; the model still sees what
/// it wrote.
fn write_input(input: &CallInput<'_>, out: &mut Vec<u8>, place: &str, losses: &mut Losses) {
    match input {
        CallInput::Freeform(text) => {
            let mut object = Object::open(out);
            object.text("input", text);
            object.close();
        }
        CallInput::Search(arguments) => arguments.write(out),
        CallInput::Arguments(arguments) => {
            let mut check = ArgumentsCheck::default();
            check.push(arguments);
            let plain = arguments.to_plain();
            match (check.progress(), plain.trim()) {
                (Progress::Whole, whole) => {
                    let mended = Json::new(whole).mended();
                    if mended.as_str() != whole {
                        losses.add(Loss::note(
                            place.to_owned(),
                            "half a character in the arguments of a call was replaced: no strict reader takes it",
                        ));
                    }
                    mended.write(out);
                }
                (Progress::Empty, _) | (Progress::Partial | Progress::Broken, "null") => {
                    out.extend_from_slice(b"{}");
                }
                (Progress::Partial | Progress::Broken, _) => {
                    losses.add(Loss::note(
                        place.to_owned(),
                        "the arguments of a call are not a JSON object; they are sent inside one",
                    ));
                    out.extend_from_slice(br#"{"_invalid_arguments":"#);
                    write_string(&plain, out);
                    out.push(b'}');
                }
            }
        }
    }
}

/// The form in which a call goes back.
pub(super) fn form_of(call: &Call<'_>) -> Form {
    match &call.input {
        CallInput::Arguments(_) => Form::Function,
        CallInput::Freeform(_) => Form::Freeform,
        CallInput::Search(_) => Form::Search,
    }
}

/// The same id always becomes the same id, for a call and its result alike.
pub(super) fn wire_call_id(id: &str) -> Cow<'_, str> {
    if ids::is_usual(id) {
        id.into()
    } else {
        ids::made_from(id).into()
    }
}

/// The media type of a `data:` URL; `None` for any other URL.
pub(super) fn media_type_of(url: &str) -> Option<String> {
    let rest = url.strip_prefix("data:")?;
    let end = rest.find([';', ','])?;
    Some(rest[..end].to_owned())
}
