//! The conversation as Chat messages.

use std::borrow::Cow;

use polywire_conversation::history::{Assistant, Turn};
use polywire_conversation::{
    Call, CallInput, Form, Function, Image, Ledger, Loss, Part, Reasoning, Text, Tool, ToolResult,
    json, tools::SEARCH_NAME, write_freeform_arguments,
};

use super::Losses;
use crate::profile::{CallIds, EmptyContent, LateInstructions, Profile, SystemRole};
use polywire_conversation::arguments::{ArgumentsCheck, Progress};
use polywire_conversation::ids;
use polywire_wire::{Object, write_array};

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
    pub(super) ledger: &'w mut Ledger,
    pub(super) losses: &'w mut Losses,
}

/// Writes the array of messages: one that instructs, if anything does, and then every turn in order.
pub(super) fn write(conversation: Conversation<'_>, setting: Setting<'_>, out: &mut Vec<u8>) {
    let Conversation {
        instructions,
        turns,
        answer_form,
    } = conversation;
    let mut writer = Writer {
        setting,
        out,
        empty: true,
        user: Vec::new(),
    };
    writer.out.push(b'[');
    let leading = turns
        .iter()
        .take_while(|turn| matches!(turn, Turn::Instruction(_)))
        .count();
    writer.first_message(instructions, &turns, leading, answer_form);
    for (place, turn) in turns.into_iter().enumerate().skip(leading) {
        match turn {
            Turn::Instruction(parts) => writer.late_instruction(&parts),
            Turn::User(parts) => writer.user_turn(parts),
            Turn::Assistant(assistant) => writer.assistant(&assistant, place),
            Turn::Results(results) => writer.results(results),
        }
    }
    writer.flush_user();
    writer.out.push(b']');
}

struct Writer<'a, 'w> {
    setting: Setting<'w>,
    out: &'w mut Vec<u8>,
    /// Whether no message was written yet.
    empty: bool,
    /// What the user says next, if it may still grow.
    user: Vec<Part<'a>>,
}

