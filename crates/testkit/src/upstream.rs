//! A provider that does what a test tells it to.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::http1::{BodyEnd, Buffered, Headers};
use crate::reply::{Framing, Reply, Step};
use crate::wait::Changes;

/// One request as the upstream received it.
#[derive(Clone, Debug)]
pub struct Received {
    /// The request method.
    pub method: String,
    /// The request target: path and query.
    pub path: String,
    /// All header fields.
    pub headers: Headers,
    /// The whole body.
    pub body: Vec<u8>,
    /// When its last byte was read.
    pub at: Instant,
}

impl Received {
    /// The body as JSON; `null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The `messages` of a Chat Completions request.
    pub fn messages(&self) -> Vec<Value> {
        self.json()["messages"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    }

    /// The body as text, to look for words in it.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// An HTTP server on the loopback interface that answers from a script and remembers every request.
///
/// It runs in a thread of its own until it is dropped, whatever runtime the test uses.
#[derive(Debug)]
pub struct ScriptedUpstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

type Script = Box<dyn FnMut(usize, &Received) -> Reply + Send>;

struct Shared {
    script: Mutex<Script>,
    record: Mutex<Record>,
    changes: Changes,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Record {
    received: Vec<Received>,
    /// How the answer to each request went; the same index.
    ends: Vec<Option<End>>,
    connections: usize,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug)]
enum End {
    /// All steps were done.
    Answered,
    /// The client left first.
    ClientLeft(Instant),
}

impl ScriptedUpstream {
    /// Answers the n-th request with the n-th reply, and every later one with an error that says so.
    pub fn replies(replies: Vec<Reply>) -> Self {
        Self::start(move |index, _| {
            replies.get(index).cloned().unwrap_or_else(|| {
                // 400, because clients repeat most other statuses and would hide what went wrong.
                let message = format!("the script has no reply for request {}", index + 1);
                Reply::error(400, "script_at_its_end", &message)
            })
        })
    }

    /// Asks `script` for the reply to each request; it is given the number of requests before.
    pub fn start(script: impl FnMut(usize, &Received) -> Reply + Send + 'static) -> Self {
        let shared = Arc::new(Shared {
            script: Mutex::new(Box::new(script)),
            record: Mutex::default(),
            changes: Changes::new(),
        });
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .expect("a free port on the loopback interface");
        let address = listener.local_addr().expect("the address of the listener");
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || serve(listener, &shared, stopped)
        });
        Self {
            address,
            shared,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL to configure: `http://127.0.0.1:PORT/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The requests received so far.
    pub fn received(&self) -> Vec<Received> {
        self.shared.record().received.clone()
    }

    /// The number of connections accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.record().connections
    }

    /// Waits until `count` requests have arrived whole, and gives all that have.
    pub async fn requests(&self, count: usize) -> Vec<Received> {
        self.requests_where(count, |_| true).await
    }

    /// Waits until `count` requests of a kind have arrived whole, and gives all of that kind.
    pub async fn requests_where(
        &self,
        count: usize,
        wanted: impl Fn(&Received) -> bool,
    ) -> Vec<Received> {
        let what = format!("request {count} at the upstream");
        self.shared
            .changes
            .until(&what, || {
                let record = self.shared.record();
                let found: Vec<_> = record.received.iter().filter(|r| wanted(r)).collect();
                (found.len() >= count).then(|| found.into_iter().cloned().collect())
            })
            .await
    }

    /// Waits until the client of request `index` (from 0) left before its answer was whole, and says when.
    pub async fn client_gone(&self, index: usize) -> Instant {
        let what = format!("the client of request {} to leave", index + 1);
        self.shared
            .changes
            .until(&what, || match self.shared.record().ends.get(index)? {
                Some(End::ClientLeft(at)) => Some(*at),
                Some(End::Answered) => panic!("request {} was answered whole", index + 1),
                None => None,
            })
            .await
    }

    /// Waits until all steps of the answer to request `index` (from 0) were done.
    pub async fn answered(&self, index: usize) {
        let what = format!("the answer to request {} to be sent", index + 1);
        self.shared
            .changes
            .until(&what, || match self.shared.record().ends.get(index)? {
                Some(End::Answered) => Some(()),
                Some(End::ClientLeft(_)) => panic!("the client of request {} left", index + 1),
                None => None,
            })
            .await;
    }
}

impl Drop for ScriptedUpstream {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there (a script's assertion) has been printed; it fails the test unless that is failing already.
            let ended = thread.join();
            assert!(
                ended.is_ok() || std::thread::panicking(),
                "the script of an upstream panicked"
            );
        }
    }
}

impl Shared {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accepted(&self) {
        self.record().connections += 1;
        self.changes.notify();
    }

    /// Files a request and gives its number and the reply.
    fn take(&self, request: Received) -> (usize, Reply) {
        // Held throughout, so that numbers and the script's view of them agree.
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        let index = self.record().received.len();
        let reply = script(index, &request);
        let mut record = self.record();
        record.received.push(request);
        record.ends.push(None);
        drop(record);
        self.changes.notify();
        (index, reply)
    }

    fn ended(&self, index: usize, end: End) {
        self.record().ends[index] = Some(end);
        self.changes.notify();
    }
}

fn serve(listener: std::net::TcpListener, shared: &Arc<Shared>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime for the upstream");
    runtime.block_on(async {
        tokio::select! {
            () = accept(listener, shared) => {}
            _ = stopped => {}
        }
    });
}

async fn accept(listener: std::net::TcpListener, shared: &Arc<Shared>) {
    listener
        .set_nonblocking(true)
        .expect("a listener that does not block");
    let listener = TcpListener::from_std(listener).expect("a listener for the runtime");
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.expect("a connection");
                shared.accepted();
                connections.spawn(converse(stream, Arc::clone(shared)));
            }
            Some(ended) = connections.join_next() => {
                if let Err(failure) = ended {
                    std::panic::resume_unwind(failure.into_panic());
                }
            }
        }
    }
}

/// Answers the requests of one connection.
async fn converse(stream: TcpStream, shared: Arc<Shared>) {
    // Each write is to be a packet of its own: what the client meets is what the script says.
    stream.set_nodelay(true).ok();
    let mut connection = Buffered::new(stream);
    while let Ok(Some(request)) = receive(&mut connection).await {
        let (index, reply) = shared.take(request);
        let (reader, writer) = connection.stream.split();
        let played = tokio::select! {
            played = play(writer, &reply) => played.unwrap_or(Played::ClientLeft),
            () = client_left(reader, &mut connection.bytes) => Played::ClientLeft,
        };
        match played {
            Played::Whole => shared.ended(index, End::Answered),
            Played::ClientLeft => return shared.ended(index, End::ClientLeft(Instant::now())),
            Played::Closed => return shared.ended(index, End::Answered),
            Played::Reset => {
                connection.stream.set_zero_linger().ok();
                return shared.ended(index, End::Answered);
            }
        }
    }
}

async fn receive(connection: &mut Buffered<TcpStream>) -> io::Result<Option<Received>> {
    let Some(head) = connection.head().await? else {
        return Ok(None);
    };
    let body = connection.body(head.body_end(BodyEnd::Length(0))).await?;
    let mut words = head.start_line.split(' ');
    Ok(Some(Received {
        method: words.next().unwrap_or_default().to_owned(),
        path: words.next().unwrap_or_default().to_owned(),
        headers: head.headers,
        body,
        at: Instant::now(),
    }))
}

/// Ends when the client closes or resets the connection. What it sends meanwhile is kept.
async fn client_left(mut reader: ReadHalf<'_>, bytes: &mut Vec<u8>) {
    while matches!(reader.read_buf(bytes).await, Ok(1..)) {}
}

/// How playing a reply ended.
enum Played {
    Whole,
    ClientLeft,
    Closed,
    Reset,
}

async fn play(mut writer: WriteHalf<'_>, reply: &Reply) -> io::Result<Played> {
    if let Some(end) = play_steps(&mut writer, &reply.before, reply.framing).await? {
        return Ok(end);
    }
    writer.write_all(&reply.head()).await?;
    if let Some(end) = play_steps(&mut writer, &reply.steps, reply.framing).await? {
        return Ok(end);
    }
    match reply.framing {
        Framing::Chunked => {
            writer.write_all(b"0\r\n\r\n").await?;
            Ok(Played::Whole)
        }
        Framing::Length | Framing::Claimed(_) => Ok(Played::Whole),
        Framing::UntilClose => Ok(Played::Closed),
    }
}

/// Does the steps; gives the end when one of them ends the connection.
async fn play_steps(
    writer: &mut WriteHalf<'_>,
    steps: &[Step],
    framing: Framing,
) -> io::Result<Option<Played>> {
    for step in steps {
        match step {
            Step::Bytes(bytes) => write_piece(writer, bytes, framing).await?,
            Step::Trickle(bytes) => {
                for byte in bytes {
                    write_piece(writer, std::slice::from_ref(byte), framing).await?;
                }
            }
            Step::Wait(gate) => gate.opened().await,
            Step::Stall => std::future::pending().await,
            Step::Reset => return Ok(Some(Played::Reset)),
            Step::Close => return Ok(Some(Played::Closed)),
        }
    }
    Ok(None)
}

async fn write_piece(writer: &mut WriteHalf<'_>, bytes: &[u8], framing: Framing) -> io::Result<()> {
    match framing {
        Framing::Chunked if bytes.is_empty() => Ok(()),
        Framing::Chunked => {
            let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
            chunk.extend_from_slice(bytes);
            chunk.extend_from_slice(b"\r\n");
            writer.write_all(&chunk).await
        }
        Framing::Length | Framing::Claimed(_) | Framing::UntilClose => {
            writer.write_all(bytes).await
        }
    }
}
