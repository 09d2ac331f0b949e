//! What an answer is worth.

use std::time::Duration;

use serde_json::Value;

use crate::bench::Played;
use crate::check::{CheckId, Checked};
use crate::finding::Finding;
use crate::reach::Reach;
use crate::requests::{LATE_WORD, TOOL, TOOL_NUMBER, fits_schema};

/// Fewer pieces are no stream: forty numbers are some forty tokens.
const PIECES_MIN: usize = 3;

/// A first piece that came sooner tells nothing of whether the rest was held back.
const HELD_BACK_MIN: Duration = Duration::from_millis(500);

/// The most characters of an answer that are quoted.
const QUOTED_CHARS_MAX: usize = 80;

/// What a request for the list of models says: whether the provider is reached, whether it lists models, and whether it makes sense
/// to go on.
pub(crate) fn reach(reach: &Reach) -> (Checked, Option<Checked>, bool) {
    let finding = &reach.finding;
    let steps = reach.steps_line();
    let note = match &reach.proxy {
        Some(proxy) => format!("{steps}, through the proxy {proxy}"),
        None => steps,
    };
    let listed = |checked: Checked| Some(checked.hint(finding.hint()));
    let reached = Checked::works(CheckId::Reachable, note);
    match finding {
        Finding::Works {
            models: Some(models),
        } => {
            let models = Checked::works(CheckId::Models, format!("{models} listed"));
            (reached, Some(models), true)
        }
        Finding::Works { models: None } | Finding::NoList { .. } => {
            let none = Checked::unsupported(CheckId::Models, "the provider gives out no list");
            (reached, listed(none), true)
        }
        Finding::KeyRefused { .. } | Finding::Limited { .. } | Finding::Failing { .. } => {
            let none = Checked::fails(CheckId::Models, finding.message());
            (reached, listed(none), true)
        }
        // Only that path may be in the wrong; whether turns work will show.
        Finding::Page { .. } | Finding::Moved { .. } => {
            let none = Checked::fails(CheckId::Models, finding.message());
            (reached, listed(none), true)
        }
        Finding::Filtered { .. } | Finding::Stopped { .. } => {
            let failed = Checked::fails(CheckId::Reachable, finding.message());
            (failed.hint(finding.hint()), None, false)
        }
    }
}

/// The words of a fault, and the way out that stands behind them.
pub(crate) fn words_and_hint(message: &str) -> (String, Option<String>) {
    match message.split_once(". hint: ") {
        Some((words, hint)) => (words.to_owned(), Some(hint.to_owned())),
        None => (message.to_owned(), None),
    }
}

/// A check whose turn was not as it should be.
pub(crate) fn failed(check: CheckId, played: &Played, wrong: &str) -> Checked {
    let (words, hint) = words_and_hint(wrong);
    let words = match &played.fault {
        Some(_) => words,
        None if played.cut_off => format!("{words}; the answer reached the limit of tokens"),
        None => words,
    };
    Checked::fails(check, words).hint(hint)
}

/// Whether the request itself may be at fault, so that another form of it may do better.
pub(crate) fn is_about_request(played: &Played) -> bool {
    played.fault.is_none() || played.is_refused()
}

/// What is worth saying of a check that works.
pub(crate) fn note(check: CheckId, played: &Played) -> String {
    match check {
        CheckId::Image => quoted(&played.text),
        CheckId::ParallelCalls => format!("{} calls", played.calls().len()),
        CheckId::Reachable
        | CheckId::Key
        | CheckId::Models
        | CheckId::Answer
        | CheckId::Streaming
        | CheckId::Usage
        | CheckId::ToolCall
        | CheckId::ToolResult
        | CheckId::DemandedCall
        | CheckId::StructuredOutput
        | CheckId::LateInstructions
        | CheckId::Reasoning
        | CheckId::ReasoningReplay => String::new(),
    }
}

/// Any answer at all.
pub(crate) fn anything(played: &Played) -> Result<(), String> {
    match &played.fault {
        Some(fault) => Err(fault.words.clone()),
        None => Ok(()),
    }
}

/// A text.
pub(crate) fn answer(played: &Played) -> Result<(), String> {
    anything(played)?;
    if played.text.trim().is_empty() {
        return Err("the answer has no text".to_owned());
    }
    Ok(())
}

/// Whether the text came in pieces, and over what time.
pub(crate) fn streaming(played: &Played) -> Checked {
    let check = CheckId::Streaming;
    let pieces = played.pieces.len();
    let (Some(first), Some(last)) = (played.pieces.first(), played.pieces.last()) else {
        return Checked::fails(check, "no text came");
    };
    let spread = last.saturating_sub(*first);
    if pieces < PIECES_MIN {
        let note = format!(
            "the whole text came in {} after {}",
            many(pieces, "piece"),
            seconds(*first)
        );
        let hint = "a proxy or the server holds the answer back until it is whole; clients show nothing until then";
        return Checked::fails(check, note).hint(Some(hint.to_owned()));
    }
    let note = format!(
        "first piece after {}, {} within {}",
        seconds(*first),
        many(pieces, "piece"),
        seconds(spread)
    );
    let at_once = *first >= HELD_BACK_MIN && spread < *first / 20;
    let checked = Checked::works(check, note);
    if at_once {
        let hint = "all pieces came at once after a long wait: something on the way may hold the stream back";
        return checked.hint(Some(hint.to_owned()));
    }
    checked
}

/// The counts that the provider gave, in words; nothing when polywire had to estimate.
pub(crate) fn usage(played: &Played) -> Option<String> {
    let usage = played.receipt.usage.filter(|usage| !usage.estimated)?;
    let count =
        |tokens: Option<u64>| tokens.map_or_else(|| "?".to_owned(), |tokens| tokens.to_string());
    Some(format!(
        "{} in, {} out",
        count(usage.input),
        count(usage.output)
    ))
}

