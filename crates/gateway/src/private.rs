//! What requests to Command Code's private API need beyond their body: the date, and ids that its headers insist on.

use std::time::SystemTime;

use polywire_conversation::{Fault, Text};
use polywire_credentials::Secret;
use polywire_dialect_command_code as command_code;

use crate::provider::{Ask, Encoded, encoded};

/// Puts a request into the form of the private API.
pub(crate) fn encode(ask: &Ask<'_>, profile: &command_code::Profile) -> Result<Encoded, Fault> {
    let session = session_id(ask);
    let context = command_code::Context {
        date: &date(SystemTime::now()),
        session_id: &session,
    };
    let rendered = command_code::render(ask.request, &ask.model, profile, &context)?;
    let trace = format!(
        "00-{:032x}-{:016x}-01",
        rand::random::<u128>(),
        rand::random::<u64>()
    );
    let headers = command_code::headers(profile, &session, &trace);
    Ok(encoded(rendered, headers, |ledger| {
        Box::new(command_code::CommandCodeReader::new(ledger, ask.seed))
    }))
}

/// A UUID for the conversation, made from what names it, so that the turns of one thread have the same.
fn session_id(ask: &Ask<'_>) -> String {
    let key = ask.request.cache_key.as_ref().map(Text::to_plain);
    let name = format!(
        "{}/{}",
        ask.home.account,
        key.as_deref().unwrap_or(ask.seed)
    );
    let one = Secret::new(name).fingerprint();
    let other = Secret::new(one.as_str()).fingerprint();
    let (head, tail) = (&one[..12], &other[..15]);
    format!(
        "{}-{}-4{}-8{}-{}",
        &head[..8],
        &head[8..],
        &one[13..16],
        &tail[..3],
        &tail[3..]
    )
}

/// The date in UTC, as `YYYY-MM-DD`.
fn date(moment: SystemTime) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let written = httpdate::fmt_http_date(moment);
    let mut words = written.split_whitespace().skip(1);
    let (day, month, year) = (words.next(), words.next(), words.next());
    let number = MONTHS.iter().position(|name| month == Some(*name));
    format!(
        "{}-{:02}-{}",
        year.unwrap_or_default(),
        number.map_or(0, |index| index + 1),
        day.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn dates() {
        let day = |days: u64| date(UNIX_EPOCH + Duration::from_secs(days * 86_400 + 5));
        assert_eq!(day(0), "1970-01-01");
        assert_eq!(day(19_782), "2024-02-29");
    }
}
