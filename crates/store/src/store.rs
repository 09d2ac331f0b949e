//! The handle.

use std::convert::Infallible;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc as blocking;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, Row};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::limits::{DROP_TIME_MAX, QUEUE_KIB_MAX};
use crate::worker::{Database, Job};
use crate::{
    ChainError, Found, Limits, Receipt, ReceiptFilter, ReceiptSummary, StoreError, StoredResponse,
    items, place, receipts, responses, schema, worker,
};

/// Stored responses and receipts. Cloning gives another handle on the same thread and the same file.
///
/// Dropping a future of a write does not take the write back: once it is queued, it is done. Dropping the last handle waits for what
/// is queued, up to five seconds; [`Store::close`] waits for all of it without holding the runtime up.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    limits: Limits,
    /// `None` only while the last handle is dropped.
    jobs: Option<mpsc::Sender<Job>>,
    ended: Mutex<blocking::Receiver<Infallible>>,
    /// Kibibytes of responses that may yet be queued.
    room: Arc<Semaphore>,
    receipts_dropped: Arc<AtomicU64>,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Stored responses.
    pub responses: u64,
    /// What they count for in bytes.
    pub responses_bytes: u64,
    /// Receipts.
    pub receipts: u64,
}

impl Store {
    /// Opens the file, makes it where it is missing (mode 0600, its folder 0700), brings it to the newest version, and removes what is
    /// too old or too much. Blocks for some milliseconds; for seconds when another process holds the file.
    ///
    /// # Errors
    /// The file cannot be made or opened, is not ours, or is of a newer polywire.
    pub fn open(path: &Path, limits: Limits) -> Result<Self, StoreError> {
        place::prepare(path)?;
        let connection = Connection::open(path).map_err(|error| StoreError::Open {
            path: path.to_owned(),
            source: error.into(),
        })?;
        Self::start(connection, path, limits)
    }

    /// A store that ends with its last handle: for `polywire demo`, and for tests.
    ///
    /// # Errors
    /// There is no memory, or no thread to be had.
    pub fn in_memory(limits: Limits) -> Result<Self, StoreError> {
        let path = Path::new(":memory:");
        let connection = Connection::open_in_memory().map_err(|error| StoreError::Open {
            path: path.to_owned(),
            source: error.into(),
        })?;
        Self::start(connection, path, limits)
    }

    fn start(mut connection: Connection, path: &Path, limits: Limits) -> Result<Self, StoreError> {
        schema::set_up(&mut connection, path)?;
        let now = Database::now_unix_s();
        responses::prune(&mut connection, &limits, now)
            .and_then(|()| receipts::prune(&mut connection, &limits, now))
            .map_err(StoreError::doing("remove what is too old"))?;
        let (jobs, ended) = worker::start(Database { connection, limits })?;
        Ok(Self {
            inner: Arc::new(Inner {
                limits,
                jobs: Some(jobs),
                ended: Mutex::new(ended),
                room: Arc::new(Semaphore::new(QUEUE_KIB_MAX as usize)),
                receipts_dropped: Arc::default(),
            }),
        })
    }

    /// Keeps a response; one of the same id is replaced. Waits while too much is queued. When it returns, the record is in the file.
    ///
    /// # Errors
    /// The response is too large, its items are no arrays, or the database failed.
    pub async fn put(&self, response: StoredResponse) -> Result<(), StoreError> {
        response.check(self.inner.limits.response_bytes_max)?;
        let kib = u32::try_from(response.bytes() / 1024).unwrap_or(u32::MAX);
        let room = self.inner.room.clone();
        let room = room
            .acquire_many_owned(kib.saturating_add(1).min(QUEUE_KIB_MAX))
            .await;
        self.run(move |database| {
            let Database { connection, limits } = database;
            let kept = responses::put(connection, limits, Database::now_unix_s(), &response);
            drop(room);
            kept
        })
        .await?
        .map_err(StoreError::doing("keep a response"))
    }

    /// The response of this id.
    ///
    /// # Errors
    /// The database failed.
    pub async fn get(&self, id: &str) -> Result<Option<StoredResponse>, StoreError> {
        let id = id.to_owned();
        self.run(move |Database { connection, limits }| {
            let oldest = responses::oldest(limits, Database::now_unix_s());
            responses::get(connection, &id, oldest)
        })
        .await?
        .map_err(StoreError::doing("read a response"))
    }

    /// The response of this id and all that it goes on from, the root first.
    ///
    /// # Errors
    /// The id is unknown, an earlier response is gone, the chain is too long or too large, or the database failed. A history is never
    /// given in part.
    pub async fn chain(&self, id: &str) -> Result<Vec<StoredResponse>, ChainError> {
        let id = id.to_owned();
        self.run(move |Database { connection, limits }| {
            responses::chain(connection, limits, Database::now_unix_s(), &id)
        })
        .await?
    }

