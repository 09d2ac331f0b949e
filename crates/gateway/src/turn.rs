//! One turn, from the client's request to the end of the answer. The page that everybody knows.
//!
//! accept → decode → plan → encode → send → read → write → settle. The first happens in `server`; read and write go on in
//! [`Pump`] while the client takes the answer; settle is the drop of [`Settlement`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use polywire_conversation::{Event, Fault, FaultClass, Retry, StopReason, Usage};
use polywire_plan::{self as plan, AttemptState, Next, Progress, Target};
use polywire_sse::FrameBuffer;

use crate::answer::{AnswerBody, Pump, unix_seconds};
use crate::client::{Client, ClientDialect, Decoded, Writing};
use crate::compaction::compacted;
use crate::exchange::{Exchange, Prepared, rejected_tool, rejects_state};
use crate::fault::empty_answer;
use crate::limits::COMMIT_HOLD;
use crate::phases::{Phase, Phases};
use crate::settle::Settlement;
use crate::state::{Gateway, Live};
use crate::stored::{self, ConnectionMemory, Expanded, Thread};

/// What `accept` found out about a request.
#[derive(Clone)]
pub struct Accepted {
    /// A fresh id for the turn; it becomes part of the response's id and of the `x-polywire-request-id` header.
    pub turn_id: String,
    /// The protocol of the path that was called.
    pub dialect: ClientDialect,
    /// Which client is calling.
    pub client: Client,
    /// The body, whole.
    pub body: Bytes,
    /// The working directory that the client names in a header of its own.
    pub cwd: Option<String>,
    /// What the connection remembers, when it carries several turns.
    pub memory: Option<ConnectionMemory>,
    /// The client asks for a summary of the conversation, by the path that it called.
    pub compact: bool,
}

impl Accepted {
    /// The request in the body.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn decode(&self) -> Result<Decoded<'_>, Fault> {
        let mut decoded = self.dialect.parse(&self.body, self.client)?;
        if self.compact {
            decoded.request.compact = true;
            decoded.request.stream = false;
        }
        Ok(decoded)
    }
}

/// What goes back to the client.
pub enum Answer {
    /// A stream of events that has begun.
    Stream {
        /// The events.
        body: Box<AnswerBody>,
        /// How many losses were known when it began.
        losses: usize,
    },
    /// A stream that holds nothing but the news of a failure.
    FailedStream {
        /// The frames.
        body: Vec<u8>,
        /// How many losses there were.
        losses: usize,
    },
    /// One JSON body.
    Whole {
        /// The body.
        body: Vec<u8>,
        /// How many losses there were.
        losses: usize,
    },
    /// A failure, to be told by status and error body.
    Failed {
        /// What went wrong.
        fault: Fault,
        /// How many losses there were.
        losses: usize,
    },
}

/// Runs a turn up to the moment when its answer can begin.
///
/// Dropping the future ends the attempt that is at work and settles the turn.
pub async fn run(gateway: &Arc<Gateway>, accepted: Accepted) -> Answer {
    let live = gateway.live();
    let mut settlement = Settlement::begin(&accepted, gateway, live.is_strict());
    let (dialect, client) = (accepted.dialect, accepted.client);
    let refused = |fault: Fault, mut settlement: Settlement| {
        settlement.fail(&fault);
        Answer::Failed { fault, losses: 0 }
    };
    let phases = settlement.phases().clone();
    let (accepted, thread) = match with_history(gateway, accepted, &phases).await {
        Ok(expanded) => expanded,
        Err(fault) => return refused(fault, settlement),
    };
    let decoded = match phases.during(Phase::Decode, || accepted.decode()) {
        Ok(decoded) => decoded,
        Err(fault) => {
            thread.forget_parent(accepted.memory.as_ref());
            return refused(fault, settlement);
        }
    };
    settlement.decoded(&decoded.request, accepted.body.len());
    let live = if live.knows_model(&decoded.request.model) {
        live
    } else {
        // A provider may have it whose list nobody has asked for yet. In a box, because it is rare and every turn would carry its size.
        Box::pin(gateway.live_with_lists()).await
    };
    let turn = Turn {
        gateway,
        live: &live,
        accepted: &accepted,
        decoded: &decoded,
        thread: &thread,
    };
    let Failed {
        fault,
        mut settlement,
    } = match turn.serve(settlement).await {
        Ok(answer) => return answer,
        Err(failed) => *failed,
    };
    thread.forget_parent(accepted.memory.as_ref());
    let losses = settlement.losses();
    if decoded.request.stream && dialect.tells_in_stream(client, &fault) {
        let body = turn.failed_stream(fault);
        settlement.sends(Instant::now());
        return Answer::FailedStream { body, losses };
    }
    Answer::Failed { fault, losses }
}

