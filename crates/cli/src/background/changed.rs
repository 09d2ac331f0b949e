//! What is another in this environment than it was for the gateway that is started anew. Told by name: the values may be secrets.

use polywire_daemon::{GatewayState, RunningGateway};

use super::last::network_variables;
use crate::configuration;
use crate::logging::note;

/// Warns of variables that the gateway of this state had otherwise: secrets that are missing now, and ways to the network.
pub(super) fn warn_of_changes(state: &GatewayState) {
    for name in &state.start.secret_variables {
        if configuration::variable(name).is_none() {
            warn_of_missing(name);
        }
    }
    let (before, now) = (&state.start.network_variables, network_variables());
    for name in before.difference(&now) {
        warn_of_missing(name);
    }
    for name in now.difference(before) {
        note(format_args!(
            "warning: `{name}` is set now, and was not when the gateway was last started"
        ));
    }
    for name in before.intersection(&now) {
        let running = state.running.as_ref();
        if running.is_some_and(|running| is_another(name, running)) {
            note(format_args!(
                "warning: `{name}` is another now than when the gateway was last started"
            ));
        }
    }
}

fn warn_of_missing(name: &str) {
    note(format_args!(
        "warning: `{name}` was set when the gateway was last started, and is not now"
    ));
}

/// Whether a variable has another value here than in the gateway that runs. Of one that has ended, and where the system does not tell, nobody knows.
fn is_another(name: &str, running: &RunningGateway) -> bool {
    let process = running.process.look().ok().flatten();
    let found = process.and_then(|process| process.variables(&[name])?.remove(name));
    let here = configuration::variable(name);
    found.is_some_and(|there| here.is_some_and(|here| there.to_str() != Some(here.as_str())))
}
