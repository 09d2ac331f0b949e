//! Tables in plain text.

use crate::printable::{printable, shortened};

/// The usual widest cell. Names are below 50 characters, unless somebody plays tricks.
pub(crate) const CELL_MAX: usize = 64;

/// Lines whose cells stand below each other. What others wrote is made fit for a terminal; cells of more than `cell_max` characters are
/// cut.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]], cell_max: usize) -> Vec<String> {
    let shown: Vec<[String; N]> = rows
        .iter()
        .map(|row| {
            row.each_ref()
                .map(|cell| shortened(&printable(cell), cell_max))
        })
        .collect();
    let widths: [usize; N] = std::array::from_fn(|column| {
        let lengths = shown.iter().map(|row| row[column].chars().count());
        lengths.max().unwrap_or_default()
    });
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths);
        let padded: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    shown.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_below_each_other() {
        let rows = [["A", "LONG HEAD"], ["größe", "x\u{1b}"]].map(|row| row.map(str::to_owned));
        assert_eq!(
            columns(&rows, CELL_MAX),
            ["A      LONG HEAD", "größe  x\u{fffd}"]
        );
    }
}
