//! Runs the processes: one for each turn, a bounded number at once.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use polywire_conversation::Fault;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdout, Command};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::events::Events;
use super::folder::Folder;
use super::prompt::Prompt;
use crate::answer::{ClientLeft, Out, Step};
use crate::ask::Ask;
use crate::fault::{timed_out, unusable, worker_died};
use crate::frames::Frames;
use crate::home::{catalog_path, scratch};
use crate::limits::LINE_BYTES_MAX;
use crate::process::{self, Pipes, Process};
use crate::queue::{Place, Queue};
use crate::settings::EngineSettings;
use crate::{home, models, workdir};

/// Runs `codex exec`.
pub(crate) struct Runner {
    settings: Arc<EngineSettings>,
    tasks: TaskTracker,
    queue: Queue,
    ready: OnceCell<()>,
    closing: CancellationToken,
}

impl Runner {
    pub(crate) fn new(settings: Arc<EngineSettings>, tasks: TaskTracker) -> Self {
        Self {
            queue: Queue::new(settings.workers, settings.max_queue, settings.queue_timeout),
            settings,
            tasks,
            ready: OnceCell::new(),
            closing: CancellationToken::new(),
        }
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Makes ready what all turns share.
    pub(crate) async fn prepare(&self) -> Result<(), Fault> {
        let prepare = || async {
            home::prepare(&self.settings)?;
            models::prepare(&self.settings, &self.tasks).await
        };
        self.ready.get_or_try_init(prepare).await.map(drop)
    }

    /// Ends every turn.
    pub(crate) fn close(&self) {
        self.closing.cancel();
    }

    async fn admitted(&self, out: &Out) -> Result<Place, Fault> {
        let place = self.queue.enter().await?;
        out.step_took(Step::QueueWait, place.waited);
        self.prepare().await?;
        Ok(place)
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.close();
    }
}

/// Serves one turn. Everything that goes wrong is told as a fault.
pub(crate) async fn serve(runner: Arc<Runner>, ask: Ask, cwd: Option<PathBuf>, out: Out) {
    let admitted = tokio::select! {
        admitted = runner.admitted(&out) => admitted,
        ClientLeft = out.left() => return,
    };
    let place = match admitted {
        Ok(place) => place,
        Err(fault) => return out.fault(fault),
    };
    if let Some(fault) = cwd.as_deref().and_then(workdir::replaced) {
        return out.fault(fault);
    }
    let since = Instant::now();
    let (turn, pipes) = match Turn::start(&runner, &ask, cwd.as_deref()) {
        Ok(started) => started,
        Err(fault) => return out.fault(fault),
    };
    out.step(Step::Spawn, since);
    turn.run(pipes, &runner, &ask, &out).await;
    drop(place);
}

/// A process at work on a turn, and the files that it reads.
struct Turn {
    process: Process,
    prompt: String,
    id: String,
    /// Removed with the turn.
    _files: Folder,
}

impl Turn {
    fn start(runner: &Runner, ask: &Ask, cwd: Option<&Path>) -> Result<(Self, Pipes), Fault> {
        let settings = &runner.settings;
        let prompt = Prompt::of(ask)?;
        let failed = |error: io::Error| {
            unusable(format!("the files of a turn could not be written: {error}"))
        };
        let files = Folder::new(&scratch(settings)).map_err(failed)?;
        let id = files
            .path()
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let command = command(settings, ask, cwd, &prompt, files.path()).map_err(failed)?;
        let (process, pipes) = process::start(command, &runner.tasks)?;
        let turn = Self {
            process,
            prompt: prompt.text,
            id,
            _files: files,
        };
        Ok((turn, pipes))
    }

