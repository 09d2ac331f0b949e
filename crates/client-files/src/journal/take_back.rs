//! The three-way merge: what the file was, what we made of it, what others have made of that.

use toml::{Table, Value};

use super::plan::Kept;
use super::record::{Ours, Record};
use crate::toml_text::{begins_with, dotted, parsed, same_value};
use crate::{EditError, TomlText};

/// Takes out of `text` what the record says is ours, and puts back what stood there before. What others have changed stays; it is told.
///
/// `tables_whole`: a table of ours that holds something else too stays whole, because it may mean nothing otherwise.
pub(super) fn take_back(
    text: &mut TomlText,
    before: &TomlText,
    record: &Record,
    tables_whole: bool,
) -> Result<Vec<Kept>, EditError> {
    let mut kept = Vec::new();
    let mut whole: Vec<&[String]> = Vec::new();
    for table in record.tables.iter().filter(|_| tables_whole) {
        let others = not_ours(text, table, &record.ours);
        if !others.is_empty() {
            whole.push(table);
            kept.push(Kept::Table {
                table: dotted(&keys(table)),
                others,
            });
        }
    }
    // The last first, so that empty lines and headers go as they came.
    for ours in record.ours.iter().rev() {
        if whole.iter().any(|table| begins_with(&ours.path, table)) {
            continue;
        }
        let path = keys(&ours.path);
        match text.get(&path) {
            Some(value) if ours.is(value) => text.put_back(&path, before)?,
            Some(value) if before.get(&path).is_some_and(|old| same_value(old, value)) => {}
            Some(_) => kept.push(Kept::Changed {
                path: dotted(&path),
            }),
            None if before.get(&path).is_some() => {
                kept.push(Kept::Removed {
                    path: dotted(&path),
                });
            }
            None => {}
        }
    }
    Ok(kept)
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
