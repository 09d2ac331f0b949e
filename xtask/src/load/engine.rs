//! (engine) What polywire adds to `codex app-server` when it is a provider, and what `codex exec` takes.
//!
//! Two ways to the same scripted model, turn about in one run: Codex itself, spoken to over its pipes in the words that
//! polywire uses, in the home that polywire has made; and polywire, spoken to over HTTP, with a worker of its own that is warm.
//! Both measure from the moment somebody has a conversation in hand until the first piece of the answer is theirs.

mod app_server;
mod exec;
mod script;
mod table;

use super::body::{Call, Conversation, request};
use super::client::Client;
use super::clock::Clock;
use super::process::{self, family};
use super::proxy::Proxy;
use super::report::percentile_us;
use super::tick::{Sight, Watch};
use super::upstream::Upstream;
use super::{Bench, megabytes};
use crate::project::Project;
use anyhow::{Context, Result, ensure};
use app_server::AppServer;
use std::path::{Path, PathBuf};
use std::time::Duration;
pub(super) use table::{EngineReport, EngineRow};

/// What the first delta may come later than from Codex itself.
const ADDED_AT_MOST_MS: f64 = 15.0;

/// Conversations: bytes of their items, and whether there are ten tools beside them.
const CASES: [(usize, &str, bool); 4] = [
    (1_000, "1 kB", false),
    (1_000, "1 kB", true),
    (100_000, "100 kB", false),
    (100_000, "100 kB", true),
];

/// Before each turn, so that none is measured beside what the one before it has left to do.
const REST: Duration = Duration::from_millis(20);

/// How much two requests for the same turn may differ on their way to the model, in bytes: ids, and the name of the client.
const REQUESTS_DIFFER_AT_MOST: usize = 1_000;

/// The Codex of the tests: at `POLYWIRE_TEST_CODEX`, else where `cargo xtask ci tools` installs it.
pub(super) fn find_codex(project: &Project) -> Result<PathBuf> {
    let installed = "target/tools/codex/node_modules/.bin/codex";
    let program = std::env::var_os("POLYWIRE_TEST_CODEX")
        .map_or_else(|| project.workspace_root.join(installed), PathBuf::from);
    ensure!(
        program.exists(),
        "`{}` is not there\nhint: `cargo xtask ci tools` installs Codex",
        program.display()
    );
    Ok(program)
}

/// Where polywire keeps an engine, by the folder that it was started in.
struct Home {
    /// The Codex home.
    codex_home: PathBuf,
    /// Where turns run.
    workspace: PathBuf,
}

impl Home {
    fn of(proxy_folder: &Path) -> Self {
        let engine = proxy_folder.join(".local/state/polywire/engines/house");
        Self {
            codex_home: engine.join("codex-home"),
            workspace: engine.join("workspace"),
        }
    }
}

/// The two ways, ready.
struct Ways<'b> {
    program: &'b Path,
    home: Home,
    upstream: &'b Upstream,
    clock: Clock,
    codex: AppServer,
    client: Client,
    proxy: Proxy,
}

/// What one way took, turn by turn.
#[derive(Default)]
struct Times {
    /// From the conversation in hand to the first delta.
    first_delta: Vec<Duration>,
    /// From `turn/start` on, where that is known.
    from_turn_start: Vec<Duration>,
}

/// CPU of the processes so far.
#[derive(Clone, Copy)]
struct Cpu {
    codex: Duration,
    worker: Duration,
    polywire: Duration,
}

