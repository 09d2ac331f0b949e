//! The Codex login of this machine: where it is, and Codex's own commands for it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use jiff::Timestamp;
use polywire_login::CodexLogin;
use polywire_settings::{CodexPlaces, ProcessEnvironment};
use tokio::process::Command;

use crate::{codex, configuration};

/// The login of this machine, as the environment says.
pub(crate) fn login(callback_port: Option<u16>) -> anyhow::Result<CodexLogin> {
    let mut places = configuration::places(&CodexPlaces::find(&ProcessEnvironment)?);
    if let Some(port) = callback_port {
        places.callback_ports = vec![port];
    }
    Ok(CodexLogin::new(places))
}

/// Codex, when it is installed.
pub(crate) fn installed() -> Option<PathBuf> {
    codex::find(None, configuration::variable("PATH").as_deref()).ok()
}

/// Lets Codex do it, on this terminal. Gives its exit code.
pub(crate) async fn leave_to(
    program: &Path,
    arguments: &[impl AsRef<OsStr>],
) -> anyhow::Result<ExitCode> {
    let status = Command::new(program)
        .args(arguments)
        .status()
        .await
        .with_context(|| {
            format!(
                "`{}` could not be started\nhint: `--own` does without it",
                program.display()
            )
        })?;
    // Ended by a signal there is no code.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// An instant, from seconds since 1970.
pub(crate) fn instant(unix_s: i64) -> Option<Timestamp> {
    Timestamp::from_second(unix_s).ok()
}
