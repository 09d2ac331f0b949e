//! Lists of models as most providers give them out: `GET <base>/models`, sometimes page by page.

use serde_json::{Map, Value};

use crate::model_facts::facts;
use crate::{Kind, Model};

/// One page of a list of models.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelsPage {
    /// The models, in the provider's order, by the names that it knows them by.
    pub models: Vec<Model>,
    /// How many entries have no name, and are left out.
    pub nameless: usize,
    /// What to ask for the next page with; `None` on the last one.
    pub next: Option<NextPage>,
}

/// The parameter of a query that brings the next page.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NextPage {
    /// The parameter's name.
    pub parameter: &'static str,
    /// Its value, not encoded.
    pub value: String,
}

/// What is not a list of models.
#[derive(Debug, thiserror::Error)]
pub enum ModelsPageError {
    /// It is not JSON, or its list is none.
    #[error("it is not JSON of the form of such a list: {0}")]
    Json(#[from] serde_json::Error),
    /// There is no list in it.
    #[error("there is no list in it: neither `data` nor `models`")]
    NoList,
}

/// Reads a page: `{"data": […]}`, `{"models": […]}` or a bare array, as providers have them (providers.md, model lists). Of an entry only
/// the name has to be there; how much the model can take is read where it is told.
///
/// # Errors
/// The text is not JSON, or there is no list in it.
pub fn read_models_page(kind: Kind, body: &[u8]) -> Result<ModelsPage, ModelsPageError> {
    let (entries, around) = match serde_json::from_slice(body)? {
        Value::Array(entries) => (entries, Map::new()),
        Value::Object(mut object) => {
            // llama.cpp has both; `models` of it is in a form of its own.
            let list = ["data", "models"]
                .into_iter()
                .find_map(|name| match object.remove(name) {
                    Some(Value::Array(entries)) => Some(entries),
                    Some(_) | None => None,
                });
            (list.ok_or(ModelsPageError::NoList)?, object)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            return Err(ModelsPageError::NoList);
        }
    };
    let count = entries.len();
    let models: Vec<Model> = entries.iter().filter_map(model).collect();
    Ok(ModelsPage {
        nameless: count - models.len(),
        next: next(kind, &around, entries.last()),
        models,
    })
}

fn model(entry: &Value) -> Option<Model> {
    let id = id(entry)?;
    Some(match entry.as_object() {
        Some(entry) => facts(id, entry),
        None => Model::named(id),
    })
}

/// The name by which the model is asked for, as it is: capitals, slashes and all.
fn id(entry: &Value) -> Option<&str> {
    let named = ["id", "slug", "name", "model"].into_iter();
    let mut named = named.filter_map(|name| entry.get(name)?.as_str());
    let id = entry.as_str().or_else(|| named.next())?;
    (!id.is_empty()).then_some(id)
}

/// What leads to the next page. Anthropic: `has_more`, `last_id`, and `after_id` to ask with; the same with `after` is OpenAI's custom for
/// lists; Google's is `nextPageToken`.
fn next(kind: Kind, around: &Map<String, Value>, last: Option<&Value>) -> Option<NextPage> {
    let text = |name: &str| {
        let text = around.get(name)?.as_str()?;
        (!text.is_empty()).then(|| text.to_owned())
    };
    let token = |field: &str, parameter| text(field).map(|value| NextPage { parameter, value });
    if around.get("has_more").and_then(Value::as_bool) == Some(true) {
        let parameter = if kind == Kind::Messages {
            "after_id"
        } else {
            "after"
        };
        let value = text("last_id").or_else(|| last.and_then(id).map(str::to_owned));
        return value.map(|value| NextPage { parameter, value });
    }
    token("nextPageToken", "pageToken")
        .or_else(|| token("next_page_token", "page_token"))
        .or_else(|| token("next_cursor", "cursor"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Kind, body: &str, expected: &str) {
        let read = match read_models_page(kind, body.as_bytes()) {
            Ok(page) => {
                let models: Vec<&str> = page.models.iter().map(|model| model.id.as_str()).collect();
                let next = page
                    .next
                    .map(|next| format!("{}={}", next.parameter, next.value));
                format!(
                    "{} ({}) {}",
                    models.join(" "),
                    page.nameless,
                    next.unwrap_or_default()
                )
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(read.trim_end(), expected, "{body}");
    }

    #[test]
    fn lists_have_several_forms() {
        check(
            Kind::Chat,
            r#"{"object": "list", "data": [{"id": "zai-org/GLM-5"}, {"id": "b", "has_more": true}, {}, {"id": ""}, 5]}"#,
            "zai-org/GLM-5 b (3)",
        );
        check(Kind::Chat, r#"[{"id": "Bare"}, "text"]"#, "Bare text (0)");
        check(
            Kind::Chat,
            r#"{"models": [{"slug": "gpt"}, {"name": "models/g"}]}"#,
            "gpt models/g (0)",
        );
        check(
            Kind::Chat,
            r#"{"models": [{"name": "own"}], "data": [{"id": "open"}]}"#,
            "open (0)",
        );
        check(Kind::Chat, r#"{"data": []}"#, " (0)");
    }

    #[test]
    fn pages_lead_on() {
        let more = r#"{"data": [{"id": "a"}, {"id": "b"}], "has_more": true, "first_id": "a", "last_id": "b"}"#;
        check(Kind::Messages, more, "a b (0) after_id=b");
        check(Kind::Chat, more, "a b (0) after=b");
        check(
            Kind::Chat,
            r#"{"data": [{"id": "a"}], "has_more": true}"#,
            "a (0) after=a",
        );
        check(Kind::Chat, r#"{"data": [], "has_more": true}"#, " (0)");
        check(
            Kind::Messages,
            r#"{"data": [{"id": "a"}], "has_more": false, "last_id": "a"}"#,
            "a (0)",
        );
        check(
            Kind::Chat,
            r#"{"models": [{"name": "models/a"}], "nextPageToken": "t/1"}"#,
            "models/a (0) pageToken=t/1",
        );
        check(
            Kind::Chat,
            r#"{"models": ["a"], "nextPageToken": ""}"#,
            "a (0)",
        );
    }

    #[test]
    fn what_is_no_list_is_an_error() {
        check(
            Kind::Chat,
            "<html>",
            "it is not JSON of the form of such a list: expected value at line 1 column 1",
        );
        for text in [
            "{}",
            "5",
            "null",
            r#"{"data": {"id": "a"}}"#,
            r#"{"error": "x"}"#,
        ] {
            check(
                Kind::Chat,
                text,
                "there is no list in it: neither `data` nor `models`",
            );
        }
    }
}
