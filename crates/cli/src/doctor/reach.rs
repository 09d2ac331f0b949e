//! Whether the providers can be reached, and whether this machine's clock agrees with theirs.

use std::sync::Arc;

use futures_util::future::join_all;
use polywire_catalog::Provider;
use polywire_gateway::Endpoint;
use polywire_probe::{Finding as Reached, Reach, reach, reach_provider};
use polywire_settings::Settings;
use polywire_upstream::Upstream;

use super::check::Subject;
use super::clock::{Clock, clock};
use super::finding::Finding;
use crate::configuration::endpoint_without_login;

pub(crate) async fn check(subject: &Subject) -> Vec<Finding> {
    let Ok(settings) = &subject.settings else {
        return Vec::new();
    };
    if subject.offline {
        return vec![Finding::notice(
            "offline",
            "no provider was asked, because of `--offline`",
        )];
    }
    let upstream = Upstream::new();
    let asked = settings
        .catalog
        .providers
        .iter()
        .map(|provider| provider_findings(provider, settings, &upstream));
    let mut found = Vec::new();
    let mut clocks = Vec::new();
    for (findings, clock) in join_all(asked).await {
        found.extend(findings);
        clocks.extend(clock);
    }
    // Ours is off only when it is at every provider; one of theirs can be as well.
    found.extend(
        clocks
            .iter()
            .min_by_key(|clock| clock.apart)
            .map(Clock::finding),
    );
    found
}

async fn provider_findings(
    provider: &Arc<Provider>,
    settings: &Settings,
    upstream: &Upstream,
) -> (Vec<Finding>, Option<Clock>) {
    let id = &provider.id;
    let endpoint = match endpoint_without_login(settings, provider) {
        Ok(endpoint) => endpoint,
        Err(error) => {
            let finding = Finding::problem("provider", error.to_string())
                .at(id)
                .hint(format!("correct [providers.{id}] in the settings"));
            return (vec![finding], None);
        }
    };
    let by_login = settings.logins.contains_key(id);
    let Some((reached, with_key)) = ask(&endpoint, by_login, upstream).await else {
        return (Vec::new(), None);
    };
    let clock = if reached.finding.is_reached() {
        clock(&endpoint).await
    } else {
        None
    };
    (vec![finding(id, &reached, with_key)], clock)
}

/// How far a request comes, and whether it carried the key. Without a key as well: the way is the same. Nothing for what is not reached over HTTP.
///
/// A login is never sent, because one that is due would be renewed for it: its refresh token is good for one use, and looking for faults is no
/// reason to use it.
async fn ask(endpoint: &Endpoint, by_login: bool, upstream: &Upstream) -> Option<(Reach, bool)> {
    if !by_login && let Ok(reached) = reach_provider(endpoint, upstream).await {
        return Some((reached?, true));
    }
    let request = endpoint.inquiry().ok()??;
    Some((reach(endpoint.proxy(), request).await, false))
}

fn finding(id: &str, reached: &Reach, with_key: bool) -> Finding {
    let steps = reached.steps_line();
    let way = match (&reached.proxy, steps.as_str()) {
        (None, "") => String::new(),
        (None, steps) => format!(" ({steps})"),
        (Some(proxy), "") => format!(" (through {proxy})"),
        (Some(proxy), steps) => format!(" (through {proxy}; {steps})"),
    };
    let what = format!("{}{way}", reached.finding.message());
    let place = format!("{id}, {}", reached.url);
    let (finding, hint) = match &reached.finding {
        Reached::Works { .. } => (Finding::ok("reached", what), None),
        Reached::NoList { .. } => (Finding::notice("no_list", what), reached.finding.hint()),
        Reached::KeyRefused { .. } if !with_key => {
            return Finding::ok(
                "reached",
                format!("it answers, and wants a key or a login{way}"),
            )
            .at(place);
        }
        Reached::KeyRefused { .. } => (
            Finding::problem("key_refused", what),
            reached.finding.hint(),
        ),
        Reached::Limited { .. } => (Finding::warning("limited", what), reached.finding.hint()),
        Reached::Filtered { .. } => (Finding::problem("filtered", what), reached.finding.hint()),
        Reached::Page { .. } => (Finding::problem("page", what), reached.finding.hint()),
        Reached::Moved { .. } => (Finding::problem("moved", what), reached.finding.hint()),
        Reached::Failing { .. } => (Finding::warning("failing", what), reached.finding.hint()),
        Reached::Stopped { step, .. } => (
            Finding::problem("unreachable", format!("{step}: {what}")),
            reached.finding.hint(),
        ),
    };
    let finding = finding.at(place);
    match hint {
        Some(hint) => finding.hint(hint),
        None => finding,
    }
}
