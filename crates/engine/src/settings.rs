//! What can be set about an engine.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Which of Codex's two forms serves the turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// `codex exec`: one process for each turn, no tools of the client.
    Exec,
    /// `codex app-server`: long-lived processes, with tools of the client, deltas and pauses.
    AppServer,
}

impl EngineKind {
    /// The word for it in settings, logs and counters.
    pub const fn name(self) -> &'static str {
        match self {
            EngineKind::Exec => "codex-exec",
            EngineKind::AppServer => "codex-app-server",
        }
    }
}

/// The settings of one engine.
#[derive(Clone, PartialEq)]
pub struct EngineSettings {
    /// The provider that it serves; its folder is named after it.
    pub provider: String,
    /// Which form of Codex.
    pub kind: EngineKind,
    /// The executable: a path, or a name that is looked up in the search path.
    pub codex: PathBuf,
    /// The Codex home that holds the login. Only the login is taken from it.
    pub login_home: PathBuf,
    /// The Codex home of our own in which the processes run.
    pub engine_home: PathBuf,
    /// Codex settings of the user's choice, which come above ours.
    pub codex_config: toml::Table,
    /// Whether Codex keeps no record of the threads.
    pub ephemeral: bool,
    /// How many turns are at work at once; for the app-server also the most processes.
    pub workers: usize,
    /// The most turns that wait for a worker; one more is refused.
    pub max_queue: usize,
    /// The longest time that a turn waits for a worker.
    pub queue_timeout: Duration,
    /// The longest time that a turn may take, from its worker to its end.
    pub timeout: Duration,
    /// The most threads that wait for the results of tools; the oldest makes room.
    pub max_waiting: usize,
    /// How long a thread waits for the results of tools before it is let go. It is rebuilt from the history when they come later.
    pub waiting_timeout: Duration,
    /// Where turns run that name no working directory.
    pub default_cwd: PathBuf,
    /// Where the working directories of turns may lie.
    pub allowed_roots: Vec<PathBuf>,
    /// Whether Codex may write in the working directory.
    pub agent: bool,
    /// Least effort: for turns that say nothing about it.
    pub fast: bool,
    /// The environment of the processes, apart from what the engine sets.
    pub environment: Vec<(OsString, OsString)>,
}

/// Codex's own settings and the environment may hold keys, so they are not shown.
impl fmt::Debug for EngineSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineSettings")
            .field("provider", &self.provider)
            .field("kind", &self.kind)
            .field("codex", &self.codex)
            .field("login_home", &self.login_home)
            .field("engine_home", &self.engine_home)
            .field("ephemeral", &self.ephemeral)
            .field("workers", &self.workers)
            .field("max_queue", &self.max_queue)
            .field("queue_timeout", &self.queue_timeout)
            .field("timeout", &self.timeout)
            .field("max_waiting", &self.max_waiting)
            .field("waiting_timeout", &self.waiting_timeout)
            .field("default_cwd", &self.default_cwd)
            .field("allowed_roots", &self.allowed_roots)
            .field("agent", &self.agent)
            .field("fast", &self.fast)
            .finish_non_exhaustive()
    }
}
