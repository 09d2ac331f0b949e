//! Reachability, the key, the list of models, and one turn with a plain answer.

use polywire_catalog::{Auth, Kind};

use super::{Examination, Judged, with_proof};
use crate::bench::Played;
use crate::check::{CheckId, Checked};
use crate::judge;
use crate::reach::{Reach, reach, reach_provider};
use crate::requests;
use crate::switches::Failure;

impl Examination<'_> {
    /// Whether it makes sense to go on.
    pub(super) async fn reachable(&mut self) -> bool {
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
        goes_on && self.came_out(CheckId::Key).is_none()
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

    /// Whether there is an answer.
    pub(super) async fn answer(&mut self) -> bool {
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
            let mut streamed = judge::streaming(played);
            if self.bench.is_local() {
                // The wait is for a process that starts; there is no network that could hold anything back.
                streamed.hint = None;
            }
            if !streams(self.bench.provider().kind) {
                let note = format!(
                    "this kind tells each text when it is whole: {}",
                    streamed.note
                );
                streamed = Checked::unsupported(CheckId::Streaming, note);
            }
            self.end(streamed);
            self.usage(&judged).await;
        }
        answered
    }

    /// Whether the key is right shows in a turn only: some lists of models are for everybody.
    fn key(&mut self, played: &Played) {
        if self.came_out(CheckId::Key).is_some() {
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
}

/// Whether texts of this kind of provider come in pieces at all.
const fn streams(kind: Kind) -> bool {
    match kind {
        Kind::CodexExec => false,
        Kind::Chat
        | Kind::Messages
        | Kind::Responses
        | Kind::CodexAppServer
        | Kind::ChatGpt
        | Kind::CommandCode
        | Kind::Demo => true,
    }
}
