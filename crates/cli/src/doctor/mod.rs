//! `polywire doctor`: what is wrong, and what to do.
//!
//! Reading order: `finding` (what a check gives), `check` (all of them, as data), then one file for each group. Nothing here changes a file of
//! the user's; what has to be tried is tried in a home of its own (`trial`).

mod background;
mod check;
mod clock;
mod codex;
mod codex_config;
mod codex_secrets;
mod contract;
mod edits;
mod finding;
mod keys;
mod known;
mod modes;
mod ports;
mod prove_clean;
mod proxies;
mod reach;
mod settings;
mod signals;
mod stale;
mod trial;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use futures_util::future::join_all;
use polywire_settings::{CodexPlaces, Overrides, ProcessEnvironment};

use crate::logging::{note, say};
use crate::printable::{printable, printable_json};
use crate::{cleanup, configuration};
use check::{CHECKS, Outcome, Subject};
use finding::{Finding, Severity};
use signals::Signals;

#[derive(Args)]
#[command(
    after_help = "Exit codes: 0 when there is no problem (warnings are none), 1 when there is one. 129, 130 or 143 when it was ended by a signal."
)]
pub(crate) struct DoctorArguments {
    /// Write JSON
    #[arg(long)]
    json: bool,
    /// Ask no provider. Commands that give keys are run all the same
    #[arg(long)]
    offline: bool,
    /// Show instead that a `polywire run codex` leaves your files as they are: compares them before and after one
    #[arg(long)]
    prove_clean: bool,
    /// Where the Codex CLI is [default: the first `codex` of the search path]
    #[arg(long, value_name = "PATH")]
    codex: Option<PathBuf>,
    /// Where Codex Desktop is installed, if in none of its packages' usual places
    #[arg(long, value_name = "FOLDER", value_parser = cleanup::installation)]
    desktop: Option<PathBuf>,
}

pub(crate) async fn doctor(
    arguments: DoctorArguments,
    overrides: Overrides,
) -> anyhow::Result<ExitCode> {
    let subject = Arc::new(subject(&arguments, overrides)?);
    if !arguments.prove_clean && !arguments.json {
        note(
            "looking at settings, keys, the network and Codex; this takes some seconds, or up to two minutes when something does not answer",
        );
    }
    let mut signals = Signals::new()?;
    // A signal drops the work, and with it what it has started and made.
    let outcomes = tokio::select! {
        outcomes = outcomes(&subject, arguments.prove_clean) => outcomes,
        code = signals.any() => return Ok(ExitCode::from(code)),
    };
    let worst = outcomes
        .iter()
        .flat_map(|outcome| &outcome.findings)
        .map(|finding| finding.severity)
        .max();
    if arguments.json {
        let json = serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"),
            "worst": worst.map(Severity::word),
            "checks": outcomes,
        });
        say(printable_json(&serde_json::to_string_pretty(&json)?));
    } else {
        show(&outcomes);
    }
    Ok(if worst == Some(Severity::Problem) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn outcomes(subject: &Arc<Subject>, prove_clean: bool) -> Vec<Outcome> {
    if prove_clean {
        return vec![prove_clean::outcome(subject).await];
    }
    join_all(CHECKS.iter().map(|check| check.outcome(subject))).await
}

fn subject(arguments: &DoctorArguments, overrides: Overrides) -> anyhow::Result<Subject> {
    let settings = configuration::load(&overrides);
    let engines = settings.as_ref().map(|settings| settings.engines.values());
    let engine_homes: Vec<PathBuf> = engines.map_or_else(
        |_| Vec::new(),
        |engines| engines.map(|engine| engine.engine_home.clone()).collect(),
    );
    let search_path = configuration::variable("PATH");
    let codex = crate::codex::find(arguments.codex.as_deref(), search_path.as_deref());
    Ok(Subject {
        settings: settings.map_err(|error| error.to_string()),
        codex: codex.map_err(|error| error.to_string()),
        codex_places: CodexPlaces::find(&ProcessEnvironment)?,
        leftovers: cleanup::Places::find(arguments.desktop.as_deref(), engine_homes, &overrides)?,
        offline: arguments.offline,
        overrides,
    })
}

fn show(outcomes: &[Outcome]) {
    for outcome in outcomes
        .iter()
        .filter(|outcome| !outcome.findings.is_empty())
    {
        say(outcome.check);
        for finding in &outcome.findings {
            show_one(finding);
        }
    }
    let findings = || outcomes.iter().flat_map(|outcome| &outcome.findings);
    let count = |severity| {
        findings()
            .filter(|finding| finding.severity == severity)
            .count()
    };
    say(format_args!(
        "{}, {}",
        counted(count(Severity::Problem), "problem"),
        counted(count(Severity::Warning), "warning")
    ));
}

fn show_one(finding: &Finding) {
    let place = finding
        .place
        .as_ref()
        .map_or_else(String::new, |place| format!("{place}: "));
    say(format_args!(
        "  {:<8} {}",
        finding.severity.word(),
        printable(&format!("{place}{}", finding.what))
    ));
    if let Some(hint) = &finding.hint {
        say(format_args!("           hint: {}", printable(hint)));
    }
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        0 => format!("no {what}s"),
        count => format!("{count} {what}s"),
    }
}
