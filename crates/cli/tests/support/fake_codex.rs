//! A stand-in for the Codex CLI.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use polywire_testkit::TempHome;

/// A program named `codex` that tells what it was given, and ends with 7.
pub(crate) fn told_by_codex(home: &TempHome) -> PathBuf {
    let script = "#!/bin/sh\nfor word; do echo \"$word\"; done\necho \"token $POLYWIRE_CODEX_TOKEN\"\nexit 7\n";
    let path = home.write("bin/codex", script);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path
}
