//! Stored responses in the database. Time is an argument: `now_unix_s`, or the earliest second that is still young enough.

use std::collections::VecDeque;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior};

use crate::{ChainError, Limits, StoreError, StoredResponse};

/// Keeps a response, and removes what is too old or too much. A response of the same id is replaced.
pub(crate) fn put(
    connection: &mut Connection,
    limits: &Limits,
    now_unix_s: u64,
    response: &StoredResponse,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute(
        "INSERT INTO responses (id, parent, created_unix_s, model, input_items, output_items, response, bytes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (id) DO UPDATE SET
            parent = excluded.parent, created_unix_s = excluded.created_unix_s, model = excluded.model,
            input_items = excluded.input_items, output_items = excluded.output_items,
            response = excluded.response, bytes = excluded.bytes",
        (
            &response.id,
            &response.parent,
            whole(response.created_unix_s),
            &response.model,
            &response.input_items,
            &response.output_items,
            &response.response,
            whole(response.bytes()),
        ),
    )?;
    prune_in(&transaction, limits, now_unix_s)?;
    transaction.commit()
}

/// Removes what is too old or too much.
pub(crate) fn prune(
    connection: &mut Connection,
    limits: &Limits,
    now_unix_s: u64,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    prune_in(&transaction, limits, now_unix_s)?;
    transaction.commit()
}

fn prune_in(
    transaction: &Transaction<'_>,
    limits: &Limits,
    now_unix_s: u64,
) -> rusqlite::Result<()> {
    transaction.execute(
        "DELETE FROM responses WHERE created_unix_s < ?1",
        [whole(oldest(limits, now_unix_s))],
    )?;
    let total: i64 =
        transaction.query_row("SELECT responses_bytes FROM tally", [], |row| row.get(0))?;
    let excess = total.saturating_sub(whole(limits.responses_bytes_max));
    if excess > 0 {
        free(transaction, excess)?;
    }
    Ok(())
}

/// Removes the oldest responses until so many bytes are free.
fn free(transaction: &Transaction<'_>, mut excess: i64) -> rusqlite::Result<()> {
    let mut oldest = transaction
        .prepare("SELECT sequence, bytes FROM responses ORDER BY created_unix_s, sequence")?;
    let mut leaving: Vec<i64> = Vec::new();
    let mut rows = oldest.query([])?;
    while excess > 0
        && let Some(row) = rows.next()?
    {
        leaving.push(row.get(0)?);
        excess -= row.get::<_, i64>(1)?;
    }
    let mut remove = transaction.prepare("DELETE FROM responses WHERE sequence = ?1")?;
    for sequence in leaving {
        remove.execute([sequence])?;
    }
    Ok(())
}

/// The response of this id, unless it is older than `oldest_unix_s`.
pub(crate) fn get(
    connection: &Connection,
    id: &str,
    oldest_unix_s: u64,
) -> rusqlite::Result<Option<StoredResponse>> {
    connection
        .query_row(
            "SELECT id, parent, created_unix_s, model, input_items, output_items, response
             FROM responses WHERE id = ?1 AND created_unix_s >= ?2",
            (id, whole(oldest_unix_s)),
            read,
        )
        .optional()
}

fn read(row: &Row<'_>) -> rusqlite::Result<StoredResponse> {
    let created: i64 = row.get(2)?;
    Ok(StoredResponse {
        id: row.get(0)?,
        parent: row.get(1)?,
        created_unix_s: u64::try_from(created).unwrap_or_default(),
        model: row.get(3)?,
        input_items: row.get(4)?,
        output_items: row.get(5)?,
        response: row.get(6)?,
    })
}

/// The response of this id and all that it goes on from, the root first, as they were at one moment.
pub(crate) fn chain(
    connection: &mut Connection,
    limits: &Limits,
    now_unix_s: u64,
    id: &str,
) -> Result<Vec<StoredResponse>, ChainError> {
    let transaction = connection
        .transaction()
        .map_err(StoreError::doing("read the history of a response"))?;
    let oldest_unix_s = oldest(limits, now_unix_s);
    let mut chain: VecDeque<StoredResponse> = VecDeque::new();
    let mut bytes = 0u64;
    let mut next = Some(id.to_owned());
    while let Some(wanted) = next {
        let found = get(&transaction, &wanted, oldest_unix_s)
            .map_err(StoreError::doing("read the history of a response"))?
            .ok_or_else(|| gone(chain.front(), wanted))?;
        bytes = bytes.saturating_add(found.bytes());
        if bytes > limits.chain_bytes_max {
            return Err(ChainError::TooLarge {
                id: id.to_owned(),
                bytes_max: limits.chain_bytes_max,
            });
        }
        // Also the end of a chain that bites its own tail.
        if chain.len() == limits.chain_length_max {
            return Err(ChainError::TooLong {
                id: id.to_owned(),
                length_max: limits.chain_length_max,
            });
        }
        let parent = found.parent.clone();
        chain.push_front(found);
        next = parent;
    }
    Ok(chain.into())
}

/// What is missing: what was asked for, or the parent of the link before.
fn gone(child: Option<&StoredResponse>, missing: String) -> ChainError {
    match child {
        None => ChainError::Unknown { id: missing },
        Some(child) => ChainError::Broken {
            id: child.id.clone(),
            missing,
        },
    }
}

/// Removes a response; `false` when there was none. Responses that go on from it stay, and their chains say that it is gone.
pub(crate) fn delete(
    connection: &Connection,
    id: &str,
    oldest_unix_s: u64,
) -> rusqlite::Result<bool> {
    let removed = connection.execute(
        "DELETE FROM responses WHERE id = ?1 AND created_unix_s >= ?2",
        (id, whole(oldest_unix_s)),
    )?;
    Ok(removed > 0)
}

/// The earliest second that is young enough.
pub(crate) fn oldest(limits: &Limits, now_unix_s: u64) -> u64 {
    now_unix_s.saturating_sub(limits.responses_age_max.as_secs())
}

/// SQLite's integers are signed.
pub(crate) fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