impl Bench {
    /// Measures the app-server beside Codex itself, and `codex exec` for scale.
    pub(super) async fn engine(&self) -> Result<EngineReport> {
        let program = &self.codex;
        let version = exec::version(program)?;
        let (proxy, folder) = Proxy::engine(
            &self.polywire,
            &self.folder.0,
            self.upstream.address,
            program,
        )?;
        let client = Client::connect(proxy.address).await?;
        self.upstream.play(script::says());
        let mut client = client;
        // Makes the home and starts the worker.
        let first = Conversation::with_tools(1_000, false);
        let first = request(proxy.address, "/v1/responses", &first.responses_body());
        turn(&mut client, &first, self.clock).await?;
        let home = Home::of(&folder);
        let mut ways = Ways {
            program,
            upstream: &self.upstream,
            clock: self.clock,
            codex: AppServer::start(program, &home).await?,
            home,
            client,
            proxy,
        };
        let mut rows = Vec::new();
        for (bytes, size, tools) in CASES {
            let name = format!("{size}, {} tools", if tools { 10 } else { 0 });
            eprintln!("measuring (engine) {name}");
            let conversation = Conversation::with_tools(bytes, tools);
            let measured = ways.turns(&name, &conversation, self);
            rows.extend(measured.await.with_context(|| format!("turns of {name}"))?);
        }
        for (bytes, size, tools) in CASES.into_iter().filter(|(_, _, tools)| *tools) {
            eprintln!("measuring (engine) results of a tool, {size}");
            let conversation = Conversation::with_tools(bytes, tools);
            let measured = ways.results(size, &conversation, self);
            rows.extend(measured.await.with_context(|| format!("results, {size}"))?);
        }
        rows.extend(ways.memory()?);
        eprintln!("measuring (engine) codex exec");
        let mut row = EngineRow::new("`codex exec`: start to answer, 1 kB", "ms");
        for _ in 0..self.amounts.exec_turns {
            self.upstream.play(script::says());
            let took = exec::run(program, &ways.home, self.clock).await?;
            row.codex.push(milliseconds(took));
        }
        rows.push(row);
        Ok(EngineReport {
            codex: version,
            rows,
        })
    }
}

impl Ways<'_> {
    /// Whole turns in fresh threads, turn about.
    async fn turns(
        &mut self,
        name: &str,
        conversation: &Conversation,
        bench: &Bench,
    ) -> Result<Vec<EngineRow>> {
        let mut rows = Percentiles::new(&format!("first delta, {name}"));
        let mut from_start =
            EngineRow::new(format!("of it from `turn/start` on, {name}, p50"), "ms");
        let mut worker = EngineRow::new(format!("CPU of Codex per turn, {name}"), "ms");
        let mut polywire = EngineRow::new(format!("CPU of polywire per turn, {name}"), "ms");
        let body = conversation.responses_body();
        let request = request(self.proxy.address, "/v1/responses", &body);
        for _ in 0..bench.amounts.rounds {
            self.restart_codex().await?;
            self.upstream.play(script::says());
            self.both(conversation, &request).await?;
            let (mut codex, mut through) = (Times::default(), Times::default());
            let before = self.cpu()?;
            for _ in 0..bench.amounts.engine_turns {
                let (direct, from_turn_start, proxied) = self.both(conversation, &request).await?;
                codex.first_delta.push(direct);
                codex.from_turn_start.push(from_turn_start);
                through.first_delta.push(proxied);
            }
            let after = self.cpu()?;
            rows.add(Some(&codex.first_delta), &through.first_delta)?;
            from_start
                .codex
                .push(percentile(&codex.from_turn_start, 50)?);
            let each = |after: Duration, before: Duration| {
                milliseconds(after.saturating_sub(before) / bench.amounts.engine_turns)
            };
            worker.codex.push(each(after.codex, before.codex));
            worker.polywire.push(each(after.worker, before.worker));
            polywire
                .polywire
                .push(each(after.polywire, before.polywire));
        }
        let mut rows = rows.rows(Some(ADDED_AT_MOST_MS));
        rows.extend([from_start, worker, polywire]);
        Ok(rows)
    }

    /// A round begins with a fresh process: Codex keeps the memory of threads that were left, and grows with each turn.
    async fn restart_codex(&mut self) -> Result<()> {
        self.codex = AppServer::start(self.program, &self.home).await?;
        Ok(())
    }

    /// One turn each way; the times from the beginning, from `turn/start`, and through polywire.
    async fn both(
        &mut self,
        conversation: &Conversation,
        request: &[u8],
    ) -> Result<(Duration, Duration, Duration)> {
        tokio::time::sleep(REST).await;
        let (begin, started, first) = self.codex.turn(conversation, self.clock).await?;
        let asked = self.upstream.last_request_bytes();
        tokio::time::sleep(REST).await;
        let proxied = turn(&mut self.client, request, self.clock).await?;
        let differ = asked.abs_diff(self.upstream.last_request_bytes());
        ensure!(
            differ <= REQUESTS_DIFFER_AT_MOST,
            "the model was asked for different turns: their requests differ by {differ} bytes"
        );
        let since = |earlier| first.saturating_sub(earlier);
        Ok((since(begin), since(started), proxied))
    }

    /// The results of a tool: to a thread that waits for them, and to one that has to be made anew from the history.
    async fn results(
        &mut self,
        size: &str,
        conversation: &Conversation,
        bench: &Bench,
    ) -> Result<Vec<EngineRow>> {
        let mut waits = Percentiles::new(&format!("result of a tool to first delta, {size}"));
        let mut anew = Percentiles::new(&format!("the same, thread made anew, {size}"));
        let address = self.proxy.address;
        let asks = request(address, "/v1/responses", &conversation.responses_body());
        let call = Call::usual();
        let answered = conversation.answered(&call);
        let answers = request(address, "/v1/responses", &answered.responses_body());
        for _ in 0..bench.amounts.rounds {
            self.restart_codex().await?;
            let (mut direct, mut resumed, mut rebuilt) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..bench.amounts.engine_turns {
                self.upstream.play(script::calls(&call));
                self.codex.until_call(conversation).await?;
                self.upstream.play(script::says());
                tokio::time::sleep(REST).await;
                direct.push(self.codex.answer(&call, self.clock).await?);

                self.upstream.play(script::calls(&call));
                let mut sight = Sight::new(Watch::Bytes, self.clock);
                self.client.turn(&asks, &mut sight).await?;
                self.upstream.play(script::says());
                tokio::time::sleep(REST).await;
                resumed.push(turn(&mut self.client, &answers, self.clock).await?);
                // The thread has ended, so the same once more finds none.
                tokio::time::sleep(REST).await;
                rebuilt.push(turn(&mut self.client, &answers, self.clock).await?);
            }
            waits.add(Some(&direct), &resumed)?;
            anew.add(None, &rebuilt)?;
        }
        let mut rows = waits.rows(Some(ADDED_AT_MOST_MS));
        rows.extend(anew.rows(None));
        Ok(rows)
    }

    fn memory(&self) -> Result<[EngineRow; 2]> {
        let workers = self.workers()?;
        let resident = |processes: &[u32]| megabytes(process::memory(processes)?.resident);
        let mut worker = EngineRow::new("memory of the workers, launchers included", "MB");
        worker.codex.push(resident(&family(self.codex.id()?)?)?);
        worker.polywire.push(resident(&workers)?);
        let mut polywire = EngineRow::new("memory of polywire", "MB");
        polywire.polywire.push(resident(&[self.proxy.id()])?);
        Ok([worker, polywire])
    }

    fn cpu(&self) -> Result<Cpu> {
        Ok(Cpu {
            codex: self.codex.cpu_time()?,
            worker: process::cpu_time_of_descendants(self.proxy.id())?,
            polywire: process::cpu_time(&[self.proxy.id()])?,
        })
    }

    /// The processes that polywire has started.
    fn workers(&self) -> Result<Vec<u32>> {
        let mut processes = family(self.proxy.id())?;
        processes.retain(|process| *process != self.proxy.id());
        Ok(processes)
    }
}

