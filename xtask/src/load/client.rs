//! The client end: sends prepared requests and looks at what comes back.

use super::tick::Sight;
use super::wire::{Body, Wire};
use anyhow::{Context, Result, bail};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use tokio::net::TcpStream;

/// One connection, kept for any number of turns.
pub(super) struct Client {
    wire: Wire,
}

impl Client {
    /// Connects.
    pub(super) async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("cannot connect to {address}"))?;
        Ok(Self {
            wire: Wire::new(stream)?,
        })
    }

    /// Sends a request and reads its answer until it ends or `sight` has seen enough.
    ///
    /// # Errors
    /// If the connection breaks, or the answer is not a `200`.
    pub(super) async fn turn(&mut self, request: &[u8], sight: &mut Sight) -> Result<()> {
        self.wire.send(request).await.context("cannot send")?;
        let head = self.wire.read_head().await?.context("no answer")?;
        let mut body = Body::after(&head)?;
        if head.split(' ').nth(1) != Some("200") {
            return self.refused(&head, &mut body).await;
        }
        self.wire
            .read_body(&mut body, |piece| sight.body(piece))
            .await
    }

    async fn refused(&mut self, head: &str, body: &mut Body) -> Result<()> {
        let mut text = Vec::new();
        let keep = |piece: &[u8]| {
            text.extend_from_slice(piece);
            ControlFlow::Continue(())
        };
        self.wire.read_body(body, keep).await?;
        let status = head.lines().next().unwrap_or_default();
        bail!("answered `{status}`: {}", String::from_utf8_lossy(&text))
    }
}
