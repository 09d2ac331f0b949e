//! The workers of an engine, the queue in front of them, and the threads that wait.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use polywire_conversation::Fault;
use tokio::sync::{Mutex, OnceCell};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::turn::stop;
use super::waiting::{WaitingThread, WaitingThreads};
use super::worker::Worker;
use crate::limits::HEALTHY_AGE;
use crate::queue::{Place, Queue};
use crate::settings::EngineSettings;
use crate::{home, models};

/// A pool of app-servers.
pub(crate) struct Pool {
    settings: Arc<EngineSettings>,
    tasks: TaskTracker,
    queue: Queue,
    slots: Vec<Arc<Slot>>,
    waiting: WaitingThreads,
    tickets: AtomicU64,
    /// The home is made ready once.
    ready: OnceCell<()>,
    closing: CancellationToken,
}

/// The place of one worker. It stays when its worker dies, so a worker that cannot be started takes no place away for good.
struct Slot {
    worker: Mutex<Option<Arc<Worker>>>,
    /// How many turns are at work here.
    turns: AtomicUsize,
    /// Whether a worker was started, to prefer slots that have one.
    started: AtomicBool,
}

/// A turn's place at a worker.
pub(super) struct Seat {
    worker: Arc<Worker>,
    _count: TurnCount,
    _place: Place,
}

impl Seat {
    pub(super) fn worker(&self) -> &Arc<Worker> {
        &self.worker
    }
}

impl Pool {
    pub(crate) fn new(settings: Arc<EngineSettings>, tasks: TaskTracker) -> Arc<Self> {
        let slot = || {
            Arc::new(Slot {
                worker: Mutex::default(),
                turns: AtomicUsize::new(0),
                started: AtomicBool::new(false),
            })
        };
        Arc::new(Self {
            queue: Queue::new(settings.workers, settings.max_queue, settings.queue_timeout),
            slots: std::iter::repeat_with(slot)
                .take(settings.workers)
                .collect(),
            waiting: WaitingThreads::default(),
            tickets: AtomicU64::new(0),
            ready: OnceCell::new(),
            closing: CancellationToken::new(),
            settings,
            tasks,
        })
    }

    pub(super) fn settings(&self) -> &EngineSettings {
        &self.settings
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    pub(super) fn waiting(&self) -> &WaitingThreads {
        &self.waiting
    }

    /// How many threads wait for the results of tools.
    pub(crate) fn threads_waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many workers are running.
    pub(crate) fn workers_started(&self) -> usize {
        let started = |slot: &&Arc<Slot>| slot.started.load(Ordering::Relaxed);
        self.slots.iter().filter(started).count()
    }

    /// Completes when the pool is to end.
    pub(super) async fn closing(&self) {
        self.closing.cancelled().await;
    }

    pub(super) fn ticket(&self) -> u64 {
        self.tickets.fetch_add(1, Ordering::Relaxed)
    }

    /// Starts a worker, so that the first turn finds one.
    pub(crate) async fn warm(self: &Arc<Self>) -> Result<(), Fault> {
        let place = self.queue.enter().await?;
        self.seat(place).await.map(drop)
    }

    /// The worker with the least to do; started when it is not running.
    pub(super) async fn seat(self: &Arc<Self>, place: Place) -> Result<Seat, Fault> {
        let load = |slot: &&Arc<Slot>| {
            let idle = !slot.started.load(Ordering::Relaxed);
            (slot.turns.load(Ordering::Relaxed), idle)
        };
        let Some(slot) = self.slots.iter().min_by_key(load).cloned() else {
            return Err(crate::fault::unusable("the engine has no workers"));
        };
        // Counted at once: the next turn must see that this slot is taken.
        let count = TurnCount::of(&slot);
        let worker = self.worker_of(&slot).await?;
        Ok(Seat {
            worker,
            _count: count,
            _place: place,
        })
    }

    async fn worker_of(self: &Arc<Self>, slot: &Arc<Slot>) -> Result<Arc<Worker>, Fault> {
        let mut place = slot.worker.lock().await;
        if let Some(worker) = place.as_ref().filter(|worker| worker.is_alive()) {
            return Ok(Arc::clone(worker));
        }
        slot.started.store(false, Ordering::Relaxed);
        *place = None;
        let prepare = || async {
            home::prepare(&self.settings)?;
            models::prepare(&self.settings, &self.tasks).await
        };
        self.ready.get_or_try_init(prepare).await?;
        let worker = Worker::start(&self.settings, &self.tasks).await?;
        slot.started.store(true, Ordering::Relaxed);
        *place = Some(Arc::clone(&worker));
        self.tasks.spawn(watched(Watch {
            pool: Arc::downgrade(self),
            slot: Arc::downgrade(slot),
            worker: worker.end(),
            started: worker.started(),
            closing: self.closing.clone(),
        }));
        Ok(worker)
    }

    /// Lets a thread wait for the results of its tools, as long as it may.
    pub(super) fn let_wait(self: &Arc<Self>, thread: WaitingThread) {
        let ticket = thread.ticket;
        for oldest in self.waiting.put(thread, self.settings.max_waiting) {
            tracing::debug!("too many engine threads wait: the oldest is let go");
            self.tasks.spawn(let_go(oldest));
        }
        let pool = Arc::downgrade(self);
        let closing = self.closing.clone();
        let limit = self.settings.waiting_timeout;
        self.tasks.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(limit) => {}
                () = closing.cancelled() => return,
            }
            let expired = pool.upgrade().and_then(|pool| pool.waiting.take(ticket));
            if let Some(expired) = expired {
                tracing::debug!("an engine thread has waited too long: it is let go");
                let_go(expired).await;
            }
        });
    }

    /// Ends every worker. Turns at work fail.
    pub(crate) fn close(&self) {
        self.closing.cancel();
        drop(self.waiting.take_all());
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close();
    }
}

/// One turn more at a slot, until it is dropped.
struct TurnCount(Arc<Slot>);

impl TurnCount {
    fn of(slot: &Arc<Slot>) -> Self {
        slot.turns.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(slot))
    }
}

impl Drop for TurnCount {
    fn drop(&mut self) {
        self.0.turns.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Ends a thread that nobody has come back to.
async fn let_go(mut thread: WaitingThread) {
    stop(
        &thread.worker,
        &thread.thread_id,
        &thread.turn_id,
        &mut thread.inbox,
    )
    .await;
}

/// What looks after one worker.
struct Watch {
    pool: Weak<Pool>,
    slot: Weak<Slot>,
    /// Cancelled when the worker is gone. The worker itself belongs to those who use it.
    worker: CancellationToken,
    started: Instant,
    closing: CancellationToken,
}

/// The task that looks after a worker. Boxed, because it starts the next worker, which has such a task of its own.
fn watched(watch: Watch) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(watch.run())
}

impl Watch {
    /// Waits for a worker's end, and starts another one in its place when it was a healthy one.
    async fn run(self) {
        tokio::select! {
            () = self.worker.cancelled() => {}
            () = self.closing.cancelled() => return self.worker.cancel(),
        }
        let (Some(pool), Some(slot)) = (self.pool.upgrade(), self.slot.upgrade()) else {
            return;
        };
        let has_another = {
            let place = slot.worker.lock().await;
            place.as_ref().is_some_and(|worker| worker.is_alive())
        };
        if has_another {
            return;
        }
        slot.started.store(false, Ordering::Relaxed);
        if self.started.elapsed() < HEALTHY_AGE || self.closing.is_cancelled() {
            return;
        }
        if let Err(fault) = pool.worker_of(&slot).await {
            tracing::warn!("an engine process could not be replaced: {fault}");
        }
    }
}