/// The request with the conversation that it goes on from, and what that is.
async fn with_history(
    gateway: &Arc<Gateway>,
    accepted: Accepted,
    phases: &Phases,
) -> Result<(Accepted, Thread), Fault> {
    if !needs_history(gateway, &accepted) {
        return Ok((accepted, Thread::default()));
    }
    let _looking_up = phases.timer(Phase::History);
    let Expanded { body, mut thread } = stored::expand(
        accepted.body.clone(),
        accepted.memory.as_ref(),
        gateway.responses(),
    )
    .await?;
    // The path for compaction gives an object of another kind, of which nothing is said to be kept.
    thread.store &= !accepted.compact;
    Ok((Accepted { body, ..accepted }, thread))
}

/// Whether the request may go on from another, or its answer may have to be kept. Codex sends the whole conversation and asks for
/// nothing to be kept, and its requests are large: they are only searched.
fn needs_history(gateway: &Gateway, accepted: &Accepted) -> bool {
    let goes_on = || memchr::memmem::find(&accepted.body, b"\"previous_response_id\"").is_some();
    match accepted.dialect {
        ClientDialect::Responses => {
            accepted.memory.is_some()
                || (accepted.client != Client::Codex && gateway.responses().is_some())
                || goes_on()
        }
        ClientDialect::Chat | ClientDialect::Messages => false,
    }
}

/// Answers a request that only warms the connection: there is nothing to generate, and the next request goes on from it.
///
/// # Errors
/// What is wrong with the request.
pub async fn prewarm(gateway: &Arc<Gateway>, accepted: Accepted) -> Result<Vec<u8>, Fault> {
    let (accepted, thread) = with_history(gateway, accepted, &Phases::default()).await?;
    let decoded = accepted.decode()?;
    let mut writer = decoded.writer(&Writing::without_provider(&accepted));
    let mut out = FrameBuffer::new();
    let nothing = Usage {
        input: Some(0),
        output: Some(0),
        ..Usage::default()
    };
    writer.push(Event::Usage(nothing), &mut out);
    writer.push(Event::Finish(StopReason::Stop), &mut out);
    if let (Some(memory), Some(record)) = (
        &accepted.memory,
        thread.record(&writer.whole(), unix_seconds()),
    ) {
        memory.remember(record);
    }
    Ok(out.take())
}

struct Turn<'t> {
    gateway: &'t Arc<Gateway>,
    live: &'t Arc<Live>,
    accepted: &'t Accepted,
    decoded: &'t Decoded<'t>,
    thread: &'t Thread,
}

/// An attempt that failed, with what is needed for the next one.
struct Failed {
    fault: Fault,
    settlement: Settlement,
}

/// What the attempts of a turn have in common.
#[derive(Default)]
struct SoFar {
    /// How often the answer was empty.
    empty_answers: u32,
    /// Wire names of tools that the target at hand has refused.
    tools_refused: Vec<String>,
    /// The names under which tools were offered last.
    tools_offered: Vec<String>,
    /// The target at hand has refused the reasoning state of earlier turns.
    state_refused: bool,
}

