//! Connections: accept, serve, and end in good order.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::routes::{App, router};

/// How long a client may take to send its request head. A browser's spare connection sends nothing for a while; a slow attack
/// sends a byte now and then.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The most bytes of a request head, and of one read from a client. Codex puts the workspace into a header; 32 kB hold any that
/// was seen several times over. Larger buffers would cost every open stream memory.
const READ_BUFFER_BYTES_MAX: usize = 32 * 1024;

/// The pause after a failed accept. The usual reason is that there are no file descriptors left; they come back as turns end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves connections until `stop` is cancelled, then lets the turns at work end.
///
/// Connections are tasks of the gateway's tracker. The caller waits for that tracker, and gives up waiting when it likes:
/// dropping the runtime ends every turn and settles it.
pub async fn serve(listener: TcpListener, app: Arc<App>, stop: CancellationToken) {
    let tasks = app.gateway.tasks.clone();
    let service = TowerToHyperService::new(router(app, stop.clone()));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                tasks.spawn(connection(stream, service.clone(), stop.clone()));
            }
            Err(error) => {
                tracing::warn!("a connection could not be accepted: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    service: TowerToHyperService<axum::Router>,
    stop: CancellationToken,
) {
    // Without it the kernel holds small pieces back until the client has acknowledged the one before: 40 ms per piece.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("TCP_NODELAY: {error}");
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(READ_BUFFER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection ended early: {error}");
    }
}
