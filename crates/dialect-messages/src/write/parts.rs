//! What each event does to the block that is open.

use polywire_conversation::{
    Citation, Fault, FaultClass, Opaque, OpaqueKind, Raised, Retry, Text, WebSearch,
};
use polywire_sse::FrameBuffer;

use super::blocks::{self, TextBlock, ThinkingBlock};
use super::call::CallBlock;
use super::{MessagesWriter, Open, ReasoningPart, Said};
use crate::ThinkingDisplay;
use crate::limits::OUTPUT_BYTES_MAX;

impl MessagesWriter {
    /// Counts text against the limit. `false` when there is no room for more, and the answer failed.
    fn has_room(&mut self, bytes: usize, out: &mut FrameBuffer) -> bool {
        self.text_bytes = self.text_bytes.saturating_add(bytes);
        if self.text_bytes <= OUTPUT_BYTES_MAX {
            return true;
        }
        let message = format!("the answer is longer than {} MiB", OUTPUT_BYTES_MAX >> 20);
        // An answer without end would be as long the next time.
        let fault = Fault::new(FaultClass::Protocol, message).with_retry(Retry::Never);
        self.overflow = Some(fault.clone());
        self.fail(fault, out);
        false
    }

    /// Takes a piece of output. `false` when there is nothing to write.
    fn takes(&mut self, text: &Text<'_>, out: &mut FrameBuffer) -> bool {
        if text.is_empty() {
            return false;
        }
        self.begin(out);
        self.numbers.output_bytes += text.as_written().len();
        self.has_room(text.as_written().len(), out)
    }

    pub(super) fn text(&mut self, said: Said, text: &Text<'_>, out: &mut FrameBuffer) {
        if !self.takes(text, out) {
            return;
        }
        self.refused |= said == Said::Refusal;
        if !matches!(&self.open, Open::Text(_, open) if *open == said) {
            self.close(out);
            self.open = Open::Text(TextBlock::open(self.index, out), said);
        }
        if let Open::Text(block, _) = &mut self.open {
            for citation in self.citations_early.drain(..) {
                block.cite(&citation, out);
            }
            block.push(text, out);
        }
    }

    pub(super) fn text_end(&mut self, out: &mut FrameBuffer) {
        self.citations_early.clear();
        if let Open::Text(..) = self.open {
            self.close(out);
        }
    }

    pub(super) fn citation(&mut self, citation: &Citation<'_>, out: &mut FrameBuffer) {
        self.begin(out);
        let quote = citation
            .quote
            .as_ref()
            .map_or(0, |quote| quote.as_written().len());
        let bytes = quote + citation.url.as_written().len() + citation.title.as_written().len();
        if !self.has_room(bytes, out) {
            return;
        }
        match &mut self.open {
            Open::Text(block, _) => block.cite(citation, out),
            Open::Nothing | Open::Reasoning(_) => self.citations_early.push(owned(citation)),
            Open::Call(_) => {}
        }
    }

    /// Opens reasoning unless it is open.
    fn open_reasoning(&mut self, out: &mut FrameBuffer) {
        if !matches!(self.open, Open::Reasoning(_)) {
            self.close(out);
            self.open = Open::Reasoning(ReasoningPart::default());
        }
    }

    pub(super) fn reasoning_delta(&mut self, text: &Text<'_>, out: &mut FrameBuffer) {
        if !self.takes(text, out) {
            return;
        }
        self.open_reasoning(out);
        let index = self.index;
        let Open::Reasoning(part) = &mut self.open else {
            return;
        };
        match self.thinking {
            ThinkingDisplay::Shown => part
                .block
                .get_or_insert_with(|| ThinkingBlock::open(index, out))
                .push(text, out),
            ThinkingDisplay::Omitted | ThinkingDisplay::Hidden => part.omitted = true,
        }
    }

