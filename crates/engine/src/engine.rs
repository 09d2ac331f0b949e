//! An engine: a local Codex that serves turns.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use polywire_conversation::{Fault, FaultClass};
use tokio_util::task::TaskTracker;

use crate::answer::{EngineAnswer, Step, channel};
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

/// What an engine is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineState {
    /// How many turns it can work on at a time: the workers of a pool, or the most processes.
    pub workers: u64,
    /// How many processes are there, at work or not.
    pub started: u64,
    /// How many turns are at work.
    pub busy: u64,
    /// How many turns wait for a worker.
    pub waiting: u64,
    /// How many may wait.
    pub queue: u64,
    /// How many threads wait for the results of tools.
    pub waiting_threads: u64,
    /// Its program is there.
    pub executable_found: bool,
    /// The login that it uses is there.
    pub login_found: bool,
    /// Its workers have been started. Always false where each turn has a process of its own.
    pub pool_started: bool,
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
    /// A [`Fault`] when the working directory is not allowed, or when nobody is logged in. Everything else that goes wrong comes with the answer.
    pub fn ask(&self, body: &[u8], cwd: Option<&str>) -> Result<EngineAnswer, Fault> {
        let ask = Ask::read(body)?;
        let began = Instant::now();
        let cwd = match cwd {
            Some(wanted) => {
                self.make_workspace();
                Some(workdir::resolve(wanted, &self.settings.allowed_roots)?)
            }
            None => None,
        };
        self.check_login()?;
        let (out, answer) = channel();
        out.step(Step::CwdResolve, began);
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

    /// Without a login Codex would try for minutes before it says so. Whoever gives it a provider of another kind needs none.
    fn check_login(&self) -> Result<(), Fault> {
        let login = self.login();
        if login.is_file() || self.settings.codex_config.contains_key("model_provider") {
            return Ok(());
        }
        Err(Fault::new(
            FaultClass::Auth,
            format!(
                "there is no Codex login at `{}`. hint: run `polywire login`; one in the system's keyring is not read, so that Codex's `config.toml` must say `cli_auth_credentials_store = \"file\"`",
                login.display()
            ),
        ))
    }

    /// A client may name the default directory before any turn has made it.
    fn make_workspace(&self) {
        let workspace = &self.settings.default_cwd;
        if let Err(error) = std::fs::create_dir_all(workspace) {
            tracing::debug!("`{}` could not be made: {error}", workspace.display());
        }
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
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        EngineState {
            workers: count(self.settings.workers),
            started: count(started),
            busy: count(queue.busy()),
            waiting: count(queue.waiting()),
            queue: count(self.settings.max_queue),
            waiting_threads: count(waiting_threads),
            executable_found: find_executable(&self.settings).is_some(),
            login_found: self.login().is_file(),
            pool_started: started > 0 && matches!(self.form, Form::AppServer(_)),
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
