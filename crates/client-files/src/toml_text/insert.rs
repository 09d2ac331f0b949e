//! Which bytes a new value goes to.

use toml_writer::ToTomlKey;

use super::error::EditError;
use super::layout::{Block, Entry, Layout, begins_with};
use super::lines::{Splice, insert_lines, line_end, line_start, top};

/// Where in a text a key that is not there yet is to be written.
enum Place<'l> {
    /// In an inline table.
    Inline(&'l Entry),
    /// In a block, behind this entry, with what of the path the header does not say.
    Behind(&'l Block, &'l Entry),
    /// In a block that has no entries.
    Empty(&'l Block),
    /// Below a header that is to be written.
    NewHeader,
}

/// The change that adds `path` with this value. The path must not be there.
pub(super) fn insert(
    text: &str,
    layout: &Layout,
    path: &[&str],
    value: &str,
) -> Result<Splice, EditError> {
    Ok(match place(layout, path)? {
        Place::Inline(table) => {
            let line = assignment(&path[table.path.len()..], value);
            in_inline_table(table, &line)
        }
        Place::Behind(block, entry) => {
            let line = assignment(&path[block.path().len()..], value);
            let start = line_start(text, entry.key.start);
            let indent = &text[start..entry.key.start];
            let at = line_end(text, entry.value.end);
            insert_lines(text, at, &[&format!("{indent}{line}")])
        }
        Place::Empty(block) => {
            let line = assignment(&path[block.path().len()..], value);
            match &block.header {
                Some(header) => insert_lines(text, line_end(text, header.span.end), &[&line]),
                None => at_top(text, &line),
            }
        }
        Place::NewHeader => {
            let (key, table) = path.split_last().ok_or(EditError::NoKey)?;
            let (header, line) = (format!("[{}]", dotted(table)), assignment(&[key], value));
            if text.is_empty() {
                insert_lines(text, 0, &[&header, &line])
            } else {
                // Always an empty line of its own, so that it can be taken back without a doubt.
                insert_lines(text, text.len(), &["", &header, &line])
            }
        }
    })
}

fn place<'l>(layout: &'l Layout, path: &[&str]) -> Result<Place<'l>, EditError> {
    for length in (1..path.len()).rev() {
        let Some(entry) = layout.entry(&path[..length]) else {
            continue;
        };
        return match entry.inline {
            Some(_) => Ok(Place::Inline(entry)),
            None => Err(not_a_table(&path[..length])),
        };
    }
    let parent = &path[..path.len() - 1];
    let headers = layout
        .blocks
        .iter()
        .filter(|block| begins_with(parent, block.path()));
    let mut deepest: Option<&Block> = None;
    for block in headers {
        if !block.is_reachable() {
            let names: Vec<&str> = block.path().iter().map(String::as_str).collect();
            return Err(not_a_table(&names));
        }
        if deepest.is_none_or(|found| found.path().len() < block.path().len()) {
            deepest = Some(block);
        }
    }
    let depth = deepest.map_or(0, |block| block.path().len());
    // A table that dotted keys have made can only be added to by dotted keys beside them.
    if let Some((block, entry, dotted_depth)) = dotted_table(layout, parent)
        && dotted_depth > depth
    {
        return Ok(Place::Behind(block, entry));
    }
    Ok(match deepest {
        Some(block) if depth == parent.len() => match block.entries.last() {
            Some(entry) => Place::Behind(block, entry),
            None => Place::Empty(block),
        },
        Some(_) | None => Place::NewHeader,
    })
}

/// The last entry whose dotted key makes the deepest table on the way to `parent`, and how deep that is.
fn dotted_table<'l>(layout: &'l Layout, parent: &[&str]) -> Option<(&'l Block, &'l Entry, usize)> {
    let mut found: Option<(&Block, &Entry, usize)> = None;
    for block in layout.blocks.iter().filter(|block| block.is_reachable()) {
        for entry in &block.entries {
            let made = block.path().len() + 1..entry.path.len();
            let depth = made
                .rev()
                .find(|depth| begins_with(parent, &entry.path[..*depth]));
            if let Some(depth) = depth
                && found.is_none_or(|(_, _, deepest)| deepest <= depth)
            {
                found = Some((block, entry, depth));
            }
        }
    }
    found
}

/// Writes the first entry of a file above its first header, with an empty line behind it.
fn at_top(text: &str, line: &str) -> Splice {
    let at = top(text);
    if at == text.len() {
        insert_lines(text, at, &[line])
    } else {
        insert_lines(text, at, &[line, ""])
    }
}

fn in_inline_table(table: &Entry, line: &str) -> Splice {
    let entries = table.inline.as_deref().unwrap_or_default();
    let (at, text) = match entries.last().map(|last| (last.comma, last.value.end)) {
        Some((Some(comma), _)) => (comma + 1, format!(" {line},")),
        Some((None, end)) => (end, format!(", {line}")),
        None => {
            let at = table.value.start + 1;
            // `{}` becomes `{a = 1}` and `{ }` becomes `{ a = 1 }`, so that both can be had back.
            let is_tight = at + 1 == table.value.end;
            let space = if is_tight { "" } else { " " };
            (at, format!("{space}{line}"))
        }
    };
    Splice {
        range: at..at,
        text,
    }
}

fn assignment(keys: &[&str], value: &str) -> String {
    format!("{} = {value}", dotted(keys))
}

/// Keys with dots between them, in quotes where they need some.
pub(super) fn dotted(keys: &[&str]) -> String {
    let keys: Vec<String> = keys.iter().map(ToTomlKey::to_toml_key).collect();
    keys.join(".")
}

fn not_a_table(path: &[&str]) -> EditError {
    EditError::NotATable { path: dotted(path) }
}
