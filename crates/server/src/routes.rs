//! What is served under which path.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::routing::{get, post};
use http_body::Body as _;
use http_body_util::BodyExt;
use polywire_gateway::limits::{OVERLOAD_RETRY_AFTER, REQUEST_BYTES_MAX, REQUEST_IDLE_TIMEOUT};
use polywire_gateway::turn::{self, Accepted, Answer};
use polywire_gateway::{BodyBuffer, Client, ClientDialect, Gateway};
use tokio::sync::OwnedSemaphorePermit;

use crate::access::Access;
use crate::error_page::{Failure, Refusal, overloaded};

/// Names the turn in logs, receipts and error reports.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-polywire-request-id");

/// How many losses a turn had when its answer began.
const LOSSES: HeaderName = HeaderName::from_static("x-polywire-losses");

/// What the routes work with.
pub struct App {
    /// Runs the turns.
    pub gateway: Arc<Gateway>,
    /// Who gets in.
    pub access: Access,
}

type Shared = State<Arc<App>>;

pub(crate) fn router(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/v1/responses", post(responses).get(upgrade))
        .route("/responses", post(responses).get(upgrade))
        .route("/v1/models", get(models))
        .route("/models", get(models))
        .route("/api/providers/{id}", get(provider))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            token_checked,
        ));
    Router::new()
        .route("/health", get(health))
        .route("/healthz", get(health))
        .route("/ready", get(ready))
        .merge(api)
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            source_checked,
        ))
        .with_state(app)
}

async fn source_checked(State(app): Shared, request: Request, next: Next) -> Response<Body> {
    match app.access.check_source(request.headers(), request.uri()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.page(ClientDialect::Responses),
    }
}

async fn token_checked(State(app): Shared, request: Request, next: Next) -> Response<Body> {
    match app.access.check_token(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.page(ClientDialect::Responses),
    }
}

async fn responses(State(app): Shared, request: Request) -> Response<Body> {
    let turn_id = format!("{:032x}", rand::random::<u128>());
    let mut response = match turn(&app, request, turn_id.clone()).await {
        Ok(response) => response,
        Err(failure) => failure.page(ClientDialect::Responses),
    };
    if let Ok(id) = HeaderValue::try_from(turn_id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

async fn turn(
    app: &Arc<App>,
    request: Request,
    turn_id: String,
) -> Result<Response<Body>, Failure> {
    let Ok(permit) = Arc::clone(&app.gateway.turns).try_acquire_owned() else {
        return Err(overloaded(OVERLOAD_RETRY_AFTER).into());
    };
    let client = client_of(request.headers());
    let body = whole_body(request)
        .await
        .map_err(|refusal| refusal.for_client(client))?;
    let accepted = Accepted {
        turn_id,
        dialect: ClientDialect::Responses,
        client,
        body,
    };
    let answer = turn::run(&app.gateway, accepted).await;
    let (body, content_type, losses) = match answer {
        Answer::Stream { body, losses } => {
            let body = Body::new(WithPermit {
                body,
                _permit: permit,
            });
            (body, "text/event-stream", losses)
        }
        Answer::FailedStream { body, losses } => (Body::from(body), "text/event-stream", losses),
        Answer::Whole { body, losses } => (Body::from(body), "application/json", losses),
        Answer::Failed { fault, losses } => {
            let mut response = Failure::from(fault).page(ClientDialect::Responses);
            tell_losses(&mut response, losses);
            return Ok(response);
        }
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    tell_losses(&mut response, losses);
    Ok(response)
}

fn tell_losses(response: &mut Response<Body>, losses: usize) {
    if losses > 0 {
        response
            .headers_mut()
            .insert(LOSSES, HeaderValue::from(losses));
    }
}

/// Codex names itself in `originator` or the user agent; behind an app-server client's name, the metadata header still tells.
fn client_of(headers: &HeaderMap) -> Client {
    let begins_with_codex = |name: HeaderName| {
        headers
            .get(name)
            .is_some_and(|value| value.as_bytes().starts_with(b"codex"))
    };
    let is_codex = begins_with_codex(HeaderName::from_static("originator"))
        || begins_with_codex(header::USER_AGENT)
        || headers.contains_key("x-codex-turn-metadata");
    if is_codex { Client::Codex } else { Client::Sdk }
}

async fn whole_body(request: Request) -> Result<Bytes, Refusal> {
    if let Some(encoding) = request.headers().get(header::CONTENT_ENCODING)
        && encoding != "identity"
    {
        return Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("a body in {encoding:?} is not read. hint: send it uncompressed"),
        ));
    }
    let mut incoming = request.into_body();
    let expected_bytes = usize::try_from(incoming.size_hint().lower()).unwrap_or(usize::MAX);
    if expected_bytes > REQUEST_BYTES_MAX {
        return Err(too_large());
    }
    let mut body = BodyBuffer::new(expected_bytes).map_err(no_memory)?;
    while let Some(frame) = tokio::time::timeout(REQUEST_IDLE_TIMEOUT, incoming.frame())
        .await
        .map_err(|_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body stopped coming"))?
    {
        let frame = frame.map_err(|error| {
            Refusal::new(
                StatusCode::BAD_REQUEST,
                format!("the body could not be read: {error}"),
            )
        })?;
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        if body.len() + piece.len() > REQUEST_BYTES_MAX {
            return Err(too_large());
        }
        body.extend(&piece).map_err(no_memory)?;
    }
    Ok(body.into_bytes())
}

fn too_large() -> Refusal {
    Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("the body is longer than {REQUEST_BYTES_MAX} bytes"),
    )
}

fn no_memory(error: impl std::fmt::Display) -> Refusal {
    Refusal::new(
        StatusCode::SERVICE_UNAVAILABLE,
        format!("the gateway has no memory for the body: {error}"),
    )
}

/// Codex tries a WebSocket first where it is told to; 426 is the answer at which it turns to HTTP at once and in silence.
async fn upgrade() -> Response<Body> {
    Refusal::new(
        StatusCode::UPGRADE_REQUIRED,
        "WebSocket is not served here. hint: POST to this path",
    )
    .page(ClientDialect::Responses)
}

async fn models(State(app): Shared, uri: Uri) -> Response<Body> {
    let extra_model = uri.query().and_then(wanted_model);
    let live = app.gateway.live();
    let document = polywire_catalog::models_document(live.catalog(), extra_model.as_deref());
    json(document)
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
    json(format!(
        r#"{{"status":"ok","service":"polywire","version":"{version}"}}"#
    ))
}

/// A gateway that is stopping accepts no connection, so whoever gets an answer gets this one.
async fn ready() -> Response<Body> {
    json(r#"{"status":"ready"}"#.to_owned())
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
        .page(ClientDialect::Responses);
    };
    let provider = endpoint.provider();
    let description = serde_json::json!({
        "id": provider.id,
        "kind": provider.kind.name(),
        "base_url": provider.base_url,
        "has_key": endpoint.has_key().await,
    });
    json(description.to_string())
}

async fn not_found(uri: Uri) -> Response<Body> {
    Refusal::new(
        StatusCode::NOT_FOUND,
        format!("nothing is served at `{}`", uri.path()),
    )
    .page(ClientDialect::Responses)
}

async fn wrong_method(method: Method, uri: Uri) -> Response<Body> {
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("`{}` does not take {method}", uri.path()),
    )
    .page(ClientDialect::Responses)
}

fn json(body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

/// A body that counts as a turn at work until it is dropped.
struct WithPermit<B> {
    body: B,
    _permit: OwnedSemaphorePermit,
}

impl<B: http_body::Body + Unpin> http_body::Body for WithPermit<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }
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
