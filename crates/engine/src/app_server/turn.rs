//! One turn of the app-server: begun in a fresh thread, or gone on with in one that waits.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use polywire_conversation::{Fault, FaultClass};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::timeout_at;

use super::parameters::{thread_parameters, turn_parameters};
use super::pool::{Pool, Seat};
use super::rpc::{Named, ThreadStarted, TurnStarted};
use super::translate::{Step, Translator};
use super::waiting::{Found, WaitingThread};
use super::worker::{Inbox, Message, Worker};
use crate::answer::{self, ClientLeft, Out};
use crate::ask::{Ask, ToolAnswer, ToolCall};
use crate::fault::{TurnError, timed_out, unusable, worker_died};
use crate::frames::Frames;
use crate::limits::{INTERRUPT_TIMEOUT, TOOL_REQUEST_TIMEOUT};
use crate::settings::EngineSettings;
use crate::workdir;

/// A turn at work on its worker.
struct Running {
    worker: Arc<Worker>,
    thread_id: String,
    inbox: Inbox,
    translator: Translator,
    /// The calls of the answer before for which Codex has not asked yet, with what to answer.
    answers: HashMap<String, Value>,
    /// Requests of Codex for calls of this answer.
    asked: HashMap<String, Value>,
    /// Anything was heard of the turn.
    has_spoken: bool,
    /// Codex may write in the working directory.
    agent: bool,
}

/// How a turn ended, as far as its thread is concerned.
enum End {
    /// The thread has nothing more to do.
    Over,
    /// The thread waits for the results of these calls.
    Waits(Vec<ToolCall>),
    /// The turn is still at work, for nobody.
    MustStop,
    /// The turn failed before the model was asked, or with its worker.
    Lost(Fault),
}

/// Serves a turn to its end. Everything that goes wrong is told as a fault.
pub(super) async fn serve(pool: &Arc<Pool>, ask: Ask, cwd: Option<PathBuf>, out: Out) {
    let served = tokio::select! {
        served = admitted(pool, &out) => served,
        // Left the queue before it was its turn.
        ClientLeft = out.left() => return,
    };
    let seat = match served {
        Ok(seat) => seat,
        Err(fault) => return out.fault(fault),
    };
    if let Some(fault) = cwd.as_deref().and_then(workdir::replaced) {
        return out.fault(fault);
    }
    let deadline = tokio::time::Instant::now() + pool.settings().timeout;
    let began = match pool.waiting().find(&ask, cwd.as_deref()) {
        Some(found) => Ok(resume(pool.settings(), &ask, found, &out)),
        None => begin(pool.settings(), &seat, &ask, cwd.as_deref(), &out).await,
    };
    let mut running = match began {
        Ok(running) => running,
        Err(fault) => return out.fault(fault),
    };
    let end = tokio::select! {
        end = running.read(&out) => end,
        ClientLeft = out.left() => End::MustStop,
        () = tokio::time::sleep_until(deadline) => {
            out.lost(timed_out(pool.settings().timeout), running.agent);
            End::MustStop
        }
        () = pool.closing() => {
            out.lost(unusable("the engine is shutting down"), running.agent);
            End::MustStop
        }
    };
    // A turn that is over leaves its place at once: whoever waits for one need not wait until its thread is let go.
    let seat = Some(seat).filter(|_| !matches!(end, End::Over));
    running.settle(end, pool, &ask, cwd, &out).await;
    drop(seat);
}

/// Waits for a place in the queue, and for the worker that serves it.
async fn admitted(pool: &Arc<Pool>, out: &Out) -> Result<Seat, Fault> {
    let place = pool.queue().enter().await?;
    out.step_took(answer::Step::QueueWait, place.waited);
    let since = Instant::now();
    let seat = pool.seat(place).await?;
    out.step(answer::Step::Spawn, since);
    Ok(seat)
}

