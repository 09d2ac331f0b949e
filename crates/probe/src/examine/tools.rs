//! Tools: one call, its result, two calls, a call on demand.

use serde_json::Value;

use super::{Examination, with_proof};
use crate::bench::Played;
use crate::check::{CheckId, Checked, Outcome};
use crate::judge;
use crate::requests;
use crate::switches::{self, Failure};

impl Examination<'_> {
    /// The turn in which a tool was called, for what it shows of the model's thoughts.
    pub(super) async fn tools(&mut self) -> Option<Played> {
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
            self.end(judge::failed(CheckId::ToolResult, &played, &wrong));
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
                self.end(judge::failed(CheckId::ToolResult, &played, &wrong));
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

    pub(super) async fn demanded_call(&mut self) {
        let check = CheckId::DemandedCall;
        if self.came_out(check).is_some() {
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
            self.end(judge::failed(check, &played, &wrong));
            return;
        }
        // Another spelling of the demand has to bring the call. Without a demand, which polywire tells as a loss, any answer will do.
        let answers = |played: &Played| match judge::loss_about(played, "tool_choice") {
            Some(_) => judge::anything(played),
            None => judge::one_call(played),
        };
        let proven = self
            .other_switch(check, Failure::Refused, &request, &answers)
            .await;
        self.end(with_proof(
            judge::failed(check, &played, &wrong),
            proven.as_ref(),
        ));
    }
}
