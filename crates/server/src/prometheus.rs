//! What was counted, in the text format of Prometheus (version 0.0.4).

use std::fmt::{Display, Write as _};

use polywire_conversation::Severity;
use polywire_gateway::EngineState;
use polywire_gateway::metrics::{Counts, Histogram};

use crate::operations::{Facts, Machine};

/// The type of the page.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The page.
pub(crate) fn page(facts: &Facts) -> String {
    let mut page = Page::default();
    gateway(&mut page, facts);
    requests(&mut page, &facts.counts);
    turns(&mut page, &facts.counts);
    first_content(&mut page, &facts.counts);
    machine(&mut page, &facts.machine);
    page.text
}

fn gateway(page: &mut Page, facts: &Facts) {
    page.family(
        "polywire_build_info",
        "gauge",
        "The version that is running.",
    );
    page.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.family(
        "polywire_uptime_seconds",
        "gauge",
        "How long the gateway has been running.",
    );
    page.sample(&[], facts.uptime.as_secs_f64());
    page.family(
        "polywire_turns_at_work",
        "gauge",
        "Turns whose answer has not ended.",
    );
    page.sample(&[], facts.turns_at_work);
}

fn requests(page: &mut Page, counts: &Counts) {
    page.family(
        "polywire_requests_total",
        "counter",
        "Turns that have ended, and requests that were refused before they became one.",
    );
    page.sample(&[], counts.requests());
    page.family(
        "polywire_requests_ok_total",
        "counter",
        "Turns whose answer came to its end.",
    );
    page.sample(&[], counts.ok);
    page.family(
        "polywire_requests_client_left_total",
        "counter",
        "Turns whose client left before the end.",
    );
    page.sample(&[], counts.client_left);
    page.family(
        "polywire_requests_error_total",
        "counter",
        "Turns that failed and requests that were refused, by the status that tells it best.",
    );
    let failed = counts.failed_by_status.iter().map(|entry| ("turn", entry));
    let refused = counts.refused_by_status.iter();
    for (stage, (status, count)) in failed.chain(refused.map(|entry| ("refused", entry))) {
        page.sample(&[("status", &status.to_string()), ("stage", stage)], count);
    }
}

fn turns(page: &mut Page, counts: &Counts) {
    page.family(
        "polywire_turns_total",
        "counter",
        "Turns that have ended, by provider, dialect of the client, and why: the stop reason, the class of the fault, or client_left.",
    );
    for (turn, count) in &counts.turns {
        let labels = [
            ("provider", &*turn.provider),
            ("dialect", turn.dialect),
            ("outcome", turn.outcome),
        ];
        page.sample(&labels, count);
    }
    page.family(
        "polywire_failed_attempts_total",
        "counter",
        "Attempts that failed and were followed by another.",
    );
    for ((provider, fault), count) in &counts.failed_attempts {
        page.sample(&[("provider", provider), ("outcome", fault)], count);
    }
    page.family(
        "polywire_tokens_total",
        "counter",
        "Tokens. cached and cache_write are part of input, reasoning is part of output; estimated are those that no provider counted.",
    );
    for (tokens, sum) in &counts.tokens {
        let labels = [
            ("provider", &*tokens.provider),
            ("kind", tokens.kind.name()),
            ("estimated", if tokens.estimated { "true" } else { "false" }),
        ];
        page.sample(&labels, sum);
    }
    page.family(
        "polywire_losses_total",
        "counter",
        "What could not be carried to a provider or back, by how much it matters.",
    );
    for (severity, count) in &counts.losses {
        page.sample(&[("severity", severity_name(*severity))], count);
    }
}

const fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Degraded => "degraded",
        Severity::Severe => "severe",
    }
}

fn first_content(page: &mut Page, counts: &Counts) {
    let name = "polywire_time_to_first_content_seconds";
    page.family(
        name,
        "histogram",
        "From the beginning of a turn to the first part of its answer.",
    );
    for (provider, times) in &counts.first_content {
        let mut so_far = 0;
        for (bound, within) in Histogram::BOUNDS.iter().zip(times.within) {
            so_far += within;
            let labels = [("provider", &**provider), ("le", &bound.to_string())];
            page.part("_bucket", &labels, so_far);
        }
        page.part(
            "_bucket",
            &[("provider", provider), ("le", "+Inf")],
            times.count,
        );
        page.part("_sum", &[("provider", provider)], times.seconds);
        page.part("_count", &[("provider", provider)], times.count);
    }
}

/// A family of samples of engines: its name, what it says, and its value.
type EngineFamily = (&'static str, &'static str, fn(&EngineState) -> u64);

fn machine(page: &mut Page, machine: &Machine) {
    let families: [EngineFamily; 7] = [
        (
            "polywire_engine_workers",
            "How many turns the engine can work on at a time.",
            |state| state.workers,
        ),
        (
            "polywire_engine_workers_busy",
            "How many it works on.",
            |state| state.busy,
        ),
        (
            "polywire_engine_turns_waiting",
            "How many wait for it.",
            |state| state.waiting,
        ),
        (
            "polywire_engine_queue_max",
            "How many may wait for it.",
            |state| state.queue,
        ),
        (
            "polywire_engine_processes",
            "How many of its processes are running.",
            |state| state.started,
        ),
        (
            "polywire_engine_threads_waiting",
            "How many threads wait for the results of tools.",
            |state| state.waiting_threads,
        ),
        (
            "polywire_engine_pool_started",
            "Whether its workers have been started.",
            |state| u64::from(state.pool_started),
        ),
    ];
    for (name, help, value) in families {
        page.family(name, "gauge", help);
        for engine in &machine.engines {
            let labels = [("provider", &*engine.provider), ("engine", engine.kind)];
            page.sample(&labels, value(&engine.state));
        }
    }
    page.family(
        "polywire_provider_problem",
        "gauge",
        "1 for what a provider lacks on this machine.",
    );
    for (provider, problem) in &machine.problems {
        let labels = [("provider", &**provider), ("problem", problem.kind.name())];
        page.sample(&labels, 1);
    }
}

#[derive(Default)]
struct Page {
    text: String,
    family: &'static str,
}

impl Page {
    /// A new family of samples.
    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.family = name;
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    /// A sample of the family.
    fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.part("", labels, value);
    }

    /// A sample of the family under a name that goes on.
    fn part(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let family = self.family;
        let pairs: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        if pairs.is_empty() {
            self.line(format_args!("{family}{suffix} {value}"));
        } else {
            let labels = pairs.join(",");
            self.line(format_args!("{family}{suffix}{{{labels}}} {value}"));
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        if self.text.write_fmt(line).is_ok() {
            self.text.push('\n');
        }
    }
}

/// A label's value as it stands between quotation marks.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut page = Page::default();
        page.family("a", "gauge", "b");
        page.sample(&[("l", "x\"\\\ny")], 0.5);
        assert_eq!(
            page.text,
            "# HELP a b\n# TYPE a gauge\na{l=\"x\\\"\\\\\\ny\"} 0.5\n"
        );
    }
}