/// One call of the tool, with arguments that are JSON.
pub(crate) fn one_call(played: &Played) -> Result<(), String> {
    anything(played)?;
    let calls = played.calls();
    if calls.is_empty() {
        let said = quoted(&played.text);
        return Err(match said.as_str() {
            "" => "no call came".to_owned(),
            said => format!("no call came; the model said {said}"),
        });
    }
    calls.into_iter().try_for_each(is_good_call)
}

/// Two calls in one answer.
pub(crate) fn two_calls(played: &Played) -> Result<(), String> {
    one_call(played)?;
    match played.calls().len() {
        1 => Err("one call came at a time".to_owned()),
        _ => Ok(()),
    }
}

fn is_good_call(call: &Value) -> Result<(), String> {
    let name = call["name"].as_str().unwrap_or_default();
    if name != TOOL {
        return Err(format!(
            "a tool was called that was not offered: {}",
            quoted(name)
        ));
    }
    let arguments = call["arguments"].as_str().unwrap_or_default();
    let read: Result<Value, _> = serde_json::from_str(arguments);
    match read {
        Ok(read) if read["name"].is_string() => Ok(()),
        Ok(_) | Err(_) => Err(format!(
            "the arguments of the call are not as the tool wants them: {}",
            quoted(arguments)
        )),
    }
}

/// An answer after the tool's.
pub(crate) fn tool_result(played: &Played) -> Result<(), String> {
    answer(played)
}

/// Whether the model has read what the tool said.
pub(crate) fn result_note(played: &Played) -> String {
    if played.text.contains(TOOL_NUMBER) {
        String::new()
    } else {
        format!(
            "taken, but the answer does not tell it: {}",
            quoted(&played.text)
        )
    }
}

/// Whether thoughts went back with the result of a tool. What was left behind is a loss of that turn.
pub(crate) fn replay(played: &Played) -> Checked {
    let check = CheckId::ReasoningReplay;
    match loss_about(played, "reasoning") {
        Some(loss) => Checked::unsupported(check, loss),
        None => Checked::works(check, ""),
    }
}

/// What the gateway lost of this, in its words.
pub(crate) fn loss_about(played: &Played, what: &str) -> Option<String> {
    let mut losses = played.receipt.losses.iter();
    let loss = losses.find(|loss| loss.what.contains(what))?;
    Some(loss.why.clone())
}

/// What is known of a model's thoughts.
pub(crate) enum Thoughts {
    /// They can be read.
    Shown(String),
    /// They were counted, or came sealed.
    Hidden(String),
}

/// What a turn shows of the model's thoughts.
pub(crate) fn thoughts(played: &Played) -> Option<Thoughts> {
    let shown = played.reasoning.chars().count();
    if shown > 0 {
        return Some(Thoughts::Shown(format!("{shown} characters")));
    }
    let counted = played.receipt.usage.and_then(|usage| usage.reasoning);
    if let Some(counted @ 1..) = counted {
        return Some(Thoughts::Hidden(format!(
            "the model thinks ({counted} tokens) and shows nothing of it"
        )));
    }
    let sealed = played.items.iter().any(|item| item["type"] == "reasoning");
    sealed.then(|| Thoughts::Hidden("the model's thoughts come sealed".to_owned()))
}

/// An answer by the schema.
pub(crate) fn schema(played: &Played) -> Result<(), String> {
    anything(played)?;
    fits_schema(&played.text).map_err(|wrong| {
        let said = quoted(&played.text);
        format!("the schema is ignored: {wrong}: {said}")
    })
}

/// The word that later instructions ask for.
pub(crate) fn late(played: &Played) -> Result<(), String> {
    answer(played)?;
    if played.text.to_uppercase().contains(LATE_WORD) {
        return Ok(());
    }
    Err(format!("they are not followed: {}", quoted(&played.text)))
}

/// The colour of the picture.
pub(crate) fn picture(played: &Played) -> Result<(), String> {
    answer(played)?;
    if played.text.to_lowercase().contains("red") {
        return Ok(());
    }
    Err(format!(
        "the model did not see that the picture is red: {}",
        quoted(&played.text)
    ))
}

fn quoted(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        return line;
    }
    format!("“{}”", polywire_wire::clean(&line, QUOTED_CHARS_MAX))
}

fn many(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

fn seconds(time: Duration) -> String {
    match time.as_millis() {
        0..1000 => format!("{} ms", time.as_millis()),
        _ => format!("{:.1} s", time.as_secs_f32()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Outcome;

    fn pieces(at_ms: &[u64]) -> Played {
        Played {
            text: "x".repeat(at_ms.len()),
            pieces: at_ms.iter().map(|ms| Duration::from_millis(*ms)).collect(),
            ..Played::default()
        }
    }

    #[test]
    fn streams_are_told_from_lumps() {
        for (at_ms, outcome, is_doubted) in [
            (&[][..], Outcome::Fails, false),
            (&[900], Outcome::Fails, true),
            (&[900, 901], Outcome::Fails, true),
            (&[1, 1, 2], Outcome::Works, false),
            (&[900, 1200, 1800], Outcome::Works, false),
            (&[2000, 2001, 2003], Outcome::Works, true),
        ] {
            let checked = streaming(&pieces(at_ms));
            assert_eq!(checked.outcome, outcome, "{at_ms:?}: {checked:?}");
            assert_eq!(checked.hint.is_some(), is_doubted, "{at_ms:?}");
        }
    }
}
