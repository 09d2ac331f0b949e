//! The tables, and the way from every earlier version to them.
//!
//! A migration is never changed once it was released: a new one is added at the end.

use std::path::Path;
use std::time::Instant;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use crate::StoreError;
use crate::limits::{BUSY_TIMEOUT, LOG_BYTES_KEPT, VACUUM_PAGES_MAX};

/// Stands in the file's header, so that we know our own: `plyw` in ASCII.
const APPLICATION_ID: u32 = 0x706c_7977;

/// What brings a file from version `n` to version `n + 1`; version 0 is the empty file.
///
/// The tally is kept by triggers, so that it is right whichever process writes: adding up all records at each write would cost more
/// than the write. A parent is no foreign key: it may be pruned or deleted, and the chain then says so.
pub(crate) const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE responses (
        sequence INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        parent TEXT,
        created_unix_s INTEGER NOT NULL,
        model TEXT NOT NULL,
        input_items TEXT NOT NULL,
        output_items TEXT NOT NULL,
        response TEXT NOT NULL,
        bytes INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX responses_by_age ON responses (created_unix_s, sequence, bytes);
    CREATE TABLE tally (
        responses_count INTEGER NOT NULL,
        responses_bytes INTEGER NOT NULL
    ) STRICT;
    INSERT INTO tally VALUES (0, 0);
    CREATE TRIGGER response_added AFTER INSERT ON responses BEGIN
        UPDATE tally SET responses_count = responses_count + 1, responses_bytes = responses_bytes + new.bytes;
    END;
    CREATE TRIGGER response_changed AFTER UPDATE OF bytes ON responses BEGIN
        UPDATE tally SET responses_bytes = responses_bytes + new.bytes - old.bytes;
    END;
    CREATE TRIGGER response_removed AFTER DELETE ON responses BEGIN
        UPDATE tally SET responses_count = responses_count - 1, responses_bytes = responses_bytes - old.bytes;
    END;
    ",
    "
    CREATE TABLE receipts (
        sequence INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        began_unix_ms INTEGER NOT NULL,
        model_asked TEXT NOT NULL,
        target TEXT NOT NULL,
        outcome TEXT NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX receipts_by_age ON receipts (began_unix_ms, sequence);
    ALTER TABLE tally ADD COLUMN receipts_count INTEGER NOT NULL DEFAULT 0;
    CREATE TRIGGER receipt_added AFTER INSERT ON receipts BEGIN
        UPDATE tally SET receipts_count = receipts_count + 1;
    END;
    CREATE TRIGGER receipt_removed AFTER DELETE ON receipts BEGIN
        UPDATE tally SET receipts_count = receipts_count - 1;
    END;
    ",
    // Which response holds which item, for requests that name an item instead of sending it. Kept by triggers like the tally.
    "
    CREATE TABLE items (
        id TEXT NOT NULL,
        response INTEGER NOT NULL,
        PRIMARY KEY (id, response)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX items_by_response ON items (response);
    INSERT OR IGNORE INTO items
        SELECT item.value ->> 'id', sequence FROM responses, json_each(input_items) AS item
        WHERE item.type = 'object' AND json_type(item.value, '$.id') = 'text'
        UNION
        SELECT item.value ->> 'id', sequence FROM responses, json_each(output_items) AS item
        WHERE item.type = 'object' AND json_type(item.value, '$.id') = 'text';
    CREATE TRIGGER response_items_added AFTER INSERT ON responses BEGIN
        INSERT OR IGNORE INTO items
            SELECT item.value ->> 'id', new.sequence FROM json_each(new.input_items) AS item
            WHERE item.type = 'object' AND json_type(item.value, '$.id') = 'text'
            UNION
            SELECT item.value ->> 'id', new.sequence FROM json_each(new.output_items) AS item
            WHERE item.type = 'object' AND json_type(item.value, '$.id') = 'text';
    END;
    CREATE TRIGGER response_items_changed AFTER UPDATE OF input_items, output_items ON responses BEGIN
        DELETE FROM items WHERE response = old.sequence;
        INSERT OR IGNORE INTO items
            SELECT item.value ->> 'id', new.sequence FROM json_each(new.input_items) AS item
            WHERE item.type = 'object' AND json_type(item.value, '$.id') = 'text'
            UNION
            SELECT item.value ->> 'id', new.sequence FROM json_each(new.output_items) AS item
            WHERE item.type = 'object' AND json_type(item.value, '$.id') = 'text';
    END;
    CREATE TRIGGER response_items_removed AFTER DELETE ON responses BEGIN
        DELETE FROM items WHERE response = old.sequence;
    END;
    ",
];

/// Makes a connection fit for use: settings, then migrations, then the space that is free.
pub(crate) fn set_up(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    configure(connection).map_err(|error| StoreError::Open {
        path: path.to_owned(),
        source: error.into(),
    })?;
    migrate(connection, path, MIGRATIONS)?;
    give_space_back(connection).map_err(StoreError::doing("give free space back"))
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Takes effect on a file that is still empty, and before the write-ahead log is switched on only.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    use_write_ahead_log(connection)?;
    // A process that is killed loses nothing; a machine that loses its power may lose the last turns, but never half of one.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
    // What a user deletes is prompts and answers: their bytes go, not only the way to them.
    connection.pragma_update(None, "secure_delete", true)
}

/// Switches the write-ahead log on. While another process does the same, SQLite says "busy" without waiting.
fn use_write_ahead_log(connection: &Connection) -> rusqlite::Result<()> {
    let began = Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if is_busy(&error) && began.elapsed() < BUSY_TIMEOUT => {
                std::thread::sleep(BUSY_TIMEOUT / 500);
            }
            outcome => return outcome,
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// Brings the file to the newest version, all at once or not at all.
fn migrate(
    connection: &mut Connection,
    path: &Path,
    migrations: &[&str],
) -> Result<(), StoreError> {
    let open = |error: rusqlite::Error| StoreError::Open {
        path: path.to_owned(),
        source: error.into(),
    };
    // Another process may be at it: whoever gets the lock second finds the work done.
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(open)?;
    let found = version(&transaction).map_err(open)?;
    if is_foreign(&transaction, found).map_err(open)? {
        return Err(StoreError::Foreign {
            path: path.to_owned(),
        });
    }
    let known = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            known,
        });
    }
    for (migration, version) in migrations.iter().zip(1..).skip(found as usize) {
        transaction
            .execute_batch(migration)
            .and_then(|()| transaction.pragma_update(None, "user_version", version))
            .and_then(|()| transaction.pragma_update(None, "application_id", APPLICATION_ID))
            .map_err(|error| StoreError::Migrate {
                path: path.to_owned(),
                version,
                source: error.into(),
            })?;
    }
    transaction.commit().map_err(|error| StoreError::Migrate {
        path: path.to_owned(),
        version: known,
        source: error.into(),
    })
}

fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Whether somebody else made this file. An empty one is nobody's.
fn is_foreign(connection: &Connection, version: u32) -> rusqlite::Result<bool> {
    let application: u32 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let empty = application == 0 && version == 0 && tables == 0;
    Ok(application != APPLICATION_ID && !empty)
}

/// Gives free pages back to the file system when there are many. Otherwise the next responses fill them, which is cheaper.
fn give_space_back(connection: &Connection) -> rusqlite::Result<()> {
    let pages = |name: &str| -> rusqlite::Result<i64> {
        connection.pragma_query_value(None, name, |row| row.get(0))
    };
    if pages("freelist_count")? * 4 < pages("page_count")? {
        return Ok(());
    }
    // Each step gives one page back.
    let mut vacuum =
        connection.prepare(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES_MAX})"))?;
    let mut steps = vacuum.query([])?;
    while steps.next()?.is_some() {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoredResponse;

    fn tables(connection: &Connection) -> Vec<String> {
        let mut statement = connection
            .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
            .unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    fn at_version(path: &Path, version: usize) -> Connection {
        let mut connection = Connection::open(path).unwrap();
        configure(&connection).unwrap();
        migrate(&mut connection, path, &MIGRATIONS[..version]).unwrap();
        connection
    }

    #[test]
    fn every_earlier_version_becomes_the_newest_and_keeps_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let fresh = at_version(&folder.path().join("fresh"), MIGRATIONS.len());
        for version in 0..=MIGRATIONS.len() {
            let path = folder.path().join(format!("at-{version}"));
            let old = at_version(&path, version);
            if version >= 1 {
                old.execute(
                    "INSERT INTO responses VALUES (7, 'resp_1', NULL, 100, 'm', '[1, {\"id\": 5}]', '[{\"id\":\"m\u{f6}\"}]', '{}', 50)",
                    [],
                )
                .unwrap();
            }
            if version >= 2 {
                old.execute(
                    "INSERT INTO receipts VALUES (3, 'turn_1', 5, 'm', 't/m', 'finished', '{\"id\":\"turn_1\"}')",
                    [],
                )
                .unwrap();
            }
            drop(old);
            let mut connection = Connection::open(&path).unwrap();
            set_up(&mut connection, &path).unwrap();
            assert_eq!(
                tables(&connection),
                tables(&fresh),
                "from version {version}"
            );
            let kept = crate::responses::get(&connection, "resp_1", 0).unwrap();
            let expected = StoredResponse {
                id: "resp_1".to_owned(),
                parent: None,
                created_unix_s: 100,
                input_items: r#"[1, {"id": 5}]"#.to_owned(),
                output_items: r#"[{"id":"mö"}]"#.to_owned(),
                response: "{}".to_owned(),
                model: "m".to_owned(),
            };
            assert_eq!(kept, (version >= 1).then_some(expected));
            let item = crate::items::get(&connection, "mö", 0).unwrap();
            assert_eq!(item.as_deref(), (version >= 1).then_some(r#"{"id":"mö"}"#));
            let tally: (u8, u8, u8) = connection
                .query_row(
                    "SELECT responses_count, responses_bytes, receipts_count FROM tally",
                    [],
                    |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
                )
                .unwrap();
            let counted = [(0, 0, 0), (1, 50, 0), (1, 50, 1), (1, 50, 1)];
            assert_eq!(tally, counted[version], "from version {version}");
        }
    }

    #[test]
    fn a_migration_that_fails_leaves_the_file_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let mut connection = at_version(&path, 1);
        let before = tables(&connection);
        let broken = [
            MIGRATIONS[0],
            "CREATE TABLE more (a); CREATE TABLE more (b)",
        ];
        let error = migrate(&mut connection, &path, &broken).unwrap_err();
        assert!(
            matches!(error, StoreError::Migrate { version: 2, .. }),
            "{error}"
        );
        assert_eq!(tables(&connection), before);
        assert_eq!(version(&connection).unwrap(), 1);
    }

    #[test]
    fn files_of_others_and_of_the_future_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |name: &str, sql: &str| {
            let path = folder.path().join(name);
            Connection::open(&path).unwrap().execute_batch(sql).unwrap();
            let mut connection = Connection::open(&path).unwrap();
            set_up(&mut connection, &path).unwrap_err()
        };
        let foreign = refused("foreign", "CREATE TABLE theirs (a)");
        assert!(matches!(foreign, StoreError::Foreign { .. }), "{foreign}");
        let numbered = refused(
            "numbered",
            "PRAGMA user_version = 1; PRAGMA application_id = 5",
        );
        assert!(matches!(numbered, StoreError::Foreign { .. }), "{numbered}");
        let future = refused(
            "future",
            &format!("PRAGMA user_version = 99; PRAGMA application_id = {APPLICATION_ID}"),
        );
        let StoreError::Newer { found, known, .. } = future else {
            panic!("{future}");
        };
        assert_eq!((found, known), (99, 3));
    }

    #[test]
    fn free_space_is_given_back_when_there_is_much() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let connection = at_version(&path, MIGRATIONS.len());
        for id in 0..100 {
            let text = "x".repeat(20_000);
            connection
                .execute(
                    "INSERT INTO responses VALUES (NULL, ?1, NULL, 1, '', '[]', '[]', ?2, 1)",
                    (id.to_string(), text),
                )
                .unwrap();
        }
        let pages = |connection: &Connection| -> i64 {
            connection
                .pragma_query_value(None, "page_count", |row| row.get(0))
                .unwrap()
        };
        let full = pages(&connection);
        connection.execute("DELETE FROM responses", []).unwrap();
        assert_eq!(pages(&connection), full);
        drop(connection);
        let mut connection = Connection::open(&path).unwrap();
        set_up(&mut connection, &path).unwrap();
        assert!(pages(&connection) < full / 4);
    }
}
