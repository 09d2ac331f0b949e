//! The conversation as messages that obey the protocol's rules.

use polywire_conversation::history::{Assistant, Piece, Turn};
use polywire_conversation::{Call, CallInput, Form, Ledger, Loss, Part, Text, ToolResult};

use super::Losses;
use super::block::{Block, Input, Message, Speaker};
use super::ids::CallIds;
use super::parts::{self, Taken, in_words, is_blank, object};
use super::{loaded, reasoning};
use crate::profile::{LateInstructions, Profile};

/// What decides over the form of the conversation, and where notes about it go.
pub(super) struct Setting<'w> {
    pub(super) profile: &'w Profile,
    pub(super) taken: Taken,
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
                let blocks = lowering.parts(parts);
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
                    blocks.extend(parts::text(text, self.setting.losses));
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
            let loaded = loaded::list(&result.tools_loaded, self.setting.ledger);
            let mut content = self.parts(result.parts);
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

    /// The parts of a message of the user or of a result.
    fn parts(&mut self, parts: Vec<Part<'a>>) -> Vec<Block<'a>> {
        parts::blocks(parts, self.setting.taken, self.setting.losses)
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
