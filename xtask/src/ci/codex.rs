//! The Codex CLI that the tests drive.

use crate::project::Project;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version the tests were written against. Another one is another client: raising it is a change of its own, with
/// the facts about the client looked at again.
const VERSION: &str = "0.169.0";
const PACKAGE: &str = "@openai/codex";

/// Installs the pinned version into `target/tools/codex` of the project, unless it is there.
pub(super) fn install(project: &Project) -> Result<()> {
    let folder = folder(project);
    if installed_version(&folder).is_ok_and(|version| version == VERSION) {
        println!("{PACKAGE} {VERSION} is installed");
        return Ok(());
    }
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create `{}`", folder.display()))?;
    run_npm(&folder)?;
    let version = installed_version(&folder)?;
    ensure!(
        version == VERSION,
        "the installed Codex says it is `{version}`, not `{VERSION}`"
    );
    println!("{PACKAGE} {VERSION} was installed");
    Ok(())
}

/// Beside what cargo builds, but always in the project's own `target`: the tests look there, wherever
/// `CARGO_TARGET_DIR` points.
fn folder(project: &Project) -> PathBuf {
    project.workspace_root.join("target/tools/codex")
}

/// Runs npm inside the folder rather than with `--prefix`, under which it no longer finds the system-wide settings: a
/// machine's own certificates may stand there.
fn run_npm(folder: &Path) -> Result<()> {
    // Without a package of its own, npm would install into the nearest folder above that has one.
    let package = folder.join("package.json");
    std::fs::write(&package, "{ \"private\": true }\n")
        .with_context(|| format!("cannot write `{}`", package.display()))?;
    let status = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--no-save"])
        // A cache of our own, so that a home folder that cannot be written to does not matter.
        .arg("--cache")
        .arg(folder.with_file_name("npm-cache"))
        .arg(format!("{PACKAGE}@{VERSION}"))
        .current_dir(folder)
        .status()
        .context("cannot start `npm`\nhint: install Node.js with npm")?;
    ensure!(
        status.success(),
        "`npm install {PACKAGE}@{VERSION}` failed ({status})"
    );
    Ok(())
}

/// Asks the program itself, because the package for this platform is a second one that npm may have left out.
fn installed_version(folder: &Path) -> Result<String> {
    let program = folder.join("node_modules/.bin/codex");
    let output = Command::new(&program)
        .arg("--version")
        .output()
        .with_context(|| format!("cannot start `{}`", program.display()))?;
    ensure!(output.status.success(), "`codex --version` failed");
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text
        .split_whitespace()
        .last()
        .context("no version printed")?;
    Ok(version.to_owned())
}
