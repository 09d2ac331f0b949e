//! The one thread that touches the database.

use std::convert::Infallible;
use std::sync::mpsc as blocking;
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::limits::QUEUE_LENGTH;
use crate::{Limits, StoreError};

/// The database as the jobs see it.
pub(crate) struct Database {
    pub(crate) connection: Connection,
    pub(crate) limits: Limits,
}

impl Database {
    /// The time, in seconds since 1970.
    pub(crate) fn now_unix_s() -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.unwrap_or_default().as_secs()
    }
}

/// What the thread is asked to do.
pub(crate) enum Job {
    /// Work on the database. Whoever asked waits on a channel of its own, or for nothing.
    Work(Box<dyn FnOnce(&mut Database) + Send>),
    /// Take no more jobs, do those that wait, close the database, and say so.
    Close(oneshot::Sender<()>),
}

/// Starts the thread. The second channel gives nothing; it ends when the thread has closed the database.
pub(crate) fn start(
    database: Database,
) -> Result<(mpsc::Sender<Job>, blocking::Receiver<Infallible>), StoreError> {
    let (jobs, waiting) = mpsc::channel(QUEUE_LENGTH);
    let (ending, ended) = blocking::channel();
    std::thread::Builder::new()
        .name("polywire-store".to_owned())
        .spawn(move || {
            work(database, waiting);
            drop(ending);
        })
        .map_err(|source| StoreError::StartThread { source })?;
    Ok((jobs, ended))
}

/// Does one job after the other until it is told to close, or until the last handle is gone.
fn work(mut database: Database, mut waiting: mpsc::Receiver<Job>) {
    let mut closing = Vec::new();
    while let Some(job) = waiting.blocking_recv() {
        match job {
            Job::Work(job) => job(&mut database),
            Job::Close(done) => {
                waiting.close();
                closing.push(done);
            }
        }
    }
    // Closing the last connection writes the log back into the file.
    if let Err((_, error)) = database.connection.close() {
        tracing::warn!(%error, "the store was not closed cleanly; nothing is lost");
    }
    for done in closing {
        if done.send(()).is_err() {
            tracing::debug!("nobody waits for the store to close");
        }
    }
}
