//! The conversation as messages of typed parts.

use std::collections::HashMap;

use polywire_conversation::history::{Assistant, Piece, Turn};
use polywire_conversation::tools::SEARCH_NAME;
use polywire_conversation::{
    FileContent, Form, Ledger, Loss, Part, Reasoning, Text, Tool, ToolResult,
};
use polywire_wire::{Object, write_array};

use super::Losses;
use super::parts::{
    Written, form_of, media_type_of, wire_call_id, write_call, write_image, write_text,
};

/// The most characters of an image's address that the model is told.
const ADDRESS_CHARS_MAX: usize = 200;

/// How messages are written, and where notes about them go.
pub(super) struct Setting<'w> {
    /// Whether provider and model both take images.
    pub(super) accepts_images: bool,
    pub(super) ledger: &'w mut Ledger,
    pub(super) losses: &'w mut Losses,
}

/// Writes the array of messages, and gives the system text as the body of a JSON string: the provider takes no message that
/// instructs.
pub(super) fn write(
    instructions: Option<&Text<'_>>,
    turns: &[Turn<'_>],
    answer_form: Option<&Text<'_>>,
    setting: Setting<'_>,
    out: &mut Vec<u8>,
) -> String {
    let mut writer = Writer {
        setting,
        out,
        empty: true,
        called: HashMap::new(),
    };
    writer.out.push(b'[');
    let mut system: Vec<Text<'_>> = instructions.map(Text::borrow).into_iter().collect();
    let mut begun = false;
    for (place, turn) in turns.iter().enumerate() {
        match turn {
            Turn::Instruction(parts) if !begun => {
                system.extend(parts.iter().map(|part| writer.part_text(part)));
                continue;
            }
            Turn::Instruction(parts) => writer.late_instruction(parts),
            Turn::User(parts) => writer.user(parts),
            Turn::Assistant(assistant) => writer.assistant(assistant, place),
            Turn::Results(results) => writer.results(results),
        }
        begun = true;
    }
    writer.out.push(b']');
    system.extend(answer_form.map(Text::borrow));
    system.retain(|text| !text.is_empty());
    let mut body = Vec::new();
    write_joined(system.iter(), br"\n\n", &mut body);
    String::from_utf8_lossy(&body).into_owned()
}

/// Writes the bodies of several texts with something between them.
pub(super) fn write_joined<'t>(
    texts: impl Iterator<Item = &'t Text<'t>>,
    between: &[u8],
    out: &mut Vec<u8>,
) {
    for (index, text) in texts.enumerate() {
        if index > 0 {
            out.extend_from_slice(between);
        }
        text.write_escaped(out);
    }
}

struct Writer<'w> {
    setting: Setting<'w>,
    out: &'w mut Vec<u8>,
    /// Whether no message was written yet.
    empty: bool,
    /// The wire names of the tools that were called, by call id: a result has to repeat its tool's name.
    called: HashMap<String, String>,
}

