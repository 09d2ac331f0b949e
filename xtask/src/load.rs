//! `cargo xtask load`: what the gateway costs, measured on loopback.
//!
//! One run measures three routes from a client to a scripted upstream, interleaved round by round so that whatever else the
//! machine does meets all of them: a direct connection, nginx copying the bytes, and polywire translating them. Client and
//! upstream live in this process and prepare their bytes beforehand, so that they stay cheap beside the proxies. The groups
//! (a) to (f), that of the engine, and their targets are described in `docs/performance.md`.
//!
//! Everything stays on loopback, is bounded in count and time, and whatever is started is ended by its own process id.

mod body;
mod client;
mod clock;
mod engine;
mod measure;
mod process;
mod proxy;
mod report;
mod tick;
mod upstream;
mod wire;

use crate::project::Project;
use anyhow::{Context, Result, anyhow, ensure};
use clock::Clock;
use engine::EngineReport;
use measure::{FIRST_TURN_BYTES, Route, RouteKind};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use proxy::Proxy;
use report::{Machine, Report, Row, Target, microseconds, percentile_us};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use upstream::Upstream;

/// What can be chosen on the command line.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Fewer and shorter rounds: to see that it works, not to quote.
    #[arg(long)]
    quick: bool,
    /// Rounds of each measurement; the ratios are those of their medians.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// What to measure (default: all three).
    #[arg(long, value_delimiter = ',')]
    routes: Vec<RouteKind>,
    /// The groups to measure: letters, or `engine`, which needs Codex and is measured only when it is asked for.
    #[arg(long, default_value = "abcdef")]
    groups: String,
    /// The polywire to measure (default: a release build made now).
    #[arg(long)]
    polywire: Option<PathBuf>,
    /// Write the numbers of every round to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write the table to this file as well.
    #[arg(long)]
    markdown: Option<PathBuf>,
}

/// How much of everything is done.
#[derive(Clone, Copy)]
struct Amounts {
    rounds: usize,
    first_events: u32,
    burst_streams: usize,
    burst_events: usize,
    paced_streams: usize,
    paced_events: usize,
    open_streams: usize,
    starts: usize,
    /// Turns each way in a round of the engine.
    engine_turns: u32,
    exec_turns: u32,
    /// Divides the numbers of requests of [`BODY_SIZES`].
    body_divisor: u32,
}

impl Amounts {
    fn new(arguments: &Arguments) -> Self {
        let full = Self {
            rounds: arguments.rounds.max(1),
            first_events: 400,
            burst_streams: 64,
            burst_events: 2_000,
            paced_streams: 50,
            paced_events: 150,
            open_streams: 1_000,
            starts: 20,
            engine_turns: 100,
            exec_turns: 10,
            body_divisor: 1,
        };
        if !arguments.quick {
            return full;
        }
        Self {
            rounds: full.rounds.min(2),
            first_events: 50,
            burst_events: 300,
            paced_events: 25,
            open_streams: 200,
            starts: 3,
            engine_turns: 10,
            exec_turns: 2,
            body_divisor: 10,
            ..full
        }
    }
}

/// The word for the group of the engine.
const ENGINE: &str = "engine";

/// Time between two texts of a paced stream: 50 tokens a second, a usual model.
const PACE: Duration = Duration::from_millis(20);

/// Request bodies: their size and how many requests of it make one number.
const BODY_SIZES: [(usize, &str, u32); 5] = [
    (1_000, "1 kB", 400),
    (100_000, "100 kB", 200),
    (400_000, "400 kB", 200),
    (1_000_000, "1 MB", 60),
    (10_000_000, "10 MB", 10),
];

