//! The checks, one after the other. Each is a turn or a part of one; what an earlier turn showed is not asked for again.

use std::sync::Arc;

use polywire_catalog::{Auth, Provider};
use polywire_gateway::{Configuration, ConfigurationError};
use serde_json::Value;

use crate::bench::{Bench, Played};
use crate::check::{CheckId, Checked, Outcome};
use crate::judge;
use crate::reach::{Reach, reach, reach_provider};
use crate::report::{Report, Tokens};
use crate::requests;
use crate::switches::{self, Evidence, Failure, FormBy, Speaks, Switch};

/// What is told while the checks go on.
pub enum Progress<'p> {
    /// A check begins.
    Begins(CheckId),
    /// A check has ended.
    Ended(&'p Checked),
}

/// Tries what works with a provider's model, with the provider as it is configured. `progress` hears of each check.
///
/// Some ten turns are played, of some hundred tokens each. Where one fails that a switch of the profile could mend, it is played again
/// with the switch in its other position.
///
/// # Errors
/// The provider's settings cannot be used.
pub async fn examine(
    configuration: &Configuration,
    provider: &Arc<Provider>,
    model: &str,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Report, ConfigurationError> {
    let bench = Bench::new(configuration, provider, model)?;
    let mut examination = Examination {
        bench,
        progress,
        checks: Vec::new(),
        evidence: Vec::new(),
        tokens: Tokens::default(),
        reach: None,
    };
    Box::pin(examination.run()).await;
    let Examination {
        bench,
        mut checks,
        evidence,
        tokens,
        reach,
        ..
    } = examination;
    bench.close().await;
    checks.sort_by_key(|checked| checked.check as usize);
    Ok(Report {
        provider: provider.id.clone(),
        model: model.to_owned(),
        reach,
        checks,
        evidence,
        tokens,
    })
}

struct Examination<'p> {
    bench: Bench,
    progress: &'p mut dyn FnMut(Progress<'_>),
    checks: Vec<Checked>,
    evidence: Vec<Evidence>,
    tokens: Tokens,
    reach: Option<Reach>,
}

/// A turn that was judged.
struct Judged {
    played: Played,
    /// Nothing when it is as it should be.
    wrong: Option<(Failure, String)>,
}

