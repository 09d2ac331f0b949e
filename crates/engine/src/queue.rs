//! Who may work now, who waits, and for how long.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use polywire_conversation::{Fault, FaultClass, Retry};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::RETRY_AFTER;

/// A queue in front of a number of workers, bounded in length and in time.
pub(crate) struct Queue {
    workers: usize,
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    max_waiting: usize,
    timeout: Duration,
}

/// The right to work, and how long it was waited for.
pub(crate) struct Place {
    /// Given back when it is dropped.
    _permit: OwnedSemaphorePermit,
    pub(crate) waited: Duration,
}

impl Queue {
    pub(crate) fn new(workers: usize, max_waiting: usize, timeout: Duration) -> Self {
        Self {
            workers,
            places: Arc::new(Semaphore::new(workers)),
            waiting: AtomicUsize::new(0),
            max_waiting,
            timeout,
        }
    }

    /// How many work.
    pub(crate) fn busy(&self) -> usize {
        self.workers.saturating_sub(self.places.available_permits())
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Waits for a place. Those who wait are served in the order in which they came; dropping the future leaves the queue.
    ///
    /// # Errors
    /// A [`Fault`] of status 429 at once when the queue is full, and when the time is over.
    pub(crate) async fn enter(&self) -> Result<Place, Fault> {
        let began = Instant::now();
        // Who finds a place does not wait, so a queue of no length refuses only those who would.
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(Place {
                _permit: permit,
                waited: began.elapsed(),
            });
        }
        let _waiter = self.join()?;
        let permit = Arc::clone(&self.places).acquire_owned();
        match tokio::time::timeout(self.timeout, permit).await {
            Ok(Ok(permit)) => Ok(Place {
                _permit: permit,
                waited: began.elapsed(),
            }),
            Ok(Err(_closed)) => Err(busy("the engine is shutting down".to_owned())),
            Err(_) => Err(busy(format!(
                "no worker of the engine became free within {:.0} s",
                self.timeout.as_secs_f64()
            ))),
        }
    }

    fn join(&self) -> Result<Waiter<'_>, Fault> {
        let join = |waiting: usize| (waiting < self.max_waiting).then_some(waiting + 1);
        let joined = self
            .waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, join);
        match joined {
            Ok(_) => Ok(Waiter(&self.waiting)),
            Err(_) => Err(busy(format!(
                "every worker of the engine is busy and its queue is full ({} wait)",
                self.max_waiting
            ))),
        }
    }
}

/// Counts as waiting until it is dropped.
struct Waiter<'q>(&'q AtomicUsize);

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn busy(message: String) -> Fault {
    Fault::new(FaultClass::RateLimit, message).with_retry(Retry::After(Some(RETRY_AFTER)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(entered: Result<Place, Fault>) -> String {
        match entered {
            Ok(_) => "entered".to_owned(),
            Err(fault) => {
                assert_eq!(fault.status, 429);
                fault.message
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_is_bounded_in_length_and_time() {
        let queue = Queue::new(1, 1, Duration::from_secs(5));
        let first = queue.enter().await.unwrap();
        assert_eq!((queue.busy(), queue.waiting()), (1, 0));
        // Time stands still until nobody has anything to do: the one that waits and the one too many.
        let (second, third) = tokio::join!(queue.enter(), queue.enter());
        let (second, third) = (message(second), message(third));
        assert!(second.contains("within 5 s"), "{second}");
        assert!(third.contains("queue is full (1 wait)"), "{third}");
        assert_eq!(queue.waiting(), 0);
        drop(first);
        assert_eq!(queue.busy(), 0);
        assert_eq!(message(queue.enter().await), "entered");
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_is_measured_and_places_are_handed_on() {
        let queue = Queue::new(1, 4, Duration::from_mins(1));
        let first = queue.enter().await.unwrap();
        let leaves = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            drop(first);
        };
        let (second, ()) = tokio::join!(queue.enter(), leaves);
        second.unwrap();
        assert_eq!(queue.waiting(), 0);
    }

    #[tokio::test]
    async fn a_queue_without_length_serves_who_finds_a_place() {
        let queue = Queue::new(1, 0, Duration::from_secs(5));
        let place = queue.enter().await.unwrap();
        assert!(message(queue.enter().await).contains("queue is full"));
        drop(place);
        assert_eq!(message(queue.enter().await), "entered");
    }
}