    /// The input or output item of this id, as its JSON text, in whichever response it came first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn item(&self, id: &str) -> Result<Option<String>, StoreError> {
        let id = id.to_owned();
        self.run(move |Database { connection, limits }| {
            let oldest = responses::oldest(limits, Database::now_unix_s());
            items::get(connection, &id, oldest)
        })
        .await?
        .map_err(StoreError::doing("read an item of a response"))
    }

    /// Removes a response; `false` when there is none of this id. Responses that go on from it stay, and their chains say that it
    /// is gone.
    ///
    /// # Errors
    /// The database failed.
    pub async fn delete(&self, id: &str) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.run(move |Database { connection, limits }| {
            let oldest = responses::oldest(limits, Database::now_unix_s());
            responses::delete(connection, &id, oldest)
        })
        .await?
        .map_err(StoreError::doing("delete a response"))
    }

    /// Keeps a receipt. Never waits, so that a turn can end with it wherever it ends: when the queue is full, or the database fails, the
    /// receipt is dropped, counted, and told in the log.
    pub fn put_receipt(&self, receipt: Receipt) {
        let dropped = self.inner.receipts_dropped.clone();
        let job = Job::Work(Box::new(move |Database { connection, limits }| {
            let kept = receipts::put(connection, limits, Database::now_unix_s(), receipt);
            if let Err(error) = kept {
                count_dropped(&dropped, &error);
            }
        }));
        let queued = match &self.inner.jobs {
            Some(jobs) => jobs.try_send(job),
            None => Err(mpsc::error::TrySendError::Closed(job)),
        };
        if let Err(error) = queued {
            count_dropped(&self.inner.receipts_dropped, &error);
        }
    }

    /// How many receipts were dropped since the store was opened.
    pub fn receipts_dropped(&self) -> u64 {
        self.inner.receipts_dropped.load(Ordering::Relaxed)
    }

    /// The receipts that are wanted, the newest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn receipts(&self, filter: ReceiptFilter) -> Result<Vec<ReceiptSummary>, StoreError> {
        self.run(move |database| receipts::list(&database.connection, &filter))
            .await?
    }

    /// The receipt of this id, or the only one whose id begins so.
    ///
    /// # Errors
    /// The database failed.
    pub async fn receipt(&self, id_or_prefix: &str) -> Result<Found, StoreError> {
        let prefix = id_or_prefix.to_owned();
        self.run(move |database| receipts::find(&database.connection, &prefix))
            .await?
    }

    /// How much there is.
    ///
    /// # Errors
    /// The database failed.
    pub async fn totals(&self) -> Result<Totals, StoreError> {
        self.run(|database| {
            database.connection.query_row(
                "SELECT responses_count, responses_bytes, receipts_count FROM tally",
                [],
                read_totals,
            )
        })
        .await?
        .map_err(StoreError::doing("count what it holds"))
    }

    /// Does what is queued, writes everything into the file and closes it. What comes later, through whichever handle, gets
    /// [`StoreError::Closed`].
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if let Some(jobs) = &self.inner.jobs
            && jobs.send(Job::Close(done)).await.is_ok()
            && closed.await.is_err()
        {
            tracing::warn!("the thread of the store has ended by itself");
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Database) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job = Job::Work(Box::new(move |database| {
            if answer.send(work(database)).is_err() {
                tracing::trace!("nobody waits for this answer of the store any more");
            }
        }));
        let jobs = self.inner.jobs.as_ref().ok_or(StoreError::Closed)?;
        jobs.send(job).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)
    }
}

fn read_totals(row: &Row<'_>) -> rusqlite::Result<Totals> {
    let number = |column: usize| -> rusqlite::Result<u64> {
        Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
    };
    Ok(Totals {
        responses: number(0)?,
        responses_bytes: number(1)?,
        receipts: number(2)?,
    })
}

/// Counts a receipt that is not kept. The log hears of the 1st, 2nd, 4th, 8th …: a full disk must not fill it.
fn count_dropped(dropped: &AtomicU64, error: &dyn std::fmt::Display) {
    let count = dropped.fetch_add(1, Ordering::Relaxed) + 1;
    if count.is_power_of_two() {
        tracing::warn!(count, %error, "receipts are dropped");
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.jobs = None;
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Nothing is ever sent: the channel ends with the thread.
        if let Err(blocking::RecvTimeoutError::Timeout) = ended.recv_timeout(DROP_TIME_MAX) {
            tracing::warn!("the store was left while it was still writing");
        }
    }
}
