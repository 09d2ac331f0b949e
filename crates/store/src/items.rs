//! Single items of stored responses, by their own ids.

use std::borrow::Cow;

use rusqlite::{Connection, OptionalExtension};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::responses::whole;

/// The item of this id as it is written in the response that brought it first, unless that is older than `oldest_unix_s`.
///
/// Later responses hold the same item where a client has sent it back; those are copies.
pub(crate) fn get(
    connection: &Connection,
    id: &str,
    oldest_unix_s: u64,
) -> rusqlite::Result<Option<String>> {
    let found = connection
        .prepare(
            "SELECT input_items, output_items FROM items JOIN responses ON sequence = items.response
             WHERE items.id = ?1 AND created_unix_s >= ?2 ORDER BY sequence LIMIT 1",
        )?
        .query_row((id, whole(oldest_unix_s)), |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })
        .optional()?;
    Ok(found.and_then(|(input, output)| {
        let item = items(&output)
            .chain(items(&input))
            .find(|item| item.0 == id);
        item.map(|(_, text)| text.to_owned())
    }))
}

/// The items of a JSON array that have an id: the id, and the item as it is written.
///
/// ```
/// # use polywire_store::items;
/// let found: Vec<_> = items(r#"[1, {"id": "a", "n": 1.0}, {"n": 2}]"#).collect();
/// assert_eq!(found, [("a".into(), r#"{"id": "a", "n": 1.0}"#)]);
/// ```
pub fn items(array: &str) -> impl Iterator<Item = (Cow<'_, str>, &str)> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        id: Cow<'a, str>,
    }
    let items: Vec<&RawValue> = serde_json::from_str(array).unwrap_or_default();
    items.into_iter().filter_map(|item| {
        let named: Named<'_> = serde_json::from_str(item.get()).ok()?;
        Some((named.id, item.get()))
    })
}
