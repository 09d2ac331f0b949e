//! The checks, one after the other. Each is a turn or a part of one; what an earlier turn showed is not asked for again.

mod access;
mod answers;
mod tools;

use std::sync::Arc;

use polywire_catalog::Provider;
use polywire_gateway::{Configuration, ConfigurationError};
use serde_json::Value;

use crate::bench::{Bench, Played};
use crate::check::{CheckId, Checked, Outcome};
use crate::judge;
use crate::reach::Reach;
use crate::report::{Report, Tokens};
use crate::switches::{self, Evidence, Failure, Speaks, Switch};

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
            let because = if self.came_out(CheckId::Key) == Some(Outcome::Fails) {
                "there is no key"
            } else {
                "the provider was not reached"
            };
            self.skip_rest(because);
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

    /// How a check came out that has been made.
    fn came_out(&self, check: CheckId) -> Option<Outcome> {
        let mut done = self.checks.iter().filter(|done| done.check == check);
        Some(done.next()?.outcome)
    }

    fn skip_rest(&mut self, because: &str) {
        for check in CheckId::ALL {
            if self.came_out(*check).is_none() {
                self.end(Checked::skipped(*check, because));
            }
        }
    }

    async fn play(&mut self, request: Value) -> Played {
        let played = self.bench.play(request).await;
        self.tokens.add(&played.receipt);
        played
    }

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
        let failed = judge::failed(check, &judged.played, wrong);
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
