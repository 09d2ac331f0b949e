//! Whether the gateway can listen where it is to listen.

use std::io::ErrorKind;

use polywire_processes::{Listener, listeners};

use super::check::Subject;
use super::finding::Finding;
use crate::running;

pub(crate) async fn check(subject: &Subject) -> Vec<Finding> {
    let Ok(settings) = &subject.settings else {
        return Vec::new();
    };
    let address = settings.server.listen;
    if running::is_polywire(address).await {
        return vec![Finding::ok("port", "polywire runs there").at(address)];
    }
    // Taken and let go at once.
    let Err(error) = crate::serve::listen(address) else {
        return vec![Finding::ok("port", "it is free").at(address)];
    };
    let finding = if error.kind() == ErrorKind::AddrInUse {
        let what = format!("another program has the port: {}", holders(address.port()));
        Finding::problem("port_taken", what)
            .hint("end that program, or set another `listen` under [server] in the settings")
    } else {
        let what = format!("it cannot be listened on: {error}");
        Finding::problem("port", what).hint(
            "set `listen` under [server] to an address of this machine and a port above 1023, such as `127.0.0.1:4891`",
        )
    };
    vec![finding.at(address)]
}

/// Who has the port, as far as can be seen.
fn holders(port: u16) -> String {
    let found = match listeners(port) {
        Ok(found) => found,
        Err(error) => return format!("which one is not known ({error})"),
    };
    let names: Vec<String> = found.iter().map(name).collect();
    if names.is_empty() {
        return "which one is not known".to_owned();
    }
    names.join(", ")
}

fn name(listener: &Listener) -> String {
    let Some(process) = listener.processes.first() else {
        return format!("a process of user {}", listener.owner);
    };
    match process.program() {
        Some(program) => format!("process {} ({})", process.id.pid(), program.display()),
        None => format!("process {}", process.id.pid()),
    }
}
