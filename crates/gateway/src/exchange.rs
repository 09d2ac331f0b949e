//! One exchange with one target: the client's request made ready for it, sent, and sent again with more where an answer takes
//! several legs.

use std::borrow::Cow;
use std::sync::Arc;

use polywire_conversation::envelope::Minter;
use polywire_conversation::{
    Fault, FaultClass, Item, Loss, ModelFacts, Request, Retry, Severity, ToolChoice, WriteStream,
};
use polywire_plan::Target;

use crate::answer::{Continue, Opened, Opening, Pump, Source, unix_seconds};
use crate::client::ClientDialect;
use crate::compaction;
use crate::delivery::{Delivery, Keep, Keeping};
use crate::endpoint::Endpoint;
use crate::engine;
use crate::form::Form;
use crate::legs::{Legs, Needs, NextLeg, OnPause, Search};
use crate::limits::{KEEP_WAIT, SEARCHES_MAX};
use crate::memory::Recorder;
use crate::phases::Phases;
use crate::provider::{Ask, Encoded, Outgoing};
use crate::sealing::{self, Sealer};
use crate::search::{self, Found};
use crate::settle::Settlement;
use crate::state::{Gateway, Live};
use crate::stop::StopTexts;
use crate::stored::Thread;
use crate::turn::Accepted;

/// Everything that a further leg needs when the turn's own borrows are gone.
#[derive(Clone)]
pub(crate) struct Exchange {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) live: Arc<Live>,
    pub(crate) accepted: Accepted,
    pub(crate) target: Target,
    /// What the request goes on from, and whether its answer is kept.
    pub(crate) thread: Thread,
    /// Wire names of tools that the target has refused.
    pub(crate) tools_refused: Vec<String>,
    /// Where it is noted how long each step takes.
    pub(crate) phases: Phases,
    /// The target has refused the reasoning state of earlier turns.
    pub(crate) state_refused: bool,
}

/// A request made ready for a target.
pub(crate) struct Prepared {
    endpoint: Arc<Endpoint>,
    outgoing: Outgoing,
    /// Who mints the answer's reasoning state.
    pub(crate) home: Minter,
    /// The names under which tools are offered.
    pub(crate) tools: Vec<String>,
    /// The client's own protocol passes as it is.
    pub(crate) native: bool,
    needs: Needs,
    stop: StopTexts,
}

/// A request as its target gets it.
struct Ready<'r> {
    request: Cow<'r, Request<'r>>,
    /// The tool whose calls polywire carries out itself.
    search_tool: Option<&'static str>,
    /// Envelopes that stayed closed.
    losses: Vec<Loss>,
    /// The client's bytes go out.
    keeps_bytes: bool,
}

impl Exchange {
    /// Puts the request into the target's form and looks whether it may go out so.
    ///
    /// # Errors
    /// A [`Fault`] when a key is missing, when the request asks for what cannot be left out, when strict mode refuses what would
    /// be lost, and always when all of the client's tools would be.
    pub(crate) async fn prepare(
        &self,
        request: &Request<'_>,
        settlement: &mut Settlement,
    ) -> Result<Prepared, Fault> {
        let endpoint = self.live.endpoint(&self.target)?;
        let upstream = self.gateway.upstream();
        let home = endpoint
            .minter(&self.target.upstream_model, &upstream)
            .await?;
        self.gateway.look_after_list(&endpoint, Some(&home.account));
        let ready = self.ready(request, None, &endpoint, &home);
        let encoded = self.encode(&endpoint, &ready, &home, 0)?;
        let request = ready.request;
        let mut losses = encoded.losses;
        if encoded.native {
            // What parsing has no place for goes out all the same, and envelopes are opened in the bytes.
            settlement.keeps_bytes();
        } else {
            losses.extend(ready.losses);
        }
        if self.accepted.cwd.is_some() && endpoint.engine().is_none() {
            losses.push(engine::cwd_lost());
        }
        let verdict = may_go_out(
            &request,
            settlement.request_losses().iter().chain(&losses),
            encoded.tools.len(),
            self.live.is_strict(),
        );
        settlement.lost(losses);
        settlement.offered(encoded.tools.len(), encoded.lowered);
        verdict?;
        let needs = Needs {
            search_tool: ready.search_tool,
            form: encoded
                .format_in_words
                .then(|| Form::new(&request.format))
                .flatten(),
            on_pause: if encoded.native {
                OnPause::Pass
            } else if endpoint.dialect().pauses(&request) {
                OnPause::GoOn
            } else {
                OnPause::Tell
            },
        };
        let stop = if encoded.stops {
            StopTexts::default()
        } else {
            let texts = request.stop.iter().map(|text| text.to_plain().into_owned());
            StopTexts::new(texts.collect())
        };
        Ok(Prepared {
            endpoint,
            outgoing: encoded.outgoing,
            home,
            tools: encoded.tools,
            native: encoded.native,
            needs,
            stop,
        })
    }

