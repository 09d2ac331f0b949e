//! Connections: accept, serve, and end in good order.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::routes::{App, router};

/// How long a client may take to send its request head. A browser's spare connection sends nothing for a while; a slow attack
/// sends a byte now and then.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The most bytes of a request head, and of one read from a client. Codex puts the workspace into a header; 32 kB hold any that
/// was seen several times over. Larger buffers would cost every open stream memory.
const READ_BUFFER_BYTES_MAX: usize = 32 * 1024;

/// The pause after a failed accept. The usual reason is that there are no file descriptors left; they come back as turns end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a connection that has asked for nothing is kept once the gateway stops. Clients keep spare ones, and a request may be on its way.
const SPARE_TIMEOUT: Duration = Duration::from_secs(1);

/// What ends a server, in two steps.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// No further turn begins; those at work go on.
    pub drain: CancellationToken,
    /// The turns at work are cut off.
    pub cut: CancellationToken,
}

/// Serves connections until `stop` is cancelled, then lets the turns at work end.
///
/// Connections are tasks of the gateway's tracker. The caller waits for that tracker, and gives up waiting when it likes:
/// dropping the runtime ends every turn and settles it.
pub async fn serve(listener: TcpListener, app: Arc<App>, stop: CancellationToken) {
    let tasks = app.gateway.tasks.clone();
    let stop = Stop {
        drain: stop,
        cut: CancellationToken::new(),
    };
    let until = stop.drain.clone();
    accept(&listener, app, &stop, &tasks, &until).await;
}

/// Serves connections, and from the moment that `stop.drain` is cancelled answers further requests with 503, until `stop.cut` is: whoever comes between two
/// gateways is told to come again, rather than that nobody is there.
///
/// The connections of the first time are tasks of the gateway's tracker, for which the caller waits; those of the second are not, because clients that come again and
/// again would keep it from ever being empty.
pub async fn serve_and_turn_away(listener: TcpListener, app: Arc<App>, stop: Stop) {
    let tasks = app.gateway.tasks.clone();
    accept(&listener, Arc::clone(&app), &stop, &tasks, &stop.drain).await;
    accept(&listener, app, &stop, &TaskTracker::new(), &stop.cut).await;
}

/// Accepts connections until `until` is cancelled.
async fn accept(
    listener: &TcpListener,
    app: Arc<App>,
    stop: &Stop,
    tasks: &TaskTracker,
    until: &CancellationToken,
) {
    let service = TowerToHyperService::new(router(app, stop.clone()));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = until.cancelled() => break,
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

async fn connection(stream: TcpStream, service: TowerToHyperService<axum::Router>, stop: Stop) {
    // Without it the kernel holds small pieces back until the client has acknowledged the one before: 40 ms per piece.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("TCP_NODELAY: {error}");
    }
    let has_asked = CancellationToken::new();
    let service = Noting {
        service,
        has_asked: has_asked.clone(),
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(READ_BUFFER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = async {
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = stop.drain.cancelled() => {}
        }
        // hyper closes a connection at once that was never asked for anything, and with it a request that is on its way.
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = has_asked.cancelled() => {}
            () = tokio::time::sleep(SPARE_TIMEOUT) => {}
        }
        connection.as_mut().graceful_shutdown();
        connection.await
    };
    tokio::select! {
        ended = ended => {
            if let Err(error) = ended {
                tracing::debug!("a connection ended early: {error}");
            }
        }
        () = stop.cut.cancelled() => {}
    }
}

/// The routes, for one connection; notes that it was asked for something.
struct Noting {
    service: TowerToHyperService<axum::Router>,
    /// Cancelled, for want of a better latch, by the first request.
    has_asked: CancellationToken,
}

impl Service<hyper::Request<Incoming>> for Noting {
    type Response =
        <TowerToHyperService<axum::Router> as Service<hyper::Request<Incoming>>>::Response;
    type Error = <TowerToHyperService<axum::Router> as Service<hyper::Request<Incoming>>>::Error;
    type Future = <TowerToHyperService<axum::Router> as Service<hyper::Request<Incoming>>>::Future;

    fn call(&self, request: hyper::Request<Incoming>) -> Self::Future {
        self.has_asked.cancel();
        self.service.call(request)
    }
}