/// Measures what was asked for and prints the table.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    raise_open_files_limit()?;
    let project = Project::load()?;
    let bench = Bench::new(arguments, &project)?;
    let load_before = first_word("/proc/loadavg");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (rows, engine) = runtime.block_on(async {
        // Whoever ends the measurement early also ends the proxies: they are dropped with the future that owns them.
        tokio::select! {
            measured = bench.measure(&arguments.groups) => measured,
            signal = interrupted() => Err(signal.err().unwrap_or_else(|| anyhow!("interrupted"))),
        }
    })?;
    let report = Report {
        machine: machine(&bench, load_before),
        command: command_line(),
        rows,
        engine,
    };
    let markdown = report.markdown();
    println!("\n{markdown}");
    if let Some(path) = &arguments.markdown {
        write(path, markdown.as_bytes())?;
    }
    if let Some(path) = &arguments.json {
        write(path, &serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(())
}

/// Waits for somebody to ask this program to end.
async fn interrupted() -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// Everything a measurement needs.
struct Bench {
    clock: Clock,
    upstream: Upstream,
    kinds: Vec<RouteKind>,
    amounts: Amounts,
    /// The program; unused without the route.
    polywire: PathBuf,
    /// The Codex of the engine; unused without it.
    codex: PathBuf,
    /// Configurations of the proxies; removed at the end.
    folder: Folder,
}

impl Bench {
    fn new(arguments: &Arguments, project: &Project) -> Result<Self> {
        let is_engine = arguments.groups == ENGINE;
        let (kinds, codex) = if is_engine {
            (vec![RouteKind::Polywire], engine::find_codex(project)?)
        } else {
            (choose_routes(&arguments.routes), PathBuf::new())
        };
        let polywire = match &arguments.polywire {
            Some(program) => program.clone(),
            None if kinds.contains(&RouteKind::Polywire) => build_polywire(project)?,
            None => PathBuf::new(),
        };
        let clock = Clock::start();
        Ok(Self {
            clock,
            upstream: Upstream::start(clock)?,
            kinds,
            amounts: Amounts::new(arguments),
            polywire,
            codex,
            folder: Folder::create(&project.target_directory)?,
        })
    }

    fn start(&self, kind: RouteKind) -> Result<Route> {
        let folder = &self.folder.0;
        let upstream = self.upstream.address;
        Ok(match kind {
            RouteKind::Direct => Route::direct(&self.upstream),
            RouteKind::Nginx => Route::through(kind, Proxy::nginx(folder, upstream)?),
            RouteKind::Polywire => {
                Route::through(kind, Proxy::polywire(&self.polywire, folder, upstream)?)
            }
        })
    }

    fn proxied(&self) -> impl Iterator<Item = RouteKind> {
        let kinds = self.kinds.iter().copied();
        kinds.filter(|kind| *kind != RouteKind::Direct)
    }

    async fn measure(&self, groups: &str) -> Result<(Vec<Row>, Option<EngineReport>)> {
        if groups == ENGINE {
            return Ok((Vec::new(), Some(self.engine().await?)));
        }
        let routes: Vec<Route> = self
            .kinds
            .iter()
            .map(|kind| self.start(*kind))
            .collect::<Result<_>>()?;
        let mut rows = Vec::new();
        for group in groups.chars() {
            eprintln!("measuring ({group})");
            rows.extend(match group {
                'a' => self.first_event(&routes).await?,
                'b' => self.bursts(&routes).await?,
                'c' => self.delays(&routes).await?,
                'd' => self.bodies(&routes).await?,
                'e' => self.memory().await?,
                'f' => self.ready().await?,
                other => anyhow::bail!(
                    "there is no group `{other}`\nhint: groups are a to f, or `{ENGINE}`"
                ),
            });
        }
        Ok((rows, None))
    }

    /// (a) Time to the first event, turn after turn on one connection.
    async fn first_event(&self, routes: &[Route]) -> Result<Vec<Row>> {
        let row = |percent| {
            let name = format!("time to first event, first turn of 40 kB, p{percent}");
            Row::new('a', name, "µs", Target::TimesNginx(1.1))
        };
        let mut rows = [row(50), row(99)];
        for _ in 0..self.amounts.rounds {
            for route in routes {
                let count = self.amounts.first_events;
                let turns = self.turns(route, FIRST_TURN_BYTES, count).await?;
                for (row, percent) in rows.iter_mut().zip([50, 99]) {
                    let time = percentile_us(&turns.first_event, percent).context("no turns")?;
                    row.add(route.kind, time);
                }
            }
        }
        Ok(rows.into())
    }

    async fn turns(&self, route: &Route, bytes: usize, count: u32) -> Result<measure::Turns> {
        measure::turns(route, &self.upstream, self.clock, bytes, count)
            .await
            .with_context(|| format!("turns of {bytes} bytes over {:?}", route.kind))
    }

    /// (b) CPU for each event of streams at full speed.
    async fn bursts(&self, routes: &[Route]) -> Result<Vec<Row>> {
        let Amounts {
            burst_streams: streams,
            burst_events: events,
            ..
        } = self.amounts;
        let mut cpu = Row::new(
            'b',
            format!("CPU per event, {streams} streams at full speed"),
            "µs",
            Target::TimesNginx(1.25),
        );
        let mut speed = Row::new(
            'b',
            "events per second, the same streams",
            "1/s",
            Target::None,
        );
        for _ in 0..self.amounts.rounds {
            for route in routes {
                let burst = measure::burst(route, &self.upstream, self.clock, streams, events)
                    .await
                    .with_context(|| format!("streams over {:?}", route.kind))?;
                if let Some(time) = burst.cpu_per_event {
                    cpu.add(route.kind, microseconds(time));
                }
                speed.add(route.kind, burst.events_per_second);
            }
        }
        Ok(vec![cpu, speed])
    }

    /// (c) How long each event of paced streams is on its way.
    async fn delays(&self, routes: &[Route]) -> Result<Vec<Row>> {
        let Amounts {
            paced_streams: streams,
            paced_events: events,
            ..
        } = self.amounts;
        let row = |percent| {
            let name = format!("delay per event, {streams} streams, one every 20 ms, p{percent}");
            Row::new('c', name, "µs", Target::TimesNginx(1.1))
        };
        let mut rows = [row(50), row(99)];
        for _ in 0..self.amounts.rounds {
            for route in routes {
                let delays =
                    measure::delays(route, &self.upstream, self.clock, streams, PACE, events)
                        .await
                        .with_context(|| format!("paced streams over {:?}", route.kind))?;
                for (row, percent) in rows.iter_mut().zip([50, 99]) {
                    row.add(
                        route.kind,
                        percentile_us(&delays, percent).context("no events")?,
                    );
                }
            }
        }
        Ok(rows.into())
    }

    /// (d) What requests of every size cost.
    async fn bodies(&self, routes: &[Route]) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for (bytes, size, count) in BODY_SIZES {
            let target = if bytes == 400_000 {
                Target::AtMost(1_500.0)
            } else {
                Target::None
            };
            let mut cpu = Row::new('d', format!("CPU per request of {size}"), "µs", target);
            let name = format!("time to first event, request of {size}, p50");
            let mut time = Row::new('d', name, "µs", Target::None);
            for _ in 0..self.amounts.rounds {
                for route in routes {
                    let count = (count / self.amounts.body_divisor).max(3);
                    let turns = self.turns(route, bytes, count).await?;
                    if let Some(used) = turns.cpu {
                        cpu.add(route.kind, microseconds(used));
                    }
                    let first = percentile_us(&turns.first_event, 50).context("no turns")?;
                    time.add(route.kind, first);
                }
            }
            rows.extend([cpu, time]);
        }
        Ok(rows)
    }

    /// (e) Resident memory of fresh processes.
    async fn memory(&self) -> Result<Vec<Row>> {
        let Amounts {
            burst_streams,
            burst_events,
            open_streams,
            ..
        } = self.amounts;
        let mut idle = Row::new('e', "memory when ready", "MB", Target::AtMost(8.0));
        let name = format!("peak memory, {burst_streams} streams at full speed");
        let mut peak = Row::new('e', name, "MB", Target::AtMost(12.0));
        let name = format!("memory per stream, {open_streams} slow streams");
        let mut each = Row::new('e', name, "kB", Target::AtMost(20.0));
        for _ in 0..self.amounts.rounds {
            for kind in self.proxied() {
                let used = measure::memory(
                    || self.start(kind),
                    &self.upstream,
                    self.clock,
                    (burst_streams, burst_events),
                    open_streams,
                )
                .await
                .with_context(|| format!("memory of {kind:?}"))?;
                idle.add(kind, megabytes(used.idle)?);
                peak.add(kind, megabytes(used.burst_peak)?);
                each.add(kind, used.per_stream / 1e3);
            }
        }
        Ok(vec![idle, peak, each])
    }

    /// (f) Time from the start of the process until it is ready.
    async fn ready(&self) -> Result<Vec<Row>> {
        let mut row = Row::new(
            'f',
            "start until `/ready` answers",
            "ms",
            Target::AtMost(20.0),
        );
        for _ in 0..self.amounts.starts {
            for kind in self.proxied() {
                let route = self.start(kind)?;
                let proxy = route.proxy.as_ref().context("no process")?;
                row.add(kind, microseconds(proxy.ready_after) / 1e3);
            }
            // Starting blocks, so give a signal its turn.
            tokio::task::yield_now().await;
        }
        Ok(vec![row])
    }
}