    /// The request as this target gets it: what was said `since` behind it, its envelopes opened, refused tools marked, a hosted
    /// search replaced by one of ours, and what the client forgets given back.
    fn ready<'r>(
        &self,
        request: &'r Request<'r>,
        since: Option<Vec<Item<'static>>>,
        endpoint: &Endpoint,
        home: &Minter,
    ) -> Ready<'r> {
        let is_first = since.is_none();
        let mut request = Cow::Borrowed(request);
        if !self.tools_refused.is_empty() {
            request
                .to_mut()
                .tools_refused
                .clone_from(&self.tools_refused);
        }
        if request.compact {
            compaction::ask(request.to_mut());
        }
        if let Some(since) = since {
            request.to_mut().items.extend(since);
        }
        let losses = if request.items.iter().any(has_envelope) {
            sealing::open(request.to_mut(), home)
        } else {
            Vec::new()
        };
        let searches = self.live.search().is_some()
            && request.tools.iter().any(|tool| {
                search::tag(tool)
                    .is_some_and(|tag| !endpoint.dialect().takes_hosted(&home.model, tag))
            })
            && search::offer(request.to_mut());
        let model = &self.target.upstream_model;
        let keeps_bytes = is_first && !searches && endpoint.dialect().takes_bytes(&request, model);
        if !keeps_bytes && self.forgets() && self.gateway.memory.give_back(&mut request, home) {
            tracing::debug!(
                request_id = %self.accepted.turn_id,
                "reasoning that the client has left out was given back"
            );
        }
        if self.state_refused {
            let states = request.to_mut().items.iter_mut();
            states.for_each(forget_state);
        }
        Ready {
            keeps_bytes,
            request,
            search_tool: searches.then_some(search::TOOL),
            losses,
        }
    }

    fn encode(
        &self,
        endpoint: &Endpoint,
        ready: &Ready<'_>,
        home: &Minter,
        leg: u32,
    ) -> Result<Encoded, Fault> {
        let known = self.target.model.as_deref();
        let mut encoded = endpoint.dialect().encode(&Ask {
            request: &ready.request,
            model: ModelFacts {
                name: &self.target.upstream_model,
                // A model that nobody has described is given the benefit of the doubt.
                images: known.is_none_or(|model| model.images),
                output_tokens_max: known.and_then(|model| model.output_tokens_max),
            },
            body: ready.keeps_bytes.then_some(&*self.accepted.body),
            opens: !self.state_refused,
            home,
            cwd: self.accepted.cwd.as_deref(),
            seed: &if leg == 0 {
                self.accepted.turn_id.clone()
            } else {
                format!("{}.{leg}", self.accepted.turn_id)
            },
        })?;
        if self.state_refused {
            encoded.losses.push(Loss::degraded(
                "reasoning",
                "the state of earlier turns was left out: the provider has refused it",
            ));
        }
        Ok(encoded)
    }

    /// Whether the client may not send back what led to its calls. Those of Responses hold it, or go on from what is stored.
    fn forgets(&self) -> bool {
        match self.accepted.dialect {
            ClientDialect::Chat | ClientDialect::Messages => true,
            ClientDialect::Responses => false,
        }
    }

    /// What becomes of the answer beyond the client: it is remembered by its connection, and stored.
    fn keep(&self) -> Option<Keep> {
        let store = self
            .gateway
            .responses()
            .filter(|_| self.thread.store)
            .cloned();
        let memory = self.accepted.memory.clone();
        if store.is_none() && memory.is_none() {
            return None;
        }
        let thread = self.thread.clone();
        let tasks = self.gateway.tasks.clone();
        Some(Box::new(move |response: Option<Vec<u8>>| {
            let record = response.and_then(|response| thread.record(&response, unix_seconds()));
            let Some(record) = record else {
                thread.forget_parent(memory.as_ref());
                return None;
            };
            if let Some(memory) = memory {
                memory.remember(record.clone());
            }
            let store = store?;
            // A task of its own: a client that leaves now has been given the id, and may ask for it later.
            let storing = tasks.spawn(async move {
                let id = record.id.clone();
                if let Err(error) = store.put(record).await {
                    tracing::error!("response `{id}` could not be stored: {error}");
                }
            });
            let keeping: Keeping = Box::pin(async move {
                if tokio::time::timeout(KEEP_WAIT, storing).await.is_err() {
                    tracing::warn!("an answer goes out before it is stored: the store is slow");
                }
            });
            Some(keeping)
        }))
    }

    /// Asks again, with what was said and found since.
    async fn next_leg(self, mut leg: NextLeg) -> Result<Opened, Fault> {
        let found = self
            .search(std::mem::take(&mut leg.searches), leg.number)
            .await;
        leg.items.extend(found.iter().map(Found::item));
        let request = self.accepted.decode()?.request;
        let endpoint = self.live.endpoint(&self.target)?;
        let upstream = self.gateway.upstream();
        let home = endpoint
            .minter(&self.target.upstream_model, &upstream)
            .await?;
        let (outgoing, losses) = self.encode_leg(leg, &request, &endpoint, &home)?;
        let source = endpoint.send(outgoing, &upstream, &self.phases).await?;
        Ok(Opened {
            source,
            found,
            losses,
        })
    }

    /// Carries out the searches that the model asked for, one after the other.
    async fn search(&self, searches: Vec<Search>, leg: u32) -> Vec<Found> {
        let Some(service) = self.live.search() else {
            return Vec::new();
        };
        let upstream = self.gateway.upstream();
        let mut found = Vec::with_capacity(searches.len());
        for (index, search) in searches.into_iter().enumerate() {
            // Providers may count their calls anew in every answer, and the client sees all searches of the turn in one.
            let id = format!("ws_{}_{leg}_{index}", self.accepted.turn_id);
            let result = if index < SEARCHES_MAX {
                service.find(search, &upstream, self.live.variables()).await
            } else {
                Found::refused(search)
            };
            found.push(result.with_id(id));
        }
        found
    }

    fn encode_leg(
        &self,
        leg: NextLeg,
        request: &Request<'_>,
        endpoint: &Endpoint,
        home: &Minter,
    ) -> Result<(Outgoing, Vec<Loss>), Fault> {
        let ready = self.ready(request, Some(leg.items), endpoint, home);
        let encoded = self.encode(endpoint, &ready, home, leg.number)?;
        let mut losses = encoded.losses;
        losses.extend(ready.losses);
        may_go_out(
            &ready.request,
            request.losses.iter().chain(&losses),
            encoded.tools.len(),
            self.live.is_strict(),
        )?;
        Ok((encoded.outgoing, losses))
    }
}

