//! The gateway in the background: started, stopped, asked how it is.
//!
//! `polywire start` starts `polywire serve --background` and waits for its word. What runs is told by the state file, which the gateway writes itself.

mod changed;
mod child;
mod facts;
mod last;
mod logs;
mod restart;
mod start;
mod status;
mod stop;

use std::time::Duration;

use polywire_daemon::{GatewayState, Lock, Places, Presence, RunningGateway};
use polywire_settings::{Overrides, Paths, ProcessEnvironment};

pub(crate) use child::serve;
pub(crate) use last::{arguments, network_variables, said_now, secret_variables};
pub(crate) use logs::{LogsArguments, logs};
pub(crate) use restart::{RestartArguments, restart};
pub(crate) use start::{StartArguments, start};
pub(crate) use status::{StatusArguments, status};
pub(crate) use stop::{StopArguments, stop};

use crate::logging::note;
use crate::serve::program_name;

/// How often a state that nobody announces is looked at again.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// How long a command waits before it says that it waits.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where the gateway in the background keeps its files. Needs no readable settings, so that it can be stopped whatever they are.
pub(crate) fn places(overrides: &Overrides) -> anyhow::Result<Places> {
    let paths = Paths::find(overrides, &ProcessEnvironment)?;
    Ok(Places::in_folder(&paths.state_dir))
}

/// Waits until no other command starts or stops the gateway.
async fn lock(places: &Places) -> anyhow::Result<Lock> {
    let begun = tokio::time::Instant::now();
    let mut told = false;
    loop {
        if let Some(lock) = Lock::try_take(&places.lock_file)? {
            return Ok(lock);
        }
        if !told && begun.elapsed() >= PATIENCE {
            told = true;
            note("waiting for another polywire command that starts or stops the gateway");
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// What the state file tells of now.
enum Found {
    /// It runs.
    Running(RunningGateway),
    /// It ended without saying so. The second is what has its number now, in words.
    Lost(RunningGateway, Option<String>),
    /// It was started on another machine that has the same files, or in a container, and cannot be looked at from here.
    Elsewhere(RunningGateway),
    /// None is said to run.
    Nothing,
}

fn look(state: Option<&GatewayState>) -> anyhow::Result<Found> {
    let Some(running) = state.and_then(|state| state.running.clone()) else {
        return Ok(Found::Nothing);
    };
    let presence = running.presence()?;
    Ok(match presence {
        Presence::Running => Found::Running(running),
        Presence::Gone | Presence::Another(_) if running.host != host() => {
            Found::Elsewhere(running)
        }
        Presence::Gone => Found::Lost(running, None),
        Presence::Another(process) => Found::Lost(running, Some(program_name(&process))),
    })
}

/// The name of this machine, or of this container.
pub(crate) fn host() -> String {
    let name = nix::unistd::gethostname();
    name.map_or_else(
        |_| String::new(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// What is said of a gateway that cannot be looked at from here.
fn elsewhere(gateway: &RunningGateway, places: &Places) -> String {
    format!(
        "a gateway runs on `{}`, started {}, and this is `{}`\nhint: stop it there; when that machine is gone, or is this one under an older name, remove {}",
        gateway.host,
        moment(gateway.started_at),
        host(),
        places.state_file.display()
    )
}

/// Forgets a gateway that is not there any more. What it was started with stays, for `restart`. For whoever has the lock.
fn forget(state: &mut GatewayState, places: &Places) -> anyhow::Result<()> {
    state.running = None;
    Ok(state.write(&places.state_file)?)
}

/// The same for a command that only looks, and so has no lock: nothing is changed while another command is at work, nor when it has put another
/// gateway into the file.
fn forget_if_nobody_minds(gateway: &RunningGateway, places: &Places) -> anyhow::Result<()> {
    let Some(_lock) = Lock::try_take(&places.lock_file)? else {
        return Ok(());
    };
    let Some(mut state) = GatewayState::read(&places.state_file)? else {
        return Ok(());
    };
    let is_it = |running: &RunningGateway| running.process == gateway.process;
    if state.running.as_ref().is_some_and(is_it) {
        forget(&mut state, places)?;
    }
    Ok(())
}

/// The gateway in the background, if it is proven to run. It may have another address than the settings name.
pub(crate) fn recorded(paths: &Paths) -> Option<RunningGateway> {
    let places = Places::in_folder(&paths.state_dir);
    let state = GatewayState::read(&places.state_file);
    let found = state
        .map_err(Into::into)
        .and_then(|state| look(state.as_ref()));
    match found {
        Ok(Found::Running(gateway)) => Some(gateway),
        Ok(Found::Lost(..) | Found::Elsewhere(_) | Found::Nothing) => None,
        Err(error) => {
            tracing::debug!("no gateway in the background: {error:#}");
            None
        }
    }
}

/// What is said of a gateway that ended without saying so.
fn lost(gateway: &RunningGateway, now: Option<&str>) -> String {
    let pid = gateway.process.pid();
    let begun = moment(gateway.started_at);
    let taken = now.map_or_else(String::new, |name| {
        format!("; pid {pid} is {name} now, which is left alone")
    });
    format!("the gateway with pid {pid}, started {begun}, ended without saying so{taken}")
}

/// Seconds since 1970, as people and programs read them.
fn moment(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| seconds.to_string(), |moment| moment.to_string())
}

fn now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default()
}

/// `1 turn is`, `2 turns are`.
fn turns_are(count: u64) -> String {
    match count {
        1 => "1 turn is".to_owned(),
        count => format!("{count} turns are"),
    }
}

#[cfg(test)]
mod tests {
    use polywire_daemon::StartOptions;
    use polywire_processes::ProcessId;

    use super::*;

    fn gateway(process: ProcessId) -> RunningGateway {
        RunningGateway {
            process,
            host: host(),
            executable: "/none".into(),
            version: "0.1.0".into(),
            address: "127.0.0.1:1".parse().unwrap(),
            settings_file: "/none".into(),
            started_at: 0,
            drain_timeout: 30,
        }
    }

    #[test]
    fn only_the_gateway_that_is_meant_is_forgotten_and_only_with_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places::in_folder(folder.path());
        let own = ProcessId::own().unwrap();
        let text = serde_json::to_string(&own).unwrap();
        let start = own.start();
        let text = text.replace(&format!(":{start}"), &format!(":{}", start - 1));
        let (gone, new) = (gateway(serde_json::from_str(&text).unwrap()), gateway(own));
        assert_ne!(gone, new);
        let state = GatewayState {
            start: StartOptions::default(),
            log: places.log_file.clone(),
            running: Some(new.clone()),
            ended: None,
        };
        state.write(&places.state_file).unwrap();
        let recorded = || {
            GatewayState::read(&places.state_file)
                .unwrap()
                .unwrap()
                .running
        };
        forget_if_nobody_minds(&gone, &places).unwrap();
        assert!(recorded().is_some(), "another has taken its place");
        let lock = Lock::try_take(&places.lock_file).unwrap();
        forget_if_nobody_minds(&new, &places).unwrap();
        assert!(recorded().is_some(), "somebody is at work");
        drop(lock);
        forget_if_nobody_minds(&new, &places).unwrap();
        assert_eq!(recorded(), None);
    }
}
