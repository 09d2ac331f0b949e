//! Programs of others that the tests drive: where they are, and what happens when they are missing.

use std::io::Write;
use std::path::{Path, PathBuf};

/// The folder of the repository.
pub(crate) fn repository() -> &'static Path {
    // Two levels above this crate, see the layout in the root manifest.
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Where the step `tools` of `cargo xtask ci` installs a program of this name.
pub(crate) fn installed(name: &str) -> PathBuf {
    repository().join("target/tools").join(name)
}

/// Gives what a look-up found, or says on the error stream that the test did not run.
///
/// With `CI` or the variable `require` in the environment, what is missing fails the test.
pub(crate) fn found_or_said<T: Clone>(
    what: &str,
    require: &str,
    found: &Result<T, String>,
) -> Option<T> {
    let required = ["CI", require]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    match found {
        Ok(tool) => Some(tool.clone()),
        Err(why) if required => panic!("this test needs {what}: {why}"),
        Err(why) => {
            // Not by a macro, whose output the test harness keeps to itself when the test passes.
            writeln!(
                std::io::stderr(),
                "NOT RUN: this test needs {what}, which `cargo xtask ci tools` installs: {why}"
            )
            .ok();
            None
        }
    }
}