impl Prepared {
    /// The answer on its way: sent when it is first polled.
    pub(crate) fn into_pump(
        self,
        exchange: Exchange,
        writer: Box<dyn WriteStream>,
        settlement: Settlement,
    ) -> Pump {
        let upstream = exchange.gateway.upstream();
        let Self {
            endpoint,
            outgoing,
            home,
            needs,
            stop,
            ..
        } = self;
        let phases = exchange.phases.clone();
        let source = Source::Opening(Box::pin(async move {
            let source = endpoint.send(outgoing, &upstream, &phases).await?;
            Ok(Opened::from(source))
        }));
        let legs = Legs::new(needs);
        let watches = legs.watches();
        let delivery = Delivery::new(
            Sealer::new(home),
            legs,
            stop,
            writer,
            settlement,
            exchange
                .forgets()
                .then(|| Recorder::new(exchange.gateway.memory.clone())),
            exchange.keep(),
        );
        // Requests are large: one that is not needed again is let go as soon as it is sent.
        let go_on = watches.then(|| {
            Box::new(move |leg| -> Opening { Box::pin(exchange.clone().next_leg(leg)) }) as Continue
        });
        Pump::new(source, delivery, go_on)
    }
}

fn has_envelope(item: &Item<'_>) -> bool {
    match item {
        Item::Reasoning(reasoning) => reasoning.sealed.is_some(),
        Item::Compaction { .. } => true,
        Item::Message(_)
        | Item::Call(_)
        | Item::Result(_)
        | Item::ToolsAdded(_)
        | Item::HostedCall { .. }
        | Item::Unknown { .. } => false,
    }
}