impl Examination<'_> {
    async fn run(&mut self) {
        if !self.reachable().await {
            self.skip_rest("the provider was not reached");
            return;
        }
        if !self.answer().await {
            self.skip_rest("not even a plain question is answered");
            return;
        }
        let thoughts = self.tools().await;
        self.demanded_call().await;
        self.structured_output().await;
        self.late_instructions().await;
        self.reasoning(thoughts).await;
        self.picture().await;
    }

    fn begin(&mut self, check: CheckId) {
        (self.progress)(Progress::Begins(check));
    }

    fn end(&mut self, checked: Checked) {
        (self.progress)(Progress::Ended(&checked));
        self.checks.push(checked);
    }

    fn skip_rest(&mut self, because: &str) {
        for check in CheckId::ALL {
            if self.checks.iter().all(|done| done.check != *check) {
                self.end(Checked::skipped(*check, because));
            }
        }
    }

    async fn play(&mut self, request: Value) -> Played {
        let played = self.bench.play(request).await;
        self.tokens.add(&played.receipt);
        played
    }

    // Reachability, the key, the list of models.

    /// Whether it makes sense to go on.
    async fn reachable(&mut self) -> bool {
        self.begin(CheckId::Reachable);
        if self.bench.is_local() {
            self.end(Checked::works(CheckId::Reachable, "it is on this machine"));
            let needs_none = "it has no key";
            self.end(Checked::skipped(CheckId::Key, needs_none));
            let models = self.bench.provider().models.len();
            let known = format!("{models} known; it gives out no list");
            self.end(Checked::unsupported(CheckId::Models, known));
            return true;
        }
        let reached = self.ask().await;
        let (checked, models, goes_on) = match &reached {
            Ok(reach) => judge::reach(reach),
            Err(fault) => {
                let checked = Checked::fails(CheckId::Reachable, fault);
                (checked, None, false)
            }
        };
        self.end(checked);
        if let Some(models) = models {
            self.end(models);
        }
        self.reach = reached.ok();
        // The key was looked for before anything was asked; without it there is no turn.
        let key_fails = self
            .checks
            .iter()
            .any(|done| done.check == CheckId::Key && done.outcome == Outcome::Fails);
        goes_on && !key_fails
    }

    async fn ask(&mut self) -> Result<Reach, String> {
        let Some(endpoint) = self.bench.endpoint() else {
            return Err("the provider has no endpoint".to_owned());
        };
        let upstream = self.bench.gateway().upstream();
        match Box::pin(reach_provider(&endpoint, &upstream)).await {
            Ok(Some(reach)) => Ok(reach),
            Ok(None) => Err("the provider is not reached over HTTP".to_owned()),
            Err(no_key) => {
                let (words, hint) = judge::words_and_hint(&no_key.message);
                self.end(Checked::fails(CheckId::Key, words).hint(hint));
                let request = endpoint.inquiry().map_err(|fault| fault.message)?;
                let request = request.ok_or_else(|| "there is no address".to_owned())?;
                Ok(Box::pin(reach(endpoint.proxy(), request)).await)
            }
        }
    }

    // One turn with a plain answer.

    /// Whether there is an answer.
    async fn answer(&mut self) -> bool {
        self.begin(CheckId::Answer);
        let effort = self.least_effort();
        let request = requests::with_effort(requests::count(), effort.as_deref());
        let judged = self
            .tried(CheckId::Answer, request, &|played| judge::answer(played))
            .await;
        let played = &judged.played;
        self.key(played);
        let answered = !played.text.is_empty();
        if answered {
            let streamed = judge::streaming(played);
            self.end(streamed);
            self.usage(&judged).await;
        }
        answered
    }

    /// Whether the key is right shows in a turn only: some lists of models are for everybody.
    fn key(&mut self, played: &Played) {
        if self.checks.iter().any(|done| done.check == CheckId::Key) {
            return;
        }
        let needs_none = self.bench.provider().auth == Auth::None;
        let checked = match &played.fault {
            Some(fault) if fault.class == "auth" => {
                let (words, hint) = judge::words_and_hint(&fault.words);
                Checked::fails(CheckId::Key, words).hint(hint)
            }
            _ if needs_none => Checked::skipped(CheckId::Key, "the provider needs none"),
            None => Checked::works(CheckId::Key, ""),
            Some(_) => Checked::skipped(CheckId::Key, "no answer tells whether it is right"),
        };
        self.end(checked);
    }

    async fn usage(&mut self, answered: &Judged) {
        let check = CheckId::Usage;
        if let Some(counted) = judge::usage(&answered.played) {
            self.speak_for(check);
            self.end(Checked::works(check, counted));
            return;
        }
        let request = requests::count();
        let judge = |played: &Played| match judge::usage(played) {
            Some(_) => Ok(()),
            None => Err("no counts".to_owned()),
        };
        let proven = self
            .other_switch(check, Failure::Ignored, &request, &judge)
            .await;
        let note = "the provider counts none; polywire's estimates stand in their place";
        self.end(with_proof(Checked::fails(check, note), proven.as_ref()));
    }

    // Tools: one call, its result, two calls, a call on demand.

    /// The turn in which a tool was called, for what it shows of the model's thoughts.
    async fn tools(&mut self) -> Option<Played> {
        if !switches::takes_tools(self.bench.provider().kind, &self.bench.profile()) {
            let note = "the provider takes no tools of its clients";
            for check in [
                CheckId::ToolCall,
                CheckId::ToolResult,
                CheckId::ParallelCalls,
                CheckId::DemandedCall,
            ] {
                self.end(Checked::unsupported(check, note));
            }
            return None;
        }
        self.begin(CheckId::ToolCall);
        let request = requests::with_effort(requests::one_call(), self.usual_effort().as_deref());
        let judged = self
            .tried(CheckId::ToolCall, request, &|played| {
                judge::one_call(played)
            })
            .await;
        if judged.wrong.is_some() && judged.played.calls().is_empty() {
            for check in [
                CheckId::ToolResult,
                CheckId::ParallelCalls,
                CheckId::DemandedCall,
            ] {
                self.end(Checked::skipped(check, "there was no tool call"));
            }
            return Some(judged.played);
        }
        self.tool_result(&judged.played).await;
        self.two_calls().await;
        Some(judged.played)
    }

    async fn tool_result(&mut self, called: &Played) {
        self.begin(CheckId::ToolResult);
        let effort = self.usual_effort();
        let request = requests::with_effort(requests::after_call(&called.items), effort.as_deref());
        let thought = called.items.iter().any(|item| item["type"] == "reasoning");
        let played = self.play(request.clone()).await;
        let Err(wrong) = judge::tool_result(&played) else {
            if thought {
                let replay = judge::replay(&played);
                if replay.outcome == Outcome::Works {
                    self.speak_for(CheckId::ReasoningReplay);
                }
                self.end(replay);
            }
            self.end(Checked::works(
                CheckId::ToolResult,
                judge::result_note(&played),
            ));
            return;
        };
        if thought {
            self.replay_is_at_fault(called, &request, wrong).await;
        } else {
            self.end(judge::failed(CheckId::ToolResult, &played, wrong));
        }
    }

    /// The provider does not go on after a tool call with thoughts in front of it. Is it because of the thoughts?
    async fn replay_is_at_fault(&mut self, called: &Played, request: &Value, wrong: String) {
        let check = CheckId::ReasoningReplay;
        let proven = self
            .other_switch(check, Failure::Refused, request, &judge::tool_result)
            .await;
        if proven.is_some() {
            let note = "the provider takes it in this form only";
            self.end(Checked::works(CheckId::ToolResult, note));
            self.end(with_proof(Checked::fails(check, wrong), proven.as_ref()));
            return;
        }
        let bare: Vec<Value> = called
            .items
            .iter()
            .filter(|item| item["type"] != "reasoning")
            .cloned()
            .collect();
        let played = self.play(requests::after_call(&bare)).await;
        match judge::tool_result(&played) {
            Ok(()) => {
                let note = "without the reasoning in front of the call";
                self.end(Checked::works(CheckId::ToolResult, note));
                self.end(Checked::fails(check, wrong));
            }
            Err(wrong) => {
                self.end(judge::failed(CheckId::ToolResult, &played, wrong));
                self.end(Checked::skipped(check, "no tool result is taken back"));
            }
        }
    }

    async fn two_calls(&mut self) {
        self.begin(CheckId::ParallelCalls);
        let effort = self.least_effort();
        let request = requests::with_effort(requests::two_calls(), effort.as_deref());
        self.tried(CheckId::ParallelCalls, request, &|played| {
            judge::two_calls(played)
        })
        .await;
    }

    async fn demanded_call(&mut self) {
        let check = CheckId::DemandedCall;
        if self.checks.iter().any(|done| done.check == check) {
            return;
        }
        self.begin(check);
        let effort = self.least_effort();
        let request = requests::with_effort(requests::demanded_call(), effort.as_deref());
        let played = self.play(request.clone()).await;
        if let Some(loss) = judge::loss_about(&played, "tool_choice") {
            self.end(Checked::unsupported(check, loss));
            return;
        }
        let Err(wrong) = judge::one_call(&played) else {
            self.speak_for(check);
            self.end(Checked::works(check, ""));
            return;
        };
        if !played.is_refused() {
            let wrong = match played.fault {
                Some(_) => wrong,
                None => "the demand is taken, and no call comes".to_owned(),
            };
            self.end(judge::failed(check, &played, wrong));
            return;
        }
        // Without the demand polywire says that it was lost, and the model answers as it likes.
        let answers = |played: &Played| judge::anything(played);
        let proven = self
            .other_switch(check, Failure::Refused, &request, &answers)
            .await;
        self.end(with_proof(
            judge::failed(check, &played, wrong),
            proven.as_ref(),
        ));
    }

    // The form of answers, later instructions, thoughts, pictures.

    async fn structured_output(&mut self) {
        let check = CheckId::StructuredOutput;
        self.begin(check);
        let effort = self.least_effort();
        let request = requests::with_effort(requests::by_schema(), effort.as_deref());
        let judged = self
            .judged(request.clone(), &|played| judge::schema(played))
            .await;
        let by = switches::form_by(self.bench.provider().kind, &self.bench.profile());
        let Some((failure, wrong)) = judged.wrong else {
            let note = match by {
                FormBy::Provider => {
                    self.speak_for(check);
                    "the provider keeps to the schema"
                }
                FormBy::Words => "the schema is told in words, and polywire checks the answer",
            };
            self.end(Checked::works(check, note));
            return;
        };
        let proven = self
            .other_switch(check, failure, &request, &judge::schema)
            .await;
        let failed = judge::failed(check, &judged.played, wrong);
        self.end(with_proof(failed, proven.as_ref()));
    }

    async fn late_instructions(&mut self) {
        self.begin(CheckId::LateInstructions);
        let effort = self.least_effort();
        let request = requests::with_effort(requests::late_instructions(), effort.as_deref());
        self.tried(CheckId::LateInstructions, request, &|played| {
            judge::late(played)
        })
        .await;
    }

    /// `called` is the turn in which a tool was called.
    async fn reasoning(&mut self, called: Option<Played>) {
        let check = CheckId::Reasoning;
        self.begin(check);
        let claims = self
            .bench
            .model()
            .is_some_and(|model| !model.reasoning_efforts.is_empty());
        let seen = called.as_ref().and_then(judge::thoughts);
        let seen = match seen {
            Some(seen) => Some(seen),
            None => {
                let effort = self.usual_effort();
                let request = requests::with_effort(requests::think(), effort.as_deref());
                let played = self.play(request).await;
                if let Some(fault) = &played.fault {
                    let failed = judge::failed(check, &played, fault.words.clone());
                    self.end(failed);
                    self.skip_replay("there was no answer with thoughts");
                    return;
                }
                judge::thoughts(&played)
            }
        };
        let checked = match seen {
            Some(judge::Thoughts::Shown(note)) => Checked::works(check, note),
            Some(judge::Thoughts::Hidden(note)) => Checked::unsupported(check, note),
            None if claims => Checked::fails(
                check,
                "the settings list efforts for this model, and no thought came",
            ),
            None => Checked::unsupported(check, "the model shows none"),
        };
        self.end(checked);
        self.skip_replay("the model thought nothing before it called the tool");
    }

    fn skip_replay(&mut self, because: &str) {
        let check = CheckId::ReasoningReplay;
        if self.checks.iter().all(|done| done.check != check) {
            self.end(Checked::skipped(check, because));
        }
    }

    async fn picture(&mut self) {
        let check = CheckId::Image;
        self.begin(check);
        let claims = self.bench.model().is_none_or(|model| model.images)
            && switches::takes_images(self.bench.provider().kind, &self.bench.profile());
        if !claims {
            let note = "the settings say that the model takes none";
            self.end(Checked::unsupported(check, note));
            return;
        }
        let effort = self.least_effort();
        let request = requests::with_effort(requests::picture(), effort.as_deref());
        self.tried(check, request, &|played| judge::picture(played))
            .await;
    }

    // Turns that are judged, and switches that are tried.

    async fn judged(
        &mut self,
        request: Value,
        judge: &dyn Fn(&Played) -> Result<(), String>,
    ) -> Judged {
        let played = self.play(request).await;
        let wrong = judge(&played).err().map(|wrong| {
            let failure = if played.is_refused() {
                Failure::Refused
            } else {
                Failure::Ignored
            };
            (failure, wrong)
        });
        Judged { played, wrong }
    }

    /// Plays a turn and tells how it went. Where it failed and another switch mends it, the rest of the checks go on with that switch.
    async fn tried(
        &mut self,
        check: CheckId,
        request: Value,
        judge: &dyn Fn(&Played) -> Result<(), String>,
    ) -> Judged {
        let judged = self.judged(request.clone(), judge).await;
        let Some((failure, wrong)) = &judged.wrong else {
            self.speak_for(check);
            self.end(Checked::works(check, judge::note(check, &judged.played)));
            return judged;
        };
        let failed = judge::failed(check, &judged.played, wrong.clone());
        let proven = if judge::is_about_request(&judged.played) {
            self.other_switch(check, *failure, &request, judge).await
        } else {
            None
        };
        self.end(with_proof(failed, proven.as_ref()));
        if proven.is_none() {
            return judged;
        }
        // With the switch that works, so that what follows has an answer to go on from.
        self.judged(request, judge).await
    }

    /// Tries what else the profile could say, until something works. From then on it is in force here.
    async fn other_switch(
        &mut self,
        check: CheckId,
        failure: Failure,
        request: &Value,
        judge: &dyn Fn(&Played) -> Result<(), String>,
    ) -> Option<Switch> {
        let kind = self.bench.provider().kind;
        let profile = self.bench.profile();
        for other in switches::alternatives(check, failure, kind, &profile) {
            let Some(bench) = self.bench.with_switch(other.key, &other.value) else {
                continue;
            };
            let played = bench.play(request.clone()).await;
            self.tokens.add(&played.receipt);
            if judge(&played).is_err() {
                bench.close().await;
                continue;
            }
            let before = switches::in_force(check, kind, &profile);
            let now = before.into_iter().find(|now| now.key == other.key);
            let against = now.map(|switch| Evidence {
                check,
                switch,
                speaks: Speaks::Against,
                in_force: true,
            });
            self.evidence.extend(against);
            self.evidence.push(Evidence {
                check,
                switch: other.clone(),
                speaks: Speaks::For,
                in_force: false,
            });
            std::mem::replace(&mut self.bench, bench).close().await;
            return Some(other);
        }
        None
    }

    /// What is in force has worked.
    fn speak_for(&mut self, check: CheckId) {
        let kind = self.bench.provider().kind;
        for switch in switches::in_force(check, kind, &self.bench.profile()) {
            self.evidence.push(Evidence {
                check,
                switch,
                speaks: Speaks::For,
                in_force: true,
            });
        }
    }

    /// The effort that costs least.
    fn least_effort(&self) -> Option<String> {
        self.bench.model()?.reasoning_efforts.first().cloned()
    }

    /// The effort that the model is usually asked for.
    fn usual_effort(&self) -> Option<String> {
        self.bench.model()?.default_effort.clone()
    }
}

fn with_proof(failed: Checked, proven: Option<&Switch>) -> Checked {
    match proven {
        Some(switch) => {
            let works = format!(
                "it works with `{} = {}` in the profile",
                switch.key, switch.value
            );
            failed.hint(Some(works))
        }
        None => failed,
    }
}
