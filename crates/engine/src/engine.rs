//! An engine: a local Codex that serves turns.

use std::path::PathBuf;
use std::sync::Arc;

use polywire_conversation::Fault;
use tokio_util::task::TaskTracker;

use crate::answer::{EngineAnswer, channel};
use crate::app_server::{self, Pool};
use crate::ask::Ask;
use crate::exec::{self, Runner};
use crate::process::find_executable;
use crate::settings::{EngineKind, EngineSettings};
use crate::workdir;

/// A local Codex as a provider. Dropping it ends its processes.
pub struct Engine {
    settings: Arc<EngineSettings>,
    tasks: TaskTracker,
    form: Form,
}

enum Form {
    Exec(Arc<Runner>),
    AppServer(Arc<Pool>),
}

/// How an engine is, for those who watch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineState {
    /// Which form of Codex.
    pub kind: EngineKind,
    /// The most turns at work at once.
    pub workers: usize,
    /// Processes that wait for turns or work on them. `codex exec` has one for each turn.
    pub started: usize,
    /// Turns at work.
    pub busy: usize,
    /// Turns that wait for a worker.
    pub queued: usize,
    /// Threads that wait for the results of tools.
    pub waiting_threads: usize,
    /// Whether the executable was found.
    pub executable_found: bool,
    /// Whether there is a login.
    pub login_found: bool,
}

impl Engine {
    /// An engine that starts its processes when they are needed, and its tasks on `tasks`.
    pub fn new(settings: EngineSettings, tasks: TaskTracker) -> Self {
        let settings = Arc::new(settings);
        let form = match settings.kind {
            EngineKind::Exec => {
                Form::Exec(Arc::new(Runner::new(Arc::clone(&settings), tasks.clone())))
            }
            EngineKind::AppServer => {
                Form::AppServer(Pool::new(Arc::clone(&settings), tasks.clone()))
            }
        };
        Self {
            settings,
            tasks,
            form,
        }
    }

    /// What it was made from.
    pub fn settings(&self) -> &EngineSettings {
        &self.settings
    }

    /// Asks a model. `body` is a request of the Responses protocol, as this engine's profile has it; `cwd` the working directory
    /// that the client wants. Dropping the answer interrupts the turn.
    ///
    /// # Errors
    /// A [`Fault`] when the working directory is not allowed. Everything else that goes wrong comes with the answer.
    pub fn ask(&self, body: &[u8], cwd: Option<&str>) -> Result<EngineAnswer, Fault> {
        let ask = Ask::read(body)?;
        let cwd = match cwd {
            Some(wanted) => Some(workdir::resolve(wanted, &self.settings.allowed_roots)?),
            None => None,
        };
        let (out, answer) = channel();
        match &self.form {
            Form::Exec(runner) => {
                self.tasks
                    .spawn(exec::serve(Arc::clone(runner), ask, cwd, out));
            }
            Form::AppServer(pool) => {
                self.tasks
                    .spawn(app_server::serve(Arc::clone(pool), ask, cwd, out));
            }
        }
        Ok(answer)
    }

    /// Starts what a first turn would have to wait for.
    ///
    /// # Errors
    /// A [`Fault`] that says why the engine cannot work.
    pub async fn warm(&self) -> Result<(), Fault> {
        match &self.form {
            Form::Exec(runner) => runner.prepare().await,
            Form::AppServer(pool) => pool.warm().await,
        }
    }

    /// Ends its processes; turns at work fail. The tasks that it was made with wait for them.
    pub fn close(&self) {
        match &self.form {
            Form::Exec(runner) => runner.close(),
            Form::AppServer(pool) => pool.close(),
        }
    }

    /// How it is.
    pub fn state(&self) -> EngineState {
        let (queue, started, waiting_threads) = match &self.form {
            Form::Exec(runner) => (runner.queue(), runner.queue().busy(), 0),
            Form::AppServer(pool) => (pool.queue(), pool.workers_started(), pool.threads_waiting()),
        };
        EngineState {
            kind: self.settings.kind,
            workers: self.settings.workers,
            started,
            busy: queue.busy(),
            queued: queue.waiting(),
            waiting_threads,
            executable_found: find_executable(&self.settings).is_some(),
            login_found: self.login().is_file(),
        }
    }

    /// Who the login belongs to, as far as it says; reasoning that only its provider can read belongs to an account.
    pub fn account(&self) -> Option<String> {
        let login: serde_json::Value =
            serde_json::from_slice(&std::fs::read(self.login()).ok()?).ok()?;
        let account = login["tokens"]["account_id"].as_str();
        account.map(str::to_owned)
    }

    /// Where the login is, or should be.
    pub fn login(&self) -> PathBuf {
        self.settings.login_home.join("auth.json")
    }
}
