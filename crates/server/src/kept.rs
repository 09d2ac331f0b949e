//! Stored responses as the Responses protocol lets clients look at them.

use axum::body::Body;
use axum::http::{Response, StatusCode, Uri};
use polywire_conversation::{Fault, FaultClass, Origin, Retry};
use polywire_gateway::{ClientDialect, Gateway};
use polywire_store::{ChainError, StoreError, StoredResponse, history};
use serde_json::{Value, json};

use crate::error_page::{Failure, Refusal};
use crate::routes::json_page;

/// How many items a page of `input_items` has when the client does not say, and at most: the protocol's numbers.
const ITEMS_DEFAULT: usize = 20;
const ITEMS_MAX: usize = 100;

fn page(failure: impl Into<Failure>) -> Response<Body> {
    failure.into().page(ClientDialect::Responses, "")
}

fn unknown(id: &str) -> Response<Body> {
    page(Fault {
        origin: Origin::Client,
        retry: Retry::Never,
        ..Fault::new(
            FaultClass::NotFound,
            format!("no response `{id}` is stored"),
        )
        .with_code("response_not_found")
    })
}

fn failed(error: &StoreError) -> Response<Body> {
    tracing::error!("the store failed: {error}");
    page(Refusal::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        format!("the store failed: {error}"),
    ))
}

async fn found(gateway: &Gateway, id: &str) -> Result<StoredResponse, Box<Response<Body>>> {
    let Some(store) = gateway.responses() else {
        return Err(Box::new(unknown(id)));
    };
    match store.get(id).await {
        Ok(Some(response)) => Ok(response),
        Ok(None) => Err(Box::new(unknown(id))),
        Err(error) => Err(Box::new(failed(&error))),
    }
}

/// `GET /v1/responses/{id}`.
pub(crate) async fn retrieve(gateway: &Gateway, id: &str) -> Response<Body> {
    match found(gateway, id).await {
        Ok(response) => json_page(response.response),
        Err(page) => *page,
    }
}

/// `DELETE /v1/responses/{id}`.
pub(crate) async fn delete(gateway: &Gateway, id: &str) -> Response<Body> {
    let Some(store) = gateway.responses() else {
        return unknown(id);
    };
    match store.delete(id).await {
        Ok(true) => json_page(json!({"id": id, "object": "response", "deleted": true}).to_string()),
        Ok(false) => unknown(id),
        Err(error) => failed(&error),
    }
}

/// `POST /v1/responses/{id}/cancel`. Only an answer that is being made in the background can be cancelled, and there are none: a
/// client that leaves has cancelled its turn.
pub(crate) async fn cancel(gateway: &Gateway, id: &str) -> Response<Body> {
    match found(gateway, id).await {
        Ok(_) => page(Fault::new(
            FaultClass::InvalidRequest,
            format!(
                "response `{id}` is not in progress. hint: to cancel a turn at work, close its connection"
            ),
        )),
        Err(page) => *page,
    }
}

/// `GET /v1/responses/{id}/input_items`: everything that the model was given, the newest first unless asked otherwise.
pub(crate) async fn input_items(gateway: &Gateway, id: &str, uri: &Uri) -> Response<Body> {
    let Some(store) = gateway.responses() else {
        return unknown(id);
    };
    let mut chain = match store.chain(id).await {
        Ok(chain) => chain,
        Err(ChainError::Store(error)) => return failed(&error),
        Err(ChainError::Unknown { .. }) => return unknown(id),
        Err(other) => {
            return page(Fault::new(FaultClass::InvalidRequest, other.to_string()));
        }
    };
    // What the answer itself says is no input.
    if let Some(last) = chain.last_mut() {
        "[]".clone_into(&mut last.output_items);
    }
    let Ok(items) = serde_json::from_str(&history(&chain)) else {
        return page(Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the items of response `{id}` cannot be read"),
        ));
    };
    let asked = Page::read(uri.query().unwrap_or_default());
    match asked.list(with_ids(items, id)) {
        Ok(list) => json_page(list.to_string()),
        Err(fault) => page(fault),
    }
}

/// What of a list is wanted.
struct Page {
    limit: usize,
    after: Option<String>,
    ascending: bool,
}

impl Page {
    fn read(query: &str) -> Self {
        let value = |key: &str| {
            query
                .split('&')
                .find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
        };
        Self {
            limit: value("limit")
                .and_then(|limit| limit.parse().ok())
                .unwrap_or(ITEMS_DEFAULT)
                .clamp(1, ITEMS_MAX),
            after: value("after").map(str::to_owned),
            ascending: value("order") == Some("asc"),
        }
    }

    fn list(&self, mut items: Vec<Value>) -> Result<Value, Fault> {
        if !self.ascending {
            items.reverse();
        }
        if let Some(after) = &self.after {
            let Some(at) = items.iter().position(|item| item["id"] == *after) else {
                // From the beginning again, a client would turn pages without end.
                return Err(Fault::invalid(
                    "after",
                    format!("there is no item `{after}`"),
                ));
            };
            items.drain(..=at);
        }
        let has_more = items.len() > self.limit;
        items.truncate(self.limit);
        let id = |item: Option<&Value>| item.map_or(Value::Null, |item| item["id"].clone());
        Ok(json!({
            "object": "list",
            "first_id": id(items.first()),
            "last_id": id(items.last()),
            "has_more": has_more,
            "data": items,
        }))
    }
}

/// Items as the protocol lists them: each with an id, messages with a type and their content in parts.
fn with_ids(items: Vec<Value>, response_id: &str) -> Vec<Value> {
    let mut items = items;
    for (index, item) in items.iter_mut().enumerate() {
        let Some(object) = item.as_object_mut() else {
            continue;
        };
        object.entry("type").or_insert_with(|| json!("message"));
        object
            .entry("id")
            .or_insert_with(|| json!(format!("item_{response_id}_{index}")));
        let role = object.get("role").and_then(Value::as_str);
        let kind = if role == Some("assistant") {
            "output_text"
        } else {
            "input_text"
        };
        if let Some(Value::String(text)) = object.get("content") {
            let content = json!([{"type": kind, "text": text}]);
            object.insert("content".to_owned(), content);
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_pages() {
        let items = || {
            with_ids(
                vec![
                    json!({"role":"user","content":"a"}),
                    json!({"id":"b"}),
                    json!({"id":"c"}),
                ],
                "r",
            )
        };
        let ids = |query: &str| {
            let list = Page::read(query).list(items()).unwrap();
            let ids: Vec<String> = list["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["id"].as_str().unwrap().to_owned())
                .collect();
            (ids.join(" "), list["has_more"].as_bool().unwrap())
        };
        assert_eq!(ids(""), ("c b item_r_0".to_owned(), false));
        assert_eq!(ids("order=asc&limit=2"), ("item_r_0 b".to_owned(), true));
        assert_eq!(ids("after=b"), ("item_r_0".to_owned(), false));
        assert_eq!(ids("limit=0").0, "c");
        assert!(Page::read("after=gone").list(items()).is_err());
        assert_eq!(items()[0]["content"][0]["type"], "input_text");
    }
}
