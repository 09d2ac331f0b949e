//! Receipts in the database. Time is an argument.

use rusqlite::{Connection, Row, TransactionBehavior};

use crate::limits::{CANDIDATES_MAX, RECEIPTS_SHOWN_MAX};
use crate::responses::whole;
use crate::{Limits, Outcome, Receipt, ReceiptSummary, StoreError};

/// Which receipts are wanted. The newest come first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiptFilter {
    /// The most receipts; 0 for as many as are ever given, 10,000.
    pub limit: u32,
    /// Only turns with this model: as it was asked for, as target, or as the provider's own name.
    pub model: Option<String>,
    /// Only turns that ended so.
    pub outcome: Option<Outcome>,
    /// Only turns that began at this time or later, in milliseconds since 1970.
    pub since_unix_ms: Option<u64>,
}

/// What an id, or the beginning of one, leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// One receipt.
    One(Box<Receipt>),
    /// None.
    Nothing,
    /// More than one; the ids of the newest of them.
    Several(Vec<String>),
}

/// Keeps a receipt, and removes what is too old or too many. A receipt of the same turn is replaced.
pub(crate) fn put(
    connection: &mut Connection,
    limits: &Limits,
    now_unix_s: u64,
    receipt: Receipt,
) -> Result<(), StoreError> {
    let receipt = receipt.bounded();
    let body = serde_json::to_string(&receipt).map_err(|source| StoreError::DamagedReceipt {
        id: receipt.id.clone(),
        source,
    })?;
    insert(connection, limits, now_unix_s, &receipt, &body)
        .map_err(StoreError::doing("keep a receipt"))
}

fn insert(
    connection: &mut Connection,
    limits: &Limits,
    now_unix_s: u64,
    receipt: &Receipt,
    body: &str,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute(
        "INSERT INTO receipts (id, began_unix_ms, model_asked, target, outcome, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE SET
            began_unix_ms = excluded.began_unix_ms, model_asked = excluded.model_asked,
            target = excluded.target, outcome = excluded.outcome, body = excluded.body",
        (
            &receipt.id,
            whole(receipt.began_unix_ms),
            &receipt.model_asked,
            &receipt.target,
            receipt.outcome.name(),
            body,
        ),
    )?;
    prune_in(&transaction, limits, now_unix_s)?;
    transaction.commit()
}

/// Removes what is too old or too many.
pub(crate) fn prune(
    connection: &mut Connection,
    limits: &Limits,
    now_unix_s: u64,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    prune_in(&transaction, limits, now_unix_s)?;
    transaction.commit()
}

fn prune_in(connection: &Connection, limits: &Limits, now_unix_s: u64) -> rusqlite::Result<()> {
    let oldest_unix_s = now_unix_s.saturating_sub(limits.receipts_age_max.as_secs());
    connection.execute(
        "DELETE FROM receipts WHERE began_unix_ms < ?1",
        [whole(oldest_unix_s.saturating_mul(1000))],
    )?;
    let count: i64 =
        connection.query_row("SELECT receipts_count FROM tally", [], |row| row.get(0))?;
    let excess = count.saturating_sub(whole(limits.receipts_count_max));
    if excess > 0 {
        connection.execute(
            "DELETE FROM receipts WHERE sequence IN
                (SELECT sequence FROM receipts ORDER BY began_unix_ms, sequence LIMIT ?1)",
            [excess],
        )?;
    }
    Ok(())
}

/// The receipts that are wanted, the newest first.
pub(crate) fn list(
    connection: &Connection,
    filter: &ReceiptFilter,
) -> Result<Vec<ReceiptSummary>, StoreError> {
    let rows = select(connection, filter).map_err(StoreError::doing("read receipts"))?;
    rows.iter().map(|row| Ok(parse(row)?.summary())).collect()
}

fn select(connection: &Connection, filter: &ReceiptFilter) -> rusqlite::Result<Vec<Stored>> {
    let limit = match filter.limit {
        0 => RECEIPTS_SHOWN_MAX,
        wanted => wanted.min(RECEIPTS_SHOWN_MAX),
    };
    let mut statement = connection.prepare(
        "SELECT id, body FROM receipts
         WHERE (?1 IS NULL OR model_asked = ?1 OR target = ?1 OR substr(target, -length(?1) - 1) = '/' || ?1)
           AND (?2 IS NULL OR outcome = ?2)
           AND began_unix_ms >= ?3
         ORDER BY began_unix_ms DESC, sequence DESC LIMIT ?4",
    )?;
    let rows = statement.query_map(
        (
            &filter.model,
            filter.outcome.map(Outcome::name),
            whole(filter.since_unix_ms.unwrap_or(0)),
            limit,
        ),
        stored,
    )?;
    rows.collect()
}

/// The receipt of this id, or the only one whose id begins so.
pub(crate) fn find(connection: &Connection, prefix: &str) -> Result<Found, StoreError> {
    let mut rows =
        beginning_with(connection, prefix).map_err(StoreError::doing("read receipts"))?;
    let exact = rows.iter().position(|row| row.id == prefix);
    let only = (rows.len() == 1).then_some(0);
    match exact.or(only) {
        Some(at) => Ok(Found::One(Box::new(parse(&rows.swap_remove(at))?))),
        None if rows.is_empty() => Ok(Found::Nothing),
        None => Ok(Found::Several(rows.into_iter().map(|row| row.id).collect())),
    }
}

fn beginning_with(connection: &Connection, prefix: &str) -> rusqlite::Result<Vec<Stored>> {
    // The whole id comes first, however many others begin with it.
    let mut statement = connection.prepare(
        "SELECT id, body FROM receipts WHERE substr(id, 1, length(?1)) = ?1
         ORDER BY id = ?1 DESC, began_unix_ms DESC, sequence DESC LIMIT ?2",
    )?;
    let rows = statement.query_map((prefix, CANDIDATES_MAX), stored)?;
    rows.collect()
}

/// A receipt as it stands in the database.
struct Stored {
    id: String,
    body: String,
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        id: row.get(0)?,
        body: row.get(1)?,
    })
}

fn parse(stored: &Stored) -> Result<Receipt, StoreError> {
    serde_json::from_str(&stored.body).map_err(|source| StoreError::DamagedReceipt {
        id: stored.id.clone(),
        source,
    })
}
