//! `polywire completions SHELL`: what a shell needs to complete our commands.
//!
//! The script that a shell reads asks polywire itself at each Tab, so that it knows the providers and models of the day and is never older than the
//! program.

use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::CompleteEnv;
use clap_complete::env::Shells;

use crate::logging::say_part;

/// By this variable the scripts say that they ask, and in which shell's form.
const VARIABLE: &str = "POLYWIRE_COMPLETE";

/// The name under which the program is found.
const PROGRAM: &str = "polywire";

#[derive(Args)]
pub(crate) struct CompletionsArguments {
    /// The shell
    shell: Shell,
}

#[derive(Clone, Copy, ValueEnum)]
enum Shell {
    /// `source <(polywire completions bash)` in ~/.bashrc
    Bash,
    /// `source <(polywire completions zsh)` in ~/.zshrc, after `compinit`
    Zsh,
    /// `polywire completions fish | source` in ~/.config/fish/config.fish
    Fish,
}

impl Shell {
    const fn name(self) -> &'static str {
        match self {
            Shell::Bash => "bash",
            Shell::Zsh => "zsh",
            Shell::Fish => "fish",
        }
    }
}

/// Answers a shell that asks what can stand at the cursor. Whether one did.
pub(crate) fn answer_shell() -> clap::error::Result<bool> {
    let folder = std::env::current_dir().ok();
    CompleteEnv::with_factory(crate::Arguments::command)
        .var(VARIABLE)
        .try_complete(std::env::args_os(), folder.as_deref())
}

/// `polywire completions`.
pub(crate) fn completions(arguments: &CompletionsArguments) -> anyhow::Result<ExitCode> {
    let shells = Shells::builtins();
    let shell = shells
        .completer(arguments.shell.name())
        .context("this shell is not known")?;
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script)?;
    say_part(&String::from_utf8(script)?);
    Ok(ExitCode::SUCCESS)
}
