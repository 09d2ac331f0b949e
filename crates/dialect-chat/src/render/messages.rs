//! The conversation as Chat messages.

use std::borrow::Cow;

use polywire_conversation::history::{Assistant, Turn, failure_untold};
use polywire_conversation::{
    Call, Ledger, Loss, Part, Text, Tool, ToolResult, tools::for_each_callable,
};

use super::Losses;
use super::calls::{CallForm, wire_call_id, write_call};
use super::files;
use super::parts::{Piece, write_content, write_lines, write_paragraphs, write_paragraphs_body};
use super::reasoning;
use crate::profile::{EmptyContent, LateInstructions, Profile, ReasoningBack, SystemRole};
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
        let Setting {
            profile, losses, ..
        } = &mut self.setting;
        let profile = *profile;
        let back = reasoning::back(assistant, profile, losses);
        let mut message = self.open("assistant");
        let content = message.member("content");
        if profile.reasoning_back == ReasoningBack::ContentParts && back.has_text() {
            reasoning::write_thinking_content(assistant, &texts, content);
        } else if !back.think.is_empty() {
            reasoning::write_tagged_content(&back.think, &texts, content);
        } else {
            match (texts.is_empty(), profile.assistant_content_with_calls) {
                (false, _) => write_lines(texts.iter(), content),
                (true, EmptyContent::Null) => content.extend_from_slice(b"null"),
                (true, EmptyContent::Empty) => content.extend_from_slice(b"\"\""),
            }
        }
        reasoning::write_back(&back, &mut message);
        if calls.is_empty() {
            message.close();
            return;
        }
        let form = CallForm {
            ids: profile.call_ids,
            freeform: profile.freeform_tools,
        };
        let Setting { ledger, losses, .. } = &mut self.setting;
        let out = &mut *self.out;
        out.extend_from_slice(br#","tool_calls":"#);
        let signed = calls.into_iter().zip(&back.call_signatures);
        write_array(
            signed.enumerate(),
            out,
            |(index, (call, signature)), out| {
                let place = format!("turn {place}, call {index}");
                write_call(call, signature.as_ref(), form, ledger, losses, &place, out);
            },
        );
        out.push(b'}');
    }

    /// The answers of a batch of calls: one tool message each, in order. Tool messages hold text only at nearly every provider,
    /// and nothing may come between them; so images, files and sound follow in one user message behind the whole batch, as
    /// something that the user says.
    fn results(&mut self, results: Vec<ToolResult<'a>>) {
        let mut attached: Vec<Part<'a>> = Vec::new();
        for result in results {
            let id = wire_call_id(&result.call_id, self.setting.profile.call_ids);
            self.result(&result, &id);
            for part in result.parts {
                let Some(kind) = self.attachment(&part) else {
                    continue;
                };
                let label = format!("{kind} from the result of the call `{id}`:");
                attached.extend([Part::Text(Text::plain(label)), part]);
            }
        }
        if !attached.is_empty() {
            self.user_turn(attached);
        }
    }

    /// What a part of a result is called that has to follow in a message of its own.
    fn attachment(&self, part: &Part<'_>) -> Option<&'static str> {
        let accepts = self.accepts();
        match part {
            Part::Image(_) if accepts.images => Some("Image"),
            Part::File(file) if accepts.files && files::goes_as_part(file) => Some("File"),
            Part::Audio(_) if accepts.audio => Some("Sound"),
            Part::Image(_)
            | Part::File(_)
            | Part::Audio(_)
            | Part::Text(_)
            | Part::Refusal(_)
            | Part::Unknown { .. } => None,
        }
    }

    fn accepts(&self) -> Accepts {
        Accepts {
            images: self.setting.accepts_images,
            files: self.setting.profile.files,
            audio: self.setting.profile.audio,
        }
    }

    fn result(&mut self, result: &ToolResult<'_>, id: &str) {
        let mut texts: Vec<Text<'_>> = Vec::new();
        for part in &result.parts {
            texts.push(match self.piece(part) {
                Piece::Text(text) => text,
                Piece::Image(_) => Text::plain("(image follows in the next message)"),
                Piece::File(_) => Text::plain("(file follows in the next message)"),
                Piece::Audio(_) => Text::plain("(sound follows in the next message)"),
            });
        }
        if !result.tools_loaded.is_empty() {
            texts.push(self.loaded_list(&result.tools_loaded));
        }
        if texts.is_empty() {
            texts.push(Text::plain("(no output)"));
        }
        if let Some(loss) = failure_untold(result) {
            self.setting.losses.add(loss);
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
        for_each_callable(tools, &mut add);
        Text::plain(list)
    }

    /// A part in the form that the provider takes. What has none is told in words and noted.
    fn piece<'p>(&mut self, part: &'p Part<'p>) -> Piece<'p> {
        let accepts = self.accepts();
        match part {
            Part::Image(image) if accepts.images => Piece::Image(image),
            Part::File(file) if accepts.files && files::goes_as_part(file) => Piece::File(file),
            Part::Audio(audio) if accepts.audio => Piece::Audio(audio),
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
            Part::File(file) => match files::as_text(file) {
                Some(text) => return text,
                None => "file".into(),
            },
            Part::Image(_) => "image".into(),
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

/// What the provider and the model take beside text.
#[derive(Clone, Copy)]
struct Accepts {
    images: bool,
    files: bool,
    audio: bool,
}
