//! What was measured, in numbers and in words.

use super::engine::EngineReport;
use super::measure::RouteKind;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// A whole run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    /// What was typed to make it.
    pub(super) command: String,
    pub(super) rows: Vec<Row>,
    /// If it was part of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) engine: Option<EngineReport>,
}

/// Where it was measured.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    pub(super) cores: usize,
    pub(super) processor: String,
    pub(super) kernel: String,
    /// `nginx -v`, if it was part of the run.
    pub(super) nginx: Option<String>,
    /// Load average of the last minute before the run: above 0.5 something else was running.
    pub(super) load_before: String,
}

/// One measured quantity, over all routes it was measured on.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    /// `a` to `f`, the groups of docs/performance.md.
    pub(super) group: char,
    pub(super) name: String,
    pub(super) unit: &'static str,
    /// One number for each round.
    pub(super) rounds: BTreeMap<RouteKind, Vec<f64>>,
    pub(super) target: Target,
}

/// What the number is meant to be.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Target {
    /// polywire's median is at most so many times that of nginx.
    TimesNginx(f64),
    /// polywire's median is at most this.
    AtMost(f64),
    /// Only reported.
    None,
}

/// How polywire compares with nginx.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ratio {
    /// That of the two medians.
    pub(super) medians: f64,
    /// The least and the most of the rounds, one by one.
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Row {
    pub(super) fn new(
        group: char,
        name: impl Into<String>,
        unit: &'static str,
        target: Target,
    ) -> Self {
        Self {
            group,
            name: name.into(),
            unit,
            rounds: BTreeMap::new(),
            target,
        }
    }

    /// Adds what one round measured on one route.
    pub(super) fn add(&mut self, route: RouteKind, number: f64) {
        self.rounds.entry(route).or_default().push(number);
    }

    fn median(&self, route: RouteKind) -> Option<f64> {
        median(self.rounds.get(&route)?)
    }

    pub(super) fn ratio(&self) -> Option<Ratio> {
        let polywire = self.rounds.get(&RouteKind::Polywire)?;
        let nginx = self.rounds.get(&RouteKind::Nginx)?;
        let pairs = polywire.iter().zip(nginx);
        let ratios: Vec<f64> = pairs.map(|(polywire, nginx)| polywire / nginx).collect();
        Some(Ratio {
            medians: median(polywire)? / median(nginx)?,
            least: ratios.iter().copied().reduce(f64::min)?,
            most: ratios.iter().copied().reduce(f64::max)?,
        })
    }

    /// Whether the target is met; `None` without a target or without a number.
    pub(super) fn is_met(&self) -> Option<bool> {
        match self.target {
            Target::TimesNginx(limit) => Some(self.ratio()?.medians <= limit),
            Target::AtMost(limit) => Some(self.median(RouteKind::Polywire)? <= limit),
            Target::None => None,
        }
    }

    fn cells(&self) -> [String; 7] {
        let number = |route| self.median(route).map_or_else(dash, show);
        let ratio = self.ratio().map_or_else(dash, |r| {
            format!("{:.2} ({:.2}…{:.2})", r.medians, r.least, r.most)
        });
        let target = match self.target {
            Target::TimesNginx(limit) => format!("≤ {limit}× nginx"),
            Target::AtMost(limit) => format!("≤ {limit} {}", self.unit),
            Target::None => dash(),
        };
        let verdict = match self.is_met() {
            Some(true) => ", met",
            Some(false) => ", **missed**",
            None => "",
        };
        [
            format!("({}) {}", self.group, self.name),
            self.unit.to_owned(),
            number(RouteKind::Direct),
            number(RouteKind::Nginx),
            number(RouteKind::Polywire),
            ratio,
            target + verdict,
        ]
    }
}

const HEADINGS: [&str; 7] = [
    "measured",
    "unit",
    "direct",
    "nginx",
    "polywire",
    "polywire / nginx",
    "target",
];

impl Report {
    /// The table and the facts beside it, as Markdown that reads well on a terminal too.
    pub(super) fn markdown(&self) -> String {
        let rows: Vec<[String; 7]> = self.rows.iter().map(Row::cells).collect();
        let mut lines = self.facts();
        if !rows.is_empty() {
            lines.push(String::new());
            lines.extend(table(HEADINGS, &rows));
        }
        if let Some(engine) = &self.engine {
            lines.extend(engine.lines());
        }
        lines.join("\n") + "\n"
    }

    fn facts(&self) -> Vec<String> {
        let machine = &self.machine;
        let nginx = machine.nginx.as_deref().unwrap_or("not part of the run");
        vec![
            format!(
                "- machine: {} × {}, Linux {}",
                machine.cores, machine.processor, machine.kernel
            ),
            format!("- nginx: {nginx}, one worker"),
            format!("- load average before: {}", machine.load_before),
            format!("- command: `{}`", self.command),
        ]
    }
}

