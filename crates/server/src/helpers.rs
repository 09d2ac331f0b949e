//! Small questions beside the turns: how many tokens, which models, what the web says.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use polywire_conversation::{Fault, FaultClass};
use polywire_gateway::{ClientDialect, Gateway, count_tokens, list_models, search_web};
use serde_json::{Value, json};

use crate::error_page::{Failure, Refusal};
use crate::routes::{fresh_turn_id, json_page};
use crate::turns::{name_turn, whole_body};

/// Says that a number is ours and not the provider's.
const ESTIMATED: HeaderName = HeaderName::from_static("x-polywire-estimated");

/// Counts the input tokens of a request, without asking anybody.
pub(crate) async fn count(
    gateway: &Gateway,
    dialect: ClientDialect,
    request: Request,
) -> Response<Body> {
    let turn_id = fresh_turn_id();
    let counted = match whole_body(request).await {
        Ok(body) => count_tokens(gateway, dialect, body)
            .await
            .map_err(Failure::from),
        Err(refusal) => Err(refusal.into()),
    };
    let mut response = match counted {
        Ok(answer) => json_page(String::from_utf8_lossy(&answer).into_owned()),
        Err(failure) => failure.page(dialect, &turn_id),
    };
    let headers = response.headers_mut();
    headers.insert(ESTIMATED, HeaderValue::from_static("input_tokens"));
    name_turn(&mut response, dialect, &turn_id);
    response
}

/// The models as Anthropic's clients list them.
pub(crate) fn models_page(gateway: &Gateway, query: &str) -> Response<Body> {
    let page = list_models(&gateway.live(), query);
    json_page(String::from_utf8_lossy(&page).into_owned())
}

/// A web search by itself, for clients that search through the gateway.
pub(crate) async fn search(gateway: &Gateway, request: Request) -> Response<Body> {
    let failed = |failure: Failure| failure.page(ClientDialect::Responses, "");
    let body = match whole_body(request).await {
        Ok(body) => body,
        Err(refusal) => return failed(refusal.into()),
    };
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let Some(query) = body.get("query").and_then(Value::as_str) else {
        return failed(Fault::invalid("query", "`query` is required, as a string").into());
    };
    let Some(found) = search_web(gateway, query).await else {
        return failed(
            Refusal::new(
                StatusCode::NOT_FOUND,
                "no search service is configured. hint: set `provider` under [search]",
            )
            .into(),
        );
    };
    match found {
        Ok(results) => json_page(json!({"query": query, "results": results}).to_string()),
        Err(why) => {
            failed(Fault::new(FaultClass::Server, format!("the web search failed: {why}")).into())
        }
    }
}
