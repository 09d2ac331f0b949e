//! Scenes as events and pauses.

use std::time::Duration;

use polywire_conversation::{Event, StopReason, Text, Usage};

use crate::Step;
use crate::pick::Picked;
use crate::scene::Scene;
use crate::usage::tokens;

/// Before the first word: long enough to be seen, short enough not to annoy.
const THINKING_PAUSE: Duration = Duration::from_millis(150);

/// Between two pieces of text: about the pace of a fast model.
const DELTA_PAUSE: Duration = Duration::from_millis(20);

/// Words in a piece of text.
const WORDS_PER_DELTA: usize = 3;

/// The pieces in which the input of a call streams, in bytes, so that writers meet calls that come in parts.
const INPUT_BYTES_PER_DELTA: usize = 12;

const ABOUT: &str = "This is polywire's built-in demo model. It is a small script, not a language model, but it answered through the gateway: your request was read and routed, and this answer streamed back, just as with a provider. Only the connection to one was left out.";

const NEXT_STEP: &str = "For real answers, give polywire a provider: set its key, for example `ZAI_API_KEY`, and ask for one of its models, such as `zai/glm-5.1`. `polywire run codex -p zai` starts Codex on it.";

const SUMMARY: &str = "Summary: the user tried polywire's built-in demo model, which is a small script. It showed streaming, reasoning and a tool call. Nothing was changed and nothing is left to do.";

/// Plays a scene. `input_tokens` is what the request is taken to have cost.
pub(crate) fn play(scene: Scene, thinks: bool, input_tokens: u64) -> Vec<Step> {
    let mut script = Script::default();
    script.event(Event::Start {
        id: None,
        model: Some("demo"),
    });
    script.pause(THINKING_PAUSE);
    if thinks && let Some(thought) = thought(&scene) {
        script.reasoning(&thought);
    }
    let stop = match scene {
        Scene::Structured(json) => script.say(&json),
        Scene::Summary => script.say(SUMMARY),
        Scene::AfterTool(result) if result.is_empty() => script.say(&format!(
            "The tool answered, with no text in it.\n\n{ABOUT}\n\n{NEXT_STEP}"
        )),
        Scene::AfterTool(result) => script.say(&format!(
            "The tool answered:\n\n```\n{result}\n```\n\n{ABOUT}\n\n{NEXT_STEP}"
        )),
        Scene::Call(picked) => {
            script.say(&format!(
                "I call `{}` once, to show that tools work.",
                picked.name
            ));
            script.call(picked, input_tokens)
        }
        Scene::Talk(said) if said.is_empty() => script.say(&format!("{ABOUT}\n\n{NEXT_STEP}")),
        Scene::Talk(said) => script.say(&format!("You wrote: “{said}”\n\n{ABOUT}\n\n{NEXT_STEP}")),
    };
    script.end(stop, input_tokens)
}

/// What the demo thinks aloud. Whoever wants JSON gets nothing else.
fn thought(scene: &Scene) -> Option<String> {
    match scene {
        Scene::Structured(_) | Scene::Summary => None,
        Scene::AfterTool(_) => {
            Some("The tool has answered. I quote the beginning and stop.".to_owned())
        }
        Scene::Call(picked) => Some(format!(
            "The user wants to see something happen. `{}` is offered, so I show a tool call.",
            picked.name
        )),
        Scene::Talk(_) => {
            Some("There is no tool to show, so I say what I am and how to get further.".to_owned())
        }
    }
}

#[derive(Default)]
struct Script {
    steps: Vec<Step>,
    output_tokens: u64,
    reasoning_tokens: u64,
}

impl Script {
    fn event(&mut self, event: Event<'static>) {
        self.steps.push(Step::Event(event));
    }

    fn pause(&mut self, pause: Duration) {
        self.steps.push(Step::Pause(pause));
    }

    fn reasoning(&mut self, thought: &str) {
        self.reasoning_tokens += tokens(thought);
        self.output_tokens += tokens(thought);
        self.event(Event::ReasoningStart);
        self.deltas(words(thought), Event::ReasoningDelta);
        self.event(Event::ReasoningEnd);
    }

    fn say(&mut self, text: &str) -> StopReason {
        self.output_tokens += tokens(text);
        self.event(Event::TextStart);
        self.deltas(words(text), Event::TextDelta);
        self.event(Event::TextEnd);
        StopReason::Stop
    }

    fn call(&mut self, picked: Picked, input_tokens: u64) -> StopReason {
        self.output_tokens += tokens(&picked.input);
        self.steps.push(Step::CallStart {
            // A conversation grows from turn to turn, so that no two of its calls get the same id.
            id: format!("call_demo_{input_tokens:x}"),
            name: picked.name,
            namespace: picked.namespace,
            form: picked.form,
        });
        self.deltas(pieces(&picked.input), Event::CallDelta);
        self.event(Event::CallEnd);
        StopReason::Calls
    }

    fn deltas<'t>(
        &mut self,
        pieces: impl Iterator<Item = &'t str>,
        event: impl Fn(Text<'static>) -> Event<'static>,
    ) {
        for piece in pieces {
            self.event(event(Text::plain(piece.to_owned())));
            self.pause(DELTA_PAUSE);
        }
    }

    fn end(mut self, stop: StopReason, input_tokens: u64) -> Vec<Step> {
        self.event(Event::Usage(Usage {
            input: Some(input_tokens),
            cached: Some(0),
            cache_write: None,
            output: Some(self.output_tokens),
            reasoning: Some(self.reasoning_tokens),
            estimated: false,
        }));
        self.event(Event::Finish(stop));
        self.steps
    }
}

/// Text in pieces of a few words, spaces and all.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut ends = rest.match_indices(' ').map(|(at, _)| at + 1);
        let end = ends.nth(WORDS_PER_DELTA - 1).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Text in pieces of about as many bytes, never inside a character.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = (INPUT_BYTES_PER_DELTA..rest.len())
            .find(|&at| rest.is_char_boundary(at))
            .unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}
