//! Where words go: answers to standard output, everything else to standard error or a file.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use polywire_daemon::{LogLimits, RotatingLog};
use polywire_settings::{Environment, LogFileSettings, LogFormat, ProcessEnvironment, Settings};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::log_json::{self, JsonLines};

/// Whoever reads standard error expects a JSON object on every line.
static NOTES_AS_JSON: AtomicBool = AtomicBool::new(false);

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
    let mut stderr = std::io::stderr().lock();
    if NOTES_AS_JSON.load(Ordering::Relaxed) {
        write_line(&mut stderr, &log_json::line(&line.to_string()));
    } else {
        write_line(&mut stderr, &line);
    }
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

/// Whether colours are wanted there: on a terminal that has them, unless its user wants none (<https://no-color.org>).
pub(crate) fn has_colours(stream: &impl IsTerminal) -> bool {
    let variable = |name| ProcessEnvironment.variable(name);
    let is_unwanted = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = variable("TERM").is_some_and(|terminal| terminal == "dumb");
    stream.is_terminal() && !is_unwanted && !is_dumb
}

/// Logs to standard error: for people on a terminal, the same without colours elsewhere; or as JSON, and then [`note`]s too.
pub(crate) fn log_to_stderr(settings: &Settings, default: &str) -> anyhow::Result<()> {
    let colours = has_colours(&std::io::stderr());
    NOTES_AS_JSON.store(settings.log_format == LogFormat::Json, Ordering::Relaxed);
    log_to(settings, default, std::io::stderr, colours)
}

/// Logs to a file that moves aside when it is full. `on_file` is given each file that is begun.
pub(crate) fn log_to_rotating_file(
    settings: &Settings,
    path: &Path,
    on_file: impl FnMut(&File) + Send + 'static,
) -> anyhow::Result<()> {
    let LogFileSettings { max_mb, keep } = settings.log_file;
    let limits = LogLimits {
        bytes_max: u64::from(max_mb) * 1_000_000,
        keep: usize::try_from(keep).unwrap_or(usize::MAX),
    };
    let log = RotatingLog::open(path, limits, on_file)?;
    log_to(settings, "info", Mutex::new(log), false)
}

/// From here on, what is said to standard error goes into this file, as the log there is written.
pub(crate) fn say_errors_to(file: &File, format: LogFormat) -> anyhow::Result<()> {
    nix::unistd::dup2_stderr(file)?;
    NOTES_AS_JSON.store(format == LogFormat::Json, Ordering::Relaxed);
    Ok(())
}

fn log_to(
    settings: &Settings,
    default: &str,
    writer: impl for<'w> MakeWriter<'w> + Send + Sync + 'static,
    colours: bool,
) -> anyhow::Result<()> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(env_filter(settings.log.as_deref(), default)?)
        .with_writer(writer);
    match settings.log_format {
        LogFormat::Text => {
            let subscriber = builder.with_ansi(colours).finish();
            tracing::subscriber::set_global_default(subscriber)?;
        }
        LogFormat::Json => {
            let subscriber = builder.with_ansi(false).event_format(JsonLines).finish();
            tracing::subscriber::set_global_default(subscriber)?;
        }
    }
    Ok(())
}

fn env_filter(filter: Option<&str>, default: &str) -> anyhow::Result<EnvFilter> {
    let filter = filter.unwrap_or(default);
    EnvFilter::try_new(filter)
        .map_err(|error| anyhow::anyhow!("the log filter `{filter}` is not understood: {error}"))
}
