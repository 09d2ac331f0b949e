//! What to do after a fault.

use std::time::Duration;

use polywire_conversation::{Fault, FaultClass, Retry};

/// The longest wait that a client is ever told to keep.
///
/// Codex sleeps for the whole value of `Retry-After`, however long (seen with 0.169: an hour was still being waited for), and
/// shows nothing meanwhile. A minute is the most that the official SDKs accept.
pub const RETRY_AFTER_CAP: Duration = Duration::from_mins(1);

/// How far an attempt has come, as the client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The client has received nothing of the answer: the attempt may be replaced.
    NothingSent,
    /// The answer has begun: what was sent cannot be taken back.
    Streaming,
}

/// What to do after a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Tell the client.
    GiveUp,
    /// Ask the same target again after this pause.
    RetryAfter(Duration),
    /// Ask the next target at once.
    NextTarget,
}

/// What a turn has gone through so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptState {
    /// How often the current target has failed, this time included: 1 after the first failure.
    pub attempt: u32,
    /// What the turn has waited in all, over all targets.
    pub waited: Duration,
    /// Whether there is another target to ask.
    pub targets_left: bool,
}

/// How patient a turn is before its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryLimits {
    /// The longest single pause. A provider that names a longer one is not waited for.
    pub wait_max: Duration,
    /// All pauses of a turn together.
    pub wait_total_max: Duration,
    /// All pauses of a turn together while another target could be asked instead.
    pub wait_before_next_target: Duration,
    /// The first pause when the provider names none, or a shorter one; doubled each time.
    pub backoff_first: Duration,
    /// Further tries after a rate limit or an overload, however short the pauses.
    pub limit_retries_max: u32,
    /// Further tries after the server failed or the connection broke.
    pub failure_retries_max: u32,
}

impl Default for RetryLimits {
    /// 20 s for one pause and 45 s in all: the rate limits of coding plans clear within seconds, and Codex, told at once, would
    /// only start the same wait from the beginning. Not longer, because nothing is sent meanwhile and Codex shows no reason for
    /// the silence. 2 s when another target could answer at once.
    /// Two further tries from 0.5 s on are what the official SDKs do. Eight tries against a limit are more than the doubled
    /// pauses leave room for; the number is there so that no setting of the pauses makes an endless loop.
    fn default() -> Self {
        Self {
            wait_max: Duration::from_secs(20),
            wait_total_max: Duration::from_secs(45),
            wait_before_next_target: Duration::from_secs(2),
            backoff_first: Duration::from_millis(500),
            limit_retries_max: 8,
            failure_retries_max: 2,
        }
    }
}

/// Decides what to do after a fault.
///
/// Nothing is tried again once the answer streams. A rate limit or an overload is waited out within the limits, the
/// provider's own wish honoured; a failed server or connection is tried a few times more; a used-up quota, a bad key or an
/// unknown model is never waited for, because seconds do not mend it. Whatever cannot be mended here goes to the next target,
/// unless the fault says that it will fail anywhere.
///
/// `jitter` is a random number from 0 to 1 that spreads the clients of one provider.
pub fn after_fault(
    fault: &Fault,
    progress: Progress,
    state: &AttemptState,
    limits: &RetryLimits,
    jitter: f64,
) -> Next {
    if progress == Progress::Streaming {
        return Next::GiveUp;
    }
    let asked = match fault.retry {
        Retry::Never => return Next::GiveUp,
        Retry::Elsewhere => return elsewhere(state),
        Retry::After(asked) => asked,
    };
    if state.attempt > tries_max(fault.class, limits) {
        return elsewhere(state);
    }
    pause(asked, state, limits, jitter).map_or_else(|| elsewhere(state), Next::RetryAfter)
}

/// What to tell the client to wait, when waiting can help: what the provider asked for, within [`RETRY_AFTER_CAP`].
pub fn client_retry_after(fault: &Fault) -> Option<Duration> {
    match fault.retry {
        Retry::After(Some(asked)) => Some(asked.min(RETRY_AFTER_CAP)),
        Retry::After(None) | Retry::Elsewhere | Retry::Never => None,
    }
}

fn elsewhere(state: &AttemptState) -> Next {
    if state.targets_left {
        Next::NextTarget
    } else {
        Next::GiveUp
    }
}

/// How many further tries a class of faults is worth.
fn tries_max(class: FaultClass, limits: &RetryLimits) -> u32 {
    match class {
        FaultClass::RateLimit | FaultClass::Overloaded => limits.limit_retries_max,
        FaultClass::Server | FaultClass::NetworkCut | FaultClass::BadToolCall => {
            limits.failure_retries_max
        }
        // Each try may last as long as the time limit that was just missed, which is minutes: one more must do.
        FaultClass::Timeout => limits.failure_retries_max.min(1),
        FaultClass::Quota
        | FaultClass::Auth
        | FaultClass::NotFound
        | FaultClass::ContextLength
        | FaultClass::TooLarge
        | FaultClass::InvalidRequest
        | FaultClass::ContentFilter
        | FaultClass::Protocol => 0,
    }
}

