//! `polywire logout`: the ChatGPT login is revoked and removed.

use std::process::ExitCode;

use clap::Args;
use polywire_login::Revoked;
use polywire_upstream::Upstream;

use crate::codex_login;
use crate::logging::{note, say};

#[derive(Args)]
pub(crate) struct LogoutArguments {
    /// Do not leave it to `codex logout`, even when Codex is installed
    #[arg(long)]
    own: bool,
}

pub(crate) async fn logout(arguments: LogoutArguments) -> anyhow::Result<ExitCode> {
    if let Some(program) = codex_login::installed().filter(|_| !arguments.own) {
        return codex_login::leave_to(&program, &["logout"]).await;
    }
    let login = codex_login::login(None)?;
    let done = login.log_out(&Upstream::new()).await?;
    let Some(path) = done.removed else {
        let path = login.places().file();
        say(format_args!("There is no login at {}", path.display()));
        return Ok(ExitCode::SUCCESS);
    };
    match done.revoked {
        Revoked::Yes => say("The login was revoked: its tokens are good for nothing any more"),
        Revoked::Nothing => {}
        Revoked::No(reason) => note(format_args!(
            "warning: the login could not be revoked: {reason}\nhint: who has a copy of it can use it until its tokens end; the settings of your account end all logins"
        )),
    }
    say(format_args!("Removed {}", path.display()));
    Ok(ExitCode::SUCCESS)
}
