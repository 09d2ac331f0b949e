//! The measurements. Each runs over one route and returns plain numbers; the rounds and the ratios are made elsewhere.

use super::body::{Conversation, request};
use super::client::Client;
use super::clock::Clock;
use super::proxy::Proxy;
use super::tick::{Sight, Watch};
use super::upstream::{Script, Upstream};
use anyhow::{Context, Result, ensure};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::task::JoinSet;

/// One way from the client to the upstream.
pub(super) struct Route {
    pub(super) kind: RouteKind,
    /// `None` for the direct connection.
    pub(super) proxy: Option<Proxy>,
    address: SocketAddr,
}

/// What lies between client and upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum RouteKind {
    /// Nothing.
    Direct,
    /// nginx, which copies.
    Nginx,
    /// polywire, which translates.
    Polywire,
}

impl Route {
    /// The direct connection.
    pub(super) fn direct(upstream: &Upstream) -> Self {
        Self {
            kind: RouteKind::Direct,
            proxy: None,
            address: upstream.address,
        }
    }

    /// A route through a proxy.
    pub(super) fn through(kind: RouteKind, proxy: Proxy) -> Self {
        Self {
            kind,
            address: proxy.address,
            proxy: Some(proxy),
        }
    }

    /// The request that this route is sent for a conversation: only polywire is spoken to in the Responses dialect.
    fn request(&self, conversation: &Conversation) -> Vec<u8> {
        match self.kind {
            RouteKind::Direct | RouteKind::Nginx => request(
                self.address,
                "/v1/chat/completions",
                &conversation.chat_body(),
            ),
            RouteKind::Polywire => request(
                self.address,
                "/v1/responses",
                &conversation.responses_body(),
            ),
        }
    }

    /// CPU time of the proxy so far; `None` where there is none.
    fn cpu_time(&self) -> Result<Option<Duration>> {
        self.proxy.as_ref().map(Proxy::cpu_time).transpose()
    }
}

/// What sequential turns over one connection cost.
pub(super) struct Turns {
    /// From the first byte of the request sent to the first event with text received.
    pub(super) first_event: Vec<Duration>,
    /// CPU of the proxy per turn.
    pub(super) cpu: Option<Duration>,
}

/// Plays `count` turns one after the other, each with a request of some `bytes` bytes and a short answer.
pub(super) async fn turns(
    route: &Route,
    upstream: &Upstream,
    clock: Clock,
    bytes: usize,
    count: u32,
) -> Result<Turns> {
    upstream.play(Script::burst(1));
    let request = route.request(&Conversation::of_size(bytes));
    let mut client = Client::connect(route.address).await?;
    // The first turn makes the connection to the upstream; it is a turn of another kind.
    one_turn(&mut client, &request, clock).await?;
    let cpu_before = route.cpu_time()?;
    let mut first_event = Vec::new();
    for _ in 0..count {
        first_event.push(one_turn(&mut client, &request, clock).await?);
    }
    Ok(Turns {
        first_event,
        cpu: cpu_since(route, cpu_before, count)?,
    })
}

async fn one_turn(client: &mut Client, request: &[u8], clock: Clock) -> Result<Duration> {
    let mut sight = Sight::new(Watch::FirstTick, clock);
    let begin = clock.now();
    client.turn(request, &mut sight).await?;
    let first = sight.first_tick.context("the answer holds no text")?;
    Ok(first.saturating_sub(begin))
}

fn cpu_since(route: &Route, before: Option<Duration>, count: u32) -> Result<Option<Duration>> {
    let after = route.cpu_time()?;
    Ok(before
        .zip(after)
        .map(|(before, after)| after.saturating_sub(before) / count))
}

/// What streams at full speed cost.
pub(super) struct Burst {
    /// CPU of the proxy per event of the upstream.
    pub(super) cpu_per_event: Option<Duration>,
    /// Events of the upstream that went through each second of wall time, all streams together.
    pub(super) events_per_second: f64,
}

/// Plays `streams` streams at once, each with `events` texts as fast as they go.
pub(super) async fn burst(
    route: &Route,
    upstream: &Upstream,
    clock: Clock,
    streams: usize,
    events: usize,
) -> Result<Burst> {
    let script = upstream.play(Script::burst(events));
    let request = route.request(&Conversation::of_size(FIRST_TURN_BYTES));
    let cpu_before = route.cpu_time()?;
    let begin = clock.now();
    // The first stream is read in full, so that a wrong answer is not taken for a quick one; the others must be as long.
    let watch = |stream| {
        if stream == 0 {
            Watch::EveryTick
        } else {
            Watch::Bytes
        }
    };
    let sights = run_streams(route, &request, streams, Duration::ZERO, |stream| {
        Sight::new(watch(stream), clock)
    });
    let sights = sights.await?;
    let wall = clock.since(begin);
    check_whole(&sights, &script)?;
    let total = u32::try_from(streams * script.event_count())?;
    Ok(Burst {
        cpu_per_event: cpu_since(route, cpu_before, total)?,
        events_per_second: f64::from(total) / wall.as_secs_f64(),
    })
}

fn check_whole(sights: &[Sight], script: &Script) -> Result<()> {
    let complete = sights
        .iter()
        .find(|sight| sight.ticks > 0)
        .context("no stream was read")?;
    ensure!(
        complete.ticks == script.text_count(),
        "{} of {} texts arrived",
        complete.ticks,
        script.text_count()
    );
    // Ids and times may differ in length from stream to stream, a missing part differs by more.
    let least = complete.body_bytes - complete.body_bytes / 100;
    ensure!(
        sights.iter().all(|sight| sight.body_bytes >= least),
        "a stream is shorter than the others"
    );
    Ok(())
}