impl<'a> Writer<'a, '_> {
    /// The message that instructs the model. There is one at most, and first: several providers refuse more, or repeat
    /// themselves when they get more.
    fn first_message(
        &mut self,
        instructions: Option<&Text<'_>>,
        turns: &[Turn<'_>],
        leading: usize,
        answer_form: Option<&Text<'_>>,
    ) {
        let mut texts: Vec<Text<'_>> = Vec::new();
        texts.extend(instructions.map(Text::borrow));
        let hoists = self.setting.profile.late_instructions == LateInstructions::Hoist;
        for (index, turn) in turns.iter().enumerate() {
            match turn {
                Turn::Instruction(parts) if index < leading || hoists => {
                    texts.extend(parts.iter().map(|part| self.part_text(part)));
                }
                Turn::Instruction(_) | Turn::User(_) | Turn::Assistant(_) | Turn::Results(_) => {}
            }
        }
        texts.extend(answer_form.map(Text::borrow));
        texts.retain(|text| !text.is_empty());
        if texts.is_empty() {
            return;
        }
        let role = self.system_role();
        let mut message = self.open(role);
        write_paragraphs(texts.iter(), message.member("content"));
        message.close();
    }

    fn late_instruction(&mut self, parts: &[Part<'_>]) {
        let texts: Vec<Text<'_>> = parts
            .iter()
            .map(|part| self.part_text(part).into_owned())
            .collect();
        match self.setting.profile.late_instructions {
            LateInstructions::Hoist => self.setting.losses.add(Loss::note(
                "input",
                "instructions from the middle of the conversation were moved to its beginning",
            )),
            LateInstructions::Inline => {
                self.flush_user();
                let role = self.system_role();
                let mut message = self.open(role);
                write_paragraphs(texts.iter(), message.member("content"));
                message.close();
            }
            LateInstructions::Note => {
                self.setting.losses.add(Loss::note(
                    "input",
                    "instructions from the middle of the conversation are sent as notes of the user",
                ));
                let mut body = b"<system-note>".to_vec();
                write_paragraphs_body(texts.iter(), &mut body);
                body.extend_from_slice(b"</system-note>");
                let note = Text::escaped(String::from_utf8_lossy(&body).into_owned());
                self.user_turn(vec![Part::Text(note)]);
            }
        }
    }

    fn user_turn(&mut self, parts: Vec<Part<'a>>) {
        if !self.setting.profile.merge_user_messages {
            self.flush_user();
        }
        self.user.extend(parts);
    }

    /// Writes what the user said, if anything waits.
    fn flush_user(&mut self) {
        let parts = std::mem::take(&mut self.user);
        if parts.is_empty() {
            return;
        }
        let pieces: Vec<Piece<'_>> = parts.iter().map(|part| self.piece(part)).collect();
        let as_parts = !self.setting.profile.text_parts_as_string && pieces.len() > 1;
        let mut message = self.open("user");
        write_content(&pieces, as_parts, message.member("content"));
        message.close();
    }

    fn assistant(&mut self, assistant: &Assistant<'_>, place: usize) {
        let texts: Vec<Text<'_>> = assistant.parts().map(|part| self.part_text(part)).collect();
        let calls: Vec<&Call<'_>> = assistant.calls().collect();
        if texts.is_empty() && calls.is_empty() {
            self.setting.losses.add(Loss::note(
                "input",
                "reasoning that led to nothing was left out: an assistant message must say or call something",
            ));
            return;
        }
        self.flush_user();
        let reasoning = self.reasoning_back(assistant, !calls.is_empty());
        let empty_content = self.setting.profile.assistant_content_with_calls;
        let mut message = self.open("assistant");
        let content = message.member("content");
        match (texts.is_empty(), empty_content) {
            (false, _) => write_lines(texts.iter(), content),
            (true, EmptyContent::Null) => content.extend_from_slice(b"null"),
            (true, EmptyContent::Empty) => content.extend_from_slice(b"\"\""),
        }
        if let Some((field, texts)) = reasoning {
            write_paragraphs(texts.into_iter(), message.member(field));
        }
        if calls.is_empty() {
            message.close();
            return;
        }
        let Setting {
            profile,
            ledger,
            losses,
            ..
        } = &mut self.setting;
        let out = &mut *self.out;
        out.extend_from_slice(br#","tool_calls":"#);
        write_array(calls.into_iter().enumerate(), out, |(index, call), out| {
            let place = format!("turn {place}, call {index}");
            write_call(call, profile.call_ids, ledger, losses, &place, out);
        });
        out.push(b'}');
    }

    /// The reasoning that goes back with an assistant message, and its field.
    fn reasoning_back<'r>(
        &mut self,
        assistant: &'r Assistant<'r>,
        calls: bool,
    ) -> Option<(&'static str, Vec<&'r Text<'r>>)> {
        let sealed = |item: &Reasoning<'_>| item.sealed.is_some() || !item.state.is_empty();
        if assistant.reasoning().any(sealed) {
            self.setting.losses.add(Loss::note(
                "input",
                "sealed reasoning of earlier turns was left out: there is no field for it",
            ));
        }
        let texts: Vec<&Text<'_>> = assistant
            .reasoning()
            .flat_map(|item| item.visible.parts())
            .filter(|text| !text.is_empty())
            .collect();
        let Some(field) = self.setting.profile.reasoning_back.field() else {
            if !texts.is_empty() {
                self.setting.losses.add(Loss::note(
                    "input",
                    "reasoning of earlier turns was left out: the provider does not take it back",
                ));
            }
            return None;
        };
        let required = calls && self.setting.profile.reasoning_back_required;
        (required || !texts.is_empty()).then_some((field, texts))
    }

    /// The answers of a batch of calls: one tool message each, in order. Tool messages hold text only at nearly every provider,
    /// and nothing may come between them; so images follow in one user message behind the whole batch, as something that
    /// the user says.
    fn results(&mut self, results: Vec<ToolResult<'a>>) {
        let mut images: Vec<Part<'a>> = Vec::new();
        for result in results {
            let id = wire_call_id(&result.call_id, self.setting.profile.call_ids);
            self.result(&result, &id);
            let is_image = |part: &Part<'_>| matches!(part, Part::Image(_));
            for image in result.parts.into_iter().filter(is_image) {
                let label = format!("Image from the result of the call `{id}`:");
                images.extend([Part::Text(Text::plain(label)), image]);
            }
        }
        if self.setting.accepts_images && !images.is_empty() {
            self.user_turn(images);
        }
    }

    fn result(&mut self, result: &ToolResult<'_>, id: &str) {
        let mut texts: Vec<Text<'_>> = Vec::new();
        for part in &result.parts {
            texts.push(match self.piece(part) {
                Piece::Text(text) => text,
                Piece::Image(_) => Text::plain("(image follows in the next message)"),
            });
        }
        if !result.tools_loaded.is_empty() {
            texts.push(self.loaded_list(&result.tools_loaded));
        }
        if texts.is_empty() {
            texts.push(Text::plain("(no output)"));
        }
        let mut message = self.open("tool");
        message.string("tool_call_id", id);
        write_lines(texts.iter(), message.member("content"));
        message.close();
    }

    /// What a tool search found, in the names under which it can be called.
    fn loaded_list(&mut self, tools: &[Tool<'_>]) -> Text<'static> {
        let mut list = String::from("Tools that can be called from now on:");
        let mut add =
            |name: &str, namespace: Option<&str>, form, description: Option<&Text<'_>>| {
                list.push_str("\n- ");
                list.push_str(self.setting.ledger.wire_name(name, namespace, form));
                let description = description.map(Text::to_plain).unwrap_or_default();
                if let Some(line) = description.lines().find(|line| !line.trim().is_empty()) {
                    list.push_str(": ");
                    list.push_str(line.trim());
                }
            };
        for_each_callable(tools, None, &mut add);
        Text::plain(list)
    }

    /// A part as text or image. What can be neither is told in words and noted.
    fn piece<'p>(&mut self, part: &'p Part<'p>) -> Piece<'p> {
        match part {
            Part::Image(image) if self.setting.accepts_images => Piece::Image(image),
            Part::Image(_)
            | Part::Text(_)
            | Part::Refusal(_)
            | Part::File(_)
            | Part::Audio(_)
            | Part::Unknown { .. } => Piece::Text(self.part_text(part)),
        }
    }

    /// A part as text, where there can be nothing else.
    fn part_text<'p>(&mut self, part: &'p Part<'p>) -> Text<'p> {
        let kind: Cow<'_, str> = match part {
            Part::Text(text) | Part::Refusal(text) => return text.borrow(),
            Part::Image(_) => "image".into(),
            Part::File(_) => "file".into(),
            Part::Audio(_) => "audio".into(),
            Part::Unknown { tag, .. } => format!("part of type `{tag}`").into(),
        };
        self.setting.losses.add(Loss::degraded(
            format!("input: {kind}"),
            "replaced by a remark: the model or its provider cannot take it here",
        ));
        Text::plain(format!(
            "[{kind} omitted: it cannot be shown to this model]"
        ))
    }

    fn system_role(&self) -> &'static str {
        match self.setting.profile.system_role {
            SystemRole::System => "system",
            SystemRole::Developer => "developer",
        }
    }

    /// Opens a message.
    fn open(&mut self, role: &str) -> Object<'_> {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        let mut message = Object::open(self.out);
        message.string("role", role);
        message
    }
}

