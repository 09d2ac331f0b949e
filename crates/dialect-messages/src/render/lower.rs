//! The conversation as messages that obey the protocol's rules.

use std::borrow::Cow;

use polywire_conversation::arguments::{ArgumentsCheck, Progress};
use polywire_conversation::history::{Assistant, Piece, Turn};
use polywire_conversation::tools::SEARCH_NAME;
use polywire_conversation::{
    Call, CallInput, File, FileContent, Form, Function, Json, Ledger, Loss, Part, Text, Tool,
    ToolResult,
};

use super::Losses;
use super::block::{Block, Input, Message, Speaker};
use super::ids::CallIds;
use super::media::{self, Sendable, Source};
use super::reasoning;
use crate::profile::{LateInstructions, Profile};

/// What decides over the form of the conversation, and where notes about it go.
pub(super) struct Setting<'w> {
    pub(super) profile: &'w Profile,
    /// Whether provider and model both take images.
    pub(super) accepts_images: bool,
    /// Whether ids of stored files are the provider's own.
    pub(super) stored_here: bool,
    /// Whether the client may have begun the answer for the model.
    pub(super) takes_prefill: bool,
    pub(super) ledger: &'w mut Ledger,
    pub(super) losses: &'w mut Losses,
}

/// What the model is told before the conversation begins, each text for itself; the rest of the turns follows it.
pub(super) fn system<'a>(
    instructions: Option<&'a Text<'a>>,
    turns: &mut Vec<Turn<'a>>,
    answer_form: Option<Text<'a>>,
    losses: &mut Losses,
) -> Vec<Text<'a>> {
    let leading = turns
        .iter()
        .take_while(|turn| matches!(turn, Turn::Instruction(_)))
        .count();
    let mut texts: Vec<Text<'a>> = instructions.map(Text::borrow).into_iter().collect();
    for turn in turns.drain(..leading) {
        if let Turn::Instruction(parts) = turn {
            texts.extend(parts.into_iter().map(|part| in_words(part, losses)));
        }
    }
    texts.extend(answer_form);
    texts.retain(|text| !is_blank(text));
    texts
}

/// The messages of the conversation: user and assistant in turn, results first, nothing empty.
pub(super) fn messages<'a>(turns: Vec<Turn<'a>>, setting: Setting<'_>) -> Vec<Message<'a>> {
    let mut lowering = Lowering {
        setting,
        ids: CallIds::default(),
        messages: Vec::new(),
    };
    for turn in turns {
        match turn {
            Turn::Instruction(parts) => lowering.late_instruction(parts),
            Turn::User(parts) => {
                let blocks = lowering.blocks(parts);
                lowering.say(Speaker::User, blocks);
            }
            Turn::Assistant(assistant) => lowering.assistant(assistant),
            Turn::Results(results) => lowering.results(results),
        }
    }
    lowering.begin();
    lowering.end();
    lowering.messages
}

struct Lowering<'a, 'w> {
    setting: Setting<'w>,
    ids: CallIds,
    messages: Vec<Message<'a>>,
}

