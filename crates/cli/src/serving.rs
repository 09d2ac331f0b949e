//! A gateway that listens, until it is asked to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use polywire_server::Stop;
use polywire_settings::Settings;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::configuration::{Service, WatchedSettings};
use crate::logging::note;
use crate::serve::bind;
use crate::{configuration, supervisor};

/// How long turns that are cut off may take to leave. They have nothing to wait for.
const CUT_TIMEOUT: Duration = Duration::from_secs(2);

/// A gateway that listens.
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    pub(crate) settings: Settings,
    listener: TcpListener,
    service: Service,
    interrupt: Signal,
    terminate: Signal,
}

/// How a gateway came to its end.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    /// How many turns were cut off.
    pub(crate) turns_cut_off: usize,
    /// Why they were.
    pub(crate) reason: Option<String>,
}

impl Serving {
    /// Listens, on what a supervisor has handed over or on the address of the settings. From here on a request to stop is heard.
    pub(crate) async fn open(settings: Settings, source: WatchedSettings) -> anyhow::Result<Self> {
        let listener = match supervisor::listener()? {
            Some(listener) => listener,
            None => bind(settings.server.listen).await?,
        };
        let address = listener.local_addr()?;
        let token = configuration::token(&settings)?;
        if token.is_none() && !address.ip().is_loopback() {
            anyhow::bail!(
                "the supervisor listens on {address}, and `auth = \"none\"` would let everybody who reaches it use your keys\nhint: let it listen on a loopback address, or keep `auth = \"token\"`"
            );
        }
        let service = configuration::service(address, &settings, source, token)?;
        let (interrupt, terminate) = (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        );
        let serving = Self {
            address,
            settings,
            listener,
            service,
            interrupt,
            terminate,
        };
        // Before anybody is told that it is there, so that the log has it by then.
        serving.announce();
        Ok(serving)
    }

    /// Serves until it is asked to stop; then lets the turns at work end, within the time that the settings give them. A second request ends them at once.
    pub(crate) async fn run(self) -> Ended {
        supervisor::ready(self.address);
        let Self {
            settings,
            listener,
            service,
            mut interrupt,
            mut terminate,
            ..
        } = self;
        let gateway = Arc::clone(&service.app.gateway);
        let (stop, tasks) = (Stop::default(), gateway.tasks.clone());
        let app = Arc::clone(&service.app);
        let serving = polywire_server::serve_and_turn_away(listener, app, stop.clone());
        tokio::pin!(serving);
        tokio::select! {
            () = &mut serving => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stop.drain.cancel();
        tasks.close();
        supervisor::stopping(gateway.turns_at_work());
        if !tasks.is_empty() {
            note("stopping when the turns at work have ended; a second signal stops at once");
        }
        let seconds = settings.server.drain_timeout;
        let reason = tokio::select! {
            () = tasks.wait() => None,
            // It goes on turning clients away until everything is cut.
            () = &mut serving => None,
            () = tokio::time::sleep(Duration::from_secs(seconds.into())) => {
                Some(format!("they had not ended within {seconds} s (`drain_timeout`)"))
            }
            _ = interrupt.recv() => Some(AT_ONCE.to_owned()),
            _ = terminate.recv() => Some(AT_ONCE.to_owned()),
        };
        let ended = cut(&service, &stop, reason).await;
        service.close().await;
        ended
    }

    fn announce(&self) {
        note(format_args!(
            "polywire listens on http://{}/v1",
            self.address
        ));
        let providers = self.settings.catalog.providers.iter();
        let providers: Vec<&str> = providers.map(|provider| provider.id.as_str()).collect();
        note(format_args!("providers: {}", providers.join(", ")));
    }
}

const AT_ONCE: &str = "the gateway was asked a second time to stop";

/// Ends what still goes on, and tells of the turns that it takes with it.
async fn cut(service: &Service, stop: &Stop, reason: Option<String>) -> Ended {
    let gateway = &service.app.gateway;
    let turns = gateway.turns_at_work();
    gateway.cut_off();
    stop.cut.cancel();
    let left = tokio::time::timeout(CUT_TIMEOUT, gateway.tasks.wait());
    if left.await.is_err() {
        tracing::warn!("some connections have not ended in time");
    }
    let reason = reason.filter(|_| turns > 0);
    if let Some(reason) = &reason {
        let them = if turns == 1 { "turn was" } else { "turns were" };
        note(format_args!(
            "warning: {turns} {them} cut off, because {reason}"
        ));
    }
    Ended {
        turns_cut_off: if reason.is_some() { turns } else { 0 },
        reason,
    }
}
