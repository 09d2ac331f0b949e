//! This machine's clock beside those of the providers.

use std::time::{Duration, SystemTime};

use polywire_gateway::Endpoint;
use polywire_upstream::{HeaderMap, StepLimits, walk};

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

/// How far a provider's clock and this machine's are apart.
pub(super) struct Clock {
    pub(super) apart: Duration,
    /// Whether this machine's is behind.
    is_behind: bool,
    provider: String,
}

/// Asks a provider for the time. `None` when it does not tell.
pub(super) async fn clock(endpoint: &Endpoint) -> Option<Clock> {
    let request = endpoint.inquiry().ok()??;
    let before = SystemTime::now();
    let heard = walk(endpoint.proxy(), request, &CLOCK_LIMITS)
        .await
        .end
        .ok()?;
    let theirs = time_of(&heard.headers)?;
    let after = SystemTime::now();
    // Their second may have begun at any moment while we waited.
    let behind = theirs.duration_since(after).unwrap_or_default();
    let ahead = before.duration_since(theirs).unwrap_or_default();
    Some(Clock {
        apart: behind.max(ahead),
        is_behind: behind > ahead,
        provider: endpoint.provider_id().to_owned(),
    })
}

/// The time at which an answer left. A cache keeps the date of the first one and says how old that is (RFC 9111, 5.1); of one that does not, nothing is known.
fn time_of(headers: &HeaderMap) -> Option<SystemTime> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let date = httpdate::parse_http_date(text("date")?).ok()?;
    if let Some(age) = text("age") {
        return date.checked_add(Duration::from_secs(age.trim().parse().ok()?));
    }
    let from_cache = ["x-cache", "cf-cache-status", "x-cache-status"]
        .into_iter()
        .filter_map(text)
        .any(|said| said.to_ascii_lowercase().contains("hit"));
    (!from_cache).then_some(date)
}

impl Clock {
    pub(super) fn finding(&self) -> Finding {
        if self.apart < CLOCK_WARNING {
            return Finding::ok("clock", "this machine's clock agrees with the provider's");
        }
        let way = if self.is_behind { "behind" } else { "ahead of" };
        let what = format!(
            "this machine's clock is {} s {way} that of {}",
            self.apart.as_secs(),
            self.provider
        );
        let finding = if self.apart < CLOCK_PROBLEM {
            Finding::warning("clock", what)
        } else {
            Finding::problem(
                "clock",
                format!("{what}; certificates and logins are taken for expired or not yet valid"),
            )
        };
        finding.hint("let the system set its clock: `timedatectl set-ntp true`, or the settings for date and time")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cached_answer_is_older_than_its_arrival() {
        let time = |headers: &[(&str, &str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                let name = http::HeaderName::try_from(*name).unwrap();
                map.insert(name, value.parse().unwrap());
            }
            let time = time_of(&map)?;
            Some(
                time.duration_since(SystemTime::UNIX_EPOCH)
                    .unwrap()
                    .as_secs(),
            )
        };
        let date = ("date", "Thu, 01 Jan 1970 00:10:00 GMT");
        assert_eq!(time(&[]), None);
        assert_eq!(time(&[date]), Some(600));
        assert_eq!(
            time(&[date, ("age", "3600"), ("x-cache", "HIT")]),
            Some(4200)
        );
        assert_eq!(time(&[date, ("x-cache", "Hit from cloudfront")]), None);
        assert_eq!(time(&[date, ("cf-cache-status", "DYNAMIC")]), Some(600));
    }
}
