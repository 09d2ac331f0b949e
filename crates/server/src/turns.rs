//! Requests that are turns: their bodies in, their answers out.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use polywire_gateway::limits::{OVERLOAD_RETRY_AFTER, REQUEST_BYTES_MAX, REQUEST_IDLE_TIMEOUT};
use polywire_gateway::turn::{self, Accepted, Answer};
use polywire_gateway::{BodyBuffer, Client, ClientDialect};
use tokio::sync::OwnedSemaphorePermit;

use crate::error_page::{Failure, Refusal, overloaded};
use crate::routes::{App, fresh_turn_id};

/// Names the turn in logs, receipts and error reports.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-polywire-request-id");

/// The same where Anthropic's clients look for it.
const ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// Where the turn of a Codex on this machine works.
const CWD: HeaderName = HeaderName::from_static("x-polywire-cwd");

/// How many losses a turn had when its answer began.
const LOSSES: HeaderName = HeaderName::from_static("x-polywire-losses");

/// What of a turn the path that was called decides.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) dialect: ClientDialect,
    /// A summary of the conversation is wanted instead of an answer.
    pub(crate) compact: bool,
}

/// Serves a turn. One that ends before it has begun is counted here; all others count themselves.
pub(crate) async fn serve(app: Arc<App>, asked: Asked, request: Request) -> Response<Body> {
    let turn_id = fresh_turn_id();
    let mut response = match turn(&app, asked, request, turn_id.clone()).await {
        Ok(response) => response,
        Err(failure) => {
            let page = failure.page(asked.dialect, &turn_id);
            app.gateway.metrics.refused(page.status().as_u16());
            page
        }
    };
    name_turn(&mut response, asked.dialect, &turn_id);
    response
}

/// Puts the turn's id on an answer.
pub(crate) fn name_turn(response: &mut Response<Body>, dialect: ClientDialect, turn_id: &str) {
    let Ok(id) = HeaderValue::try_from(turn_id) else {
        return;
    };
    if dialect == ClientDialect::Messages {
        let headers = response.headers_mut();
        headers.insert(ANTHROPIC_REQUEST_ID, id.clone());
    }
    response.headers_mut().insert(REQUEST_ID, id);
}

async fn turn(
    app: &Arc<App>,
    asked: Asked,
    request: Request,
    turn_id: String,
) -> Result<Response<Body>, Failure> {
    let Asked { dialect, compact } = asked;
    let Ok(permit) = Arc::clone(&app.gateway.turns).try_acquire_owned() else {
        return Err(overloaded(OVERLOAD_RETRY_AFTER).into());
    };
    let client = client_of(request.headers());
    let cwd = cwd_of(request.headers()).map_err(|refusal| refusal.for_client(client))?;
    let body = whole_body(request)
        .await
        .map_err(|refusal| refusal.for_client(client))?;
    let accepted = Accepted {
        turn_id: turn_id.clone(),
        dialect,
        client,
        body,
        cwd,
        memory: None,
        compact,
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
            let mut response = Failure::from(fault).page(dialect, &turn_id);
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
pub(crate) fn client_of(headers: &HeaderMap) -> Client {
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

/// The working directory that a client names for its turn.
fn cwd_of(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(value) = headers.get(CWD) else {
        return Ok(None);
    };
    match std::str::from_utf8(value.as_bytes()) {
        Ok(cwd) => Ok(Some(cwd.to_owned())),
        Err(_) => Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            format!("the header `{CWD}` holds no UTF-8"),
        )),
    }
}

/// The body of a request, whole, within its limit.
pub(crate) async fn whole_body(request: Request) -> Result<Bytes, Refusal> {
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