/// The lines of a table in Markdown.
pub(super) fn table<const COLUMNS: usize>(
    headings: [&str; COLUMNS],
    rows: &[[String; COLUMNS]],
) -> Vec<String> {
    let headings = headings.map(str::to_owned);
    let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
        let cells = rows.iter().chain(std::iter::once(&headings));
        let widths = cells.map(|row| row[column].chars().count());
        widths.max().unwrap_or(0)
    });
    let rule = widths.map(|width| "-".repeat(width));
    let lines = [&headings, &rule].into_iter().chain(rows);
    lines.map(|row| table_row(row, &widths)).collect()
}

fn table_row<const COLUMNS: usize>(cells: &[String; COLUMNS], widths: &[usize; COLUMNS]) -> String {
    let padded = cells.iter().zip(widths).map(|(cell, width)| {
        let missing = width.saturating_sub(cell.chars().count());
        format!(" {cell}{} ", " ".repeat(missing))
    });
    format!("|{}|", padded.collect::<Vec<_>>().join("|"))
}

/// What stands where there is no number.
pub(super) fn dash() -> String {
    "–".to_owned()
}

/// Three significant digits, or whole numbers above that.
pub(super) fn show(number: f64) -> String {
    match number {
        n if n >= 100.0 => format!("{n:.0}"),
        n if n >= 10.0 => format!("{n:.1}"),
        n => format!("{n:.2}"),
    }
}

/// The middle one, or the mean of the two in the middle.
pub(super) fn median(numbers: &[f64]) -> Option<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(sorted[middle - 1], upper))
}

/// The smallest duration that `percent` of them do not exceed, in microseconds.
pub(super) fn percentile_us(durations: &[Duration], percent: usize) -> Option<f64> {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().map(microseconds)
}

/// A duration as a number.
pub(super) fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(polywire: &[f64], nginx: &[f64], target: Target) -> Row {
        let mut row = Row::new('a', "something", "µs", target);
        for number in polywire {
            row.add(RouteKind::Polywire, *number);
        }
        for number in nginx {
            row.add(RouteKind::Nginx, *number);
        }
        row
    }

    #[test]
    fn middle_numbers() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        let durations: Vec<_> = (1..=100).map(Duration::from_micros).collect();
        assert_eq!(percentile_us(&durations, 50).map(f64::round), Some(50.0));
        assert_eq!(percentile_us(&durations, 99).map(f64::round), Some(99.0));
        assert_eq!(
            percentile_us(&durations[..1], 99).map(f64::round),
            Some(1.0)
        );
        assert_eq!(percentile_us(&[], 99), None);
    }

    #[test]
    fn verdicts() {
        let check = |polywire: &[f64], target, expected| {
            assert_eq!(row(polywire, &[2.0, 4.0], target).is_met(), expected);
        };
        check(&[3.0, 3.0], Target::TimesNginx(1.1), Some(true));
        check(&[4.0, 4.0], Target::TimesNginx(1.1), Some(false));
        check(&[4.0, 4.0], Target::AtMost(4.0), Some(true));
        check(&[4.0, 5.0], Target::AtMost(4.0), Some(false));
        check(&[4.0, 5.0], Target::None, None);
        check(&[], Target::TimesNginx(1.1), None);
    }

    #[test]
    fn the_table_names_what_was_missed() {
        let report = Report {
            machine: Machine {
                cores: 2,
                processor: "Example 1".to_owned(),
                kernel: "6.1".to_owned(),
                nginx: None,
                load_before: "0.10".to_owned(),
            },
            command: "cargo xtask load".to_owned(),
            rows: vec![
                row(&[3.0, 6.0], &[2.0, 4.0], Target::TimesNginx(1.1)),
                row(&[3.0], &[], Target::AtMost(20.0)),
            ],
            engine: None,
        };
        assert_eq!(
            report.markdown(),
            "\
- machine: 2 × Example 1, Linux 6.1
- nginx: not part of the run, one worker
- load average before: 0.10
- command: `cargo xtask load`

| measured      | unit | direct | nginx | polywire | polywire / nginx | target                   |
| ------------- | ---- | ------ | ----- | -------- | ---------------- | ------------------------ |
| (a) something | µs   | –      | 3.00  | 4.50     | 1.50 (1.50…1.50) | ≤ 1.1× nginx, **missed** |
| (a) something | µs   | –      | –     | 3.00     | –                | ≤ 20 µs, met             |
"
        );
    }
}
