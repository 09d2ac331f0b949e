//! Two changes of one text, put together line by line.

use similar::{Algorithm, DiffOp, capture_diff_slices};

/// Stands before what was edited here, where both changed the same lines. None of the marks is TOML, so that no such draft is taken.
pub(crate) const MINE: &str = "<<<<<<< yours";

/// Stands between the two.
const BETWEEN: &str = "=======";

/// Stands behind what somebody else wrote.
pub(crate) const END: &str = ">>>>>>> theirs";

/// Two changes put together.
pub(crate) struct Merged {
    pub(crate) text: Vec<u8>,
    /// Some lines were changed by both, and stand there twice.
    pub(crate) has_conflicts: bool,
}

/// What `mine` and `theirs`, which were both made from `base`, are together.
pub(crate) fn merged(base: &[u8], mine: &[u8], theirs: &[u8]) -> Merged {
    let [base, mine, theirs] = [base, mine, theirs].map(lines);
    let (in_mine, in_theirs) = (places(&base, &mine), places(&base, &theirs));
    let mut merged = Merged {
        text: Vec::new(),
        has_conflicts: false,
    };
    // How far each of the three is written.
    let (mut from_base, mut from_mine, mut from_theirs) = (0, 0, 0);
    let both = |line: usize| Some((line, in_mine[line]?, in_theirs[line]?));
    let kept = (0..base.len()).filter_map(both);
    for (line, at_mine, at_theirs) in kept.chain([(base.len(), mine.len(), theirs.len())]) {
        merged.add(
            &base[from_base..line],
            &mine[from_mine..at_mine],
            &theirs[from_theirs..at_theirs],
        );
        let same = base.get(line).copied().unwrap_or_default();
        merged.text.extend_from_slice(same);
        (from_base, from_mine, from_theirs) = (line + 1, at_mine + 1, at_theirs + 1);
    }
    merged
}

impl Merged {
    /// Adds lines between two that everybody has.
    fn add(&mut self, base: &[&[u8]], mine: &[&[u8]], theirs: &[&[u8]]) {
        if mine == base || mine == theirs {
            self.text.extend(theirs.concat());
        } else if theirs == base {
            self.text.extend(mine.concat());
        } else {
            self.has_conflicts = true;
            self.add_marked(MINE, mine);
            self.add_marked(BETWEEN, theirs);
            self.add_marked(END, &[]);
        }
    }

    fn add_marked(&mut self, mark: &str, lines: &[&[u8]]) {
        if !self.text.is_empty() && !self.text.ends_with(b"\n") {
            self.text.push(b'\n');
        }
        self.text.extend_from_slice(mark.as_bytes());
        self.text.push(b'\n');
        self.text.extend(lines.concat());
    }
}

/// The lines with their ends.
fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').collect()
}

/// Where each line of one text is in another, which has them in the same order.
fn places(base: &[&[u8]], other: &[&[u8]]) -> Vec<Option<usize>> {
    let mut places = vec![None; base.len()];
    for op in capture_diff_slices(Algorithm::Myers, base, other) {
        if let DiffOp::Equal {
            old_index,
            new_index,
            len,
        } = op
        {
            for step in 0..len {
                places[old_index + step] = Some(new_index + step);
            }
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(base: &str, mine: &str, theirs: &str, expected: &str, conflicts: bool) {
        let found = merged(base.as_bytes(), mine.as_bytes(), theirs.as_bytes());
        assert_eq!(String::from_utf8(found.text).unwrap(), expected);
        assert_eq!(found.has_conflicts, conflicts);
    }

    #[test]
    fn changes_are_put_together() {
        check(
            "a\nb\nc\n",
            "a\nB\nc\n",
            "a\nb\nc\nd\n",
            "a\nB\nc\nd\n",
            false,
        );
        check("a\nb\nc\n", "b\nc\n", "a\nb\n", "b\n", false);
        check("a\n", "a\nx\n", "a\nx\n", "a\nx\n", false);
        check("", "x\n", "", "x\n", false);
        check("a", "a", "b", "b", false);
        check(
            "a\nb\n",
            "a\nB\n",
            "a\nC",
            "a\n<<<<<<< yours\nB\n=======\nC\n>>>>>>> theirs\n",
            true,
        );
    }
}
