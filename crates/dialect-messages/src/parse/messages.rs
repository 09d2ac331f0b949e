//! Messages and their content, as items of the conversation.

use std::borrow::Cow;
use std::collections::HashMap;

use polywire_conversation::{Fault, Instruction, Item, Json, Message, Part, Role, Text, Tool};
use polywire_wire::{
    At, Field, Many, field, first_byte, quoted, read, text, wire_object, wrong_type,
};
use serde_json::value::RawValue;

use super::blocks::{self, WireBlock};
use super::hosted::Hosted;
use super::notes::Notes;

wire_object! {
    WireMessage {
        role: "role",
        content: "content",
        // Of messages of the role `system` only.
        output_config: "output_config",
        clear_at: "clear_at",
    }
}

/// Reads all messages of a request.
pub(super) fn items<'a>(
    wires: &[WireMessage<'a>],
    tools: &[Tool<'a>],
    notes: &mut Notes,
) -> Result<Vec<Item<'a>>, Fault> {
    let messages = At::Body.key("messages");
    let mut reader = Reader {
        items: Vec::with_capacity(wires.len()),
        said: Vec::new(),
        hosted: HashMap::new(),
        tools,
        notes,
    };
    let last_of_user = wires.iter().rposition(is_of_user).unwrap_or(0);
    for (index, wire) in wires.iter().enumerate() {
        let at = messages.index(index);
        if index < last_of_user && is_cleared(wire, &at)? {
            continue;
        }
        reader.message(wire, &at)?;
    }
    Ok(reader.items)
}

fn is_of_user(wire: &WireMessage<'_>) -> bool {
    wire.role.is_some_and(|raw| raw.get() == "\"user\"")
}

/// Whether a message of the role `system` is over as soon as the user speaks again: it stays in the list, and the model does not see
/// it any more (anthropic-python 2.14.0).
fn is_cleared(wire: &WireMessage<'_>, at: &At<'_>) -> Result<bool, Fault> {
    let role = role(field(wire.role, at, "role"))?;
    let clear_at = field(wire.clear_at, at, "clear_at").name()?;
    Ok(matches!(role, Role::Instructor(_)) && clear_at.as_deref() == Some("next_user_message"))
}

/// Turns blocks into items. What is said between blocks of other kinds becomes one message, in its place.
pub(super) struct Reader<'a, 'r> {
    pub(super) items: Vec<Item<'a>>,
    /// What was said since the last item, of the message that is being read.
    pub(super) said: Vec<Part<'a>>,
    /// The calls that a provider carried out, by their ids, so that what came of them can be told in the same place.
    pub(super) hosted: HashMap<Cow<'a, str>, Hosted>,
    pub(super) tools: &'r [Tool<'a>],
    pub(super) notes: &'r mut Notes,
}

impl<'a> Reader<'a, '_> {
    fn message(&mut self, wire: &WireMessage<'a>, at: &At<'_>) -> Result<(), Fault> {
        let role = role(field(wire.role, at, "role"))?;
        let content = field(wire.content, at, "content");
        let settings = field(wire.output_config, at, "output_config");
        if settings.is_set() {
            self.notes.degraded(
                settings.at().to_string(),
                "left out: how the model works cannot change in the middle of a conversation",
            );
            if matches!(role, Role::Instructor(_)) && !content.is_set() {
                return Ok(());
            }
        }
        let raw = content.required()?;
        match first_byte(raw) {
            b'"' => self.said.push(Part::Text(text(raw, content.at())?)),
            b'[' => {
                let list = BlockList::read(raw, content)?;
                for (index, block) in list.blocks.iter().enumerate() {
                    let place = content.at().index(index);
                    blocks::block(self, role, block, &place, || list.as_written(index))?;
                }
            }
            _ => {
                return Err(wrong_type(
                    raw,
                    content.at(),
                    "a string or an array of content blocks",
                ));
            }
        }
        self.end_message(role);
        Ok(())
    }

    /// Makes a message of what was said so far.
    pub(super) fn end_message(&mut self, role: Role) {
        if self.said.is_empty() {
            return;
        }
        self.items.push(Item::Message(Message {
            role,
            parts: std::mem::take(&mut self.said),
            phase: None,
        }));
    }

    /// Puts an item behind what was said so far.
    pub(super) fn item(&mut self, role: Role, item: Item<'a>) {
        self.end_message(role);
        self.items.push(item);
    }
}