/// A part as it can be written.
enum Piece<'p> {
    Text(Text<'p>),
    Image(&'p Image<'p>),
}

/// Writes `content`: a string as long as there are only texts, unless they are to stay apart.
fn write_content(pieces: &[Piece<'_>], as_parts: bool, out: &mut Vec<u8>) {
    let texts: Option<Vec<&Text<'_>>> = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => Some(text),
            Piece::Image(_) => None,
        })
        .collect();
    if let Some(texts) = texts
        && !as_parts
    {
        write_paragraphs(texts.into_iter(), out);
        return;
    }
    write_array(pieces, out, |piece, out| {
        let mut part = Object::open(out);
        match piece {
            Piece::Text(text) => {
                part.string("type", "text");
                part.text("text", text);
            }
            Piece::Image(image) => {
                part.string("type", "image_url");
                let mut url = Object::open(part.member("image_url"));
                url.text("url", &image.url);
                match image.detail.as_deref() {
                    // Chat knows no more than `high`.
                    Some("original") => url.string("detail", "high"),
                    Some(detail) => url.string("detail", detail),
                    None => {}
                }
                url.close();
            }
        }
        part.close();
    });
}

/// Writes texts as one string with a blank line between them: they were apart for a reason.
fn write_paragraphs<'t>(texts: impl Iterator<Item = &'t Text<'t>>, out: &mut Vec<u8>) {
    out.push(b'"');
    write_paragraphs_body(texts, out);
    out.push(b'"');
}

