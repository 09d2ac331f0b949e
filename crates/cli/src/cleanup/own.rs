//! What polywire itself leaves behind when it is killed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime};

use polywire_processes::{Input, Process, input_of, listened_by};

use super::leftover::{Case, Kind, Leftover};
use super::places::{Places, Snapshot};
use super::{background, work_folders};

/// The command that keeps the gateway of a run.
const RUN_GATEWAY: &str = "run-gateway";

/// How long a gateway of a run may take to begin, and to notice that nobody needs it. It looks every two seconds.
const GATEWAY_AGE_MIN: Duration = Duration::from_secs(10);

/// How long it may take to answer on this machine. It takes a millisecond.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

pub(crate) fn find(places: &Places, snapshot: &Snapshot) -> Vec<Leftover> {
    let mut found = run_gateways(snapshot);
    found.extend(work_folders::find(places));
    found.extend(background::find(&places.state_dir));
    found
}

fn is_polywire(process: &Process) -> bool {
    super::places::named(process, "polywire")
}

/// Gateways of runs that have ended. They end by themselves when nobody needs them; one that hangs does not.
fn run_gateways(snapshot: &Snapshot) -> Vec<Leftover> {
    let gateways = snapshot.processes.iter().filter(|process| {
        is_polywire(process)
            && process
                .command_line
                .iter()
                .skip(1)
                .any(|argument| argument == RUN_GATEWAY)
            && process.shares_our_view()
    });
    gateways.filter_map(run_gateway).collect()
}

fn run_gateway(gateway: &Process) -> Option<Leftover> {
    let case = Case::of_process(Kind::RunGateway, gateway);
    match input_of(&gateway.id) {
        Ok(None) => return None,
        Ok(Some(Input::Abandoned)) => {}
        // As long as its `run` holds the other end, it is at work.
        Ok(Some(Input::Held { .. })) => return None,
        Ok(Some(Input::Nothing | Input::File(_) | Input::Unknown)) => {
            return Some(case.kept("whether its `polywire run` is there cannot be told"));
        }
        Err(error) => return Some(case.kept(error.to_string())),
    }
    let case = case.known("its `polywire run` has ended");
    let age = gateway
        .started_at
        .and_then(|started| SystemTime::now().duration_since(started).ok());
    if age.is_none_or(|age| age < GATEWAY_AGE_MIN) {
        return Some(case.kept("it began a moment ago"));
    }
    // Whom it serves is known to it alone: a client need not carry the mark of its run, nor show its environment. So one that answers is believed.
    Some(match listened_by(&gateway.id) {
        Err(error) => case.kept(error.to_string()),
        Ok(addresses) if addresses.is_empty() => {
            case.kept("it takes no requests any more, so it is ending")
        }
        Ok(addresses) => match addresses.into_iter().find(|address| answers(*address)) {
            Some(address) => case.kept(format!(
                "it answers on {address}, and ends by itself when nobody needs it"
            )),
            None => case
                .known("it does not answer, so that it serves nobody and does not end by itself")
                .stale(),
        },
    })
}

/// Whether a gateway answers anything at all. It is asked twice, since a machine can be busy.
fn answers(address: SocketAddr) -> bool {
    (0..2).any(|_| answers_in_time(address))
}

fn answers_in_time(address: SocketAddr) -> bool {
    let asked = || {
        let mut stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        stream
            .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        stream.read(&mut [0; 64])
    };
    // Only silence counts: whoever breaks the connection off is awake.
    match asked() {
        Ok(_) => true,
        Err(error) => !matches!(
            error.kind(),
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
        ),
    }
}
