//! Project tasks, run as `cargo xtask TASK`.
//!
//! `ci` runs every check that has to be green before a change lands; `load` measures the whole path beside nginx and a
//! direct connection. Both need Rust and what they install themselves; start reading at [`ci`] or [`load`].

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a task talks to the person who started it through the terminal"
)]

mod ci;
mod load;
mod project;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Project tasks", version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the tests need and run every check; the last line is `N passed, M failed`.
    Ci(ci::Arguments),
    /// Measure the gateway on loopback, beside nginx and a direct connection.
    Load(load::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Ci(arguments) => ci::run(&arguments),
        Task::Load(arguments) => load::run(&arguments).map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