fn choose_routes(wanted: &[RouteKind]) -> Vec<RouteKind> {
    let all = [RouteKind::Direct, RouteKind::Nginx, RouteKind::Polywire];
    let is_wanted = |kind: &RouteKind| wanted.is_empty() || wanted.contains(kind);
    let mut kinds: Vec<RouteKind> = all.into_iter().filter(is_wanted).collect();
    if kinds.contains(&RouteKind::Nginx) && nginx_version().is_none() && !install_nginx() {
        eprintln!("nginx is not installed, so there is nothing to compare with");
        eprintln!("hint: as root, `apt-get install nginx-light`");
        kinds.retain(|kind| *kind != RouteKind::Nginx);
    }
    kinds
}

fn nginx_version() -> Option<String> {
    let output = Command::new("nginx").arg("-v").output().ok()?;
    let text = String::from_utf8_lossy(&output.stderr);
    Some(text.trim().strip_prefix("nginx version: ")?.to_owned())
}

/// Only root can; on systems without apt it fails like any other missing program.
fn install_nginx() -> bool {
    if !nix::unistd::geteuid().is_root() {
        return false;
    }
    eprintln!("installing nginx-light");
    let installed = Command::new("apt-get")
        .args(["install", "-y", "nginx-light"])
        .status();
    installed.is_ok_and(|status| status.success()) && nginx_version().is_some()
}

