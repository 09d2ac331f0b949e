//! One `codex app-server`: its process, the calls that wait for an answer, the threads that listen.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use polywire_conversation::Fault;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::rpc::{Incoming, OfThread, Outgoing, Reply, RpcError};
use crate::fault::{unusable, worker_died};
use crate::home::catalog_path;
use crate::limits::{CALL_TIMEOUT, LINE_BYTES_MAX, START_TIMEOUT};
use crate::process::{self, Process};
use crate::settings::EngineSettings;

/// The name under which the engine introduces itself. Codex gives it to its provider as the originator.
const CLIENT_NAME: &str = "polywire";

/// A message about one thread.
#[derive(Debug)]
pub(super) enum Message {
    /// Something happened.
    Notice {
        method: String,
        params: Box<RawValue>,
    },
    /// Codex asks for something and waits.
    Request {
        id: Value,
        method: String,
        params: Box<RawValue>,
    },
}

/// What comes about a thread; closed when its worker has died.
pub(super) type Inbox = mpsc::UnboundedReceiver<Message>;

/// A running app-server.
#[derive(Debug)]
pub(crate) struct Worker {
    lines: mpsc::UnboundedSender<String>,
    next_id: AtomicU64,
    shared: Arc<Shared>,
    /// Cancelled when the process is gone, or is to go.
    gone: CancellationToken,
    started: Instant,
}

/// The calls that wait for an answer, by id.
type Calls = HashMap<u64, oneshot::Sender<Result<Box<RawValue>, RpcError>>>;

/// The listeners, by thread.
type Threads = HashMap<String, mpsc::UnboundedSender<Message>>;

/// What the tasks of a worker share.
#[derive(Debug, Default)]
struct Shared {
    calls: Mutex<Calls>,
    threads: Mutex<Threads>,
    /// How the process ended.
    epitaph: Mutex<String>,
}

impl Worker {
    /// Starts a process and introduces the engine to it.
    ///
    /// # Errors
    /// A [`Fault`] with the process's own words when it does not come up.
    pub(super) async fn start(
        settings: &EngineSettings,
        tasks: &TaskTracker,
    ) -> Result<Arc<Self>, Fault> {
        let mut command = process::command(settings);
        let catalog = Value::String(catalog_path(settings).display().to_string());
        command
            .arg("app-server")
            .args(["-c", &format!("model_catalog_json={catalog}")]);
        let (process, pipes) = process::start(command, tasks)?;
        let (lines, lines_out) = mpsc::unbounded_channel();
        let worker = Arc::new(Self {
            lines,
            next_id: AtomicU64::new(1),
            shared: Arc::default(),
            gone: CancellationToken::new(),
            started: Instant::now(),
        });
        tasks.spawn(supervise(
            process,
            write_lines(pipes.stdin, lines_out),
            read_lines(
                pipes.stdout,
                Arc::clone(&worker.shared),
                worker.lines.clone(),
            ),
            Arc::clone(&worker.shared),
            worker.gone.clone(),
        ));
        let introduction = json!({
            "clientInfo": { "name": CLIENT_NAME, "title": CLIENT_NAME, "version": env!("CARGO_PKG_VERSION") },
            "capabilities": { "experimentalApi": true },
        });
        let introduced = worker.call::<Value>("initialize", introduction);
        match tokio::time::timeout(START_TIMEOUT, introduced).await {
            Ok(Ok(_)) => {
                worker.notify("initialized");
                Ok(worker)
            }
            Ok(Err(fault)) => {
                worker.gone.cancel();
                Err(unusable(format!(
                    "the engine did not start: {}",
                    fault.message
                )))
            }
            Err(_) => {
                worker.gone.cancel();
                Err(unusable(format!(
                    "the engine did not start within {} s",
                    START_TIMEOUT.as_secs()
                )))
            }
        }
    }

    /// Whether the process is there.
    pub(super) fn is_alive(&self) -> bool {
        !self.gone.is_cancelled()
    }

    /// Completes when the process is gone.
    pub(super) async fn gone(&self) {
        self.gone.cancelled().await;
    }

    /// Cancelled when the process is gone; cancelling it ends the process.
    pub(super) fn end(&self) -> CancellationToken {
        self.gone.clone()
    }

    /// When the process was started.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// Ends the process.
    pub(super) fn close(&self) {
        self.gone.cancel();
    }