/// What the provider minted and will not have back. The readable text stays.
fn forget_state(item: &mut Item<'_>) {
    match item {
        Item::Reasoning(reasoning) => reasoning.state.clear(),
        Item::Message(_)
        | Item::Call(_)
        | Item::Result(_)
        | Item::ToolsAdded(_)
        | Item::HostedCall { .. }
        | Item::Compaction { .. }
        | Item::Unknown { .. } => {}
    }
}

/// Whether a provider refuses the reasoning state that it was sent: it belongs to another account of the same name, or is too old.
pub(crate) fn rejects_state(fault: &Fault) -> bool {
    if fault.class != FaultClass::InvalidRequest {
        return false;
    }
    let message = fault.message.to_ascii_lowercase();
    fault.code.as_deref() == Some("invalid_encrypted_content")
        || message.contains("invalid_encrypted_content")
        || message.contains("encrypted content")
        || message.contains("invalid signature")
}

/// Whether a request may go out with these losses.
///
/// # Errors
/// A fault that says what would be lost: the client's tools, all of them; or, in strict mode, anything severe.
fn may_go_out<'l>(
    request: &Request<'_>,
    losses: impl Iterator<Item = &'l Loss> + Clone,
    tools_offered: usize,
    strict: bool,
) -> Result<(), Fault> {
    let declared = request.all_tools().count();
    // A model without its tools answers as if there was nothing to do, which looks like success.
    if declared > 0 && tools_offered == 0 && request.tool_choice != ToolChoice::None {
        return Err(refused(
            "tools",
            "all tools of the request would be lost on the way to this provider",
            losses.filter(|loss| loss.what.contains("tool")),
        ));
    }
    let severe = || {
        let all = losses.clone();
        all.filter(|loss| loss.severity == Severity::Severe)
    };
    if strict && severe().next().is_some() {
        return Err(refused(
            "strict",
            "strict mode refuses the turn, because of what would be lost",
            severe(),
        ));
    }
    Ok(())
}

fn refused<'l>(code: &str, why: &str, losses: impl Iterator<Item = &'l Loss>) -> Fault {
    let lines = losses.map(|loss| format!("\n- {loss}"));
    let message: String = std::iter::once(why.to_owned()).chain(lines).collect();
    Fault::new(FaultClass::InvalidRequest, message)
        .with_code(format!("refused_{code}"))
        .with_retry(Retry::Elsewhere)
}

