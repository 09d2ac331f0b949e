//! What is remembered of renewals that failed, so that nobody knocks again in vain.

use std::time::{Duration, Instant};

use polywire_credentials::Secret;

use crate::LoginError;

/// What went wrong last, if the refresh token is still the same.
#[derive(Debug, Default)]
pub(crate) struct Memory(Option<Setback>);

#[derive(Debug)]
struct Setback {
    /// Of the refresh token that it happened to.
    fingerprint: String,
    error: LoginError,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// The issuer will say the same again.
    ForGood,
    /// Something that may pass.
    ForNow { until: Instant },
    /// The issuer may have spent the refresh token, and its answer is lost.
    InDoubt { until: Instant },
}

impl Memory {
    /// Whether the issuer should not be asked: then why. `serves` says whether the old token can be used meanwhile.
    ///
    /// After a lost answer the refresh token may be spent. To show a spent one again can make the issuer revoke the whole login, so
    /// that is not done while the access token still serves. When it does not, there is nothing left to lose: the next token of a
    /// lost answer is gone, and asking is the only way to find out whether the question arrived at all. So it is asked again then, with
    /// a pause in between; if the issuer refuses, that is remembered for good.
    pub(crate) fn objection(
        &self,
        refresh: &Secret,
        serves: bool,
        now: Instant,
    ) -> Option<&LoginError> {
        let setback = self.of(refresh)?;
        let objects = match setback.kind {
            Kind::ForGood => true,
            Kind::ForNow { until } => now < until,
            Kind::InDoubt { until } => serves || now < until,
        };
        objects.then_some(&setback.error)
    }

    /// The issuer's code, when it refused this token for good.
    pub(crate) fn refusal(&self, refresh: &Secret) -> Option<String> {
        let error = &self.of(refresh)?.error;
        if let LoginError::Refused { code, .. } = error {
            Some(code.clone())
        } else {
            None
        }
    }

    fn of(&self, refresh: &Secret) -> Option<&Setback> {
        let fingerprint = refresh.fingerprint();
        self.0.as_ref().filter(|it| it.fingerprint == fingerprint)
    }

    pub(crate) fn refused(&mut self, refresh: &Secret, error: LoginError) {
        self.remember(refresh, error, Kind::ForGood);
    }

    pub(crate) fn failed(&mut self, refresh: &Secret, error: LoginError, pause: Duration) {
        let until = Instant::now() + pause;
        self.remember(refresh, error, Kind::ForNow { until });
    }

    pub(crate) fn lost(&mut self, refresh: &Secret, error: LoginError, pause: Duration) {
        let until = Instant::now() + pause;
        self.remember(refresh, error, Kind::InDoubt { until });
    }

    fn remember(&mut self, refresh: &Secret, error: LoginError, kind: Kind) {
        self.0 = Some(Setback {
            fingerprint: refresh.fingerprint(),
            error,
            kind,
        });
    }

    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error() -> LoginError {
        LoginError::NotRenewed {
            path: "auth.json".into(),
            reason: "it rains".to_owned(),
        }
    }

    #[test]
    fn who_is_not_asked_again_and_for_how_long() {
        let (token, other) = (Secret::new("rt-1"), Secret::new("rt-2"));
        let pause = Duration::from_mins(1);
        type Remember = fn(&mut Memory, &Secret, LoginError, Duration);
        let kinds: [(&str, Remember, [bool; 4]); 3] = [
            ("good", |m, t, e, _| m.refused(t, e), [true; 4]),
            ("now", Memory::failed, [true, true, false, false]),
            ("lost", Memory::lost, [true, true, true, false]),
        ];
        for (name, remember, expected) in kinds {
            let mut memory = Memory::default();
            remember(&mut memory, &token, error(), pause);
            let (soon, later) = (Instant::now(), Instant::now() + 2 * pause);
            let asked = [(true, soon), (false, soon), (true, later), (false, later)];
            let objects =
                asked.map(|(serves, now)| memory.objection(&token, serves, now).is_some());
            assert_eq!(objects, expected, "{name}");
            assert!(memory.objection(&other, false, soon).is_none(), "{name}");
            memory.clear();
            assert!(memory.objection(&token, true, soon).is_none(), "{name}");
        }
    }
}