/// Plays `streams` streams at once, each with a text every `pace` for the length of `events` of them, and returns how long
/// each text was on its way.
pub(super) async fn delays(
    route: &Route,
    upstream: &Upstream,
    clock: Clock,
    streams: usize,
    pace: Duration,
    events: usize,
) -> Result<Vec<Duration>> {
    let script = upstream.play(Script::paced(events, pace));
    let request = route.request(&Conversation::of_size(FIRST_TURN_BYTES));
    // Spread over one pace, so that the events come evenly and not all streams at once.
    let spread = pace / u32::try_from(streams)?;
    let sights = run_streams(route, &request, streams, spread, |_| {
        Sight::new(Watch::EveryTick, clock)
    });
    let mut delays = Vec::new();
    for sight in sights.await? {
        ensure!(
            sight.ticks == script.text_count(),
            "{} of {} texts arrived",
            sight.ticks,
            script.text_count()
        );
        delays.extend(sight.delays);
    }
    Ok(delays)
}

/// The first turn of Codex measured 16 to 59 kB, depending on the tools.
pub(super) const FIRST_TURN_BYTES: usize = 40_000;

/// Runs streams side by side to their ends, each started `spread` after the one before.
async fn run_streams(
    route: &Route,
    request: &[u8],
    streams: usize,
    spread: Duration,
    sight: impl Fn(usize) -> Sight,
) -> Result<Vec<Sight>> {
    let mut running = JoinSet::new();
    for stream in 0..streams {
        let mut sight = sight(stream);
        let request = request.to_vec();
        let address = route.address;
        let wait = spread * u32::try_from(stream)?;
        running.spawn(async move {
            tokio::time::sleep(wait).await;
            let mut client = Client::connect(address).await?;
            client.turn(&request, &mut sight).await?;
            anyhow::Ok(sight)
        });
    }
    let mut sights = Vec::new();
    while let Some(ended) = running.join_next().await {
        sights.push(ended??);
    }
    Ok(sights)
}

/// The memory that a fresh proxy holds, in bytes.
pub(super) struct MemoryUse {
    /// Ready, and nothing done yet.
    pub(super) idle: u64,
    /// The most it held while streams ran at full speed.
    pub(super) burst_peak: u64,
    /// What each of many slow streams adds.
    pub(super) per_stream: f64,
}

/// Measures the memory of two fresh proxies: one for the streams at full speed, one for the many slow ones.
pub(super) async fn memory(
    start: impl Fn() -> Result<Route>,
    upstream: &Upstream,
    clock: Clock,
    burst_streams: (usize, usize),
    slow_streams: usize,
) -> Result<MemoryUse> {
    let fast = start()?;
    let idle = resident(&fast)?.resident;
    burst(&fast, upstream, clock, burst_streams.0, burst_streams.1).await?;
    let burst_peak = resident(&fast)?.peak;
    drop(fast);

    let slow = start()?;
    let before = resident(&slow)?.resident;
    let open = open_streams(&slow, upstream, clock, slow_streams).await?;
    let during = resident(&slow)?.resident;
    drop(open);
    let added = during.saturating_sub(before);
    Ok(MemoryUse {
        idle,
        burst_peak,
        per_stream: f64::from(u32::try_from(added)?) / f64::from(u32::try_from(slow_streams)?),
    })
}

fn resident(route: &Route) -> Result<super::process::Memory> {
    let proxy = route.proxy.as_ref();
    proxy
        .context("a direct connection has no memory of its own")?
        .memory()
}

/// Opens streams that get a text each second, and returns when each of them has had its second one.
///
/// One after the other: how a crowd of new connections is met is another question than what an open stream holds.
async fn open_streams(
    route: &Route,
    upstream: &Upstream,
    clock: Clock,
    streams: usize,
) -> Result<Vec<Client>> {
    // Long enough that none ends while the others are still being opened.
    upstream.play(Script::paced(600, Duration::from_secs(1)));
    let request = route.request(&Conversation::of_size(FIRST_TURN_BYTES));
    let mut open = Vec::new();
    for stream in 1..=streams {
        let mut client = Client::connect(route.address).await?;
        // All have the same pace, so when the last one has its second text, so have those before it.
        let enough = if stream == streams { 2 } else { 1 };
        let mut sight = Sight::new(Watch::EveryTick, clock).until(enough);
        client.turn(&request, &mut sight).await?;
        open.push(client);
    }
    Ok(open)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(measure: impl AsyncFnOnce(&Route, &Upstream, Clock) -> T) -> T {
        let clock = Clock::start();
        let upstream = Upstream::start(clock).unwrap();
        let route = Route::direct(&upstream);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(measure(&route, &upstream, clock))
    }

    #[test]
    fn direct_turns_are_measured() {
        let turns = run(async |route, upstream, clock| {
            turns(route, upstream, clock, 1_000, 5).await.unwrap()
        });
        assert_eq!(turns.first_event.len(), 5);
        assert!(turns.first_event.iter().all(|time| !time.is_zero()));
        assert!(turns.cpu.is_none());
    }

    #[test]
    fn direct_streams_arrive_whole() {
        let burst = run(async |route, upstream, clock| {
            burst(route, upstream, clock, 3, 200).await.unwrap()
        });
        assert!(burst.events_per_second > 0.0);
        let pace = Duration::from_millis(1);
        let delays = run(async |route, upstream, clock| {
            delays(route, upstream, clock, 3, pace, 10).await.unwrap()
        });
        assert_eq!(delays.len(), 30);
    }

    #[test]
    fn open_streams_stay_open() {
        let open = run(async |route, upstream, clock| {
            open_streams(route, upstream, clock, 3).await.unwrap()
        });
        assert_eq!(open.len(), 3);
    }
}