/// The tool whose declaration a provider refuses, if its words name one that was offered.
pub(crate) fn rejected_tool<'o>(fault: &Fault, offered: &'o [String]) -> Option<&'o str> {
    if fault.class != FaultClass::InvalidRequest
        || fault
            .code
            .as_deref()
            .is_some_and(|code| code.starts_with("refused_"))
    {
        return None;
    }
    let speaks_of_tools = ["tool", "function", "schema", "parameters"]
        .iter()
        .any(|word| fault.message.contains(word));
    if !speaks_of_tools {
        return None;
    }
    by_place(fault, offered).or_else(|| {
        let is_elsewhere = speaks_of_the_conversation(fault);
        (!is_elsewhere)
            .then(|| by_name(&fault.message, offered))
            .flatten()
    })
}

/// Whether what is refused is something else that has to do with a tool: a call, its arguments, a result, the choice.
fn speaks_of_the_conversation(fault: &Fault) -> bool {
    let message = fault.message.to_ascii_lowercase();
    let param = fault.param.as_deref().unwrap_or("tools");
    !param.starts_with("tools")
        || [
            "messages[",
            "messages.",
            "input[",
            "input.",
            "tool_choice",
            "tool choice",
            "tool_call",
            "tool call",
            "tool_use",
            "tool_result",
            "argument",
        ]
        .iter()
        .any(|word| message.contains(word))
}

/// `tools[3].function.parameters`, `tools.3.custom.input_schema`: the place is surer than a name.
fn by_place<'o>(fault: &Fault, offered: &'o [String]) -> Option<&'o str> {
    let place = |text: &str| {
        let (_, rest) = text.split_once("tools")?;
        let digits = rest.trim_start_matches(['[', '.']);
        if digits.len() == rest.len() {
            return None;
        }
        let end = digits
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(digits.len());
        digits[..end].parse::<usize>().ok()
    };
    let index = fault
        .param
        .as_deref()
        .and_then(place)
        .or_else(|| place(&fault.message))?;
    let name = offered.get(index).map(String::as_str);
    name.filter(|name| !name.is_empty())
}

/// The longest offered name that stands in the message as a word of its own.
fn by_name<'o>(message: &str, offered: &'o [String]) -> Option<&'o str> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    let stands_alone = |name: &str| {
        message.match_indices(name).any(|(at, _)| {
            let before = message[..at].chars().next_back();
            let after = message[at + name.len()..].chars().next();
            !before.is_some_and(is_part) && !after.is_some_and(is_part)
        })
    };
    offered
        .iter()
        .filter(|name| !name.is_empty() && stands_alone(name))
        .max_by_key(|name| name.len())
        .map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, param: Option<&str>, expected: Option<&str>) {
        let offered = ["exec", "exec_command", "apply_patch", ""].map(str::to_owned);
        let mut fault = Fault::new(FaultClass::InvalidRequest, message);
        fault.param = param.map(str::to_owned);
        assert_eq!(rejected_tool(&fault, &offered), expected, "{message}");
    }

    #[test]
    fn rejections_name_their_tool() {
        check(
            "Invalid schema for function 'exec_command': bad",
            None,
            Some("exec_command"),
        );
        check("tools.0.custom.input_schema: no", None, Some("exec"));
        check(
            "bad schema",
            Some("tools[2].function.parameters"),
            Some("apply_patch"),
        );
        check("tools[7].function: bad", None, None);
        check("exec_command went wrong", None, None);
        check("tool xexec_command is bad", None, None);
        check("the tool is bad", None, None);
        check("tools[3]: bad schema", None, None);
        // They name a tool that is not what is refused.
        check("could not parse the arguments of function exec", None, None);
        check("tool_choice: no function 'exec' in tools", None, None);
        check("bad function 'exec'", Some("messages[3]"), None);
    }
}
