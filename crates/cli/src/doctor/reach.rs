//! Whether the providers can be reached, and whether this machine's clock agrees with theirs.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use polywire_catalog::Provider;
use polywire_credentials::Proxy;
use polywire_gateway::{Connection, Endpoint};
use polywire_probe::{Finding as Reached, Reach, reach, reach_provider};
use polywire_settings::Settings;
use polywire_upstream::{StepLimits, Upstream, walk};

use super::check::Subject;
use super::finding::Finding;

/// How far two clocks may be apart before it is told. Servers keep theirs to a fraction of a second.
const CLOCK_WARNING: Duration = Duration::from_mins(1);

/// How far before certificates and logins are taken for expired, or not yet valid. Codex renews its login five minutes ahead.
const CLOCK_PROBLEM: Duration = Duration::from_mins(5);

/// The steps of the request that asks for the time. It follows one that came through.
const CLOCK_LIMITS: StepLimits = StepLimits {
    each: Duration::from_secs(5),
    answer: Duration::from_secs(10),
    body_bytes_max: 1024,
};

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
    let mut found: Vec<Finding> = join_all(asked).await.into_iter().flatten().collect();
    // One that is far off is seen at every provider alike.
    let clock = found.iter().position(|finding| finding.id == "clock");
    let mut index = 0;
    found.retain(|finding| {
        let keep = finding.id != "clock" || Some(index) == clock;
        index += 1;
        keep
    });
    found
}

async fn provider_findings(
    provider: &Arc<Provider>,
    settings: &Settings,
    upstream: &Upstream,
) -> Vec<Finding> {
    let id = &provider.id;
    let endpoint = match endpoint(provider, settings) {
        Ok(endpoint) => endpoint,
        Err(error) => {
            return vec![
                Finding::problem("provider", error.to_string())
                    .at(id)
                    .hint(format!("correct [providers.{id}] in the settings")),
            ];
        }
    };
    let by_login = settings.logins.contains_key(id);
    let Some((reached, with_key)) = ask(&endpoint, by_login, upstream).await else {
        return Vec::new();
    };
    let mut found = vec![finding(id, &reached, with_key)];
    if reached.finding.is_reached() {
        found.extend(clock(&endpoint).await);
    }
    found
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

fn endpoint(
    provider: &Arc<Provider>,
    settings: &Settings,
) -> Result<Endpoint, polywire_gateway::ConfigurationError> {
    let id = &provider.id;
    let connection = Connection {
        key: settings.keys.get(id).cloned(),
        proxy: settings
            .proxies
            .get(id)
            .cloned()
            .unwrap_or(Proxy::Environment),
        ..Connection::default()
    };
    let all = settings.clone();
    Endpoint::new(
        provider,
        connection,
        &(Arc::new(move |name: &str| all.variable(name)) as _),
    )
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

/// This machine's clock beside the provider's.
async fn clock(endpoint: &Endpoint) -> Option<Finding> {
    let request = endpoint.inquiry().ok()??;
    let before = SystemTime::now();
    let heard = walk(endpoint.proxy(), request, &CLOCK_LIMITS)
        .await
        .end
        .ok()?;
    let theirs = heard.headers.get(http::header::DATE)?.to_str().ok()?;
    let theirs = httpdate::parse_http_date(theirs).ok()?;
    let after = SystemTime::now();
    // Their second may have begun at any moment while we waited.
    let behind = theirs.duration_since(after).unwrap_or_default();
    let ahead = before.duration_since(theirs).unwrap_or_default();
    let (apart, way) = if behind > ahead {
        (behind, "behind")
    } else {
        (ahead, "ahead of")
    };
    if apart < CLOCK_WARNING {
        return Some(Finding::ok(
            "clock",
            "this machine's clock agrees with the provider's",
        ));
    }
    let what = format!(
        "this machine's clock is {} s {way} that of {}",
        apart.as_secs(),
        endpoint.provider_id()
    );
    let finding = if apart < CLOCK_PROBLEM {
        Finding::warning("clock", what)
    } else {
        Finding::problem(
            "clock",
            format!("{what}; certificates and logins are taken for expired or not yet valid"),
        )
    };
    Some(finding.hint("let the system set its clock: `timedatectl set-ntp true`, or the settings for date and time"))
}
