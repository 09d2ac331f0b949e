//! Waiting for a state, with an end.

use std::time::Duration;

use tokio::sync::watch;

/// How long any one wait may take before the test fails.
///
/// Far more than a healthy run needs, so that a loaded machine does not fail a test; it only bounds a hang.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// Waits for `future`; fails the test, naming `what`, when it takes longer than [`DEADLINE`].
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .unwrap_or_else(|_| panic!("waited {DEADLINE:?} in vain for {what}"))
}

/// Tells waiters that something may have changed; each then looks at the state itself.
#[derive(Debug)]
pub(crate) struct Changes(watch::Sender<()>);

impl Changes {
    pub(crate) fn new() -> Self {
        Self(watch::channel(()).0)
    }

    pub(crate) fn notify(&self) {
        self.0.send_replace(());
    }

    /// Waits until `look` finds what it is looking for.
    pub(crate) async fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        // Subscribed before the first look, so that no change between the look and the wait is missed.
        let mut changes = self.0.subscribe();
        within(what, async {
            loop {
                if let Some(found) = look() {
                    return found;
                }
                changes.changed().await.expect("the sender lives in `self`");
            }
        })
        .await
    }
}
