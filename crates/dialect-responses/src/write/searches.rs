//! Web searches that were carried out for the model.

use polywire_conversation::{Text, WebSearch};
use polywire_wire::{Object, write_array};

use super::frames::Frames;
use super::items::Identity;

/// Writes a whole search and gives the item. A search that failed has no event that says it was completed.
pub(super) fn write(
    search: &WebSearch<'_>,
    identity: &Identity,
    frames: &mut Frames<'_>,
) -> Vec<u8> {
    identity.added(&render(search, identity, "in_progress"), frames);
    identity.event("response.web_search_call.in_progress", &[], frames);
    identity.event("response.web_search_call.searching", &[], frames);
    let status = if search.failure.is_some() {
        "failed"
    } else {
        identity.event("response.web_search_call.completed", &[], frames);
        "completed"
    };
    let item = render(search, identity, status);
    identity.done(&item, frames);
    item
}

fn render(search: &WebSearch<'_>, identity: &Identity, status: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let mut item = Object::open(&mut out);
    item.string("type", "web_search_call");
    item.string("id", &identity.id);
    item.string("status", status);
    let mut action = Object::open(item.member("action"));
    match &search.sources[..] {
        // Looked at one page without searching for it.
        [(url, _)] if search.query.is_empty() => {
            action.string("type", "open_page");
            action.text("url", url);
        }
        sources => {
            action.string("type", "search");
            action.text("query", &search.query);
            let queries: &[&Text<'_>] = &[&search.query];
            let queries = &queries[..usize::from(!search.query.is_empty())];
            write_array(queries, action.member("queries"), |query, out| {
                query.write_string(out);
            });
            write_array(sources, action.member("sources"), |(url, _), out| {
                let mut source = Object::open(out);
                source.string("type", "url");
                source.text("url", url);
                source.close();
            });
        }
    }
    action.close();
    item.close();
    out
}
