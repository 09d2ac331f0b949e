//! Where words go: answers to standard output, everything else to standard error or a file.

use std::fs::File;
use std::io::{IsTerminal, Write};

use tracing_subscriber::EnvFilter;

/// Writes a line to standard output. A reader that has gone away is no reason to fail.
pub(crate) fn say(line: impl std::fmt::Display) {
    write_line(&mut std::io::stdout().lock(), &line);
}

/// Writes to standard output without ending the line.
pub(crate) fn say_part(text: &str) {
    let mut out = std::io::stdout().lock();
    if out
        .write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .is_err()
    {
        tracing::trace!("nobody reads what is written");
    }
}

/// Writes a line to standard error.
pub(crate) fn note(line: impl std::fmt::Display) {
    write_line(&mut std::io::stderr().lock(), &line);
}

/// Tells of an error and of what led to it.
pub(crate) fn complain(error: &anyhow::Error) {
    note(format_args!("error: {error}"));
    for cause in error.chain().skip(1) {
        note(format_args!("  because: {cause}"));
    }
}

fn write_line(out: &mut impl Write, line: &dyn std::fmt::Display) {
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        tracing::trace!("nobody reads what is written");
    }
}

/// Logs to standard error: for people on a terminal, the same without colours elsewhere.
pub(crate) fn log_to_stderr(filter: Option<&str>, default: &str) -> anyhow::Result<()> {
    let colours = std::io::stderr().is_terminal();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(env_filter(filter, default)?)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .finish();
    tracing::subscriber::set_global_default(subscriber)?;
    Ok(())
}

/// Logs to a file, for when the terminal belongs to somebody else.
pub(crate) fn log_to_file(filter: Option<&str>, default: &str, file: File) -> anyhow::Result<()> {
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(env_filter(filter, default)?)
        .with_writer(file)
        .with_ansi(false)
        .finish();
    tracing::subscriber::set_global_default(subscriber)?;
    Ok(())
}

fn env_filter(filter: Option<&str>, default: &str) -> anyhow::Result<EnvFilter> {
    let filter = filter.unwrap_or(default);
    EnvFilter::try_new(filter)
        .map_err(|error| anyhow::anyhow!("the log filter `{filter}` is not understood: {error}"))
}