    pub(super) fn reasoning_opaque(&mut self, opaque: Opaque<'_>, out: &mut FrameBuffer) {
        self.begin(out);
        match opaque.kind {
            OpaqueKind::Sealed if !opaque.state.is_empty() => {
                if !self.has_room(opaque.state.as_written().len(), out) {
                    return;
                }
                self.open_reasoning(out);
                if let Open::Reasoning(part) = &mut self.open {
                    part.sealed.push(opaque.state.into_owned());
                }
            }
            OpaqueKind::Sealed
            | OpaqueKind::Encrypted
            | OpaqueKind::Redacted
            | OpaqueKind::Item
            | OpaqueKind::Detail
            | OpaqueKind::Signature
            | OpaqueKind::CallSignature => {}
        }
    }

    pub(super) fn reasoning_end(&mut self, out: &mut FrameBuffer) {
        if let Open::Reasoning(_) = self.open {
            self.close(out);
        }
    }

    fn close_reasoning(&mut self, part: ReasoningPart, out: &mut FrameBuffer) {
        if self.thinking == ThinkingDisplay::Hidden {
            self.withheld.extend(part.sealed);
            return;
        }
        let mut sealed = part.sealed.into_iter();
        let block = match part.block {
            // Readable text that the client does not want to see leaves an empty block, which only carries the signature.
            None if part.omitted && sealed.len() > 0 => Some(ThinkingBlock::open(self.index, out)),
            block => block,
        };
        if let Some(block) = block {
            let block = block.close(sealed.next().as_ref(), out);
            self.keep(&block);
        }
        for sealed in sealed {
            self.redacted(&sealed, out);
        }
    }

    fn redacted(&mut self, sealed: &Text<'_>, out: &mut FrameBuffer) {
        let block = blocks::redacted(self.index, sealed, out);
        self.keep(&block);
    }

    pub(super) fn call_start(&mut self, id: &str, tool: &Raised<'_>, out: &mut FrameBuffer) {
        self.begin(out);
        self.close(out);
        for sealed in std::mem::take(&mut self.withheld) {
            self.redacted(&sealed, out);
        }
        self.numbers.output_bytes += tool.name.len();
        self.open = Open::Call(CallBlock::new(self.index, &self.frame.id, id, tool));
    }

    pub(super) fn call_delta(&mut self, text: &Text<'_>, out: &mut FrameBuffer) {
        if !self.takes(text, out) {
            return;
        }
        if let Open::Call(block) = &mut self.open {
            block.push(text, out);
        }
    }

    pub(super) fn call_end(&mut self, out: &mut FrameBuffer) {
        self.begin(out);
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Call(block) => {
                let block = block.end(out);
                self.keep(&block);
                self.called = true;
            }
            other @ (Open::Nothing | Open::Text(..) | Open::Reasoning(_)) => self.open = other,
        }
    }

    /// A call was cut off. It has no place in the whole message, where nothing would tell it from a complete one.
    pub(super) fn call_cut(&mut self, out: &mut FrameBuffer) {
        self.begin(out);
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Call(block) => {
                self.index += u64::from(block.is_announced());
                self.cut = true;
                block.cut(out);
            }
            other @ (Open::Nothing | Open::Text(..) | Open::Reasoning(_)) => self.open = other,
        }
    }

    pub(super) fn web_search(&mut self, search: &WebSearch<'_>, out: &mut FrameBuffer) {
        let sources = search.sources.iter();
        let bytes: usize = sources
            .map(|(url, title)| url.as_written().len() + title.as_written().len())
            .sum();
        self.begin(out);
        self.close(out);
        if !self.has_room(bytes + search.query.as_written().len(), out) {
            return;
        }
        self.numbers.searches += 1;
        for block in blocks::web_search(self.index, &self.frame.id, search, out) {
            self.keep(&block);
        }
    }

    /// Closes whatever is open. A call that is still open was cut.
    pub(super) fn close(&mut self, out: &mut FrameBuffer) {
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => {}
            Open::Text(block, _) => {
                let block = block.close(out);
                self.keep(&block);
            }
            Open::Reasoning(part) => self.close_reasoning(part, out),
            open @ Open::Call(_) => {
                self.open = open;
                self.call_cut(out);
            }
        }
    }
}

fn owned(citation: &Citation<'_>) -> Citation<'static> {
    Citation {
        url: citation.url.clone().into_owned(),
        title: citation.title.clone().into_owned(),
        quote: citation.quote.clone().map(Text::into_owned),
        span: citation.span,
    }
}