    /// Gives the process its prompt and reads what it says, until it ends, the client leaves, or the time is over.
    async fn run(mut self, pipes: Pipes, runner: &Runner, ask: &Ask, out: &Out) {
        let limit = runner.settings.timeout;
        let agent = runner.settings.agent;
        let frames = Frames::new(out.clone());
        let mut events = Events::new(frames, self.id.clone(), &ask.model, agent);
        let Pipes { mut stdin, stdout } = pipes;
        let prompt = std::mem::take(&mut self.prompt);
        let work = async {
            let since = Instant::now();
            // A process that does not want it all says why in its output.
            if let Err(error) = stdin.write_all(prompt.as_bytes()).await {
                tracing::debug!("codex exec did not take its prompt: {error}");
            }
            // It begins when its input is closed.
            drop(stdin);
            out.step(Step::InputWrite, since);
            let since = Instant::now();
            read_lines(stdout, &mut events, || {
                out.step(Step::FirstOutput, since);
            })
            .await;
            let since = Instant::now();
            let status = self.process.wait().await;
            out.step(Step::ProcessWait, since);
            status
        };
        let status = tokio::select! {
            status = work => status,
            ClientLeft = out.left() => return self.process.close().await,
            () = tokio::time::sleep(limit) => {
                out.lost(timed_out(limit), agent);
                return self.process.kill().await;
            }
            () = runner.closing.cancelled() => {
                out.lost(unusable("the engine is shutting down"), agent);
                return self.process.kill().await;
            }
        };
        let errors = self.process.errors();
        events.finish(|told| {
            let how = match &status {
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            };
            match told.or(Some(&*errors).filter(|errors| !errors.is_empty())) {
                Some(why) => unusable(format!("codex exec failed ({how}): {why}")),
                None => worker_died(&how),
            }
        });
        // What the process has started ends with it.
        self.process.kill().await;
    }
}

async fn read_lines(stdout: ChildStdout, events: &mut Events, mut first: impl FnMut()) {
    let mut stdout = BufReader::new(stdout);
    let mut line = Vec::new();
    let mut is_first = true;
    loop {
        line.clear();
        let limit = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
        match (&mut stdout).take(limit).read_until(b'\n', &mut line).await {
            Ok(1..) => events.line(&String::from_utf8_lossy(&line)),
            Ok(0) => return,
            Err(error) => {
                tracing::debug!("the output of codex exec broke off: {error}");
                return;
            }
        }
        if std::mem::take(&mut is_first) {
            first();
        }
    }
}

/// The command of a turn. Texts go into files, because other users of the machine can read the arguments.
fn command(
    settings: &EngineSettings,
    ask: &Ask,
    cwd: Option<&Path>,
    prompt: &Prompt,
    files: &Path,
) -> io::Result<Command> {
    let mut command = process::command(settings);
    command.args([
        "exec",
        "--json",
        "--skip-git-repo-check",
        "--ignore-rules",
        "--color",
        "never",
    ]);
    command.args([
        "--sandbox",
        if settings.agent {
            "workspace-write"
        } else {
            "read-only"
        },
    ]);
    if settings.ephemeral {
        command.arg("--ephemeral");
    }
    command
        .arg("--cd")
        .arg(cwd.unwrap_or(&settings.default_cwd));
    if !ask.model.is_empty() {
        // In one argument: a name that begins with a dash would be taken for a flag.
        command.arg(format!("--model={}", ask.model));
    }
    let mut set = |key: &str, value: &str| {
        command.args(["-c", &format!("{key}={}", serde_json::Value::from(value))]);
    };
    set(
        "model_catalog_json",
        &catalog_path(settings).display().to_string(),
    );
    let instructions = files.join("instructions.md");
    write(&instructions, ask.instructions().as_bytes())?;
    set(
        "model_instructions_file",
        &instructions.display().to_string(),
    );
    if let Some(effort) = ask.effort().or(settings.fast.then_some("low")) {
        set("model_reasoning_effort", effort);
    }
    if let Some(summary) = ask.summary() {
        set("model_reasoning_summary", summary);
    }
    if let Some(verbosity) = ask.verbosity() {
        set("model_verbosity", verbosity);
    }
    if let Some(tier) = ask.service_tier.as_deref() {
        set("service_tier", tier);
    }
    if let Some(search) = ask.web_search() {
        set("web_search", search);
    }
    if settings.agent || cwd.is_some() {
        command.args([
            "-c",
            "features.shell_tool=true",
            "-c",
            "include_environment_context=true",
        ]);
    }
    if let Some(schema) = ask.schema() {
        let path = files.join("schema.json");
        write(&path, schema.get().as_bytes())?;
        command.arg("--output-schema").arg(path);
    }
    for (index, picture) in prompt.pictures.iter().enumerate() {
        let path = files.join(format!("picture-{}.{}", index + 1, picture.ending));
        write(&path, &picture.bytes)?;
        command.arg("--image").arg(path);
    }
    command.args(["--", "-"]);
    Ok(command)
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    // The folder is nobody else's.
    File::create_new(path)?.write_all(content)
}