fn build_polywire(project: &Project) -> Result<PathBuf> {
    let status = Command::new("cargo")
        .args([
            "build",
            "--release",
            "--locked",
            "--package",
            "polywire-cli",
        ])
        .current_dir(&project.workspace_root)
        .status()
        .context("cannot start `cargo build`")?;
    ensure!(status.success(), "the release build failed");
    Ok(project.target_directory.join("release/polywire"))
}

/// A thousand streams need two connections each, in this process and in the proxies, which inherit the limit.
fn raise_open_files_limit() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("cannot raise the limit of open files")
}

/// A folder that is removed with its content when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn create(target_directory: &Path) -> Result<Self> {
        let path = target_directory.join(format!("load-{}", std::process::id()));
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot create `{}`", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left behind it does no harm: it lies in `target`.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn machine(bench: &Bench, load_before: String) -> Machine {
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    Machine {
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        processor: model
            .map_or("unknown processor", |(_, name)| name)
            .to_owned(),
        kernel: first_word("/proc/sys/kernel/osrelease"),
        nginx: bench
            .kinds
            .contains(&RouteKind::Nginx)
            .then(nginx_version)
            .flatten(),
        load_before,
    }
}

fn first_word(path: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace()
        .next()
        .unwrap_or("unknown")
        .to_owned()
}

fn command_line() -> String {
    let words: Vec<String> = std::env::args().skip(1).collect();
    format!("cargo xtask {}", words.join(" "))
}

fn megabytes(bytes: u64) -> Result<f64> {
    Ok(f64::from(u32::try_from(bytes / 1_000)?) / 1e3)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("cannot write `{}`", path.display()))
}