fn role(role: Field<'_, '_>) -> Result<Role, Fault> {
    match &*role.required_name()? {
        "user" => Ok(Role::User),
        "assistant" => Ok(Role::Assistant),
        // Between messages of the others (Claude Code 2.1, November 2026).
        "system" => Ok(Role::Instructor(Instruction::System)),
        other => Err(role.at().fault(format_args!(
            "must be `user`, `assistant` or `system`, not `{}`",
            quoted(other)
        ))),
    }
}

/// An array of content blocks.
pub(super) struct BlockList<'a> {
    pub(super) blocks: Vec<WireBlock<'a>>,
    list: &'a RawValue,
}

impl<'a> BlockList<'a> {
    pub(super) fn read(raw: &'a RawValue, content: Field<'a, '_>) -> Result<Self, Fault> {
        let Many(blocks) = read::<Many<WireBlock<'a>>>(raw.get(), content.at())?;
        Ok(Self { blocks, list: raw })
    }

    /// One block as it stands in the request. The list is gone through once more for it, since such blocks are rare.
    pub(super) fn as_written(&self, index: usize) -> Json<'a> {
        let all: Vec<&'a RawValue> = serde_json::from_str(self.list.get()).unwrap_or_default();
        Json::new(all.get(index).map_or("null", |raw| raw.get()))
    }
}

/// `system`: text, or blocks of text, which a blank line separates.
pub(super) fn system<'a>(
    system: Field<'a, '_>,
    notes: &mut Notes,
) -> Result<Option<Text<'a>>, Fault> {
    if !system.is_set() {
        return Ok(None);
    }
    let raw = system.required()?;
    match first_byte(raw) {
        b'"' => Ok(Some(text(raw, system.at())?).filter(|text| !text.is_empty())),
        b'[' => Ok(joined(system_texts(raw, system, notes)?)),
        _ => Err(wrong_type(
            raw,
            system.at(),
            "a string or an array of text blocks",
        )),
    }
}

fn system_texts<'a>(
    raw: &'a RawValue,
    system: Field<'a, '_>,
    notes: &mut Notes,
) -> Result<Vec<Text<'a>>, Fault> {
    let list = BlockList::read(raw, system)?;
    let mut texts = Vec::with_capacity(list.blocks.len());
    for (index, block) in list.blocks.iter().enumerate() {
        let at = system.at().index(index);
        let tag = field(block.tag, &at, "type");
        let name = tag.required_name()?;
        if name != "text" {
            return Err(tag
                .at()
                .fault(format_args!("must be `text`, not `{}`", quoted(&name))));
        }
        notes.cache_mark(block.cache_control.is_some());
        let text = field(block.text, &at, "text").required_text()?;
        if !text.is_empty() {
            texts.push(text);
        }
    }
    Ok(texts)
}

/// Texts as one, with a blank line between them. A single one is not copied.
pub(super) fn joined(mut texts: Vec<Text<'_>>) -> Option<Text<'_>> {
    if texts.len() < 2 {
        return texts.pop();
    }
    let mut body = Vec::with_capacity(texts.iter().map(|text| text.as_written().len() + 4).sum());
    for (index, text) in texts.iter().enumerate() {
        if index > 0 {
            body.extend_from_slice(br"\n\n");
        }
        text.write_escaped(&mut body);
    }
    Some(Text::escaped(match String::from_utf8(body) {
        Ok(body) => body,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }))
}