impl<'a> Lowering<'a, '_> {
    /// Adds to the message of this speaker, or begins one.
    fn say(&mut self, speaker: Speaker, blocks: Vec<Block<'a>>) {
        if blocks.is_empty() {
            return;
        }
        match self.messages.last_mut() {
            Some(message) if message.speaker == speaker => message.blocks.extend(blocks),
            Some(_) | None => self.messages.push(Message { speaker, blocks }),
        }
    }

    fn late_instruction(&mut self, parts: Vec<Part<'a>>) {
        let losses = &mut *self.setting.losses;
        let texts = parts.into_iter().map(|part| in_words(part, losses));
        let texts: Vec<Text<'a>> = texts.filter(|text| !is_blank(text)).collect();
        if texts.is_empty() {
            return;
        }
        match self.setting.profile.late_instructions {
            LateInstructions::Inline => {
                let blocks = texts.into_iter().map(Block::Text).collect();
                self.say(Speaker::System, blocks);
            }
            LateInstructions::Note => {
                losses.add(Loss::note(
                    "input",
                    "instructions from the middle of the conversation are sent as notes of the user",
                ));
                let mut note = b"<system-note>".to_vec();
                for (index, text) in texts.iter().enumerate() {
                    if index > 0 {
                        note.extend_from_slice(br"\n\n");
                    }
                    text.write_escaped(&mut note);
                }
                note.extend_from_slice(b"</system-note>");
                let note = Text::escaped(String::from_utf8_lossy(&note).into_owned());
                self.say(Speaker::User, vec![Block::Text(note)]);
            }
        }
    }

    fn assistant(&mut self, assistant: Assistant<'a>) {
        let mut blocks = Vec::with_capacity(assistant.pieces.len());
        for piece in assistant.pieces {
            match piece {
                Piece::Reasoning(thought) => {
                    let profile = self.setting.profile;
                    blocks.extend(reasoning::blocks(thought, profile, self.setting.losses));
                }
                Piece::Part(part) => {
                    let text = in_words(part, self.setting.losses);
                    blocks.extend(self.text(text));
                }
                Piece::Call(call) => blocks.push(self.call(call)),
            }
        }
        // A message that ends with reasoning is refused.
        while blocks.last().is_some_and(Block::is_thinking) {
            blocks.pop();
            self.setting.losses.add(Loss::note(
                "input",
                "reasoning that led to nothing was left out: an assistant message must not end with it",
            ));
        }
        self.say(Speaker::Assistant, blocks);
    }

    fn call(&mut self, call: Call<'a>) -> Block<'a> {
        let form = match &call.input {
            CallInput::Arguments(_) => Form::Function,
            CallInput::Freeform(_) => Form::Freeform,
            CallInput::Search(_) => Form::Search,
        };
        let ledger = &mut *self.setting.ledger;
        let name = ledger.wire_name(&call.name, call.namespace.as_deref(), form);
        Block::Call {
            id: self.ids.wire(&call.id),
            name: name.to_owned(),
            input: match call.input {
                CallInput::Arguments(arguments) => object(arguments, self.setting.losses),
                CallInput::Freeform(text) => Input::Member("input", text),
                CallInput::Search(json) => {
                    object(Text::plain(json.as_str().to_owned()), self.setting.losses)
                }
            },
        }
    }

    /// The answers of a batch of calls, all in one message and first in it. One that tells of a failure takes only text; what else
    /// it has follows the whole batch.
    fn results(&mut self, results: Vec<ToolResult<'a>>) {
        let mut blocks = Vec::with_capacity(results.len());
        let mut behind = Vec::new();
        for result in results {
            let id = self.ids.wire(&result.call_id);
            let loaded =
                (!result.tools_loaded.is_empty()).then(|| self.loaded(&result.tools_loaded));
            let mut content = self.blocks(result.parts);
            content.extend(loaded.map(Block::Text));
            if result.is_error {
                let is_text = |block: &Block<'_>| matches!(block, Block::Text(_));
                let (texts, others): (Vec<_>, Vec<_>) = content.into_iter().partition(is_text);
                content = texts;
                if !others.is_empty() {
                    let label = format!("From the result of the call `{id}`:");
                    behind.push(Block::Text(Text::plain(label)));
                    behind.extend(others);
                }
            }
            blocks.push(Block::Result {
                id,
                content,
                is_error: result.is_error,
            });
        }
        blocks.extend(behind);
        self.say(Speaker::User, blocks);
    }

    /// What a tool search found, in the names under which it can be called.
    fn loaded(&mut self, tools: &[Tool<'_>]) -> Text<'static> {
        let mut list = String::from("Tools that can be called from now on:");
        let ledger = &mut *self.setting.ledger;
        for_each_callable(tools, None, &mut |name, namespace, form, description| {
            list.push_str("\n- ");
            list.push_str(ledger.wire_name(name, namespace, form));
            let description = description.map(Text::to_plain).unwrap_or_default();
            if let Some(line) = description.lines().find(|line| !line.trim().is_empty()) {
                list.push_str(": ");
                list.push_str(line.trim());
            }
        });
        Text::plain(list)
    }

    /// The parts of a message of the user or of a result.
    fn blocks(&mut self, parts: Vec<Part<'a>>) -> Vec<Block<'a>> {
        let mut blocks = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Part::Image(image) if self.setting.accepts_images => {
                    let source = media::image(image);
                    blocks.push(source.map_or_else(|| self.omitted("image"), Block::Image));
                }
                Part::File(file) => blocks.extend(self.file(file)),
                Part::Text(_)
                | Part::Image(_)
                | Part::Refusal(_)
                | Part::Audio(_)
                | Part::Unknown { .. } => {
                    let text = in_words(part, self.setting.losses);
                    blocks.extend(self.text(text));
                }
            }
        }
        blocks
    }

    /// Text, unless it is of white space only, which is refused.
    fn text(&mut self, text: Text<'a>) -> Option<Block<'a>> {
        if is_blank(&text) {
            self.setting.losses.add(Loss::note(
                "input",
                "text of white space only was left out: the provider refuses it",
            ));
            return None;
        }
        Some(Block::Text(text))
    }

    fn file(&mut self, file: File<'a>) -> Option<Block<'a>> {
        let title = file.name.clone().filter(|name| !is_blank(name));
        if !self.setting.profile.documents
            && let FileContent::Text(text) = file.content
        {
            return self.text(text);
        }
        Some(match media::file(file, self.setting.stored_here) {
            Some(Sendable::Image(source)) if self.setting.accepts_images => Block::Image(source),
            Some(Sendable::Document(Source::Text(text))) if is_blank(&text) => {
                return self.text(text);
            }
            Some(Sendable::Document(Source::Text(text))) if !self.setting.profile.documents => {
                Block::Text(text)
            }
            Some(Sendable::Document(source)) if self.setting.profile.documents => {
                Block::Document { title, source }
            }
            Some(Sendable::Image(_) | Sendable::Document(_)) | None => self.omitted("file"),
        })
    }

    fn omitted(&mut self, kind: &str) -> Block<'a> {
        Block::Text(omitted(kind, self.setting.losses))
    }

    /// The first message must be the user's.
    fn begin(&mut self) {
        let placeholder = match self.messages.first().map(|message| message.speaker) {
            Some(Speaker::User) => return,
            Some(Speaker::Assistant | Speaker::System) => "[The conversation begins here.]",
            None => "[The user has said nothing yet.]",
        };
        self.setting.losses.add(Loss::note(
            "input",
            format!("`{placeholder}` was put in front: the first message must be the user's"),
        ));
        let blocks = vec![Block::Text(Text::plain(placeholder))];
        let speaker = Speaker::User;
        self.messages.insert(0, Message { speaker, blocks });
    }

    /// A conversation that ends with words of the model asks it to go on with them, where that is possible; they must not end in
    /// white space then. Elsewhere the user asks.
    fn end(&mut self) {
        let Some(last) = self.messages.last_mut() else {
            return;
        };
        if last.speaker != Speaker::Assistant {
            return;
        }
        match last.blocks.last_mut() {
            Some(Block::Text(text)) if self.setting.takes_prefill => {
                let plain = text.to_plain();
                let trimmed = plain.trim_end();
                if trimmed.len() < plain.len() {
                    *text = Text::plain(trimmed.to_owned());
                    self.setting.losses.add(Loss::note(
                        "input",
                        "white space at the end of the last message was left out: the provider refuses it",
                    ));
                }
            }
            Some(_) | None => {
                self.setting.losses.add(Loss::note(
                    "input",
                    "`Please go on.` was added: the last message must not be the model's",
                ));
                let go_on = Block::Text(Text::plain("Please go on."));
                self.say(Speaker::User, vec![go_on]);
            }
        }
    }
}

/// A part where there can be nothing but text.
fn in_words<'a>(part: Part<'a>, losses: &mut Losses) -> Text<'a> {
    let kind: Cow<'_, str> = match part {
        Part::Text(text) | Part::Refusal(text) => return text,
        Part::Image(_) => "image".into(),
        Part::File(_) => "file".into(),
        Part::Audio(_) => "audio".into(),
        Part::Unknown { tag, .. } => format!("part of type `{tag}`").into(),
    };
    omitted(&kind, losses)
}