/// Starts a thread, puts the conversation into it, and starts its turn.
async fn begin(
    settings: &EngineSettings,
    seat: &Seat,
    ask: &Ask,
    cwd: Option<&Path>,
    out: &Out,
) -> Result<Running, Fault> {
    let worker = Arc::clone(seat.worker());
    let since = Instant::now();
    let started: ThreadStarted = worker
        .call("thread/start", thread_parameters(settings, ask, cwd)?)
        .await?;
    let thread_id = started.thread.id;
    let inbox = worker.listen(&thread_id);
    out.step(answer::Step::ThreadStart, since);
    let since = Instant::now();
    let turn = async {
        if !ask.input.is_empty() {
            #[derive(Serialize)]
            #[serde(rename_all = "camelCase")]
            struct Inject<'a> {
                thread_id: &'a str,
                items: &'a [Box<RawValue>],
            }
            let inject = Inject {
                thread_id: &thread_id,
                items: &ask.input,
            };
            worker.call::<Value>("thread/inject_items", inject).await?;
        }
        let parameters = turn_parameters(settings, ask, &thread_id);
        let started = worker.call::<TurnStarted>("turn/start", parameters).await;
        if started.is_err() && settings.agent {
            out.acted();
        }
        started
    };
    let turn_id = match turn.await {
        Ok(TurnStarted { turn: Named { id } }) => id,
        Err(fault) => {
            release(&worker, &thread_id).await;
            return Err(fault);
        }
    };
    out.step(answer::Step::TurnStart, since);
    let frames = Frames::new(out.clone());
    frames.created(&turn_id, &ask.model);
    Ok(Running {
        worker,
        thread_id,
        inbox,
        translator: Translator::new(frames, turn_id, names(ask), settings.agent),
        answers: HashMap::new(),
        asked: HashMap::new(),
        has_spoken: false,
        agent: settings.agent,
    })
}

/// Goes on with a thread that waits, now that its tools have answered.
fn resume(settings: &EngineSettings, ask: &Ask, found: Found, out: &Out) -> Running {
    let Found { thread, answers } = found;
    let frames = Frames::new(out.clone());
    frames.created(&thread.turn_id, &ask.model);
    let mut running = Running {
        worker: thread.worker,
        thread_id: thread.thread_id,
        inbox: thread.inbox,
        translator: Translator::new(frames, thread.turn_id, names(ask), settings.agent)
            .after(thread.usage),
        answers: answers
            .into_iter()
            .map(|ToolAnswer { call_id, output }| (call_id, output))
            .collect(),
        asked: HashMap::new(),
        has_spoken: false,
        agent: settings.agent,
    };
    for (call, request) in thread.asked {
        running.answer(&call, &request);
    }
    running
}

fn names(ask: &Ask) -> HashSet<String> {
    ask.functions().map(|tool| tool.name.clone()).collect()
}

impl Running {
    /// Reads what happens in the thread until the answer is over for the client.
    async fn read(&mut self, out: &Out) -> End {
        let since = Instant::now();
        let tools_due = tokio::time::Instant::now() + TOOL_REQUEST_TIMEOUT;
        loop {
            let received = if self.answers.is_empty() {
                Ok(self.inbox.recv().await)
            } else {
                timeout_at(tools_due, self.inbox.recv()).await
            };
            let message = match received {
                Ok(Some(message)) => message,
                Ok(None) => return End::Lost(self.worker.died()),
                Err(_) => {
                    // Nothing was said yet: another try rebuilds the thread from its history.
                    out.lost(
                        worker_died("it has forgotten the calls that were answered"),
                        self.agent,
                    );
                    return End::MustStop;
                }
            };
            let step = match message {
                Message::Request { id, method, params } => {
                    self.request(id, &method, &params);
                    continue;
                }
                Message::Notice { method, params } => self.translator.notice(&method, &params),
            };
            // Codex has answered by itself what it has not asked for by now. A later call may bear the same id.
            if self.translator.is_under_way() {
                self.answers.clear();
            }
            if !std::mem::replace(&mut self.has_spoken, true) {
                out.step(answer::Step::FirstOutput, since);
            }
            match step {
                Step::GoesOn => {}
                Step::Calls(calls) => {
                    self.translator.complete();
                    return End::Waits(calls);
                }
                // Nobody would hear what the thread does meanwhile. The results come to one that is rebuilt from its history.
                Step::RefusedCalls => {
                    self.translator.complete();
                    return End::MustStop;
                }
                Step::Completed => {
                    self.translator.complete();
                    return End::Over;
                }
                Step::Interrupted => {
                    out.fault(Fault::new(
                        FaultClass::NetworkCut,
                        "the engine's turn was interrupted",
                    ));
                    return End::Over;
                }
                Step::Failed(error) => {
                    match error.incomplete() {
                        Some(reason) => self.translator.incomplete(reason),
                        None => out.fault(error.fault()),
                    }
                    return End::Over;
                }
                Step::Withheld => {
                    out.fault(TurnError::withheld().fault());
                    return End::MustStop;
                }
                Step::BeginsAnew(error) => {
                    let mut fault = error.fault();
                    fault.class = FaultClass::NetworkCut;
                    out.fault(fault);
                    return End::MustStop;
                }
            }
        }
    }