/// The next pause, or `None` when the turn's patience does not reach for it.
fn pause(
    asked: Option<Duration>,
    state: &AttemptState,
    limits: &RetryLimits,
    jitter: f64,
) -> Option<Duration> {
    let patience = if state.targets_left {
        limits.wait_before_next_target.min(limits.wait_total_max)
    } else {
        limits.wait_total_max
    };
    let left = patience.checked_sub(state.waited)?;
    let jitter = if jitter.is_finite() {
        jitter.clamp(0.0, 1.0)
    } else {
        0.5
    };
    let own = backoff(state.attempt, limits).mul_f64(0.75 + 0.5 * jitter);
    let wanted = match asked {
        // Never less than the provider asked for; a little more, so that not everybody comes back at the same moment. And never
        // less than without its wish: some say `Retry-After: 0` for as long as they are overloaded.
        Some(asked) => {
            let spread = asked.mul_f64(0.1 * jitter);
            let honoured = asked.saturating_add(spread).min(limits.wait_max.max(asked));
            honoured.max(own)
        }
        None => own,
    };
    (wanted <= limits.wait_max && wanted <= left).then_some(wanted)
}

/// Doubles from failure to failure, up to the longest single pause.
fn backoff(attempt: u32, limits: &RetryLimits) -> Duration {
    let doublings = attempt.saturating_sub(1).min(16);
    // The spread may add a quarter on top.
    let longest = limits.wait_max.mul_f64(0.8);
    limits
        .backoff_first
        .saturating_mul(1 << doublings)
        .min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_JITTER: f64 = 0.5;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn state(attempt: u32, waited: f64, targets_left: bool) -> AttemptState {
        AttemptState {
            attempt,
            waited: seconds(waited),
            targets_left,
        }
    }

    fn asking(class: FaultClass, wait: f64) -> Fault {
        Fault::new(class, "").with_retry(Retry::After(Some(seconds(wait))))
    }

    fn check(fault: &Fault, state: AttemptState, expected: Next) {
        let next = after_fault(
            fault,
            Progress::NothingSent,
            &state,
            &RetryLimits::default(),
            NO_JITTER,
        );
        assert_eq!(next, expected, "{fault:?} {state:?}");
    }

    fn check_class(class: FaultClass, state: AttemptState, expected: Next) {
        check(&Fault::new(class, ""), state, expected);
    }

    #[test]
    fn rate_limits_are_waited_out() {
        use FaultClass::{Overloaded, RateLimit};
        for class in [RateLimit, Overloaded] {
            // No wish of the provider: doubling.
            for (attempt, waited, wait) in [
                (1, 0.0, 0.5),
                (2, 0.5, 1.0),
                (3, 1.5, 2.0),
                (4, 3.5, 4.0),
                (5, 7.5, 8.0),
                (6, 15.5, 16.0),
            ] {
                check_class(
                    class,
                    state(attempt, waited, false),
                    Next::RetryAfter(seconds(wait)),
                );
            }
            // 31.5 s are gone, 16 more would be too much.
            check_class(class, state(7, 31.5, false), Next::GiveUp);
            // With somebody else to ask, patience ends after 2 s.
            check_class(class, state(1, 0.0, true), Next::RetryAfter(seconds(0.5)));
            check_class(class, state(2, 0.5, true), Next::RetryAfter(seconds(1.0)));
            check_class(class, state(3, 1.5, true), Next::NextTarget);
        }
    }

    #[test]
    fn the_providers_wish_is_honoured_or_not_waited_for() {
        use FaultClass::RateLimit;
        // A little more than asked for, never less.
        check(
            &asking(RateLimit, 10.0),
            state(1, 0.0, false),
            Next::RetryAfter(seconds(10.5)),
        );
        check(
            &asking(RateLimit, 20.0),
            state(1, 0.0, false),
            Next::RetryAfter(seconds(20.0)),
        );
        check(&asking(RateLimit, 21.0), state(1, 0.0, false), Next::GiveUp);
        check(
            &asking(RateLimit, 3600.0),
            state(1, 0.0, false),
            Next::GiveUp,
        );
        check(
            &asking(RateLimit, 10.0),
            state(2, 40.0, false),
            Next::GiveUp,
        );
        check(
            &asking(RateLimit, 10.0),
            state(1, 0.0, true),
            Next::NextTarget,
        );
    }

    #[test]
    fn a_wish_to_be_asked_again_at_once_makes_no_hot_loop() {
        use FaultClass::{Overloaded, RateLimit};
        for class in [RateLimit, Overloaded] {
            for asked in [0.0, 0.1] {
                for (attempt, waited, wait) in [(1, 0.0, 0.5), (2, 0.5, 1.0), (5, 7.5, 8.0)] {
                    check(
                        &asking(class, asked),
                        state(attempt, waited, false),
                        Next::RetryAfter(seconds(wait)),
                    );
                }
            }
            check(&asking(class, 0.0), state(3, 1.5, true), Next::NextTarget);
        }
    }

    #[test]
    fn limits_are_waited_out_eight_times_at_most() {
        use FaultClass::{Overloaded, RateLimit};
        let patient = RetryLimits {
            wait_total_max: Duration::from_hours(1),
            ..RetryLimits::default()
        };
        for class in [RateLimit, Overloaded] {
            for asked in [None, Some(Duration::ZERO), Some(Duration::from_secs(1))] {
                let fault = Fault::new(class, "").with_retry(Retry::After(asked));
                let next = |attempt, targets_left| {
                    let state = state(attempt, 0.0, targets_left);
                    after_fault(&fault, Progress::NothingSent, &state, &patient, NO_JITTER)
                };
                assert!(
                    matches!(next(8, false), Next::RetryAfter(_)),
                    "{class:?} {asked:?}"
                );
                assert_eq!(next(9, false), Next::GiveUp, "{class:?} {asked:?}");
                assert_eq!(next(9, true), Next::NextTarget, "{class:?} {asked:?}");
            }
        }
    }

    #[test]
    fn failures_are_tried_twice_more() {
        use FaultClass::{BadToolCall, NetworkCut, Server, Timeout};
        for class in [Server, NetworkCut, BadToolCall] {
            check_class(class, state(1, 0.0, false), Next::RetryAfter(seconds(0.5)));
            check_class(class, state(2, 0.5, false), Next::RetryAfter(seconds(1.0)));
            check_class(class, state(3, 1.5, false), Next::GiveUp);
            check_class(class, state(3, 1.5, true), Next::NextTarget);
        }
        check_class(
            Timeout,
            state(1, 0.0, false),
            Next::RetryAfter(seconds(0.5)),
        );
        check_class(Timeout, state(2, 0.5, false), Next::GiveUp);
    }

    #[test]
    fn what_seconds_do_not_mend_goes_elsewhere_at_once() {
        use FaultClass::{Auth, NotFound, Protocol, Quota};
        for class in [Quota, Auth, NotFound, Protocol] {
            check_class(class, state(1, 0.0, false), Next::GiveUp);
            check_class(class, state(1, 0.0, true), Next::NextTarget);
            // Even if the provider names a time.
            check(&asking(class, 1.0), state(1, 0.0, false), Next::GiveUp);
        }
    }

    #[test]
    fn what_fails_anywhere_ends_the_turn() {
        use FaultClass::{ContentFilter, ContextLength, InvalidRequest, TooLarge};
        for class in [ContentFilter, ContextLength, InvalidRequest, TooLarge] {
            check_class(class, state(1, 0.0, false), Next::GiveUp);
            check_class(class, state(1, 0.0, true), Next::GiveUp);
        }
        let never = Fault::new(FaultClass::Server, "").with_retry(Retry::Never);
        check(&never, state(1, 0.0, true), Next::GiveUp);
    }

    #[test]
    fn nothing_is_replaced_once_it_streams() {
        for class in [FaultClass::RateLimit, FaultClass::Server, FaultClass::Quota] {
            let next = after_fault(
                &Fault::new(class, ""),
                Progress::Streaming,
                &state(1, 0.0, true),
                &RetryLimits::default(),
                NO_JITTER,
            );
            assert_eq!(next, Next::GiveUp, "{class:?}");
        }
    }

    /// Walks through whole turns: whatever the jitter, they end, and within the limits.
    #[test]
    fn every_turn_ends_within_its_limits() {
        let limits = RetryLimits::default();
        for class in [
            FaultClass::RateLimit,
            FaultClass::Overloaded,
            FaultClass::Server,
        ] {
            for jitter in [0.0, 0.3, 1.0, -5.0, f64::NAN] {
                let fault = Fault::new(class, "");
                let mut state = state(1, 0.0, false);
                while let Next::RetryAfter(wait) =
                    after_fault(&fault, Progress::NothingSent, &state, &limits, jitter)
                {
                    assert!(wait <= limits.wait_max, "{wait:?}");
                    state.waited += wait;
                    state.attempt += 1;
                    assert!(state.attempt < 100, "{class:?} {jitter} does not end");
                }
                assert!(state.waited <= limits.wait_total_max, "{:?}", state.waited);
            }
        }
    }

    #[test]
    fn clients_wait_a_minute_at_most() {
        let rate_limit = FaultClass::RateLimit;
        for (fault, expected) in [
            (asking(rate_limit, 5.0), Some(5.0)),
            (asking(rate_limit, 3600.0), Some(60.0)),
            (Fault::new(rate_limit, ""), None),
            (Fault::new(FaultClass::Quota, ""), None),
        ] {
            assert_eq!(client_retry_after(&fault), expected.map(seconds));
        }
    }
}
