//! The form of answers, later instructions, thoughts, pictures.

use super::{Examination, with_proof};
use crate::bench::Played;
use crate::check::{CheckId, Checked};
use crate::judge;
use crate::requests;
use crate::switches::{self, FormBy};

impl Examination<'_> {
    pub(super) async fn structured_output(&mut self) {
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
        let failed = judge::failed(check, &judged.played, &wrong);
        self.end(with_proof(failed, proven.as_ref()));
    }

    pub(super) async fn late_instructions(&mut self) {
        self.begin(CheckId::LateInstructions);
        let effort = self.least_effort();
        let request = requests::with_effort(requests::late_instructions(), effort.as_deref());
        self.tried(CheckId::LateInstructions, request, &|played| {
            judge::late(played)
        })
        .await;
    }

    /// `called` is the turn in which a tool was called.
    pub(super) async fn reasoning(&mut self, called: Option<Played>) {
        let check = CheckId::Reasoning;
        self.begin(check);
        let claims = self
            .bench
            .model()
            .is_some_and(|model| !model.reasoning_efforts.is_empty());
        let seen = called.as_ref().and_then(judge::thoughts);
        let seen = if seen.is_some() {
            seen
        } else {
            let effort = self.usual_effort();
            let request = requests::with_effort(requests::think(), effort.as_deref());
            let played = self.play(request).await;
            if let Some(fault) = &played.fault {
                self.end(judge::failed(check, &played, &fault.words));
                self.skip_replay("there was no answer with thoughts");
                return;
            }
            judge::thoughts(&played)
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
        if self.came_out(check).is_none() {
            self.end(Checked::skipped(check, because));
        }
    }

    pub(super) async fn picture(&mut self) {
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
}
