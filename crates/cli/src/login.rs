//! `polywire login`: a ChatGPT login for Codex and for polywire.

use std::process::ExitCode;

use clap::Args;
use polywire_login::{BrowserLogin, CodexLogin, DeviceLogin, LoginState, NewLogin, Revoked};
use polywire_upstream::Upstream;

use crate::codex_login;
use crate::logging::{note, say};
use crate::printable::printable;

#[derive(Args)]
pub(crate) struct LoginArguments {
    /// Log in with a code that is typed in on any machine, for when there is no browser on this one
    #[arg(long)]
    device_auth: bool,
    /// Only show the address, and open no browser. Codex cannot do that, so it is polywire's own login
    #[arg(long, conflicts_with = "device_auth")]
    no_browser: bool,
    /// Do not leave it to `codex login`, even when Codex is installed
    #[arg(long)]
    own: bool,
    /// The port that the browser comes back to; the issuer takes 1455 and 1457 only
    #[arg(long, hide = true, value_name = "PORT")]
    callback_port: Option<u16>,
}

pub(crate) async fn login(arguments: LoginArguments) -> anyhow::Result<ExitCode> {
    let own = arguments.own || arguments.no_browser;
    if let Some(program) = codex_login::installed().filter(|_| !own) {
        let words = ["login", "--device-auth"];
        let count = if arguments.device_auth { 2 } else { 1 };
        return codex_login::leave_to(&program, &words[..count]).await;
    }
    let login = codex_login::login(arguments.callback_port)?;
    let upstream = Upstream::new();
    let new = if arguments.device_auth {
        with_code(&login, &upstream).await?
    } else {
        with_browser(&login, &upstream, !arguments.no_browser).await?
    };
    let done = login.store(new, &upstream).await?;
    say(welcome(&done.state));
    if let Revoked::No(reason) = &done.superseded {
        note(format_args!(
            "warning: the login that was here before could not be revoked: {reason}"
        ));
    }
    if let Some(store) = login.places().stored_elsewhere() {
        note(format_args!(
            "warning: Codex itself will not see this login: its settings say `cli_auth_credentials_store = \"{}\"`\nhint: write `\"file\"` there if Codex is to use it",
            printable(&store)
        ));
    }
    Ok(ExitCode::SUCCESS)
}

async fn with_browser(
    login: &CodexLogin,
    upstream: &Upstream,
    open: bool,
) -> anyhow::Result<NewLogin> {
    let waiting = BrowserLogin::begin(login.places()).await?;
    say("To log in, open this address in a browser on this machine:");
    say(format_args!("  {}", waiting.url()));
    say("On a machine without a browser, use `polywire login --device-auth` instead.");
    if open {
        open_browser(waiting.url().to_owned());
    }
    Ok(waiting.finish(upstream).await?)
}

/// Opens the address, on a thread that nobody waits for: some browsers end only when their window is closed.
fn open_browser(url: String) {
    std::thread::spawn(move || {
        // The address is on the screen already; who has no browser here opens it elsewhere.
        if let Err(error) = webbrowser::open(&url) {
            tracing::debug!(%error, "no browser was opened");
        }
    });
}

async fn with_code(login: &CodexLogin, upstream: &Upstream) -> anyhow::Result<NewLogin> {
    let waiting = DeviceLogin::begin(login.places(), upstream).await?;
    say("To log in, open this page in any browser:");
    say(format_args!("  {}", waiting.page()));
    say("and type in this code, which is good for 15 minutes:");
    say(format_args!("  {}", waiting.code()));
    say(
        "Whoever gave you such a code to type in wants your account: only type in codes from your own terminal.",
    );
    Ok(waiting.finish(upstream).await?)
}

fn welcome(state: &LoginState) -> String {
    let who = state
        .email
        .as_deref()
        .unwrap_or("an account without a name");
    let plan = state.plan.as_deref().unwrap_or("unknown");
    format!(
        "Logged in as {} (plan {}). The login is in {}",
        printable(who),
        printable(plan),
        state.path.display()
    )
}