fn write_paragraphs_body<'t>(texts: impl Iterator<Item = &'t Text<'t>>, out: &mut Vec<u8>) {
    for (index, text) in texts.enumerate() {
        if index > 0 {
            out.extend_from_slice(br"\n\n");
        }
        text.write_escaped(out);
    }
}

/// Writes texts as one string with each on a line of its own: they are pieces of one output.
fn write_lines<'t>(texts: impl Iterator<Item = &'t Text<'t>>, out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    for text in texts {
        if out.len() > start && !out.ends_with(br"\n") {
            out.extend_from_slice(br"\n");
        }
        text.write_escaped(out);
    }
    out.push(b'"');
}

fn write_call(
    call: &Call<'_>,
    ids: CallIds,
    ledger: &mut Ledger,
    losses: &mut Losses,
    place: &str,
    out: &mut Vec<u8>,
) {
    let form = match &call.input {
        CallInput::Arguments(_) => Form::Function,
        CallInput::Freeform(_) => Form::Freeform,
        CallInput::Search(_) => Form::Search,
    };
    let wire_name = ledger.wire_name(&call.name, call.namespace.as_deref(), form);
    let mut entry = Object::open(out);
    entry.string("id", &wire_call_id(&call.id, ids));
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
fn wire_call_id(id: &str, form: CallIds) -> Cow<'_, str> {
    match form {
        CallIds::AsGiven if ids::is_usual(id) => id.into(),
        CallIds::AsGiven => ids::made_from(id).into(),
        CallIds::Alphanumeric9 => ids::alphanumeric_9(id),
    }
}

/// Calls `visit` with name, namespace, form and description of every tool that can be called.
fn for_each_callable(
    tools: &[Tool<'_>],
    namespace: Option<&str>,
    visit: &mut impl FnMut(&str, Option<&str>, Form, Option<&Text<'_>>),
) {
    for tool in tools {
        match tool {
            Tool::Function(Function {
                name, description, ..
            }) => visit(name, namespace, Form::Function, description.as_ref()),
            Tool::Freeform {
                name, description, ..
            } => visit(name, namespace, Form::Freeform, description.as_ref()),
            Tool::Search { description, .. } => {
                visit(SEARCH_NAME, namespace, Form::Search, description.as_ref());
            }
            Tool::Namespace { name, tools, .. } if namespace.is_none() => {
                for_each_callable(tools, Some(name), visit);
            }
            // Not offered, and noted as a loss where the tools are.
            Tool::Namespace { .. } | Tool::Hosted { .. } | Tool::Unknown { .. } => {}
        }
    }
}
