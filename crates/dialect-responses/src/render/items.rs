//! The conversation as input items.

use std::collections::HashMap;

use polywire_conversation::arguments::{ArgumentsCheck, Progress};
use polywire_conversation::history::{Assistant, Piece, Turn};
use polywire_conversation::{
    Call, CallInput, Form, Ledger, Loss, Part, Text, ids, json, write_freeform_arguments,
};
use polywire_wire::Object;

use super::Losses;
use super::parts::{Place, Takes, part_text, write_part};
use super::reasoning;
use super::results;
use crate::profile::Profile;

/// What is to be written.
pub(super) struct Conversation<'a> {
    pub(super) instructions: Option<&'a Text<'a>>,
    pub(super) turns: Vec<Turn<'a>>,
    /// The form of the answer in words, where words must do.
    pub(super) answer_form: Option<&'a Text<'a>>,
}

/// How it is written, and where notes about it go.
pub(super) struct Setting<'w> {
    pub(super) profile: &'w Profile,
    /// Whether provider and model both take images.
    pub(super) accepts_images: bool,
    /// Whether the ids of stored files can mean something to the provider.
    pub(super) accepts_stored_files: bool,
    pub(super) ledger: &'w mut Ledger,
    pub(super) losses: &'w mut Losses,
}

impl Setting<'_> {
    pub(super) fn takes(&self) -> Takes {
        Takes {
            images: self.accepts_images,
            files: self.profile.files,
            stored_files: self.accepts_stored_files,
        }
    }
}

/// Writes `instructions` and `input`.
pub(super) fn write(conversation: Conversation<'_>, setting: Setting<'_>, body: &mut Object<'_>) {
    let Conversation {
        instructions,
        turns,
        answer_form,
    } = conversation;
    let mut leading: Vec<Text<'_>> = instructions.map(Text::borrow).into_iter().collect();
    let mut begun = 0;
    if setting.profile.instructions_field {
        for turn in &turns {
            let Turn::Instruction(parts) = turn else {
                break;
            };
            let texts = parts.iter().map(|part| part_text(part, setting.losses));
            leading.extend(texts);
            begun += 1;
        }
    }
    leading.extend(answer_form.map(Text::borrow));
    leading.retain(|text| !text.is_empty());
    if let (true, Some(text)) = (leading.is_empty(), &setting.profile.instructions_default) {
        leading.push(Text::plain(text.as_str()));
        setting.losses.add(default_instructions());
    }
    let mut first = None;
    if !leading.is_empty() {
        if setting.profile.instructions_field {
            write_paragraphs(&leading, body.member("instructions"));
        } else {
            first = Some(leading);
        }
    }
    let mut writer = Writer {
        forms: HashMap::new(),
        out: body.member("input"),
        empty: true,
        setting,
    };
    writer.out.push(b'[');
    if let Some(texts) = first {
        let parts: Vec<Part<'_>> = texts.into_iter().map(Part::Text).collect();
        writer.instruction(&parts);
    }
    for (place, turn) in turns.iter().enumerate().skip(begun) {
        writer.turn(turn, place);
    }
    writer.out.push(b']');
}

/// What the model was told that nobody had asked for.
pub(crate) fn default_instructions() -> Loss {
    Loss::note(
        "instructions",
        "a general sentence was added: the provider insists on instructions, and the request has none",
    )
}

/// Writes texts as one string with a blank line between them: they were apart for a reason.
fn write_paragraphs(texts: &[Text<'_>], out: &mut Vec<u8>) {
    out.push(b'"');
    for (index, text) in texts.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(br"\n\n");
        }
        text.write_escaped(out);
    }
    out.push(b'"');
}

/// The form in which a call goes out, and so its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Function,
    Custom,
    Search,
}

impl Sent {
    fn of(input: &CallInput<'_>, profile: &Profile) -> Self {
        match input {
            CallInput::Freeform(_) if profile.freeform_tools => Sent::Custom,
            CallInput::Search(_) if profile.tool_search => Sent::Search,
            CallInput::Freeform(_) | CallInput::Search(_) | CallInput::Arguments(_) => {
                Sent::Function
            }
        }
    }
}

struct Writer<'o, 'w> {
    setting: Setting<'w>,
    out: &'o mut Vec<u8>,
    /// Whether no item was written yet.
    empty: bool,
    /// How the calls went out whose results follow, by call id.
    forms: HashMap<String, Sent>,
}

impl Writer<'_, '_> {
    fn turn(&mut self, turn: &Turn<'_>, place: usize) {
        match turn {
            Turn::Instruction(parts) => self.instruction(parts),
            Turn::User(parts) => self.message("user", parts, Place::Input),
            Turn::Assistant(assistant) => self.assistant(assistant, place),
            Turn::Results(answers) => {
                for result in answers {
                    let sent = self.forms.get(&*result.call_id).copied();
                    self.separate();
                    results::write(
                        result,
                        sent.unwrap_or(Sent::Function),
                        &mut self.setting,
                        self.out,
                    );
                }
            }
        }
    }

