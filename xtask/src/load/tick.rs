//! Ticks: the marks that the scripted upstream puts into its texts and the client looks for.
//!
//! A tick is `tick SEQUENCE NANOSECONDS` in plain digits, which no dialect needs to escape. It survives the translation of a
//! chat chunk into a Responses event, so the client can tell which event it sees and how long it was on its way.

use super::clock::Clock;
use std::ops::ControlFlow;
use std::time::Duration;

const MARK: &[u8] = b"tick ";
const SEQUENCE_DIGITS: usize = 6;
const NANOSECONDS_DIGITS: usize = 15;

/// Writes the mark of one event, sent at `sent` on the shared clock.
pub(super) fn mark(sequence: usize, sent: Duration) -> String {
    format!(
        "tick {sequence:0SEQUENCE_DIGITS$} {:0NANOSECONDS_DIGITS$}",
        sent.as_nanos()
    )
}

/// What the client looks for in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watch {
    /// Only that it arrives: the cheapest, for streams at full speed.
    Bytes,
    /// The first tick; everything after it is only counted.
    FirstTick,
    /// Every tick.
    EveryTick,
}

/// What the client saw of one answer.
pub(super) struct Sight {
    watch: Watch,
    clock: Clock,
    /// A line whose end has not arrived yet.
    line: Vec<u8>,
    /// Stop reading after this many ticks.
    enough: usize,
    pub(super) body_bytes: u64,
    /// Ticks seen in their order. A text that is repeated later in the stream, as a finished item repeats it, does not
    /// count twice.
    pub(super) ticks: usize,
    /// When the first tick was there.
    pub(super) first_tick: Option<Duration>,
    /// How long each tick was on its way.
    pub(super) delays: Vec<Duration>,
}

impl Sight {
    /// Nothing seen yet.
    pub(super) fn new(watch: Watch, clock: Clock) -> Self {
        Self {
            watch,
            clock,
            line: Vec::new(),
            enough: usize::MAX,
            body_bytes: 0,
            ticks: 0,
            first_tick: None,
            delays: Vec::new(),
        }
    }

    /// Stops reading when so many ticks were seen, leaving the stream open.
    pub(super) fn until(mut self, ticks: usize) -> Self {
        self.enough = ticks;
        self
    }

    /// Takes a piece of the body, wherever it is cut.
    pub(super) fn body(&mut self, piece: &[u8]) -> ControlFlow<()> {
        self.body_bytes += piece.len() as u64;
        let looks = match self.watch {
            Watch::Bytes => false,
            Watch::FirstTick => self.first_tick.is_none(),
            Watch::EveryTick => true,
        };
        if looks {
            let now = self.clock.now();
            self.line.extend_from_slice(piece);
            if let Some(end) = self.line.iter().rposition(|byte| *byte == b'\n') {
                let whole: Vec<u8> = self.line.drain(..=end).collect();
                self.lines(&whole, now);
            }
        }
        if self.ticks >= self.enough {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn lines(&mut self, mut rest: &[u8], now: Duration) {
        while let Some((sequence, sent, tail)) = next_mark(rest) {
            rest = tail;
            if sequence != self.ticks {
                continue;
            }
            self.ticks += 1;
            self.first_tick.get_or_insert(now);
            if self.watch == Watch::EveryTick {
                self.delays.push(now.saturating_sub(sent));
            }
        }
    }
}

fn next_mark(bytes: &[u8]) -> Option<(usize, Duration, &[u8])> {
    let at = bytes
        .windows(MARK.len())
        .position(|window| window == MARK)?;
    let fields = &bytes[at + MARK.len()..];
    let (sequence, rest) = fields.split_at_checked(SEQUENCE_DIGITS)?;
    let (sent, rest) = rest.split_first()?.1.split_at_checked(NANOSECONDS_DIGITS)?;
    let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse::<u64>().ok();
    let sequence = usize::try_from(number(sequence)?).ok()?;
    Some((sequence, Duration::from_nanos(number(sent)?), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_counted_once_wherever_the_bytes_are_cut() {
        let marks: Vec<String> = (0..3).map(|n| mark(n, Duration::from_nanos(7))).collect();
        let deltas = marks.iter().map(|mark| format!("data: {mark} and\n\n"));
        let repeated = format!("data: {}\n\n", marks.concat());
        let answer = deltas.chain([repeated]).collect::<Vec<_>>().concat();
        for cut in 0..=answer.len() {
            let mut sight = Sight::new(Watch::EveryTick, Clock::start());
            let (head, tail) = answer.as_bytes().split_at(cut);
            assert!(sight.body(head).is_continue() && sight.body(tail).is_continue());
            assert_eq!((sight.ticks, sight.delays.len()), (3, 3), "cut at {cut}");
            assert_eq!(sight.body_bytes, answer.len() as u64);
        }
    }

    #[test]
    fn a_missing_tick_is_not_counted_over() {
        let mut sight = Sight::new(Watch::EveryTick, Clock::start());
        let bytes = format!("{} {}\n", mark(0, Duration::ZERO), mark(2, Duration::ZERO));
        assert!(sight.body(bytes.as_bytes()).is_continue());
        assert_eq!(sight.ticks, 1);
    }

    #[test]
    fn reading_stops_when_enough_was_seen() {
        let mut sight = Sight::new(Watch::EveryTick, Clock::start()).until(1);
        assert!(sight.body(b"event: first\n").is_continue());
        let line = format!("data: {}\n", mark(0, Duration::ZERO));
        assert!(sight.body(line.as_bytes()).is_break());
    }
}
