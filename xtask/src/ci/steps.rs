//! The steps of `ci`, in the order in which they run: quick refusals first.

use super::{clients, codex, layers, licences, machine_paths, vendor_names};
use crate::project::Project;
use anyhow::{Context, Result};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// One check.
pub(super) struct Step {
    /// What it is called on the command line.
    pub(super) name: &'static str,
    /// What it makes sure of, for people.
    pub(super) purpose: &'static str,
    pub(super) run: fn(&Project) -> Result<Outcome>,
}

/// How a step ended.
pub(super) enum Outcome {
    Passed,
    /// The step needs a program that is not there and that is not worth failing for.
    NotRun(String),
    Failed(String),
    Tests(Counts),
}

/// What the test programs of one `cargo test` reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: u64,
    pub(super) failed: u64,
    /// `cargo test` ended with a failure, whatever was counted: a program that does not compile reports no tests.
    pub(super) broken: bool,
}

/// All steps.
pub(super) const STEPS: &[Step] = &[
    Step {
        name: "tools",
        purpose: "the Codex CLI and the other clients that the tests drive are installed under target/tools",
        run: tools,
    },
    Step {
        name: "format",
        purpose: "rustfmt has nothing to change",
        run: format,
    },
    Step {
        name: "layers",
        purpose: "pure crates have no runtime, sockets or clock; each outer dependency has its one home",
        run: |project| Ok(verdict(&layers::violations(project))),
    },
    Step {
        name: "vendor-names",
        purpose: "no code decides by the name of a vendor or a model; what is special is in its preset",
        run: |project| Ok(verdict(&vendor_names::violations(project)?)),
    },
    Step {
        name: "licences",
        purpose: "every dependency has a licence we accept and comes from crates.io",
        run: |project| Ok(verdict(&licences::violations(project))),
    },
    Step {
        name: "machine-paths",
        purpose: "no tracked file names a folder or a package host of one machine",
        run: |project| Ok(verdict(&machine_paths::violations(project)?)),
    },
    Step {
        name: "deny",
        purpose: "cargo-deny agrees with deny.toml (licences, bans, sources)",
        run: deny,
    },
    Step {
        name: "clippy",
        purpose: "no warning in any target: libraries, programs, tests, benches",
        run: clippy,
    },
    Step {
        name: "build",
        purpose: "everything builds",
        run: |project| finish(cargo(project, &["build", "--workspace", "--locked"])),
    },
    Step {
        name: "test",
        purpose: "all tests and the examples in the documentation, with the real Codex and other real clients",
        run: test,
    },
    Step {
        name: "fuzz-build",
        purpose: "the fuzz targets still compile, without warnings",
        run: fuzz_build,
    },
    Step {
        name: "fuzz-replay",
        purpose: "the kept fuzz inputs still pass",
        run: fuzz_replay,
    },
];

fn tools(project: &Project) -> Result<Outcome> {
    codex::install(project)?;
    clients::install(project)?;
    Ok(Outcome::Passed)
}

fn format(project: &Project) -> Result<Outcome> {
    let own = cargo(project, &["fmt", "--all", "--check"]);
    let mut fuzz = cargo(project, &["fmt", "--check", "--manifest-path"]);
    fuzz.arg("fuzz/Cargo.toml");
    all(vec![own, fuzz])
}

fn clippy(project: &Project) -> Result<Outcome> {
    // All targets: the benches are type-checked here, because building them costs a release build with link-time
    // optimisation.
    let mut command = cargo(project, &["clippy", "--workspace", "--all-targets"]);
    command.args(["--locked", "--", "-D", "warnings"]);
    finish(command)
}

fn test(project: &Project) -> Result<Outcome> {
    let mut command = cargo(project, &["test", "--workspace", "--locked"]);
    // Without the variables the tests that drive real clients are content to say that they are missing.
    command
        .arg("--no-fail-fast")
        .env("POLYWIRE_REQUIRE_CODEX", "1")
        .env("POLYWIRE_REQUIRE_CLIENTS", "1");
    count_tests(command)
}

fn fuzz_build(project: &Project) -> Result<Outcome> {
    let mut command = fuzz_cargo(project, "clippy");
    // Without the default feature libFuzzer itself, which needs a C++ compiler, is left out.
    command.args(["--no-default-features", "--all-targets"]);
    command.args(["--", "-D", "warnings"]);
    finish(command)
}

fn fuzz_replay(project: &Project) -> Result<Outcome> {
    let mut command = fuzz_cargo(project, "test");
    // Only the library: a test of its own would want the targets linked.
    command.args(["--no-default-features", "--lib"]);
    count_tests(command)
}

