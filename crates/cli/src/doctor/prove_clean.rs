//! `--prove-clean`: whether a `polywire run codex` leaves the user's files as they are.
//!
//! A real run of the installed Codex on the demo provider, in the user's own home, with hashes of the files before and after. Codex itself writes
//! in its home whenever it runs, with or without polywire: those files are named, and told apart from the user's.

mod files;

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use tokio::process::Command;

use self::files::{Change, Skipped, Tree, places};
use super::check::{Outcome, Subject};
use super::finding::{Finding, Severity};
use super::trial::{TemporaryHome, output};
use crate::printable::shortened;

/// How long the run may take; as for the contract.
const RUN_TIMEOUT: Duration = Duration::from_mins(2);

/// How many of Codex's own files are named; the others are counted.
const NAMED_MAX: usize = 12;

pub(crate) async fn outcome(subject: &Subject) -> Outcome {
    let findings = match prove(subject).await {
        Ok(findings) => findings,
        Err(error) => vec![
            Finding::problem("prove_clean", format!("it could not be tried: {error:#}"))
                .hint("`polywire doctor` without this option tells what is wrong"),
        ],
    };
    Outcome {
        check: "prove clean",
        findings,
    }
}

async fn prove(subject: &Subject) -> anyhow::Result<Vec<Finding>> {
    let codex = subject
        .codex
        .as_ref()
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    let work = TemporaryHome::new(&subject.overrides)?;
    let places = places(&subject.codex_places.home, subject.settings.as_ref().ok());
    let before = Tree::read(&places);
    let ended = run(codex, subject, &work).await;
    let after = Tree::read(&places);
    let ended = ended?;
    let unread = |tree: &Tree| tree.skipped().iter().any(|skipped| skipped.is_users);
    let proven = ended.severity == Severity::Ok && !unread(&before) && !unread(&after);
    let mut found = vec![ended];
    let changes = before.changes(&after);
    let (codexs, others): (Vec<&Change>, Vec<&Change>) =
        changes.iter().partition(|change| change.is_codexs);
    found.extend(
        others
            .iter()
            .map(|change| foreign(change, &subject.codex_places.home)),
    );
    if others.is_empty() && proven {
        found.push(Finding::ok(
            "prove_clean",
            format!(
                "{} of your files are byte for byte what they were, they and their folders with the same modes",
                before.of_users()
            ),
        ));
    }
    if !codexs.is_empty() {
        found.push(
            Finding::ok("codexs_own", codexs_own(&codexs)).at(subject.codex_places.home.display()),
        );
    }
    found.extend(
        before
            .skipped()
            .iter()
            .chain(after.skipped())
            .map(not_compared),
    );
    found.extend(before.large().map(|path| {
        let what = "it is large, and was compared by size and time alone";
        Finding::notice("not_compared", what).at(path.display())
    }));
    found.dedup();
    Ok(found)
}

/// Runs `polywire run codex -p demo -- exec …` with the environment of the user.
async fn run(codex: &Path, subject: &Subject, work: &TemporaryHome) -> anyhow::Result<Finding> {
    let program = std::env::current_exe().context("where polywire itself is")?;
    let mut command = Command::new(program);
    if let Some(config) = &subject.overrides.config {
        command.arg("--config").arg(config);
    }
    command
        .args(["run", "codex", "-p", "demo", "--codex"])
        .arg(codex)
        .args([
            "--",
            "exec",
            "--json",
            "--skip-git-repo-check",
            "--ephemeral",
        ])
        .args(["--", "What is in this folder?"])
        .current_dir(work.at("work"));
    let output = tokio::time::timeout(RUN_TIMEOUT, output(command))
        .await
        .with_context(|| format!("the run did not end within {} s", RUN_TIMEOUT.as_secs()))??;
    if output.status.success() {
        return Ok(Finding::ok(
            "run",
            "`polywire run codex -p demo -- exec …` ended well",
        ));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let told = String::from_utf8_lossy(&output.stdout);
    let last = |text: &str| {
        let line = text.lines().rev().find(|line| !line.trim().is_empty());
        line.map(|line| shortened(line, 300))
    };
    let why = last(&said).or_else(|| last(&told)).unwrap_or_default();
    Ok(Finding::problem(
        "run",
        format!("the run failed, so that nothing is proven: {why}"),
    )
    .hint("`polywire doctor` without this option tells what is wrong"))
}

fn not_compared(skipped: &Skipped) -> Finding {
    let why = &skipped.why;
    let finding = if skipped.is_users {
        Finding::problem(
            "not_compared",
            format!("it was not compared, so that nothing is proven of it: {why}"),
        )
        .hint("make it readable, or move away what need not be there, and run this again")
    } else {
        Finding::notice("not_compared", format!("it was not compared: {why}"))
    };
    finding.at(skipped.path.display())
}

/// Something that neither polywire nor Codex is known to write.
fn foreign(change: &Change, codex_home: &Path) -> Finding {
    let path = change.path.display();
    let what = format!("it {} while the run went on", change.how);
    // Codex renews a login that is about to end, and writes it down.
    if change.path == codex_home.join("auth.json") {
        return Finding::notice("login_renewed", what)
            .at(path)
            .hint("Codex renews its login by itself when it is about to end; run this again to see that it stays now");
    }
    Finding::problem("file_changed", what).at(path).hint(
        "close editors and other coding tools and run this again; if it is changed again, please report it as a bug of polywire",
    )
}

fn codexs_own(changes: &[&Change]) -> String {
    let names: Vec<String> = changes
        .iter()
        .take(NAMED_MAX)
        .map(|change| change.name.clone())
        .collect();
    let more = match changes.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "Codex wrote its own files, as it does without polywire: {}{more}",
        names.join(", ")
    )
}