impl Turn<'_> {
    /// Makes attempts, as `plan` sees fit, until one has an answer.
    async fn serve(&self, mut settlement: Settlement) -> Result<Answer, Box<Failed>> {
        let phases = settlement.phases().clone();
        let find = || plan::targets(&self.decoded.request.model, self.live.catalog());
        let targets = match phases.during(Phase::Plan, find) {
            Ok(targets) => targets,
            Err(fault) => return Err(failed(fault, settlement)),
        };
        let mut targets = targets.iter().peekable();
        let Some(mut target) = targets.next() else {
            let fault = Fault::new(FaultClass::NotFound, "no target serves this model");
            return Err(failed(fault, settlement));
        };
        // How often this target has failed, and how long the turn has waited in all.
        let mut failures = 0;
        let mut waited = Duration::ZERO;
        let mut so_far = SoFar::default();
        loop {
            settlement.begin_attempt(target);
            let failed = match self.attempt(target, settlement, &mut so_far).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            if failed.settlement.has_acted() {
                return Err(not_again(failed));
            }
            if let Some(tool) = rejected_tool(&failed.fault, &so_far.tools_offered)
                && so_far.tools_refused.is_empty()
            {
                tracing::warn!(
                    request_id = %self.accepted.turn_id,
                    tool,
                    "the provider refuses a tool; asked again without it"
                );
                so_far.tools_refused.push(tool.to_owned());
                settlement = failed.settlement;
                continue;
            }
            if !so_far.state_refused && rejects_state(&failed.fault) {
                tracing::warn!(turn = %self.accepted.turn_id, "the provider refuses reasoning of earlier turns; asked again without it");
                so_far.state_refused = true;
                settlement = failed.settlement;
                continue;
            }
            failures += 1;
            let state = AttemptState {
                attempt: failures,
                waited,
                targets_left: targets.peek().is_some(),
            };
            let next = plan::after_fault(
                &failed.fault,
                Progress::NothingSent,
                &state,
                self.live.patience(),
                rand::random(),
            );
            tracing::debug!(
                request_id = %self.accepted.turn_id,
                ?next,
                "attempt failed: {}",
                failed.fault
            );
            match next {
                Next::GiveUp => return Err(failed),
                Next::RetryAfter(pause) => {
                    settlement = failed.settlement;
                    settlement.pause();
                    let pausing = phases.timer(Phase::Pause);
                    tokio::time::sleep(pause).await;
                    drop(pausing);
                    waited += pause;
                }
                Next::NextTarget => {
                    let Some(next_target) = targets.next() else {
                        return Err(failed);
                    };
                    settlement = failed.settlement;
                    target = next_target;
                    failures = 0;
                    so_far.tools_refused.clear();
                    so_far.state_refused = false;
                }
            }
        }
    }

    /// One attempt on one target: encode, send, and read until there is something to show.
    async fn attempt(
        &self,
        target: &Target,
        mut settlement: Settlement,
        so_far: &mut SoFar,
    ) -> Result<Answer, Box<Failed>> {
        let exchange = Exchange {
            gateway: Arc::clone(self.gateway),
            live: Arc::clone(self.live),
            accepted: self.accepted.clone(),
            target: target.clone(),
            thread: self.thread.clone(),
            tools_refused: so_far.tools_refused.clone(),
            phases: settlement.phases().clone(),
            state_refused: so_far.state_refused,
        };
        let encoding = settlement.phases().timer(Phase::Encode);
        let prepared = match exchange
            .prepare(&self.decoded.request, &mut settlement)
            .await
        {
            Ok(prepared) => prepared,
            Err(fault) => return Err(failed(fault, settlement)),
        };
        drop(encoding);
        settlement.asked();
        so_far.tools_offered.clone_from(&prepared.tools);
        let mut pump = self.pump(prepared, exchange, settlement);
        let whole = if self.decoded.request.stream {
            // After the hold the answer is begun without content: the client must hear heartbeats from here on.
            match tokio::time::timeout(COMMIT_HOLD, pump.until_content()).await {
                Ok(Ok(())) => {}
                Ok(Err(fault)) => return Err(failed(fault, pump.into_settlement())),
                Err(_) => pump.beat(),
            }
            None
        } else {
            match pump.until_whole().await {
                Ok(body) => Some(body),
                Err(fault) => return Err(failed(fault, pump.into_settlement())),
            }
        };
        // An agent that has done its work may have nothing to say.
        let may_be_repeated = !pump.settlement().has_acted();
        if pump.has_stopped_empty() && may_be_repeated && so_far.empty_answers == 0 {
            so_far.empty_answers += 1;
            return Err(failed(empty_answer(), pump.into_settlement()));
        }
        let losses = pump.settlement().losses();
        if let Some(body) = whole {
            let body = if self.accepted.compact {
                compacted(&body)
            } else {
                body
            };
            return Ok(Answer::Whole { body, losses });
        }
        pump.release();
        let body = Box::new(AnswerBody::new(pump, self.gateway.drain()));
        Ok(Answer::Stream { body, losses })
    }

    /// The way of an answer to the client.
    fn pump(&self, prepared: Prepared, exchange: Exchange, settlement: Settlement) -> Pump {
        let writer = self.decoded.writer(&Writing {
            turn_id: &self.accepted.turn_id,
            client: self.accepted.client,
            unix_seconds: unix_seconds(),
            home: Some(&prepared.home),
            native: prepared.native,
            stored: self.thread.store && self.gateway.responses().is_some(),
            parent: self.thread.parent.as_deref(),
        });
        prepared.into_pump(exchange, writer, settlement)
    }

    fn failed_stream(&self, fault: Fault) -> Vec<u8> {
        let mut out = FrameBuffer::new();
        let mut writer = self
            .decoded
            .writer(&Writing::without_provider(self.accepted));
        writer.push(Event::Fault(fault), &mut out);
        out.take()
    }
}

/// The same failure of a turn that has had effects: neither we nor the client's library shall make it again.
fn not_again(mut failed: Box<Failed>) -> Box<Failed> {
    failed.fault.retry = Retry::Never;
    failed.settlement.fail(&failed.fault);
    failed
}

fn failed(fault: Fault, mut settlement: Settlement) -> Box<Failed> {
    settlement.fail(&fault);
    Box::new(Failed { fault, settlement })
}