    fn instruction(&mut self, parts: &[Part<'_>]) {
        let role = self.setting.profile.system_role.name();
        self.message(role, parts, Place::Instruction);
    }

    fn message(&mut self, role: &str, parts: &[Part<'_>], place: Place) {
        self.separate();
        let takes = self.setting.takes();
        let losses = &mut *self.setting.losses;
        let mut message = Object::open(self.out);
        message.string("type", "message");
        message.string("role", role);
        polywire_wire::write_array(parts, message.member("content"), |part, out| {
            write_part(part, place, takes, losses, out);
        });
        message.close();
    }

    /// What the model did in one go, in its order: what it said between two calls or thoughts is one message.
    fn assistant(&mut self, assistant: &Assistant<'_>, place: usize) {
        let mut said: Vec<Part<'_>> = Vec::new();
        for (index, piece) in assistant.pieces.iter().enumerate() {
            if let Piece::Part(part) = piece {
                said.push(part.clone());
                continue;
            }
            self.say(&mut said);
            match piece {
                Piece::Part(_) => {}
                Piece::Reasoning(thought) => {
                    let mut item = Vec::new();
                    let Setting {
                        profile, losses, ..
                    } = &mut self.setting;
                    if reasoning::write(thought, profile, losses, &mut item) {
                        self.separate();
                        self.out.append(&mut item);
                    }
                }
                Piece::Call(call) => {
                    self.call(call, || format!("turn {place}, piece {index}"));
                }
            }
        }
        self.say(&mut said);
    }

    fn say(&mut self, said: &mut Vec<Part<'_>>) {
        let said = std::mem::take(said);
        if !said.is_empty() {
            self.message("assistant", &said, Place::Output);
        }
    }

    fn call(&mut self, call: &Call<'_>, place: impl Fn() -> String) {
        self.separate();
        let sent = Sent::of(&call.input, self.setting.profile);
        self.forms.insert(call.id.clone().into_owned(), sent);
        let mut item = Object::open(self.out);
        item.string(
            "type",
            match sent {
                Sent::Function => "function_call",
                Sent::Custom => "custom_tool_call",
                Sent::Search => "tool_search_call",
            },
        );
        item.string("call_id", &wire_call_id(&call.id));
        if sent == Sent::Search {
            item.string("execution", "client");
            item.string("status", "completed");
        } else {
            write_target(call, &mut self.setting, &mut item);
        }
        match (&call.input, sent) {
            (CallInput::Arguments(arguments), _) => {
                write_arguments(
                    arguments,
                    self.setting.losses,
                    place,
                    item.member("arguments"),
                );
            }
            (CallInput::Freeform(input), Sent::Custom) => item.text("input", input),
            (CallInput::Freeform(input), Sent::Function | Sent::Search) => {
                let out = item.member("arguments");
                out.push(b'"');
                write_freeform_arguments(input, out);
                out.push(b'"');
            }
            (CallInput::Search(arguments), Sent::Search) => item.json("arguments", arguments),
            (CallInput::Search(arguments), Sent::Function | Sent::Custom) => {
                let out = item.member("arguments");
                out.push(b'"');
                json::escape(arguments.as_str(), out);
                out.push(b'"');
            }
        }
        item.close();
    }

    fn separate(&mut self) {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
    }
}

/// Writes whose call it is: by name and namespace where the provider knows namespaces, else by the name that the tool has on the
/// wire.
fn write_target(call: &Call<'_>, setting: &mut Setting<'_>, item: &mut Object<'_>) {
    let form = match &call.input {
        CallInput::Arguments(_) => Form::Function,
        CallInput::Freeform(_) => Form::Freeform,
        CallInput::Search(_) => Form::Search,
    };
    let namespace = call.namespace.as_deref();
    let wire_name = setting.ledger.wire_name(&call.name, namespace, form);
    match namespace {
        Some(namespace) if setting.profile.namespaces => {
            item.string("name", &call.name);
            item.string("namespace", namespace);
        }
        Some(_) | None => item.string("name", wire_name),
    }
}

/// Writes arguments as the model wrote them. Some providers refuse the whole request over one old call whose arguments are no
/// JSON object, so such arguments are wrapped in one; the model still sees what it wrote.
fn write_arguments(
    arguments: &Text<'_>,
    losses: &mut Losses,
    place: impl Fn() -> String,
    out: &mut Vec<u8>,
) {
    let mut check = ArgumentsCheck::default();
    check.push(arguments);
    let nothing = matches!(arguments.as_written().trim(), "" | "null");
    out.push(b'"');
    match check.progress() {
        Progress::Whole => arguments.write_escaped(out),
        Progress::Empty => out.extend_from_slice(b"{}"),
        Progress::Partial | Progress::Broken if nothing => out.extend_from_slice(b"{}"),
        Progress::Partial | Progress::Broken => {
            losses.add(Loss::note(
                place(),
                "its arguments are not a JSON object; they are sent inside one",
            ));
            let mut body = Vec::with_capacity(arguments.as_written().len() + 32);
            arguments.write_escaped(&mut body);
            out.extend_from_slice(br#"{\"_invalid_arguments\":\""#);
            json::escape(&String::from_utf8_lossy(&body), out);
            out.extend_from_slice(br#"\"}"#);
        }
    }
    out.push(b'"');
}

/// A call id as the provider takes it. The same id always becomes the same id, for a call and its result alike.
pub(super) fn wire_call_id(id: &str) -> std::borrow::Cow<'_, str> {
    if ids::is_usual(id) {
        id.into()
    } else {
        ids::made_from(id).into()
    }
}