impl Writer<'_> {
    fn user(&mut self, parts: &[Part<'_>]) {
        let parts: Vec<Written<'_>> = parts.iter().map(|part| self.part(part)).collect();
        self.message("user", &parts, "");
    }

    fn late_instruction(&mut self, parts: &[Part<'_>]) {
        let texts: Vec<Text<'_>> = parts.iter().map(|part| self.part_text(part)).collect();
        self.setting.losses.add(Loss::note(
            "input",
            "instructions from the middle of the conversation are sent as notes of the user",
        ));
        let mut body = b"<system-note>".to_vec();
        write_joined(texts.iter(), br"\n\n", &mut body);
        body.extend_from_slice(b"</system-note>");
        let note = Text::escaped(String::from_utf8_lossy(&body).into_owned());
        self.message("user", &[Written::Text(note)], "");
    }

    fn assistant(&mut self, assistant: &Assistant<'_>, place: usize) {
        let mut parts: Vec<Written<'_>> = Vec::new();
        for piece in &assistant.pieces {
            match piece {
                Piece::Reasoning(reasoning) => self.reasoning(reasoning, &mut parts),
                Piece::Part(part) => parts.push(Written::Text(self.part_text(part))),
                Piece::Call(call) => parts.push(Written::Call(call)),
            }
        }
        let is_reasoning = |part: &Written<'_>| matches!(part, Written::Reasoning(_));
        if parts.iter().all(is_reasoning) {
            self.setting.losses.add(Loss::note(
                "input",
                "reasoning that led to nothing was left out: an assistant message must say or call something",
            ));
            return;
        }
        self.message("assistant", &parts, &format!("turn {place}"));
    }

    fn reasoning<'p>(&mut self, reasoning: &'p Reasoning<'p>, parts: &mut Vec<Written<'p>>) {
        let texts = reasoning.visible.parts().iter();
        let texts = texts.filter(|text| !text.is_empty());
        parts.extend(texts.map(|text| Written::Reasoning(text.borrow())));
        if reasoning.sealed.is_some() || !reasoning.state.is_empty() {
            self.setting.losses.add(Loss::note(
                "input",
                "sealed reasoning of earlier turns was left out: there is no field for it",
            ));
        }
    }

    /// The answers of a batch of calls: one message each, in order. They hold text only, and nothing may come between them; so images
    /// follow in one message of the user behind the whole batch.
    fn results(&mut self, results: &[ToolResult<'_>]) {
        let mut images: Vec<Written<'_>> = Vec::new();
        for result in results {
            let id = wire_call_id(&result.call_id);
            let mut texts: Vec<Text<'_>> = Vec::new();
            for part in &result.parts {
                match self.part(part) {
                    Written::Text(text) | Written::Reasoning(text) => texts.push(text),
                    image @ Written::Image { .. } => {
                        texts.push("(image follows in a later message)".into());
                        let label = format!("Image from the result of the call `{id}`:");
                        images.extend([Written::Text(Text::plain(label)), image]);
                    }
                    Written::Call(_) => {}
                }
            }
            if !result.tools_loaded.is_empty() {
                texts.push(self.loaded_list(&result.tools_loaded));
            }
            if texts.is_empty() {
                texts.push("(no output)".into());
            }
            self.result(result, &id, &texts);
        }
        if !images.is_empty() {
            self.message("user", &images, "");
        }
    }

    fn result(&mut self, result: &ToolResult<'_>, id: &str, texts: &[Text<'_>]) {
        let called = self.called.get(&*result.call_id);
        // A result must name its tool; every result has its call here, so this is never needed but for a nameless call.
        let tool = called.filter(|name| !name.is_empty()).cloned();
        let tool = tool.unwrap_or_else(|| "unknown".to_owned());
        let mut message = self.open("tool");
        let out = message.member("content");
        out.push(b'[');
        let mut part = Object::open(out);
        part.string("type", "tool-result");
        part.string("toolCallId", id);
        part.string("toolName", &tool);
        let mut output = Object::open(part.member("output"));
        let kind = if result.is_error {
            "error-text"
        } else {
            "text"
        };
        output.string("type", kind);
        let value = output.member("value");
        value.push(b'"');
        write_joined(texts.iter(), br"\n", value);
        value.push(b'"');
        output.close();
        part.close();
        self.out.extend_from_slice(b"]}");
    }

    /// What a tool search found, in the names under which it can be called.
    fn loaded_list(&mut self, tools: &[Tool<'_>]) -> Text<'static> {
        let mut list = String::from("Tools that can be called from now on:");
        for (name, namespace, form) in callable(tools, None) {
            list.push_str("\n- ");
            list.push_str(self.setting.ledger.wire_name(name, namespace, form));
        }
        Text::plain(list)
    }

    /// A part as text or image. What can be neither is told in words and noted.
    fn part<'p>(&mut self, part: &'p Part<'p>) -> Written<'p> {
        if let Part::Image(image) = part
            && self.setting.accepts_images
            && let Some(media_type) = media_type_of(&image.url.to_plain())
        {
            if image
                .detail
                .as_deref()
                .is_some_and(|detail| detail != "auto")
            {
                self.setting.losses.add(Loss::note(
                    "input: image detail",
                    "left out: the provider cannot be told how closely to look",
                ));
            }
            return Written::Image {
                url: image.url.borrow(),
                media_type,
            };
        }
        Written::Text(self.part_text(part))
    }

    /// A part as text, where there can be nothing else.
    fn part_text<'p>(&mut self, part: &'p Part<'p>) -> Text<'p> {
        let mut address = String::new();
        let kind = match part {
            Part::Text(text) | Part::Refusal(text) => return text.borrow(),
            Part::File(file) => match &file.content {
                FileContent::Text(text) => return text.borrow(),
                FileContent::Base64(_) | FileContent::Url(_) | FileContent::Stored(_) => {
                    "file".to_owned()
                }
            },
            Part::Image(image) => {
                let url = image.url.to_plain();
                // The service ignores images that it would have to fetch. The model may have a tool that can.
                if self.setting.accepts_images && !url.starts_with("data:") {
                    let shown: String = url.chars().take(ADDRESS_CHARS_MAX).collect();
                    address = format!(" at {shown}");
                }
                "image".to_owned()
            }
            Part::Audio(_) => "audio".to_owned(),
            Part::Unknown { tag, .. } => format!("part of type `{tag}`"),
        };
        self.setting.losses.add(Loss::degraded(
            format!("input: {kind}"),
            "replaced by a remark: the model or its provider cannot take it here",
        ));
        Text::plain(format!(
            "[{kind}{address} omitted: it cannot be shown to this model]"
        ))
    }

    fn message(&mut self, role: &str, parts: &[Written<'_>], place: &str) {
        self.begin();
        let mut message = Object::open(self.out);
        message.string("role", role);
        let (ledger, losses) = (&mut *self.setting.ledger, &mut *self.setting.losses);
        let called = &mut self.called;
        write_array(parts, message.member("content"), |part, out| match part {
            Written::Text(text) => write_text("text", text, out),
            Written::Reasoning(text) => write_text("reasoning", text, out),
            Written::Image { url, media_type } => write_image(url, media_type, out),
            Written::Call(call) => {
                let form = form_of(call);
                let name = ledger.wire_name(&call.name, call.namespace.as_deref(), form);
                called.insert(call.id.clone().into_owned(), name.to_owned());
                write_call(call, name, place, losses, out);
            }
        });
        message.close();
    }

    fn open(&mut self, role: &str) -> Object<'_> {
        self.begin();
        let mut message = Object::open(self.out);
        message.string("role", role);
        message
    }

    fn begin(&mut self) {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
    }
}

/// Name, namespace and form of every tool that can be called.
fn callable<'t>(
    tools: &'t [Tool<'t>],
    namespace: Option<&'t str>,
) -> Vec<(&'t str, Option<&'t str>, Form)> {
    let mut all = Vec::new();
    for tool in tools {
        match tool {
            Tool::Function(function) => all.push((&*function.name, namespace, Form::Function)),
            Tool::Freeform { name, .. } => all.push((&**name, namespace, Form::Freeform)),
            Tool::Search { .. } => all.push((SEARCH_NAME, namespace, Form::Search)),
            Tool::Namespace { name, tools, .. } if namespace.is_none() => {
                all.extend(callable(tools, Some(name)));
            }
            // Not offered, and noted as a loss where the tools are.
            Tool::Namespace { .. } | Tool::Hosted { .. } | Tool::Unknown { .. } => {}
        }
    }
    all
}
