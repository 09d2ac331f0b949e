//! What is served under which path.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Extension, FromRequestParts, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::routing::{get, post};
use polywire_gateway::{ClientDialect, Gateway};

use crate::access::Access;
use crate::error_page::{self, Refusal};
use crate::serve::Stop;
use crate::turns::{self, Asked, client_of};
use crate::{helpers, kept, operations, websocket};

/// What the routes work with.
pub struct App {
    /// Runs the turns.
    pub gateway: Arc<Gateway>,
    /// Who gets in.
    pub access: Access,
}

pub(crate) type Shared = State<Arc<App>>;

/// What every request of the Messages protocol carries, and no other.
const ANTHROPIC_VERSION: &str = "anthropic-version";

/// The routes. `stop` tells connections that outlive their request when to end, and everybody that nothing further begins.
pub(crate) fn router(app: Arc<App>, stop: Stop) -> Router {
    let turns = Router::new()
        .route("/v1/responses", post(responses).get(upgrade))
        .route("/responses", post(responses).get(upgrade))
        .route("/v1/responses/compact", post(compact))
        .route("/responses/compact", post(compact))
        .route("/v1/responses/{id}", get(retrieve).delete(delete))
        .route("/v1/responses/{id}/input_items", get(input_items))
        .route("/v1/responses/{id}/cancel", post(cancel))
        .route("/v1/chat/completions", post(chat))
        .route("/chat/completions", post(chat))
        .route("/v1/messages", post(messages))
        .route("/v1/messages/count_tokens", post(count_tokens))
        // Libraries differ in whether the base address has the `/v1`; where both read one variable, one of them leaves it out here.
        .route("/messages", post(messages))
        .route("/messages/count_tokens", post(count_tokens))
        .route("/v1/responses/input_tokens", post(input_tokens))
        .route("/v1/alpha/search", post(search))
        .route("/alpha/search", post(search))
        .route("/v1/models", get(models))
        .route("/models", get(models))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            turned_away,
        ));
    let api = turns
        .route("/api/providers/{id}", get(provider))
        .route("/metrics", get(operations::metrics))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            token_checked,
        ));
    Router::new()
        .route("/health", get(health))
        .route("/healthz", get(health))
        .route("/ready", get(operations::ready))
        .merge(api)
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            source_checked,
        ))
        .layer(Extension(stop))
        .with_state(app)
}

/// A fresh id for a turn.
pub(crate) fn fresh_turn_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// The dialect whose error shape the client of a path knows. Some paths are common to all.
fn dialect_of(uri: &Uri, headers: &HeaderMap) -> ClientDialect {
    if headers.contains_key(ANTHROPIC_VERSION) {
        ClientDialect::Messages
    } else {
        ClientDialect::of_path(uri.path())
    }
}

/// A refusal before anybody looked at what is asked for, with an id by which it can be named.
fn refused(app: &App, refusal: Refusal, uri: &Uri, headers: &HeaderMap) -> Response<Body> {
    let (dialect, id) = (dialect_of(uri, headers), fresh_turn_id());
    let mut response = refusal.page(dialect, &id);
    turns::name_turn(&mut response, dialect, &id);
    app.gateway.metrics.refused(response.status().as_u16());
    response
}

async fn source_checked(State(app): Shared, request: Request, next: Next) -> Response<Body> {
    match app.access.check_source(request.headers(), request.uri()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refused(&app, refusal, request.uri(), request.headers()),
    }
}

async fn token_checked(State(app): Shared, request: Request, next: Next) -> Response<Body> {
    match app.access.check_token(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refused(&app, refusal, request.uri(), request.headers()),
    }
}

/// Tells whoever comes while the gateway stops to come again: its successor may listen then. Those who ask how it does are answered to the end.
async fn turned_away(
    State(app): Shared,
    Extension(stop): Extension<Stop>,
    request: Request,
    next: Next,
) -> Response<Body> {
    if !stop.drain.is_cancelled() {
        return next.run(request).await;
    }
    let dialect = dialect_of(request.uri(), request.headers());
    let id = fresh_turn_id();
    let mut response = error_page::stopping(dialect, &id);
    turns::name_turn(&mut response, dialect, &id);
    app.gateway.metrics.refused(response.status().as_u16());
    response
}

async fn responses(State(app): Shared, request: Request) -> Response<Body> {
    let asked = Asked {
        dialect: ClientDialect::Responses,
        compact: false,
    };
    turns::serve(app, asked, request).await
}

async fn chat(State(app): Shared, request: Request) -> Response<Body> {
    let asked = Asked {
        dialect: ClientDialect::Chat,
        compact: false,
    };
    turns::serve(app, asked, request).await
}

async fn messages(State(app): Shared, request: Request) -> Response<Body> {
    let asked = Asked {
        dialect: ClientDialect::Messages,
        compact: false,
    };
    turns::serve(app, asked, request).await
}

async fn count_tokens(State(app): Shared, request: Request) -> Response<Body> {
    helpers::count(&app.gateway, ClientDialect::Messages, request).await
}

async fn input_tokens(State(app): Shared, request: Request) -> Response<Body> {
    helpers::count(&app.gateway, ClientDialect::Responses, request).await
}