fn deny(project: &Project) -> Result<Outcome> {
    if !succeeds_silently(cargo(project, &["deny", "--version"])) {
        return Ok(Outcome::NotRun(
            "cargo-deny is not installed; licences and sources were checked by the step `licences`"
                .to_owned(),
        ));
    }
    // Advisories are left out: their database changes without us, so they belong to a schedule and not to a change.
    let mut command = cargo(project, &["deny", "--locked", "check"]);
    command.args(["licenses", "bans", "sources"]);
    finish(command)
}

fn cargo(project: &Project, arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command
        .args(arguments)
        .current_dir(&project.workspace_root)
        // The variables that `cargo run` sets for this program must not reach the programs it starts: build scripts and
        // tests would be built again each time they change.
        .env_remove("CARGO_MANIFEST_DIR")
        .env_remove("CARGO_MANIFEST_PATH");
    command
}

/// A cargo command for the workspace of the fuzz targets, sharing what is already built.
fn fuzz_cargo(project: &Project, subcommand: &str) -> Command {
    let mut command = cargo(project, &[subcommand, "--locked"]);
    command.args(["--manifest-path", "fuzz/Cargo.toml", "--target-dir"]);
    command.arg(&project.target_directory);
    command
}

fn verdict(violations: &[String]) -> Outcome {
    if violations.is_empty() {
        return Outcome::Passed;
    }
    for violation in violations {
        println!("  {violation}");
    }
    Outcome::Failed(format!("{} violations", violations.len()))
}

fn all(commands: Vec<Command>) -> Result<Outcome> {
    let mut outcome = Outcome::Passed;
    for command in commands {
        if let failed @ Outcome::Failed(_) = finish(command)? {
            outcome = failed;
        }
    }
    Ok(outcome)
}

/// Runs a command to its end; its output goes where ours goes.
fn finish(mut command: Command) -> Result<Outcome> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    if status.success() {
        return Ok(Outcome::Passed);
    }
    Ok(Outcome::Failed(format!("{} ({status})", show(&command))))
}

fn succeeds_silently(mut command: Command) -> bool {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Runs `cargo test`, passing its output on and adding up what the test programs report.
fn count_tests(mut command: Command) -> Result<Outcome> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let output = child.stdout.take().context("the output is piped")?;
    let mut counts = add_up(BufReader::new(output), &mut std::io::stdout())
        .context("cannot read the output of the tests")?;
    let status = child.wait().context("cannot wait for the tests")?;
    counts.broken = !status.success();
    Ok(Outcome::Tests(counts))
}

fn add_up(output: impl BufRead, shown: &mut impl Write) -> std::io::Result<Counts> {
    let mut counts = Counts::default();
    for line in output.split(b'\n') {
        let line = line?;
        shown.write_all(&line)?;
        shown.write_all(b"\n")?;
        if let Some((passed, failed)) = parse_test_result(&String::from_utf8_lossy(&line)) {
            counts.passed += passed;
            counts.failed += failed;
        }
    }
    Ok(counts)
}

/// Reads `test result: ok. 12 passed; 0 failed; …`, the last line of each test program.
fn parse_test_result(line: &str) -> Option<(u64, u64)> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number_of = |label: &str| {
        let mut parts = counts.split(';').map(str::trim);
        parts.find_map(|part| part.strip_suffix(label)?.trim().parse().ok())
    };
    Some((number_of("passed")?, number_of("failed")?))
}

fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    format!("`{}`", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_read() {
        let check = |line: &str, expected| assert_eq!(parse_test_result(line), expected, "{line}");
        check(
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            Some((12, 0)),
        );
        check(
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
            Some((3, 2)),
        );
        check("test result of something else", None);
        check("running 3 tests", None);
    }

    #[test]
    fn a_command_that_fails_is_a_failed_step() {
        let outcome = finish(Command::new("false")).unwrap();
        assert!(matches!(outcome, Outcome::Failed(why) if why.contains("false")));
        assert!(matches!(
            finish(Command::new("true")).unwrap(),
            Outcome::Passed
        ));
        assert!(finish(Command::new("no-such-program-anywhere")).is_err());
    }

    #[test]
    fn output_of_test_programs_is_passed_on_and_added_up() {
        let output = "\
running 2 tests
test result: ok. 2 passed; 0 failed; 0 ignored
test result: FAILED. 3 passed; 1 failed; 0 ignored
";
        let mut shown = Vec::new();
        let counts = add_up(output.as_bytes(), &mut shown).unwrap();
        assert_eq!((counts.passed, counts.failed), (5, 1));
        assert_eq!(String::from_utf8(shown).unwrap(), output);
    }

    #[test]
    fn a_test_command_that_fails_is_broken_whatever_it_counted() {
        let broken = |program| match count_tests(Command::new(program)).unwrap() {
            Outcome::Tests(counts) => counts.broken,
            Outcome::Passed | Outcome::NotRun(_) | Outcome::Failed(_) => panic!("not a count"),
        };
        assert!(broken("false"));
        assert!(!broken("true"));
    }
}