/// One turn through polywire.
async fn turn(client: &mut Client, request: &[u8], clock: Clock) -> Result<Duration> {
    let mut sight = Sight::new(Watch::FirstTick, clock);
    let begin = clock.now();
    client.turn(request, &mut sight).await?;
    let first = sight.first_tick.context("the answer holds no text")?;
    Ok(first.saturating_sub(begin))
}

/// The rows for the 50th and the 99th percentile of one time.
struct Percentiles([(usize, EngineRow); 2]);

impl Percentiles {
    fn new(name: &str) -> Self {
        Self([50, 99].map(|percent| (percent, EngineRow::new(format!("{name}, p{percent}"), "ms"))))
    }

    /// Adds a round.
    fn add(&mut self, codex: Option<&[Duration]>, polywire: &[Duration]) -> Result<()> {
        for (percent, row) in &mut self.0 {
            if let Some(codex) = codex {
                row.codex.push(percentile(codex, *percent)?);
            }
            row.polywire.push(percentile(polywire, *percent)?);
        }
        Ok(())
    }

    /// The rows; what may be added is said of the middle one.
    fn rows(self, added_at_most: Option<f64>) -> Vec<EngineRow> {
        let [(_, mut middle), (_, late)] = self.0;
        middle.added_at_most = added_at_most;
        vec![middle, late]
    }
}

fn percentile(times: &[Duration], percent: usize) -> Result<f64> {
    Ok(percentile_us(times, percent).context("no turns")? / 1e3)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