fn omitted(kind: &str, losses: &mut Losses) -> Text<'static> {
    losses.add(Loss::degraded(
        format!("input: {kind}"),
        "replaced by a remark: the model or its provider cannot take it here",
    ));
    Text::plain(format!(
        "[{kind} omitted: it cannot be shown to this model]"
    ))
}

/// Arguments as an object, which is all that the protocol takes. The model still sees what it wrote when that was none.
fn object<'a>(arguments: Text<'a>, losses: &mut Losses) -> Input<'a> {
    let mut check = ArgumentsCheck::default();
    check.push(&arguments);
    let nothing = matches!(arguments.as_written().trim(), "" | "null");
    match check.progress() {
        Progress::Whole => Input::Json(Json::new(match arguments {
            Text::Plain(json) => json,
            Text::Escaped(_) => Cow::Owned(arguments.to_plain().into_owned()),
        })),
        Progress::Empty => Input::Json(Json::new("{}")),
        Progress::Partial | Progress::Broken if nothing => Input::Json(Json::new("{}")),
        Progress::Partial | Progress::Broken => {
            losses.add(Loss::note(
                "input: a call",
                "its arguments are not a JSON object; they are sent inside one",
            ));
            Input::Member("_invalid_arguments", arguments)
        }
    }
}

/// Whether there is nothing but white space.
fn is_blank(text: &Text<'_>) -> bool {
    let written = text.as_written();
    let first = written.bytes().find(|byte| !byte.is_ascii_whitespace());
    match first {
        None => true,
        // An escape or a character beyond ASCII may be white space too.
        Some(b'\\' | 0x80..) => text.to_plain().trim().is_empty(),
        Some(_) => false,
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
