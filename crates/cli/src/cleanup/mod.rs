//! `polywire cleanup`: what programs that ended badly have left behind.
//!
//! Everything is proven before it is touched: whose it is, when it began, what it runs, whether its parent lives, whether somebody answers. What
//! cannot be proven is shown and kept. Nothing is judged by its name alone.
//!
//! Reading order: `leftover` (what is found), `places` (where to look), `desktop`, `codex`, `own` (the rules), `act`.

mod act;
mod background;
mod codex;
mod desktop;
mod leftover;
mod number;
mod own;
mod places;
mod search;
mod socket;
mod stall;
mod work_folders;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Args;
use polywire_settings::Overrides;
use serde::Serialize;

use crate::logging::{note, say};
use crate::printable::{printable, printable_json};
use crate::{ask, configuration};

pub(crate) use leftover::Leftover;
pub(crate) use places::{Places, Snapshot, installation};
pub(crate) use search::search;
pub(crate) use stall::{Stall, hanging_desktop, stalls};
pub(crate) use work_folders::OF_DOCTOR;

#[derive(Args)]
#[command(
    after_help = "Exit codes: 0 when nothing is left to do or nothing was to be done, 1 when something could not be ended or removed, or nothing was found of an `--only`."
)]
pub(crate) struct CleanupArguments {
    /// End and remove what is proven to be stale, without asking
    #[arg(long)]
    yes: bool,
    /// Look at this process or file alone; can be given several times
    #[arg(long, value_name = "PID|PATH")]
    only: Vec<String>,
    /// Write JSON
    #[arg(long)]
    json: bool,
    /// Where Codex Desktop is installed, if in none of its packages' usual places
    #[arg(long, value_name = "FOLDER", value_parser = installation)]
    desktop: Option<PathBuf>,
}

/// A leftover, and what was done about it.
#[derive(Serialize)]
struct Treated {
    #[serde(flatten)]
    leftover: Leftover,
    /// Whether it is proven that nobody needs it.
    stale: bool,
    /// What was done.
    done: Option<&'static str>,
    /// Why it could not be done.
    error: Option<String>,
}

pub(crate) fn cleanup(
    arguments: &CleanupArguments,
    overrides: &Overrides,
) -> anyhow::Result<ExitCode> {
    let places = places(arguments.desktop.as_deref(), overrides)?;
    let mut found = search(&places)?;
    let mut stalls = stalls(&places, &Snapshot::take()?, SystemTime::now());
    let unknown = retain_only(&arguments.only, &mut found, &mut stalls);
    if !arguments.json {
        show(&found);
        show_stalls(&stalls);
    }
    let anything = found.iter().any(Leftover::is_stale);
    let wanted = anything && (arguments.yes || (!arguments.json && is_agreed()?));
    if anything && !wanted && !arguments.json {
        note("nothing was changed\nhint: `polywire cleanup --yes` ends and removes what is stale");
    }
    let treated: Vec<Treated> = found
        .into_iter()
        .map(|leftover| treat(leftover, wanted, &places))
        .collect();
    if arguments.json {
        let json = serde_json::json!({ "leftovers": treated, "stalls": stalls });
        say(printable_json(&serde_json::to_string_pretty(&json)?));
    } else {
        tell(&treated);
    }
    for only in &unknown {
        note(format_args!(
            "error: nothing was found of `{}`\nhint: `polywire cleanup` shows all that is found",
            printable(only)
        ));
    }
    let failed = !unknown.is_empty() || treated.iter().any(|treated| treated.error.is_some());
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Leaves what `--only` names. Gives those that name nothing.
fn retain_only<'a>(
    only: &'a [String],
    found: &mut Vec<Leftover>,
    stalls: &mut Vec<Stall>,
) -> Vec<&'a str> {
    if only.is_empty() {
        return Vec::new();
    }
    found.retain(|leftover| only.iter().any(|only| leftover.subject.is(only)));
    stalls.retain(|stall| only.iter().any(|only| only.parse() == Ok(stall.pid())));
    let names_nothing = |only: &&str| {
        !found.iter().any(|leftover| leftover.subject.is(only))
            && !stalls.iter().any(|stall| only.parse() == Ok(stall.pid()))
    };
    only.iter()
        .map(String::as_str)
        .filter(names_nothing)
        .collect()
}

/// Where to look. Settings that cannot be read keep nobody from cleaning up; only the engines' folders are not known then.
pub(crate) fn places(
    desktop: Option<&std::path::Path>,
    overrides: &Overrides,
) -> anyhow::Result<Places> {
    let homes: Vec<PathBuf> = match configuration::load(overrides) {
        Ok(settings) => {
            let engines = settings.engines.values();
            engines.map(|engine| engine.engine_home.clone()).collect()
        }
        Err(error) => {
            note(format_args!(
                "warning: the settings cannot be read, so the work folders of engines are not looked at: {error}"
            ));
            Vec::new()
        }
    };
    Places::find(desktop, homes, overrides)
}

fn treat(leftover: Leftover, wanted: bool, places: &Places) -> Treated {
    let stale = leftover.is_stale();
    let result = (stale && wanted).then(|| act::act(&leftover, places));
    let (done, error) = match result {
        None => (None, None),
        Some(Ok(done)) => (Some(done), None),
        Some(Err(error)) => (None, Some(format!("{error:#}"))),
    };
    Treated {
        leftover,
        stale,
        done,
        error,
    }
}

fn show(found: &[Leftover]) {
    let (stale, kept): (Vec<_>, Vec<_>) = found.iter().partition(|found| found.is_stale());
    if stale.is_empty() {
        say("Nothing stale was found.");
    } else {
        say("Stale, and proven to be:");
    }
    for leftover in stale {
        show_one(leftover);
    }
    if !kept.is_empty() {
        say("Kept:");
    }
    for leftover in kept {
        show_one(leftover);
    }
}

fn show_one(leftover: &Leftover) {
    let subject = leftover.subject.to_string();
    say(format_args!(
        "  {}: {}",
        leftover.kind.words(),
        printable(&subject)
    ));
    for fact in leftover.proof.iter().chain(&leftover.kept) {
        say(format_args!("      {}", printable(fact)));
    }
}

/// What does nothing may be at work in a way that is not seen, so that it is never ended here.
fn show_stalls(stalls: &[Stall]) {
    if !stalls.is_empty() {
        say("Runs and does nothing (never ended by this command):");
    }
    for stall in stalls {
        say(format_args!(
            "  process {}: {}",
            stall.pid(),
            printable(&stall.words())
        ));
        say(format_args!("      hint: {}", printable(&stall.hint())));
    }
}

fn tell(treated: &[Treated]) {
    for Treated {
        leftover,
        done,
        error,
        ..
    } in treated
    {
        let subject = printable(&leftover.subject.to_string());
        match (done, error) {
            (Some(done), _) => say(format_args!("{done}: {subject}")),
            (None, Some(error)) => note(format_args!(
                "error: {subject} is left: {}\nhint: run `polywire cleanup` again to see how it stands now",
                printable(error)
            )),
            (None, None) => {}
        }
    }
}

/// Asks on a terminal; elsewhere nobody agrees.
fn is_agreed() -> anyhow::Result<bool> {
    Ok(ask::is_possible() && ask::whether("End and remove what is stale?", false)?)
}
