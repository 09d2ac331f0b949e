//! The scripted upstream: a Chat Completions provider that reads a request and plays a prepared stream.
//!
//! Every event is an HTTP chunk of its own and a write of its own, as providers send them. All bytes are prepared before the
//! measurement; only the ticks of paced streams are written when they are sent.

use super::clock::Clock;
use super::tick;
use super::wire::{Body, Wire, chunk};
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\
Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";

/// How an answer is played.
#[derive(Debug)]
pub(super) struct Script {
    /// The events that carry text; each holds one tick.
    texts: Vec<Vec<u8>>,
    /// The role before the texts, sent together with the head of the answer.
    opening: Vec<u8>,
    /// Finish reason, usage, `[DONE]` and the end of the body.
    closing: Vec<Vec<u8>>,
    /// Time between two texts; `None` is as fast as the connection takes them.
    pace: Option<Duration>,
}

impl Script {
    /// A stream at full speed.
    pub(super) fn burst(texts: usize) -> Self {
        Self::new(texts, None)
    }

    /// A stream with `pace` between two texts, whose ticks carry the time they were sent.
    pub(super) fn paced(texts: usize, pace: Duration) -> Self {
        Self::new(texts, Some(pace))
    }

    fn new(texts: usize, pace: Option<Duration>) -> Self {
        let choice = |delta: &str, reason: &str| {
            event(&format!(
                r#""choices":[{{"index":0,"delta":{delta},"finish_reason":{reason}}}]"#
            ))
        };
        let usage = r#""choices":[],"usage":{"prompt_tokens":1200,"completion_tokens":400,"total_tokens":1600}"#;
        Self {
            texts: (0..texts)
                .map(|sequence| text_event(sequence, Duration::ZERO))
                .collect(),
            opening: [
                HEAD,
                &choice(r#"{"role":"assistant","content":""}"#, "null"),
            ]
            .concat(),
            closing: vec![
                choice("{}", "\"stop\""),
                event(usage),
                chunk(b"data: [DONE]\n\n"),
                b"0\r\n\r\n".to_vec(),
            ],
            pace,
        }
    }

    /// A stream of these events, each an HTTP chunk, at full speed. The head of the answer is sent with the opening.
    pub(super) fn prepared(opening: &[u8], texts: Vec<Vec<u8>>, closing: Vec<Vec<u8>>) -> Self {
        Self {
            texts,
            opening: [HEAD, opening].concat(),
            closing,
            pace: None,
        }
    }

    /// The number of events that carry text.
    pub(super) fn text_count(&self) -> usize {
        self.texts.len()
    }

    /// The number of all events: with role, finish reason, usage and `[DONE]`.
    pub(super) fn event_count(&self) -> usize {
        self.texts.len() + 4
    }
}

fn event(fields: &str) -> Vec<u8> {
    let data = format!(
        "data: {{\"id\":\"chatcmpl-7f2c9b1e\",\"object\":\"chat.completion.chunk\",\"created\":1795241339,\
         \"model\":\"load\",{fields}}}\n\n"
    );
    chunk(data.as_bytes())
}

/// Some 190 bytes, the size of a usual chunk. Every eighth text holds escapes, as code does.
fn text_event(sequence: usize, sent: Duration) -> Vec<u8> {
    let tail = if sequence % 8 == 7 {
        r#"\n\t\"x\""#
    } else {
        " token"
    };
    let mark = tick::mark(sequence, sent);
    event(&format!(
        r#""choices":[{{"index":0,"delta":{{"content":"{mark}{tail}"}},"finish_reason":null}}]"#
    ))
}

/// The running upstream. It ends when this value is dropped, with the thread that polls it.
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    script: Arc<Mutex<Arc<Script>>>,
    /// The size of the last request.
    request_bytes: Arc<AtomicUsize>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Upstream {
    /// Starts the upstream on a thread of its own.
    pub(super) fn start(clock: Clock) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let script = Arc::new(Mutex::new(Arc::new(Script::burst(1))));
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let request_bytes = Arc::default();
        let stage = Stage {
            script: Arc::clone(&script),
            request_bytes: Arc::clone(&request_bytes),
            clock,
        };
        let thread = std::thread::Builder::new()
            .name("upstream".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = accept(listener, stage) => {}
                        _ = stopped => {}
                    }
                });
            })
            .context("cannot start the thread of the upstream")?;
        Ok(Self {
            address,
            script,
            request_bytes,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Changes what requests from now on are answered with.
    pub(super) fn play(&self, script: Script) -> Arc<Script> {
        let script = Arc::new(script);
        let mut slot = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Arc::clone(&script);
        script
    }

    /// The size of the body of the last request.
    pub(super) fn last_request_bytes(&self) -> usize {
        self.request_bytes.load(Ordering::Relaxed)
    }
}

/// What every connection of the upstream shares.
#[derive(Clone)]
struct Stage {
    script: Arc<Mutex<Arc<Script>>>,
    request_bytes: Arc<AtomicUsize>,
    clock: Clock,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in the thread has been printed; there is nothing more to do about it here.
            drop(thread.join());
        }
    }
}

async fn accept(listener: TcpListener, stage: Stage) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(stream, stage.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Answers requests until the peer closes. A peer that leaves in the middle of a stream is no error here: streams that were
/// only opened to be looked at end like that, and the client is the one that checks the others.
async fn serve(stream: TcpStream, stage: Stage) {
    let Ok(mut wire) = Wire::new(stream) else {
        return;
    };
    while let Ok(Some(bytes)) = read_request(&mut wire).await {
        stage.request_bytes.store(bytes, Ordering::Relaxed);
        let script = Arc::clone(&stage.script.lock().unwrap_or_else(PoisonError::into_inner));
        if play(&mut wire, &script, stage.clock).await.is_err() {
            return;
        }
    }
}

/// Reads a request and returns the size of its body, or `None` when there is no more.
async fn read_request(wire: &mut Wire) -> Result<Option<usize>> {
    let Some(head) = wire.read_head().await? else {
        return Ok(None);
    };
    let mut body = Body::after(&head)?;
    let mut bytes = 0;
    wire.read_body(&mut body, |piece| {
        bytes += piece.len();
        ControlFlow::Continue(())
    })
    .await?;
    Ok(Some(bytes))
}

async fn play(wire: &mut Wire, script: &Script, clock: Clock) -> Result<()> {
    wire.send(&script.opening).await?;
    match script.pace {
        None => {
            for text in &script.texts {
                wire.send(text).await?;
            }
        }
        Some(pace) => play_paced(wire, script.texts.len(), pace, clock).await?,
    }
    for event in &script.closing {
        wire.send(event).await?;
    }
    Ok(())
}

async fn play_paced(wire: &mut Wire, texts: usize, pace: Duration, clock: Clock) -> Result<()> {
    let mut due = tokio::time::Instant::now();
    for sequence in 0..texts {
        tokio::time::sleep_until(due).await;
        due += pace;
        wire.send(&text_event(sequence, clock.now())).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_the_size_of_a_usual_chunk() {
        let script = Script::burst(9);
        for event in &script.texts {
            assert!((170..230).contains(&event.len()), "{}", event.len());
        }
        assert_eq!((script.text_count(), script.event_count()), (9, 13));
    }
}
