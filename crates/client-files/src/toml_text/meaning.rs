//! What a document says, apart from how it is written.

use toml::{Table, Value};

/// The value at a path of tables.
pub(super) fn get<'t>(root: &'t Table, path: &[&str]) -> Option<&'t Value> {
    let (last, tables) = path.split_last()?;
    let mut table = root;
    for key in tables {
        table = table.get(*key)?.as_table()?;
    }
    table.get(*last)
}

/// The document with this value at the path; `None` when something other than a table is in the way.
pub(super) fn with(mut root: Table, path: &[&str], value: Value) -> Option<Table> {
    let (last, tables) = path.split_last()?;
    let mut table = &mut root;
    for key in tables {
        let next = table
            .entry(*key)
            .or_insert_with(|| Value::Table(Table::new()));
        table = next.as_table_mut()?;
    }
    table.insert((*last).to_owned(), value);
    Some(root)
}

/// The document without what is at the path, and without the tables on the way that hold nothing then: whether they are said to be
/// there depends on how they were written.
pub(super) fn without(mut root: Table, path: &[&str]) -> Table {
    remove(&mut root, path);
    root
}

fn remove(table: &mut Table, path: &[&str]) {
    match path {
        [] => {}
        [last] => drop(table.remove(*last)),
        [first, rest @ ..] => {
            if let Some(Value::Table(inner)) = table.get_mut(*first) {
                remove(inner, rest);
                if inner.is_empty() {
                    table.remove(*first);
                }
            }
        }
    }
}

/// Whether two documents say the same. Unlike `==`, a `nan` is the same as a `nan`.
pub(super) fn same(one: &Table, other: &Table) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|((key, value), (name, theirs))| key == name && same_value(value, theirs))
}

/// Whether two values say the same.
pub(super) fn same_value(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Float(one), Value::Float(other)) => {
            one.total_cmp(other).is_eq() || (one.is_nan() && other.is_nan())
        }
        (Value::Table(one), Value::Table(other)) => same(one, other),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| same_value(a, b))
        }
        (one, other) => one == other,
    }
}
