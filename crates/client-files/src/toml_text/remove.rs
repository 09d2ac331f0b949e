//! Which bytes go when a value or a table is taken out.

use super::layout::{Block, Entry, Layout, begins_with};
use super::lines::{Splice, blank_line, line_end, line_start, remove_lines, top};

/// The change that takes out the first thing at or below the path: an entry, or a header with all that stands below it. `None` when there
/// is nothing left. `blank_is_ours`: an empty line behind the first entry of a file was written with it.
pub(super) fn remove_next(
    text: &str,
    layout: &Layout,
    path: &[&str],
    blank_is_ours: bool,
) -> Option<Splice> {
    for block in &layout.blocks {
        let path_of_block = block.path();
        if block.header.is_some() && begins_with(path_of_block, path) {
            return Some(whole_block(text, block));
        }
        let is_above = begins_with(path, path_of_block);
        if is_above && block.is_reachable() {
            for (at, entry) in block.entries.iter().enumerate() {
                if begins_with(&entry.path, path) {
                    return Some(line_of(text, block, &block.entries[at], blank_is_ours));
                }
                if let Some(splice) = inside(text, entry, path) {
                    return Some(splice);
                }
            }
        }
    }
    None
}

/// The change that takes out a header below which nothing stands.
pub(super) fn remove_bare_header(text: &str, layout: &Layout, path: &[&str]) -> Option<Splice> {
    let block = layout
        .blocks
        .iter()
        .find(|block| block.header.is_some() && block.is_reachable() && block.path() == path)?;
    block.entries.is_empty().then(|| whole_block(text, block))
}

/// From the header to the last entry, with one empty line before it.
fn whole_block(text: &str, block: &Block) -> Splice {
    let header = block
        .header
        .as_ref()
        .map_or(0..0, |header| header.span.clone());
    let last = block
        .entries
        .last()
        .map_or(header.end, |entry| entry.value.end);
    let mut start = line_start(text, header.start);
    if start > 0 {
        let before = line_start(text, start - 1);
        if blank_line(text, before).is_some_and(|length| before + length == start) {
            start = before;
        }
    }
    remove_lines(text, start..line_end(text, last))
}

/// The line of an entry. What somebody has noted behind the value stays.
fn line_of(text: &str, block: &Block, entry: &Entry, blank_is_ours: bool) -> Splice {
    let end = line_end(text, entry.value.end);
    if let Some(comment) = text[entry.value.end..end].find('#') {
        return Splice {
            range: entry.key.start..entry.value.end + comment,
            text: String::new(),
        };
    }
    let start = line_start(text, entry.key.start);
    let splice = remove_lines(text, start..end);
    let is_only = block.header.is_none() && block.entries.len() == 1;
    if is_only && blank_is_ours {
        with_empty_line(text, splice)
    } else {
        splice
    }
}

/// The first entry of a file was written with an empty line behind it; see `insert`.
fn with_empty_line(text: &str, splice: Splice) -> Splice {
    let without = splice.apply(text);
    let at = splice.range.start;
    match blank_line(&without, at) {
        Some(length) if top(&without) == at => Splice {
            range: at..splice.range.end + length,
            text: splice.text,
        },
        Some(_) | None => splice,
    }
}

fn inside(text: &str, table: &Entry, path: &[&str]) -> Option<Splice> {
    let entries = table.inline.as_deref()?;
    for (at, entry) in entries.iter().enumerate() {
        if begins_with(&entry.path, path) {
            return Some(of_inline_table(text, table, entries, at));
        }
        if let Some(splice) = inside(text, entry, path) {
            return Some(splice);
        }
    }
    None
}

fn of_inline_table(text: &str, table: &Entry, entries: &[Entry], at: usize) -> Splice {
    let entry = &entries[at];
    let before = at.checked_sub(1).and_then(|at| entries.get(at));
    let range = match (before.and_then(|before| before.comma), entry.comma) {
        // Behind another one: with the comma between them, or with its own where the table has one at its end.
        (Some(comma), None) => comma..entry.value.end,
        (Some(comma), Some(own)) => comma + 1..own + 1,
        (None, Some(own)) => {
            let next = entries.get(at + 1);
            entry.key.start..next.map_or(own + 1, |next| next.key.start)
        }
        (None, None) => {
            let is_tight = entry.value.end + 1 == table.value.end;
            let start = if is_tight {
                entry.key.start
            } else {
                text[..entry.key.start].trim_end_matches([' ', '\t']).len()
            };
            start..entry.value.end
        }
    };
    Splice {
        range,
        text: String::new(),
    }
}
