//! A small Responses client: what the demo plays its turn with, over the wire like everybody else.

use std::net::SocketAddr;

use anyhow::Context;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use polywire_credentials::Secret;
use polywire_sse::Decoder;
use polywire_upstream::Upstream;
use serde_json::Value;

/// The longest event that the demo reads, in bytes; its own are a few hundred.
const FRAME_BYTES_MAX: usize = 1024 * 1024;

/// Posts a request and hands each event of the answer to `on_event` as it comes.
///
/// # Errors
/// When the gateway cannot be reached or answers with an error.
pub(crate) async fn stream(
    gateway: SocketAddr,
    token: Option<&Secret>,
    body: &Value,
    mut on_event: impl FnMut(&Value),
) -> anyhow::Result<()> {
    let mut request = Request::post(format!("http://{gateway}/v1/responses"))
        .header("content-type", "application/json");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {}", token.reveal()));
    }
    let request = request.body(Full::new(Bytes::from(body.to_string())))?;
    let response = Upstream::new().send(request).await?;
    let status = response.status();
    let mut body = response.into_body();
    if !status.is_success() {
        let text = body.collect().await?.to_bytes();
        anyhow::bail!(
            "the gateway answered {status}: {}",
            String::from_utf8_lossy(&text)
        );
    }
    let mut decoder = Decoder::new(FRAME_BYTES_MAX);
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame?.into_data() else {
            continue;
        };
        let mut events = Vec::new();
        decoder.push(&chunk, |frame| {
            events.push(serde_json::from_slice(frame.data));
        })?;
        for event in events {
            on_event(&event.context("the gateway sent an event that is no JSON")?);
        }
    }
    Ok(())
}
