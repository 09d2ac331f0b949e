//! The sources of the text of an answer.

use std::collections::HashSet;

use polywire_conversation::parts::{Kind, Parts};
use polywire_conversation::{Citation, Event, EventSink, Text};

use super::chunk::{List, Raw, Source};

/// The most sources that one answer may name. Searches give some tens.
const SOURCES_MAX: usize = 1_024;

/// The sources that an answer names, each once.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Those that wait for text to belong to.
    waiting: Vec<Citation<'static>>,
    known: HashSet<(String, Option<(u64, u64)>)>,
}

impl Sources {
    /// Takes a list of sources: `annotations` of a message, or the `citations` of an answer, which are URLs and come again with
    /// every chunk. Gives whether all of them could be read.
    pub(super) fn read(&mut self, list: Raw<'_>) -> bool {
        let entries: List<Raw<'_>> = list.parse();
        let mut all = true;
        for entry in entries.iter() {
            let Some(citation) = read_source(*entry) else {
                all = false;
                continue;
            };
            let key = (citation.url.to_plain().into_owned(), citation.span);
            if self.known.len() >= SOURCES_MAX {
                return self.known.contains(&key);
            }
            if self.known.insert(key) {
                self.waiting.push(citation);
            }
        }
        all
    }

    /// Hands out what waits, if there is text for it.
    pub(super) fn emit(&mut self, parts: &Parts, sink: &mut dyn EventSink) {
        if !self.waiting.is_empty() && parts.is_open(Kind::Text) {
            for citation in self.waiting.drain(..) {
                sink.event(Event::Citation(citation));
            }
        }
    }

    /// Whether any waits.
    pub(super) fn are_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

fn read_source(raw: Raw<'_>) -> Option<Citation<'static>> {
    if let Some(url) = raw.text() {
        return Some(
            Citation {
                url: url.into_owned(),
                title: Text::EMPTY,
                quote: None,
                span: None,
            }
            .mended(),
        );
    }
    let outer: Source<'_> = raw.parse();
    let source = if outer.url_citation.has_members() {
        outer.url_citation.parse()
    } else {
        outer
    };
    // Sources of the whole text come with a span of nothing (OpenRouter, 2026).
    let span = source.start_index.count().zip(source.end_index.count());
    Some(
        Citation {
            url: source.url.text()?.into_owned(),
            title: source.title.text().unwrap_or_default().into_owned(),
            quote: source.content.text().map(Text::into_owned),
            span: span.filter(|(start, end)| start < end),
        }
        .mended(),
    )
}
