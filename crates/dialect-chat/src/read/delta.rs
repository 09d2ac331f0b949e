//! What one chunk adds to the message, field by field.

use polywire_conversation::parts::Kind;
use polywire_conversation::{Event, EventSink, Json, Loss, OpaqueKind, Text};
use polywire_wire::clean;

use super::ChatReader;
use super::chunk::{
    CalledFunction, ContentPart, Delta, ExtraContent, List, Logprobs, Raw, ReasoningDetail,
    ToolCall,
};

impl ChatReader {
    pub(super) fn read_delta(&mut self, delta: &Delta<'_>, sink: &mut dyn EventSink) {
        self.read_reasoning(delta, sink);
        if let Some(text) = delta.content.text() {
            self.text(text, sink);
        } else if delta.content.has_members() {
            self.read_content_parts(delta.content, sink);
        }
        if let Some(refusal) = delta.refusal.text() {
            self.refusal(refusal, sink);
        }
        if !delta.tool_calls.is_empty() || !delta.function_call.is_empty() {
            self.flush_details(sink);
            self.release_text(sink);
        }
        for (position, piece) in delta.tool_calls.iter().enumerate() {
            self.calls.read(piece, position, &mut self.parts, sink);
        }
        if !delta.function_call.is_empty() {
            let piece = ToolCall {
                function: CalledFunction {
                    name: delta.function_call.name,
                    arguments: delta.function_call.arguments,
                },
                ..ToolCall::default()
            };
            self.calls.read(&piece, 0, &mut self.parts, sink);
        }
        if delta.extra_content.has_members() {
            let extra: ExtraContent<'_> = delta.extra_content.parse();
            if let Some(signature) = extra.google.thought_signature.text() {
                self.opaque(OpaqueKind::Signature, signature, sink);
            }
        }
        if delta.annotations.has_members() {
            self.read_sources("annotations", delta.annotations, sink);
        }
        if delta.images.has_members() {
            self.note(
                "images",
                Loss::degraded("images", "left out: images of the model cannot be carried"),
                sink,
            );
        }
        if delta.audio.has_members() {
            self.note(
                "audio",
                Loss::degraded("audio", "left out: sound of the model cannot be carried"),
                sink,
            );
        }
    }

    /// Reads reasoning from the first field that has any: providers send the same words in several. The details have what no
    /// other field has, the opaque part.
    fn read_reasoning(&mut self, delta: &Delta<'_>, sink: &mut dyn EventSink) {
        let text = delta
            .reasoning_content
            .text()
            .or_else(|| text_or_object(delta.reasoning))
            .or_else(|| delta.reasoning_text.text())
            .or_else(|| delta.thinking.text());
        let in_details = text.is_none();
        if let Some(text) = text {
            self.reasoning(text, sink);
        }
        if let Some(opaque) = delta.reasoning_opaque.text() {
            self.opaque(OpaqueKind::Encrypted, opaque, sink);
        }
        if !delta.reasoning_details.has_members() {
            return;
        }
        let details: List<Raw<'_>> = delta.reasoning_details.parse();
        for raw in details.iter() {
            let Some(json) = raw.get() else {
                continue;
            };
            if in_details || self.keeps_details {
                let new = self.details.stream(json);
                if let Some(text) = new.filter(|_| in_details) {
                    self.reasoning(text, sink);
                }
            }
            let detail: ReasoningDetail<'_> = raw.parse();
            let is_opaque = detail.data.text().is_some() || detail.signature.text().is_some();
            if is_opaque && !self.keeps_details {
                self.opaque(OpaqueKind::Detail, Text::plain(json), sink);
            }
        }
    }

    /// Hands out the entries of reasoning details that came so far, because the reasoning is over.
    pub(super) fn flush_details(&mut self, sink: &mut dyn EventSink) {
        if !self.keeps_details {
            return;
        }
        for entry in self.details.take() {
            self.opaque(OpaqueKind::Detail, Text::plain(entry), sink);
        }
    }

    pub(super) fn read_sources(
        &mut self,
        field: &'static str,
        list: Raw<'_>,
        sink: &mut dyn EventSink,
    ) {
        if !self.sources.read(list) {
            self.note(
                field,
                Loss::note(field, "left out: sources cannot be carried"),
                sink,
            );
        }
        self.sources.emit(&self.parts, sink);
    }

    /// Passes on the probabilities of the tokens of the text that came with them.
    pub(super) fn read_logprobs(&mut self, logprobs: Raw<'_>, sink: &mut dyn EventSink) {
        let logprobs: Logprobs<'_> = logprobs.parse();
        let Some(json) = logprobs
            .content
            .get()
            .filter(|_| logprobs.content.has_members())
        else {
            return;
        };
        if self.parts.is_open(Kind::Text) {
            sink.event(Event::Logprobs(Json::new(json).mended()));
        } else {
            self.note(
                "logprobs",
                Loss::note("logprobs", "left out where they belong to no text"),
                sink,
            );
        }
    }

    /// Reads content that is an array of parts, as Mistral sends it.
    fn read_content_parts(&mut self, content: Raw<'_>, sink: &mut dyn EventSink) {
        let parts: List<ContentPart<'_>> = content.parse();
        for part in parts.iter() {
            for thought in part.thinking.parse::<List<ContentPart<'_>>>().iter() {
                if let Some(text) = thought.text.text() {
                    self.reasoning(text, sink);
                }
            }
            if let Some(thought) = part.thinking.text() {
                self.reasoning(thought, sink);
            }
            if let Some(signature) = part.signature.text() {
                self.opaque(OpaqueKind::Signature, signature, sink);
            }
            if let Some(refusal) = part.refusal.text() {
                self.refusal(refusal, sink);
            }
            if let Some(text) = part.text.text() {
                self.text(text, sink);
            }
            let kind = part.kind.string().unwrap_or_default();
            if !matches!(
                kind.as_str(),
                "" | "text" | "output_text" | "thinking" | "refusal"
            ) {
                let what = format!("content part `{}`", clean(&kind, 40));
                self.note(
                    "content",
                    Loss::degraded(what, "left out: it cannot be carried"),
                    sink,
                );
            }
        }
    }
}

/// Reasoning as text, or as an object that has it.
fn text_or_object(raw: Raw<'_>) -> Option<Text<'_>> {
    if raw.has_members() {
        let part: ContentPart<'_> = raw.parse();
        return part.text.text().or_else(|| part.content.text());
    }
    raw.text()
}
