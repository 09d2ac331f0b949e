//! A house, and `polywire run` in it.

use polywire_testkit::{House, ScriptedUpstream, answer};
use tokio::process::Command;

/// A provider that answers, and polywire with a key for it.
pub(crate) fn house() -> House {
    House::new(
        env!("CARGO_BIN_EXE_polywire"),
        env!("CARGO_TARGET_TMPDIR"),
        ScriptedUpstream::start(|_, _| answer("hello")),
    )
}

/// `polywire run` of a shell script.
pub(crate) fn script(house: &House, script: &str) -> Command {
    let mut command = house.polywire();
    command.args(["run", "-p", "house", "--", "sh", "-c", script]);
    command
}