    /// Codex asks for something: for the result of a tool, or for what nobody here can give.
    fn request(&mut self, id: Value, method: &str, params: &RawValue) {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct ToolCall {
            call_id: String,
        }
        let call = serde_json::from_str::<ToolCall>(params.get());
        let is_tool = method == "item/tool/call";
        let Some(ToolCall { call_id }) = call.ok().filter(|_| is_tool) else {
            tracing::debug!("the engine asks for `{method}`, which is declined");
            return self.worker.reply(&id, declined(method));
        };
        if self.answers.contains_key(&call_id) {
            self.answer(&call_id, &id);
        } else {
            self.asked.insert(call_id, id);
        }
    }

    /// Gives Codex the result of a tool.
    fn answer(&mut self, call: &str, request: &Value) {
        let output = self.answers.remove(call).unwrap_or_default();
        self.worker.reply(request, tool_result(&output));
    }

    /// Leaves the thread as its turn's end demands.
    async fn settle(
        mut self,
        end: End,
        pool: &Arc<Pool>,
        ask: &Ask,
        cwd: Option<PathBuf>,
        out: &Out,
    ) {
        match end {
            End::Over => release(&self.worker, &self.thread_id).await,
            End::Lost(fault) => out.lost(fault, self.agent),
            End::MustStop => {
                let turn_id = self.translator.turn_id().to_owned();
                stop(&self.worker, &self.thread_id, &turn_id, &mut self.inbox).await;
            }
            End::Waits(calls) => {
                let items = ask.input.len();
                let Some(fingerprint) = ask.fingerprint(items) else {
                    return release(&self.worker, &self.thread_id).await;
                };
                let turn_id = self.translator.turn_id().to_owned();
                pool.let_wait(WaitingThread {
                    worker: self.worker,
                    thread_id: self.thread_id,
                    turn_id,
                    inbox: self.inbox,
                    calls,
                    asked: self.asked,
                    usage: self.translator.thread_usage(),
                    items,
                    fingerprint,
                    cwd,
                    ticket: pool.ticket(),
                });
            }
        }
    }
}

/// Lets a thread go whose turn is over. It was never kept, so nothing is left of it: what a model has started in the background
/// would run on for as long as Codex remembers the thread.
pub(super) async fn release(worker: &Worker, thread_id: &str) {
    worker.leave(thread_id);
    let parameters = json!({ "threadId": thread_id });
    for method in ["thread/backgroundTerminals/clean", "thread/unsubscribe"] {
        if let Err(fault) = worker.call::<Value>(method, &parameters).await {
            tracing::debug!("an engine thread was not released: {fault}");
        }
    }
}

/// Interrupts a turn and waits until it is over. A worker that goes on regardless is given up.
pub(super) async fn stop(worker: &Worker, thread_id: &str, turn_id: &str, inbox: &mut Inbox) {
    let deadline = tokio::time::Instant::now() + INTERRUPT_TIMEOUT;
    let interrupt = json!({ "threadId": thread_id, "turnId": turn_id });
    let ended = async {
        // Refused when the turn ended by itself in the meantime; its end is in the inbox then.
        if let Err(fault) = worker.call::<Value>("turn/interrupt", interrupt).await {
            tracing::debug!("an engine turn was not interrupted: {fault}");
        }
        while let Some(message) = inbox.recv().await {
            match message {
                Message::Notice { method, .. } if method == "turn/completed" => return,
                Message::Notice { .. } => {}
                Message::Request { id, method, .. } => worker.reply(&id, declined(&method)),
            }
        }
    };
    if timeout_at(deadline, ended).await.is_err() {
        tracing::warn!(
            "an engine process goes on with a turn that was interrupted; it is replaced"
        );
        worker.close();
        return;
    }
    release(worker, thread_id).await;
}

/// The answer to a request of Codex that nobody can fulfil: approvals and questions to a person who is not there.
fn declined(method: &str) -> Value {
    match method {
        "item/tool/call" => json!({
            "contentItems": [{ "type": "inputText", "text": "the call was cancelled" }],
            "success": false,
        }),
        "item/commandExecution/requestApproval" | "item/fileChange/requestApproval" => {
            json!({ "decision": "decline" })
        }
        _ => json!({}),
    }
}

/// A result of the Responses protocol in the form in which Codex takes it.
fn tool_result(output: &Value) -> Value {
    let text = |text: &str| json!({ "type": "inputText", "text": text });
    let items = match output {
        Value::String(plain) => vec![text(plain)],
        Value::Array(parts) => parts
            .iter()
            .map(|part| match part["type"].as_str() {
                Some("input_image") => {
                    json!({ "type": "inputImage", "imageUrl": part["image_url"] })
                }
                _ => text(part["text"].as_str().unwrap_or_default()),
            })
            .collect(),
        Value::Null => vec![text("")],
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => vec![text(&output.to_string())],
    };
    json!({ "contentItems": items, "success": true })
}
