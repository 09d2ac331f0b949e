//! `polywire whoami`: whose ChatGPT login this is, how long it is good for, and what of its plan is left.

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use polywire_login::{CodexLogin, LoginError, LoginState, Usage, Window};
use polywire_upstream::Upstream;
use serde::Serialize;

use crate::codex_login::{self, instant};
use crate::logging::{note, say};
use crate::printable::{printable, printable_json};

#[derive(Args)]
pub(crate) struct WhoamiArguments {
    /// Write JSON
    #[arg(long)]
    json: bool,
    /// Show what the file says, and ask nobody: the login is not renewed and the limits are not shown
    #[arg(long)]
    offline: bool,
}

/// What is shown, as JSON. Times as RFC 3339 has them.
#[derive(Serialize)]
struct Shown<'a> {
    email: Option<&'a str>,
    account_id: Option<&'a str>,
    plan: Option<&'a str>,
    expires_at: Option<String>,
    last_refresh: Option<String>,
    path: &'a std::path::Path,
    /// Whether the login was renewed and could not be written.
    unwritten: bool,
    /// Why the login cannot be renewed any more.
    refused: Option<&'a str>,
    usage: Option<&'a Usage>,
    /// Why there is no usage.
    usage_error: Option<String>,
}

pub(crate) async fn whoami(arguments: WhoamiArguments) -> anyhow::Result<ExitCode> {
    let login = codex_login::login(None)?;
    // First of all, so that a missing login is told at once.
    login.state()?;
    let usage = if arguments.offline {
        None
    } else {
        Some(usage(&login).await?)
    };
    // Asking for the limits may have renewed it.
    let state = login.state()?;
    if state.unwritten {
        note(format_args!(
            "warning: the login was renewed and could not be written to {}, where it is spent now\nhint: make room there, and run `polywire login`",
            state.path.display()
        ));
    }
    if arguments.json {
        say(printable_json(&json(&state, usage.as_ref())?));
        return Ok(ExitCode::SUCCESS);
    }
    let known = usage.as_ref().and_then(|usage| usage.as_ref().ok());
    for (name, value) in page(&state, known, Timestamp::now()) {
        say(format_args!("{name:<8}  {}", printable(&value)));
    }
    if let Some(Err(error)) = usage {
        note(format_args!("warning: the limits are not known: {error}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// The limits, or why they are not known for now. A login that is good for nothing any more is an error.
async fn usage(login: &CodexLogin) -> anyhow::Result<Result<Usage, LoginError>> {
    let usage = login.usage(&Upstream::new()).await;
    login.settled().await;
    match usage {
        Err(error) if error.is_for_good() => Err(error.into()),
        usage => Ok(usage),
    }
}

fn json(
    state: &LoginState,
    usage: Option<&Result<Usage, LoginError>>,
) -> Result<String, serde_json::Error> {
    let time = |unix_s: Option<i64>| unix_s.and_then(instant).map(|time| time.to_string());
    let known = usage.and_then(|usage| usage.as_ref().ok());
    serde_json::to_string_pretty(&Shown {
        email: state.email.as_deref(),
        account_id: state.account_id.as_deref(),
        plan: plan(state, known),
        expires_at: time(state.expires_at),
        last_refresh: time(state.last_refresh),
        path: &state.path,
        unwritten: state.unwritten,
        refused: state.refused.as_deref(),
        usage: known,
        usage_error: usage
            .and_then(|usage| usage.as_ref().err())
            .map(ToString::to_string),
    })
}

/// The plan: as the back end says, else as the login said when it was renewed.
fn plan<'a>(state: &'a LoginState, usage: Option<&'a Usage>) -> Option<&'a str> {
    let now = usage.and_then(|usage| usage.plan_type.as_deref());
    now.or(state.plan.as_deref())
}

fn page(state: &LoginState, usage: Option<&Usage>, now: Timestamp) -> Vec<(&'static str, String)> {
    let unknown = || "not known".to_owned();
    let email = state.email.clone().unwrap_or_else(unknown);
    let account = state.account_id.as_ref();
    let mut lines = vec![
        (
            "account",
            account.map_or_else(|| email.clone(), |id| format!("{email} ({id})")),
        ),
        (
            "plan",
            plan(state, usage).map_or_else(unknown, str::to_owned),
        ),
        ("token", token(state, now)),
        ("renewed", state.last_refresh.map_or_else(unknown, when)),
        ("file", state.path.display().to_string()),
    ];
    if let Some(code) = &state.refused {
        lines.push(("refused", format!("the issuer will not renew it: {code}")));
    }
    if let Some(usage) = usage {
        lines.extend(limits(usage, now));
    }
    lines
}

fn token(state: &LoginState, now: Timestamp) -> String {
    let renewal = if state.can_be_renewed {
        ""
    } else {
        "; there is no refresh token"
    };
    match state.expires_at {
        None => format!("does not say when it ends{renewal}"),
        Some(end) if end <= now.as_second() => format!("ended {}{renewal}", when(end)),
        Some(end) => format!(
            "good until {} ({}){renewal}",
            when(end),
            span(end - now.as_second())
        ),
    }
}

fn limits(usage: &Usage, now: Timestamp) -> Vec<(&'static str, String)> {
    let named = usage.additional_rate_limits.iter().flatten();
    let named = named.map(|limit| (limit.limit_name.as_deref(), limit.rate_limit.as_ref()));
    let mut lines = Vec::new();
    for (name, limit) in std::iter::once((None, usage.rate_limit.as_ref())).chain(named) {
        let windows = limit.map(|limit| [&limit.primary_window, &limit.secondary_window]);
        for window in windows.into_iter().flatten().flatten() {
            let name = name.map_or_else(String::new, |name| format!("{name}: "));
            lines.push(("limit", format!("{name}{}", window_line(window, now))));
        }
    }
    if let Some(credits) = &usage.credits
        && credits.has_credits == Some(true)
    {
        let balance = match credits.unlimited {
            Some(true) => "without end",
            Some(false) | None => credits.balance.as_deref().unwrap_or("some"),
        };
        lines.push(("credits", balance.to_owned()));
    }
    lines
}

fn window_line(window: &Window, now: Timestamp) -> String {
    let used = window
        .used_percent
        .map_or_else(|| "?".to_owned(), |used| format!("{used:.0}"));
    let length = window
        .limit_window_seconds
        .map_or_else(String::new, |s| format!(" of {}", span(s)));
    let reset = window
        .reset_at
        .or_else(|| Some(now.as_second() + window.reset_after_seconds?));
    let reset = reset.map_or_else(String::new, |at| format!(", begins anew {}", when(at)));
    format!("{used} %{length} used{reset}")
}

/// Local time, to the minute.
fn when(unix_s: i64) -> String {
    instant(unix_s).map_or_else(
        || "at no time that a calendar has".to_owned(),
        |at| {
            let local = at.to_zoned(TimeZone::system());
            local.strftime("%Y-%m-%d %H:%M").to_string()
        },
    )
}

/// A span of time in its largest whole unit.
fn span(seconds: i64) -> String {
    let units = [(24 * 3600, "d"), (3600, "h"), (60, "min")];
    let unit = units.into_iter().find(|(length, _)| seconds >= *length);
    unit.map_or_else(
        || format!("{seconds} s"),
        |(length, name)| format!("{} {name}", seconds / length),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_shown_in_their_largest_unit() {
        for (seconds, expected) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (18_000, "5 h"),
            (604_800, "7 d"),
        ] {
            assert_eq!(span(seconds), expected);
        }
    }

    #[test]
    fn windows_may_say_little() {
        let now = Timestamp::from_second(0).unwrap();
        assert_eq!(window_line(&Window::default(), now), "? % used");
        let window = Window {
            used_percent: Some(31.6),
            limit_window_seconds: Some(18_000),
            ..Window::default()
        };
        assert_eq!(window_line(&window, now), "32 % of 5 h used");
    }
}
