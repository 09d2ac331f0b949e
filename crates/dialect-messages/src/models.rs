//! The list of models as this protocol has it.

use polywire_wire::{Object, write_array, write_string};

use crate::limits::{PAGE_MODELS_DEFAULT, PAGE_MODELS_MAX};

/// A model that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelEntry<'a> {
    /// The name to ask for it by.
    pub id: &'a str,
    /// The name to show.
    pub display_name: &'a str,
}

/// Which part of the list is wanted: the query of `GET /v1/models`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelsQuery<'a> {
    /// The most models, from 1 to 1,000; 20 where nothing is said.
    pub limit: Option<usize>,
    /// Only what comes behind this model.
    pub after_id: Option<&'a str>,
    /// Only what comes before this model, nearest last.
    pub before_id: Option<&'a str>,
}

/// When a model came out, where nobody knows: the protocol asks for the epoch then (anthropic-python 2.14.0).
const CREATED_UNKNOWN: &str = "1970-01-01T00:00:00Z";

/// One page of `GET /v1/models`.
///
/// A cursor that is not in the list gives an empty page, so that a client which goes from page to page comes to an end.
pub fn models_page(entries: &[ModelEntry<'_>], query: &ModelsQuery<'_>) -> Vec<u8> {
    let (page, has_more) = cut(entries, query);
    let mut body = Vec::with_capacity(64 + page.len() * 160);
    let mut object = Object::open(&mut body);
    write_array(page, object.member("data"), |entry, out| {
        let mut model = Object::open(out);
        model.string("type", "model");
        model.string("id", entry.id);
        model.string("display_name", entry.display_name);
        model.string("created_at", CREATED_UNKNOWN);
        model.string("lifecycle", "active");
        model.close();
    });
    object.flag("has_more", has_more);
    for (key, entry) in [("first_id", page.first()), ("last_id", page.last())] {
        let place = object.member(key);
        match entry {
            Some(entry) => write_string(entry.id, place),
            None => place.extend_from_slice(b"null"),
        }
    }
    object.close();
    body
}

/// The page, and whether there is more in its direction.
fn cut<'e, 'a>(
    entries: &'e [ModelEntry<'a>],
    query: &ModelsQuery<'_>,
) -> (&'e [ModelEntry<'a>], bool) {
    let limit = query
        .limit
        .unwrap_or(PAGE_MODELS_DEFAULT)
        .clamp(1, PAGE_MODELS_MAX);
    let place = |id: &str| entries.iter().position(|entry| entry.id == id);
    if let Some(id) = query.before_id {
        let before = &entries[..place(id).unwrap_or(0)];
        let start = before.len().saturating_sub(limit);
        return (&before[start..], start > 0);
    }
    let start = match query.after_id {
        Some(id) => place(id).map_or(entries.len(), |place| place + 1),
        None => 0,
    };
    let rest = &entries[start..];
    (&rest[..rest.len().min(limit)], rest.len() > limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(query: ModelsQuery<'_>) -> String {
        let names: Vec<String> = (1..=25).map(|number| format!("m{number}")).collect();
        let entries: Vec<ModelEntry<'_>> = names
            .iter()
            .map(|name| ModelEntry {
                id: name,
                display_name: name,
            })
            .collect();
        let (page, has_more) = cut(&entries, &query);
        let first = page.first().map_or("-", |entry| entry.id);
        let last = page.last().map_or("-", |entry| entry.id);
        format!("{} {first}..{last} {has_more}", page.len())
    }

    #[test]
    fn pages() {
        let all = ModelsQuery::default();
        let limit = |limit| ModelsQuery {
            limit: Some(limit),
            ..all
        };
        let after = |id| ModelsQuery {
            after_id: Some(id),
            ..limit(10)
        };
        let before = |id| ModelsQuery {
            before_id: Some(id),
            ..limit(10)
        };
        for (query, expected) in [
            (all, "20 m1..m20 true"),
            (limit(0), "1 m1..m1 true"),
            (limit(25), "25 m1..m25 false"),
            (limit(9_999), "25 m1..m25 false"),
            (after("m20"), "5 m21..m25 false"),
            (after("m15"), "10 m16..m25 false"),
            (after("m14"), "10 m15..m24 true"),
            (after("m25"), "0 -..- false"),
            (after("none"), "0 -..- false"),
            (before("m12"), "10 m2..m11 true"),
            (before("m11"), "10 m1..m10 false"),
            (before("m1"), "0 -..- false"),
            (before("none"), "0 -..- false"),
        ] {
            assert_eq!(ids(query), expected, "{query:?}");
        }
    }

    #[test]
    fn bodies() {
        let entries = [ModelEntry {
            id: "house/small \"1\"",
            display_name: "Small",
        }];
        let body = models_page(&entries, &ModelsQuery::default());
        assert_eq!(
            String::from_utf8(body).unwrap(),
            r#"{"data":[{"type":"model","id":"house/small \"1\"","display_name":"Small","created_at":"1970-01-01T00:00:00Z","lifecycle":"active"}],"has_more":false,"first_id":"house/small \"1\"","last_id":"house/small \"1\""}"#
        );
        let body = models_page(&[], &ModelsQuery::default());
        assert_eq!(
            String::from_utf8(body).unwrap(),
            r#"{"data":[],"has_more":false,"first_id":null,"last_id":null}"#
        );
    }
}