async fn search(State(app): Shared, request: Request) -> Response<Body> {
    helpers::search(&app.gateway, request).await
}

async fn compact(State(app): Shared, request: Request) -> Response<Body> {
    let asked = Asked {
        dialect: ClientDialect::Responses,
        compact: true,
    };
    turns::serve(app, asked, request).await
}

/// A WebSocket. Codex turns to HTTP at once and in silence when a request without an upgrade is answered 426.
async fn upgrade(
    State(app): Shared,
    Extension(stop): Extension<Stop>,
    request: Request,
) -> Response<Body> {
    let client = client_of(request.headers());
    let (mut parts, _) = request.into_parts();
    match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => {
            // The web framework starts the task. With this token in its hands, shutdown waits for it as for our own.
            let at_work = app.gateway.tasks.token();
            upgrade
                .max_message_size(websocket::MESSAGE_BYTES_MAX)
                .max_frame_size(websocket::MESSAGE_BYTES_MAX)
                .on_upgrade(async move |socket| {
                    tokio::select! {
                        () = websocket::serve(app, client, stop.drain, socket) => {}
                        () = stop.cut.cancelled() => {}
                    }
                    drop(at_work);
                })
        }
        Err(rejection) => {
            tracing::debug!("no WebSocket: {rejection}");
            let mut response = Refusal::new(
                StatusCode::UPGRADE_REQUIRED,
                "a GET here opens a WebSocket. hint: POST to this path, or ask for the upgrade",
            )
            .page(ClientDialect::Responses, "");
            let headers = response.headers_mut();
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            response
        }
    }
}

async fn retrieve(State(app): Shared, Path(id): Path<String>) -> Response<Body> {
    kept::retrieve(&app.gateway, &id).await
}

async fn delete(State(app): Shared, Path(id): Path<String>) -> Response<Body> {
    kept::delete(&app.gateway, &id).await
}

async fn input_items(State(app): Shared, Path(id): Path<String>, uri: Uri) -> Response<Body> {
    kept::input_items(&app.gateway, &id, &uri).await
}

async fn cancel(State(app): Shared, Path(id): Path<String>) -> Response<Body> {
    kept::cancel(&app.gateway, &id).await
}

async fn models(State(app): Shared, headers: HeaderMap, uri: Uri) -> Response<Body> {
    if headers.contains_key(ANTHROPIC_VERSION) {
        return helpers::models_page(&app.gateway, uri.query().unwrap_or_default()).await;
    }
    let extra_model = uri.query().and_then(wanted_model);
    let live = app.gateway.live_with_lists().await;
    let document =
        polywire_catalog::models_document(live.catalog(), extra_model.as_deref(), &|target| {
            live.can_search(target)
        });
    json_page(document)
}

/// The `model` parameter: a name that the list shall hold even if no provider lists it, so that the client finds it.
fn wanted_model(query: &str) -> Option<String> {
    let value = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("model="))?;
    let mut name = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            name.push(byte);
            continue;
        }
        let digits = [bytes.next()?, bytes.next()?];
        name.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    String::from_utf8(name).ok().filter(|name| !name.is_empty())
}

async fn health() -> Response<Body> {
    let version = env!("CARGO_PKG_VERSION");
    json_page(format!(
        r#"{{"status":"ok","service":"polywire","version":"{version}"}}"#
    ))
}

/// A provider, with what tells whether this gateway can serve it: where it is, and whether its key can be had.
async fn provider(State(app): Shared, Path(id): Path<String>) -> Response<Body> {
    let live = app.gateway.live();
    let mut endpoints = live.endpoints().iter();
    let Some(endpoint) = endpoints.find(|endpoint| endpoint.provider_id() == id) else {
        return Refusal::new(
            StatusCode::NOT_FOUND,
            format!("there is no provider `{id}`"),
        )
        .page(ClientDialect::Responses, "");
    };
    let provider = endpoint.provider();
    let description = serde_json::json!({
        "id": provider.id,
        "kind": provider.kind.name(),
        "base_url": provider.base_url,
        "has_key": endpoint.has_key().await,
    });
    json_page(description.to_string())
}

async fn not_found(State(app): Shared, uri: Uri, headers: HeaderMap) -> Response<Body> {
    let refusal = Refusal::new(
        StatusCode::NOT_FOUND,
        format!("nothing is served at `{}`", uri.path()),
    );
    refused(&app, refusal, &uri, &headers)
}

async fn wrong_method(
    State(app): Shared,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let refusal = Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("`{}` does not take {method}", uri.path()),
    );
    refused(&app, refusal, &uri, &headers)
}

/// A page of JSON.
pub(crate) fn json_page(body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wanted_models_are_read() {
        assert_eq!(
            wanted_model("client_version=1&model=zai%2Fglm-5.1"),
            Some("zai/glm-5.1".into())
        );
        assert_eq!(
            wanted_model("model=a/b&client_version=1"),
            Some("a/b".into())
        );
        assert_eq!(wanted_model("model="), None);
        assert_eq!(wanted_model("model=%"), None);
        assert_eq!(wanted_model("model=%ff"), None);
        assert_eq!(wanted_model("client_version=1"), None);
    }
}
