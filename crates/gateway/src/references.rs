//! Input items that a client names instead of sending them: each is replaced by the item as it was stored.

use std::borrow::Cow;
use std::collections::HashMap;

use polywire_conversation::Fault;
use polywire_store::items;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::limits::{REFERENCES_MAX, REQUEST_BYTES_MAX};
use crate::stored::{Link, ResponseStore};

/// Where items are looked for.
pub(crate) struct Sources<'s> {
    /// The conversation that the request goes on from. What stands there is not said twice.
    pub(crate) before: &'s [Link],
    /// What the connection remembers.
    pub(crate) remembered: &'s [Link],
    /// Where responses are kept.
    pub(crate) store: Option<&'s ResponseStore>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
}

/// Replaces the references in a JSON array of input items. Whatever is no reference keeps its bytes; `None` when there is none.
///
/// # Errors
/// A fault that names the place and the id when an item is not known, or when there is too much to be put in.
pub(crate) async fn resolve(
    own_items: &str,
    sources: &Sources<'_>,
) -> Result<Option<String>, Fault> {
    if memchr::memmem::find(own_items.as_bytes(), b"item_reference").is_none() {
        return Ok(None);
    }
    let Ok(written) = serde_json::from_str::<Vec<&RawValue>>(own_items) else {
        return Ok(None);
    };
    let said = by_id(sources.before);
    let remembered = by_id(sources.remembered);
    let mut found: HashMap<String, String> = HashMap::new();
    let mut resolved = Resolved::default();
    let mut references = 0;
    for (index, item) in written.into_iter().enumerate() {
        let head = serde_json::from_str::<Head<'_>>(item.get()).ok();
        let Some(head) = head.filter(|head| head.kind == "item_reference") else {
            resolved.push(item.get(), index)?;
            continue;
        };
        references += 1;
        if references > REFERENCES_MAX {
            let why = format!("no more than {REFERENCES_MAX} items can be referred to");
            return Err(Fault::invalid(format!("input[{index}]"), why));
        }
        let id = &*head.id;
        if said.contains_key(id) {
            continue;
        }
        if let Some(text) = remembered.get(id) {
            resolved.push(text, index)?;
            continue;
        }
        if !found.contains_key(id) {
            let text = look_up(id, index, sources.store).await?;
            found.insert(id.to_owned(), text);
        }
        if let Some(text) = found.get(id) {
            resolved.push(text, index)?;
        }
    }
    Ok((references > 0).then(|| resolved.array()))
}

async fn look_up(id: &str, index: usize, store: Option<&ResponseStore>) -> Result<String, Fault> {
    let unknown = |why: &str| {
        Fault::invalid(
            format!("input[{index}].id"),
            format!("refers to the item `{id}`, {why}. hint: send the item itself"),
        )
        .with_code("item_not_found")
    };
    let Some(store) = store else {
        return Err(unknown("but items are not stored here"));
    };
    match store.item(id).await {
        Ok(Some(text)) => Ok(text),
        Ok(None) => Err(unknown("which is not stored")),
        Err(error) => {
            tracing::error!("the store failed: {error}");
            Err(crate::fault::ours(format!(
                "the item `{id}` could not be read"
            )))
        }
    }
}

/// The items of responses by their ids; the later of two that have the same.
fn by_id(links: &[Link]) -> HashMap<Cow<'_, str>, &str> {
    fn texts(link: &Link) -> [&str; 2] {
        [&link.input_items, &link.output_items]
    }
    links.iter().flat_map(texts).flat_map(items).collect()
}

/// Items on their way into an array.
#[derive(Default)]
struct Resolved(String);

impl Resolved {
    fn push(&mut self, item: &str, index: usize) -> Result<(), Fault> {
        if self.0.len() + item.len() > REQUEST_BYTES_MAX {
            return Err(Fault::invalid(
                format!("input[{index}]"),
                format!(
                    "with the items that are referred to, the input is longer than {REQUEST_BYTES_MAX} bytes"
                ),
            ));
        }
        self.0.push(if self.0.is_empty() { '[' } else { ',' });
        self.0.push_str(item);
        Ok(())
    }

    fn array(mut self) -> String {
        if self.0.is_empty() {
            self.0.push('[');
        }
        self.0.push(']');
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use polywire_store::StoredResponse;

    use super::*;

    fn link(input: &str, output: &str) -> Link {
        Arc::new(StoredResponse {
            id: "resp_1".to_owned(),
            parent: None,
            created_unix_s: 0,
            input_items: input.to_owned(),
            output_items: output.to_owned(),
            response: "{}".to_owned(),
            model: "m".to_owned(),
        })
    }

    async fn check(items: &str, expected: Result<Option<&str>, &str>) {
        let before = [link(r#"[{"id":"said"}]"#, "[]")];
        let remembered = [link("[]", r#"[{"id":"out", "n":1.50}]"#)];
        let sources = Sources {
            before: &before,
            remembered: &remembered,
            store: None,
        };
        let resolved = resolve(items, &sources).await;
        let resolved = resolved.map_err(|fault| fault.param.unwrap_or_default());
        let resolved = resolved.as_ref().map(Option::as_deref);
        assert_eq!(resolved.map_err(String::as_str), expected);
    }

    #[tokio::test]
    async fn references_become_what_they_refer_to() {
        let plain = r#"[ {"type":"message", "content":"hi"} ]"#;
        check(plain, Ok(None)).await;
        check(
            r#"[{"type":"item_reference","id":"out"},{"a": "item_reference"}]"#,
            Ok(Some(r#"[{"id":"out", "n":1.50},{"a": "item_reference"}]"#)),
        )
        .await;
        check(r#"[{"type":"item_reference","id":"said"}]"#, Ok(Some("[]"))).await;
        check(
            r#"[1,{"id":"gone","type":"item_reference"}]"#,
            Err("input[1].id"),
        )
        .await;
        // What is no proper reference is the parser's to judge.
        let wrong = r#"[{"type":"item_reference","id":7}]"#;
        check(wrong, Ok(None)).await;
    }
}
