//! Small questions beside the turns: how many tokens, which models, what the web says.

use std::sync::Arc;

use crate::error_page::{Failure, Refusal};
use crate::routes::{fresh_turn_id, json_page};
use crate::turns::{name_turn, whole_body};
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use polywire_gateway::{ClientDialect, Gateway, count_tokens, list_models, search_web};

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
pub(crate) async fn models_page(gateway: &Arc<Gateway>, query: &str) -> Response<Body> {
    let page = list_models(&*gateway.live_with_lists().await, query);
    json_page(String::from_utf8_lossy(&page).into_owned())
}

/// Codex's own search tool, which searches beside its turns: `{"commands": …}` in, `{"output": …}` out (seen with 0.169).
pub(crate) async fn search(gateway: &Gateway, request: Request) -> Response<Body> {
    let searched = match whole_body(request).await {
        Ok(body) => search_web(gateway, &body).await.map_err(Failure::from),
        Err(refusal) => Err(refusal.into()),
    };
    let failure = match searched {
        Ok(Some(answer)) => return json_page(String::from_utf8_lossy(&answer).into_owned()),
        Ok(None) => Refusal::new(
            StatusCode::NOT_FOUND,
            "no search service is configured. hint: set `provider` under [search]",
        )
        .into(),
        Err(failure) => failure,
    };
    failure.page(ClientDialect::Responses, "")
}
