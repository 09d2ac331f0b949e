//! Whether the gateway in the background answers.

use polywire_daemon::{GatewayState, Places, Presence};

use super::check::Subject;
use super::finding::Finding;
use super::settings::split_hint;
use crate::running;

/// Nothing when none is said to run. One that is gone is told with what else was left behind.
pub(crate) async fn check(subject: &Subject) -> Vec<Finding> {
    let path = Places::in_folder(&subject.leftovers.state_dir).state_file;
    let state = match GatewayState::read(&path) {
        Ok(state) => state,
        Err(error) => {
            let error = error.to_string();
            let (what, hint) = split_hint(&error);
            let hint = hint.unwrap_or("look at the file");
            return vec![Finding::problem("background", what).hint(hint)];
        }
    };
    let Some(gateway) = state.and_then(|state| state.running) else {
        return Vec::new();
    };
    if gateway.presence().ok() != Some(Presence::Running) {
        return Vec::new();
    }
    let pid = gateway.process.pid();
    let finding = if running::is_polywire(gateway.address).await {
        Finding::ok(
            "background",
            format!("the gateway in the background answers (pid {pid})"),
        )
    } else {
        Finding::problem(
            "background_silent",
            format!("the gateway in the background runs (pid {pid}) and does not answer"),
        )
        .hint("`polywire logs` may tell why; `polywire restart` starts it anew")
    };
    vec![finding.at(gateway.address)]
}
