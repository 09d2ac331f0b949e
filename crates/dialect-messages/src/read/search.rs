//! Searches that the provider carried out.

use polywire_conversation::parts::Parts;
use polywire_conversation::{Event, EventSink, Loss, Text, WebSearch};

use super::wire::{Block, Found, SearchInput, elements, first_error, inner, read, string, text};

/// The provider's own tool that searches the web.
pub(super) const WEB_SEARCH: &str = "web_search";

/// Searches that were begun and are not answered.
#[derive(Debug, Default)]
pub(super) struct Searches(Vec<(String, Text<'static>)>);

/// What a search came to.
#[derive(Debug)]
pub(super) struct Answer {
    id: String,
    sources: Vec<(Text<'static>, Text<'static>)>,
    failure: Option<Text<'static>>,
}

impl Answer {
    pub(super) fn new(block: &Block<'_>) -> Self {
        let sources = elements(block.content).into_iter().filter_map(|raw| {
            let found: Found<'_> = inner(Some(raw));
            let title = text(found.title).unwrap_or_default();
            Some((text(found.url)?.into_owned(), title.into_owned()))
        });
        Self {
            id: string(block.tool_use_id).unwrap_or_default(),
            sources: sources.collect(),
            failure: first_error(block.content).map(Text::into_owned),
        }
    }
}

impl Searches {
    /// A search begins.
    pub(super) fn begin(&mut self, id: String, input: &str) {
        let input: SearchInput<'_> = read(input).unwrap_or_default();
        let query = text(input.query).unwrap_or_default().into_owned();
        self.0.push((id, query));
    }

    /// A search is over.
    pub(super) fn answer(&mut self, answer: Answer, parts: &mut Parts, sink: &mut dyn EventSink) {
        let begun = self.0.iter().position(|(id, _)| *id == answer.id);
        let query = begun.map(|at| self.0.remove(at).1).unwrap_or_default();
        parts.close(sink);
        parts.start(sink);
        sink.event(Event::WebSearch(
            WebSearch {
                id: &answer.id,
                query,
                sources: answer.sources,
                failure: answer.failure,
            }
            .mended(),
        ));
        sink.event(Event::Loss(Loss::note(
            "web search",
            "the pages that were found are sealed and were left out; the model will not see them in its next turn",
        )));
    }

    /// The answer is over.
    pub(super) fn finish(&mut self, sink: &mut dyn EventSink) {
        if !std::mem::take(&mut self.0).is_empty() {
            sink.event(Event::Loss(Loss::note(
                "web search",
                "it was begun and is not answered; left out",
            )));
        }
    }
}
