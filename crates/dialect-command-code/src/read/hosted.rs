//! Tools that the service carries out by itself: never offered to the client. Searches are shown as such.

use polywire_conversation::parts::Parts;
use polywire_conversation::{Event, EventSink, Loss, Text, WebSearch};
use polywire_wire::clean;
use serde::Deserialize;

use super::line::{Line, Raw};

/// The most pages of a search that are shown. More only make the answer heavy.
const SOURCES_MAX: usize = 50;

/// The most searches that wait for their results. Those beyond are told as calls that were not offered.
const WAITING_MAX: usize = 64;

/// The calls that the service carries out.
#[derive(Debug, Default)]
pub(super) struct Hosted {
    waiting: Vec<Search>,
}

#[derive(Debug)]
struct Search {
    id: String,
    query: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Input<'a> {
    #[serde(borrow)]
    query: Raw<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Page<'a> {
    #[serde(borrow)]
    url: Raw<'a>,
    #[serde(borrow)]
    title: Raw<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Found<'a> {
    #[serde(borrow)]
    results: Raw<'a>,
}

impl Hosted {
    /// Reads a call that the service carries out.
    pub(super) fn call(&mut self, line: &Line<'_>, sink: &mut dyn EventSink) {
        let name = line.tool_name.or(line.name).word();
        let input: Input<'_> = line.input.or(line.args).or(line.arguments).parse();
        let query = input.query.word();
        let is_search = name.to_ascii_lowercase().contains("search") && !query.is_empty();
        if is_search && self.waiting.len() < WAITING_MAX {
            self.waiting.push(Search {
                id: line.tool_call_id.or(line.id).word().into_owned(),
                query: query.into_owned(),
            });
            return;
        }
        sink.event(Event::Loss(Loss::note(
            format!("call of `{}`", clean(&name, 80)),
            "carried out by the provider; the client does not see it",
        )));
    }

    /// Reads the result of such a call. `false` when none waits for it.
    pub(super) fn result(
        &mut self,
        line: &Line<'_>,
        parts: &mut Parts,
        sink: &mut dyn EventSink,
    ) -> bool {
        let id = line.tool_call_id.or(line.id).word();
        let Some(at) = self.waiting.iter().position(|search| search.id == id) else {
            return false;
        };
        let search = self.waiting.remove(at);
        let output = line.output.or(line.result);
        let failure = (line.is_error.flag() == Some(true))
            .then(|| output.text().unwrap_or_else(|| "the search failed".into()));
        show(&search, sources(output), failure, parts, sink);
        true
    }

    /// Shows the searches whose results never came.
    pub(super) fn finish(&mut self, parts: &mut Parts, sink: &mut dyn EventSink) {
        for search in std::mem::take(&mut self.waiting) {
            show(&search, Vec::new(), None, parts, sink);
        }
    }
}

fn show(
    search: &Search,
    sources: Vec<(Text<'_>, Text<'_>)>,
    failure: Option<Text<'_>>,
    parts: &mut Parts,
    sink: &mut dyn EventSink,
) {
    parts.close(sink);
    parts.start(sink);
    sink.event(Event::WebSearch(
        WebSearch {
            id: &search.id,
            query: Text::plain(&*search.query),
            sources,
            failure,
        }
        .mended(),
    ));
}

/// The pages of a result: an array of them, or one in `results`.
fn sources(output: Raw<'_>) -> Vec<(Text<'_>, Text<'_>)> {
    let list = match output.get() {
        Some(json) if json.starts_with('{') => output.parse::<Found<'_>>().results,
        Some(_) | None => output,
    };
    let pages: Vec<Raw<'_>> = list.parse();
    let pages = pages.into_iter().filter_map(|page| {
        let page: Page<'_> = page.parse();
        Some((page.url.text()?, page.title.text().unwrap_or_default()))
    });
    pages.take(SOURCES_MAX).collect()
}