    /// Calls a method and waits for its answer.
    ///
    /// # Errors
    /// A [`Fault`] when the method fails, when it takes too long, or when the process is gone.
    pub(super) async fn call<R: DeserializeOwned>(
        &self,
        method: &str,
        params: impl Serialize,
    ) -> Result<R, Fault> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.shared.calls().insert(id, sender);
        if !self.send(&Outgoing {
            id: Some(id),
            method,
            params,
        }) {
            return Err(self.died());
        }
        let answered = tokio::select! {
            answered = tokio::time::timeout(CALL_TIMEOUT, answer) => answered,
            () = self.gone() => return Err(self.died()),
        };
        match answered {
            Ok(Ok(Ok(result))) => serde_json::from_str(result.get()).map_err(|error| {
                unusable(format!(
                    "the engine answered `{method}` in a form of its own: {error}"
                ))
            }),
            Ok(Ok(Err(error))) => Err(unusable(format!(
                "the engine refused `{method}`: {}",
                error.message
            ))),
            Ok(Err(_)) => Err(self.died()),
            Err(_) => {
                self.shared.calls().remove(&id);
                // A process that does not answer such a call will not answer the next one either.
                self.close();
                Err(worker_died(&format!("`{method}` was not answered")))
            }
        }
    }

    /// Answers a request of the process.
    pub(super) fn reply(&self, id: &Value, result: impl Serialize) {
        self.send(&Reply { id, result });
    }

    /// Listens to what happens in a thread that was just opened, from now on.
    pub(super) fn listen(&self, thread_id: &str) -> Inbox {
        let (sender, inbox) = mpsc::unbounded_channel();
        // A process that is gone by now tells nobody any more.
        if self.is_alive() {
            self.shared.threads().insert(thread_id.to_owned(), sender);
        }
        inbox
    }

    /// Stops listening to a thread.
    pub(super) fn leave(&self, thread_id: &str) {
        self.shared.threads().remove(thread_id);
    }

    /// The fault of whoever worked here when the process ended.
    pub(super) fn died(&self) -> Fault {
        let epitaph = self.shared.epitaph.lock();
        worker_died(&epitaph.unwrap_or_else(PoisonError::into_inner))
    }

    fn notify(&self, method: &str) {
        self.send(&Outgoing {
            id: None,
            method,
            params: json!({}),
        });
    }

    fn send(&self, message: &impl Serialize) -> bool {
        match serde_json::to_string(message) {
            Ok(line) => self.lines.send(line).is_ok(),
            Err(error) => {
                tracing::error!("a message to the engine cannot be written: {error}");
                false
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.gone.cancel();
    }
}

impl Shared {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn threads(&self) -> MutexGuard<'_, Threads> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a message to whom it concerns. A request that concerns nobody is refused, because Codex waits for it.
    fn deliver(&self, line: &[u8], lines: &mpsc::UnboundedSender<String>) {
        let incoming = match serde_json::from_slice::<Incoming>(line) {
            Ok(incoming) => incoming,
            Err(error) => {
                tracing::debug!("a line of the engine cannot be read: {error}");
                return;
            }
        };
        let Some(method) = incoming.method else {
            let waiting = incoming.id.as_ref().and_then(Value::as_u64);
            let waiting = waiting.and_then(|id| self.calls().remove(&id));
            let answer = match (incoming.result, incoming.error) {
                (Some(result), None) => Ok(result),
                (_, Some(error)) => Err(error),
                (None, None) => Err(RpcError {
                    message: "an answer without a result".to_owned(),
                }),
            };
            if let Some(waiting) = waiting {
                // Whoever called may have left.
                drop(waiting.send(answer));
            }
            return;
        };
        let params = incoming.params.unwrap_or_default();
        let message = match incoming.id {
            Some(id) => Message::Request { id, method, params },
            None => Message::Notice { method, params },
        };
        if let Some(Message::Request { id, method, .. }) = self.hand_over(message) {
            tracing::debug!("the engine asks for `{method}`, which nobody here can answer");
            let refusal = json!({
                "id": id,
                "error": { "code": -32601, "message": format!("`{method}` is not available") },
            });
            drop(lines.send(refusal.to_string()));
        }
    }

    /// Hands a message to the thread's listener; gives it back when there is none.
    fn hand_over(&self, message: Message) -> Option<Message> {
        let (Message::Notice { params, .. } | Message::Request { params, .. }) = &message;
        let about = serde_json::from_str::<OfThread>(params.get());
        let thread = about.ok().and_then(|about| {
            let of_thread = about.thread.map(|thread| thread.id);
            about.thread_id.or(of_thread)
        });
        let Some(thread) = thread else {
            return Some(message);
        };
        let listener = self.threads().get(&thread).cloned();
        match listener {
            Some(listener) => listener.send(message).err().map(|error| error.0),
            None => Some(message),
        }
    }
}

/// Keeps a process company until it ends or is to end, then tells everybody who waits for it.
async fn supervise(
    mut process: Process,
    writing: impl Future<Output = ()>,
    reading: impl Future<Output = String>,
    shared: Arc<Shared>,
    gone: CancellationToken,
) {
    let wanted = {
        // Writing ends with the last sender, which is the worker itself: that alone means nothing.
        let writing = async {
            writing.await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = gone.cancelled() => None,
            how = reading => Some(how),
            () = writing => None,
        }
    };
    // The pipes are closed with the futures above; a process that is well ends by itself now.
    let how = match wanted {
        None => "it was stopped".to_owned(),
        Some(how) => {
            let status = tokio::time::timeout(crate::limits::CLOSE_TIMEOUT, process.wait()).await;
            let status = match status {
                Ok(Ok(status)) => status.to_string(),
                Ok(Err(error)) => error.to_string(),
                Err(_) => how,
            };
            let errors = process.errors();
            tracing::warn!("an engine process ended by itself: {status}: {errors}");
            status
        }
    };
    *shared
        .epitaph
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = how;
    gone.cancel();
    shared.calls().clear();
    shared.threads().clear();
    process.close().await;
}

async fn write_lines(mut stdin: ChildStdin, mut lines: mpsc::UnboundedReceiver<String>) {
    while let Some(mut line) = lines.recv().await {
        line.push('\n');
        if let Err(error) = stdin.write_all(line.as_bytes()).await {
            tracing::debug!("the engine takes no more: {error}");
            break;
        }
    }
}

/// Reads until the process closes its output, and says why reading ended.
async fn read_lines(
    stdout: ChildStdout,
    shared: Arc<Shared>,
    lines: mpsc::UnboundedSender<String>,
) -> String {
    let mut stdout = BufReader::with_capacity(64 << 10, stdout);
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
        match (&mut stdout).take(limit).read_until(b'\n', &mut line).await {
            Ok(0) => return "it closed its output".to_owned(),
            Ok(_) if line.len() >= LINE_BYTES_MAX => {
                return format!("it wrote a line of more than {LINE_BYTES_MAX} bytes");
            }
            Ok(_) => shared.deliver(&line, &lines),
            Err(error) => return error.to_string(),
        }
        // A line of megabytes was an exception; its memory is not kept for the next ones.
        line.shrink_to(64 << 10);
    }
}
