//! What was measured of the engine: Codex itself beside polywire.

use super::super::report::{dash, median, show, table};
use serde::Serialize;

/// The engine's part of a run.
#[derive(Debug, Serialize)]
pub(in crate::load) struct EngineReport {
    /// `codex --version`.
    pub(super) codex: String,
    pub(super) rows: Vec<EngineRow>,
}

/// One measured quantity, a number for each round.
#[derive(Debug, Serialize)]
pub(in crate::load) struct EngineRow {
    name: String,
    unit: &'static str,
    /// Of Codex itself.
    pub(super) codex: Vec<f64>,
    /// Through polywire, or of what polywire has started.
    pub(super) polywire: Vec<f64>,
    /// What polywire may add, in the row's unit.
    pub(super) added_at_most: Option<f64>,
}

impl EngineRow {
    pub(super) fn new(name: impl Into<String>, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            unit,
            codex: Vec::new(),
            polywire: Vec::new(),
            added_at_most: None,
        }
    }

    /// What polywire adds: the difference of the medians, and the least and the most of the rounds.
    fn added(&self) -> Option<(f64, f64, f64)> {
        let rounds = self.polywire.iter().zip(&self.codex);
        let rounds: Vec<f64> = rounds.map(|(through, direct)| through - direct).collect();
        let medians = median(&self.polywire)? - median(&self.codex)?;
        let least = rounds.iter().copied().reduce(f64::min)?;
        let most = rounds.iter().copied().reduce(f64::max)?;
        Some((medians, least, most))
    }

    fn cells(&self) -> [String; 6] {
        let number = |rounds: &[f64]| median(rounds).map_or_else(dash, show);
        let added = self.added();
        let target = match (self.added_at_most, added) {
            (Some(limit), Some((added, ..))) => {
                let verdict = if added <= limit { "met" } else { "**missed**" };
                format!("≤ {limit} {} added, {verdict}", self.unit)
            }
            (Some(_) | None, _) => dash(),
        };
        [
            self.name.clone(),
            self.unit.to_owned(),
            number(&self.codex),
            number(&self.polywire),
            added.map_or_else(dash, |(added, least, most)| {
                format!("{added:.2} ({least:.2}…{most:.2})")
            }),
            target,
        ]
    }
}

const HEADINGS: [&str; 6] = [
    "measured",
    "unit",
    "Codex itself",
    "polywire",
    "added",
    "target",
];

impl EngineReport {
    /// The table, as lines of Markdown.
    pub(in crate::load) fn lines(&self) -> Vec<String> {
        let rows: Vec<[String; 6]> = self.rows.iter().map(EngineRow::cells).collect();
        let mut lines = vec![format!("- engine: {}", self.codex), String::new()];
        lines.extend(table(HEADINGS, &rows));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_told_beside_its_target() {
        let mut added = EngineRow::new("first delta", "ms");
        added.codex = vec![10.0, 20.0, 30.0];
        added.polywire = vec![12.0, 21.0, 40.0];
        added.added_at_most = Some(0.5);
        let mut alone = EngineRow::new("memory", "MB");
        alone.polywire = vec![16.0];
        let report = EngineReport {
            codex: "codex-cli 1".to_owned(),
            rows: vec![added, alone],
        };
        assert_eq!(
            report.lines().join("\n"),
            "\
- engine: codex-cli 1

| measured    | unit | Codex itself | polywire | added             | target                     |
| ----------- | ---- | ------------ | -------- | ----------------- | -------------------------- |
| first delta | ms   | 20.0         | 21.0     | 1.00 (1.00…10.00) | ≤ 0.5 ms added, **missed** |
| memory      | MB   | –            | 16.0     | –                 | –                          |"
        );
    }
}
