//! The three-way merge: what the file was, what we made of it, what others have made of that.

use toml::{Table, Value};

use super::plan::Kept;
use super::record::{Ours, Record};
use crate::toml_text::{begins_with, dotted, parsed, same_value};
use crate::{EditError, TomlText};

/// Takes out of `text` what the record says is ours, and puts back what stood there before. What others have changed stays; it is told.
///
/// `tables_whole`: a table of ours that was not there before and holds something else too stays whole, because it may mean nothing otherwise. One
/// that was there means something without us.
pub(super) fn take_back(
    text: &mut TomlText,
    before: &TomlText,
    record: &Record,
    tables_whole: bool,
) -> Result<Vec<Kept>, EditError> {
    let mut kept = Vec::new();
    let mut whole: Vec<&[String]> = Vec::new();
    let is_new = |table: &&Vec<String>| before.get(&keys(table)).is_none();
    for table in record.tables.iter().filter(|_| tables_whole).filter(is_new) {
        let others = not_ours(text, table, &record.ours);
        if !others.is_empty() {
            whole.push(table);
            kept.push(Kept::Table {
                table: dotted(&keys(table)),
                others,
            });
        }
    }
    // Before anything is taken back: what they go with may be the first.
    let along: Vec<Option<&Vec<String>>> = record
        .ours
        .iter()
        .map(|ours| in_force(text, ours.along_with.as_ref(), &record.ours))
        .collect();
    // The last first, so that empty lines and headers go as they came.
    for (ours, along) in record.ours.iter().zip(along).rev() {
        if whole.iter().any(|table| begins_with(&ours.path, table)) {
            continue;
        }
        kept.extend(take_back_value(text, before, ours, along)?);
    }
    Ok(kept)
}

/// The path that a value goes with, if what stands there is ours.
fn in_force<'r>(
    text: &TomlText,
    along_with: Option<&'r Vec<String>>,
    all: &[Ours],
) -> Option<&'r Vec<String>> {
    let path = along_with?;
    let value = text.get(&keys(path))?;
    all.iter()
        .any(|ours| ours.path == *path && ours.is(value))
        .then_some(path)
}

/// Takes one value back, or tells why it stays.
fn take_back_value(
    text: &mut TomlText,
    before: &TomlText,
    ours: &Ours,
    along: Option<&Vec<String>>,
) -> Result<Option<Kept>, EditError> {
    let path = keys(&ours.path);
    let (now, old) = (text.get(&path), before.get(&path));
    let is_there = now.is_some();
    let is_ours = now.is_some_and(|now| ours.is(now));
    let is_as_before = match (now, old) {
        (Some(now), Some(old)) => same_value(old, now),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    if is_ours {
        text.put_back(&path, before)?;
        return Ok(None);
    }
    if is_as_before {
        return Ok(None);
    }
    if let Some(with) = along {
        text.put_back(&path, before)?;
        return Ok(Some(Kept::Along {
            path: dotted(&path),
            with: dotted(&keys(with)),
        }));
    }
    let path = dotted(&path);
    Ok(Some(if is_there {
        Kept::Changed { path }
    } else {
        Kept::Removed { path }
    }))
}

impl Ours {
    /// Whether this is what we set.
    fn is(&self, value: &Value) -> bool {
        let ours = self.values.iter().filter_map(|raw| parsed(raw));
        ours.into_iter().any(|ours| same_value(&ours, value))
    }
}

/// The paths of what stands in a table and was not set by us.
fn not_ours(text: &TomlText, table: &[String], ours: &[Ours]) -> Vec<String> {
    let mut others = Vec::new();
    if let Some(Value::Table(content)) = text.get(&keys(table)) {
        collect(content, table, ours, &mut others);
    }
    others
}

fn collect(table: &Table, path: &[String], ours: &[Ours], others: &mut Vec<String>) {
    for (key, value) in table {
        let path = [path, std::slice::from_ref(key)].concat();
        let own = ours.iter().find(|ours| ours.path == path);
        match (own, value.as_table()) {
            (Some(own), _) if own.is(value) => {}
            (None, Some(inner)) => collect(inner, &path, ours, others),
            (Some(_) | None, _) => others.push(dotted(&keys(&path))),
        }
    }
}

fn keys(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}
