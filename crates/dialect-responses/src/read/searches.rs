//! What the provider carried out by itself.

use polywire_conversation::{Citation, Event, EventSink, Loss, Text, WebSearch};
use serde_json::value::RawValue;

use super::lose;
use super::wire::{
    Raw, WireAction, WireAnnotation, WireOutput, count, elements, object, text, word,
};

/// Emits a web search. No part may be open.
pub(super) fn web_search(item: &WireOutput<'_>, made_id: &str, sink: &mut dyn EventSink) {
    let action: WireAction<'_> = object(item.action).unwrap_or_default();
    let id = word(item.id);
    let query = text(action.query).filter(|query| !query.is_empty());
    let query = query.unwrap_or_else(|| all_queries(action.queries));
    let mut sources: Vec<(Text<'_>, Text<'_>)> = elements(action.sources)
        .into_iter()
        .filter_map(source)
        .collect();
    // A page that was opened, or looked through, is its own source.
    sources.extend(text(action.url).map(|url| (url, Text::EMPTY)));
    let failed = word(item.status).as_deref() == Some("failed");
    sink.event(Event::WebSearch(
        WebSearch {
            id: id.as_deref().unwrap_or(made_id),
            query,
            sources,
            failure: failed.then(|| Text::plain("the search failed")),
        }
        .mended(),
    ));
}

fn all_queries(raw: Raw<'_>) -> Text<'_> {
    let queries: Vec<String> = elements(raw)
        .into_iter()
        .filter_map(|query| word(Some(query)))
        .collect();
    Text::plain(queries.join("; "))
}

fn source(raw: &RawValue) -> Option<(Text<'_>, Text<'_>)> {
    let source: WireAnnotation<'_> = object(Some(raw))?;
    let title = text(source.title).unwrap_or_default();
    Some((text(source.url)?, title))
}

/// Reads a source of some text; nothing when it is of a kind that cannot be carried.
pub(super) fn citation<'a>(raw: Raw<'a>, sink: &mut dyn EventSink) -> Option<Citation<'a>> {
    let wire: WireAnnotation<'a> = object(raw)?;
    let Some(url) = text(wire.url) else {
        let tag = word(wire.tag).unwrap_or_default();
        lose(
            Loss::degraded(
                "annotation",
                format!("left out: a source of type `{tag}` cannot be carried"),
            ),
            sink,
        );
        return None;
    };
    Some(
        Citation {
            url,
            title: text(wire.title).unwrap_or_default(),
            quote: None,
            span: count(wire.start_index).zip(count(wire.end_index)),
        }
        .mended(),
    )
}

/// Says that something was carried out whose outcome cannot be shown.
pub(super) fn other(tag: &str, sink: &mut dyn EventSink) {
    let loss = match tag {
        "mcp_list_tools" | "tool_search_call" | "tool_search_output" => Loss::note(
            tag.to_owned(),
            "left out: the provider looked for tools by itself",
        ),
        _ => Loss::degraded(
            if tag.is_empty() { "an item" } else { tag }.to_owned(),
            "left out: the provider carried it out, and its outcome cannot be shown",
        ),
    };
    lose(loss, sink);
}
