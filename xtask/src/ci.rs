//! `cargo xtask ci`: what has to be green before a change lands.
//!
//! The steps run one after the other, all of them even if one fails, and their output is passed on as it comes. The last
//! line is `N passed, M failed`: the tests of all test programs, plus one failure for each step that failed without a
//! failed test (a program that does not compile, a formatting difference).

mod clients;
mod codex;
mod layers;
mod licences;
mod machine_paths;
mod steps;
mod vendor_names;

use crate::project::Project;
use anyhow::{Result, bail};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use steps::{Outcome, STEPS, Step};

/// What can be chosen on the command line.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The steps to run (default: all), by name: tools, format, clippy, …
    steps: Vec<String>,
    /// Print the names of the steps and what each is for, and run nothing.
    #[arg(long)]
    list: bool,
}

/// Runs the chosen steps and prints the summary.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.list {
        for step in STEPS {
            println!("{:<14} {}", step.name, step.purpose);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let chosen = choose(&arguments.steps)?;
    let project = Project::load()?;
    let begin = Instant::now();
    let results: Vec<StepResult> = chosen
        .iter()
        .enumerate()
        .map(|(index, step)| run_step(step, index + 1, chosen.len(), &project))
        .collect();
    print_overview(&results, begin.elapsed());
    let (passed, failed) = totals(&results);
    println!("{passed} passed, {failed} failed");
    Ok(ExitCode::from(u8::from(failed > 0)))
}

fn choose(names: &[String]) -> Result<Vec<&'static Step>> {
    if let Some(unknown) = names
        .iter()
        .find(|name| STEPS.iter().all(|step| step.name != name.as_str()))
    {
        bail!("there is no step `{unknown}`\nhint: `cargo xtask ci --list` shows all");
    }
    let wanted = |step: &&Step| names.is_empty() || names.iter().any(|name| name == step.name);
    Ok(STEPS.iter().filter(wanted).collect())
}

/// How one step ended.
struct StepResult {
    name: &'static str,
    duration: Duration,
    outcome: Outcome,
}

fn run_step(step: &Step, number: usize, count: usize, project: &Project) -> StepResult {
    println!("\n==> [{number}/{count}] {}: {}", step.name, step.purpose);
    let begin = Instant::now();
    let outcome = (step.run)(project).unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")));
    let result = StepResult {
        name: step.name,
        duration: begin.elapsed(),
        outcome,
    };
    println!("{}", describe(&result));
    result
}

fn describe(result: &StepResult) -> String {
    let state = match &result.outcome {
        Outcome::Passed => "ok".to_owned(),
        Outcome::NotRun(why) => format!("not run: {why}"),
        Outcome::Failed(why) => format!("FAILED: {why}"),
        Outcome::Tests(counts) if counts.broken => {
            format!("FAILED: {} passed, {} failed", counts.passed, counts.failed)
        }
        Outcome::Tests(counts) => format!("ok: {} passed", counts.passed),
    };
    let seconds = result.duration.as_secs_f64();
    format!("    {:<14} {seconds:>7.1} s  {state}", result.name)
}

fn print_overview(results: &[StepResult], total: Duration) {
    println!("\n==> overview, {:.1} s in all", total.as_secs_f64());
    for result in results {
        println!("{}", describe(result));
    }
}

/// The numbers of passed and failed tests; a step that failed without a failed test counts as one.
fn totals(results: &[StepResult]) -> (u64, u64) {
    results
        .iter()
        .fold((0, 0), |(passed, failed), result| match &result.outcome {
            Outcome::Passed | Outcome::NotRun(_) => (passed, failed),
            Outcome::Failed(_) => (passed, failed + 1),
            Outcome::Tests(counts) => (
                passed + counts.passed,
                failed + counts.failed.max(u64::from(counts.broken)),
            ),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use steps::Counts;

    fn check(outcomes: Vec<Outcome>, expected: (u64, u64)) {
        let results: Vec<StepResult> = outcomes
            .into_iter()
            .map(|outcome| StepResult {
                name: "step",
                duration: Duration::ZERO,
                outcome,
            })
            .collect();
        assert_eq!(totals(&results), expected);
    }

    fn tests(passed: u64, failed: u64, broken: bool) -> Outcome {
        Outcome::Tests(Counts {
            passed,
            failed,
            broken,
        })
    }

    #[test]
    fn totals_count_tests_and_broken_steps() {
        check(vec![Outcome::Passed, tests(3, 0, false)], (3, 0));
        check(vec![tests(3, 2, true), tests(1, 0, false)], (4, 2));
        check(vec![tests(0, 0, true)], (0, 1));
        check(
            vec![
                Outcome::Failed("x".to_owned()),
                Outcome::NotRun("y".to_owned()),
            ],
            (0, 1),
        );
    }

    #[test]
    fn steps_are_chosen_by_name() {
        assert_eq!(choose(&[]).unwrap().len(), STEPS.len());
        assert_eq!(choose(&["clippy".to_owned()]).unwrap().len(), 1);
        assert!(choose(&["no-such-step".to_owned()]).is_err());
    }
}
