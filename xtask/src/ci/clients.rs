//! The client libraries and coding agents that the tests drive, beside Codex: `clients/python` and `clients/node`.

use crate::project::Project;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;

/// A set of packages with a lock file.
struct Set {
    /// Its folder in `clients/`, and in `target/tools/`.
    name: &'static str,
    /// The file that pins every package.
    lock: &'static str,
    /// Installs into the second folder what the first one asks for.
    install: fn(&Path, &Path) -> Result<()>,
}

const SETS: [Set; 2] = [
    Set {
        name: "python",
        lock: "requirements.txt",
        install: install_python,
    },
    Set {
        name: "node",
        lock: "package-lock.json",
        install: install_node,
    },
];

/// The copy of the lock file that an installation was made from; written last, so that it stands for a whole one.
const STAMP: &str = "installed-from.lock";

/// Installs what is not there yet as the lock files say, all sets at the same time.
pub(super) fn install(project: &Project) -> Result<()> {
    std::thread::scope(|scope| {
        let running: Vec<_> = SETS
            .iter()
            .map(|set| scope.spawn(|| set.install(project)))
            .collect();
        // All are waited for, whatever became of the first.
        let ended: Vec<_> = running
            .into_iter()
            .map(std::thread::ScopedJoinHandle::join)
            .collect();
        ended
            .into_iter()
            .try_for_each(|set| set.unwrap_or_else(|_| bail!("an installation panicked")))
    })
}

impl Set {
    fn install(&self, project: &Project) -> Result<()> {
        let source = project.workspace_root.join("clients").join(self.name);
        let target = project.workspace_root.join("target/tools").join(self.name);
        let lock = fs::read(source.join(self.lock))
            .with_context(|| format!("cannot read `clients/{}/{}`", self.name, self.lock))?;
        if fs::read(target.join(STAMP)).is_ok_and(|stamp| stamp == lock) {
            println!("the {} clients are installed", self.name);
            return Ok(());
        }
        start_afresh(&target)?;
        (self.install)(&source, &target)?;
        fs::write(target.join(STAMP), &lock).context("cannot mark the installation as whole")?;
        println!("the {} clients were installed", self.name);
        Ok(())
    }
}

/// An empty folder: packages of an earlier lock file would stay otherwise.
fn start_afresh(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove `{}`", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))
}

const PYTHON_NEEDED: &str = "no Python environment could be made
hint: the tests drive Python clients; install Python 3.10 or later with its module `venv` (Debian: python3-venv)";

fn install_python(source: &Path, target: &Path) -> Result<()> {
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(target);
    finish(&mut venv).context(PYTHON_NEEDED)?;
    let mut pip = Command::new(target.join("bin/python"));
    // Everything is pinned with its hash, so there is nothing to resolve, and nothing to build.
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps"])
        .args(["--require-hashes", "--only-binary", ":all:"])
        .args(["--disable-pip-version-check", "--no-cache-dir", "-r"])
        .arg(source.join("requirements.txt"));
    finish(&mut pip)
}

fn install_node(source: &Path, target: &Path) -> Result<()> {
    for name in ["package.json", "package-lock.json", ".npmrc"] {
        let from = source.join(name);
        fs::copy(&from, target.join(name))
            .with_context(|| format!("cannot copy `{}`", from.display()))?;
    }
    let mut npm = Command::new("npm");
    // Inside the folder rather than with `--prefix`, see `codex.rs`. What a package wants to run at its installation is not
    // run; the one thing that is needed of it follows.
    npm.args(["ci", "--ignore-scripts", "--loglevel", "error", "--cache"])
        .arg(target.with_file_name("npm-cache"))
        .current_dir(target);
    finish(&mut npm).context("hint: install Node.js 20 or later with npm")?;
    let mut claude = Command::new("node");
    claude
        .arg("node_modules/@anthropic-ai/claude-code/install.cjs")
        .current_dir(target);
    finish(&mut claude).context("Claude Code did not find its program for this platform")?;
    link_scripts(target)
}

/// Lets the scripts be reached beside `node_modules`, which is where Node looks for packages.
fn link_scripts(target: &Path) -> Result<()> {
    let link = target.join("scripts");
    // Relative, so that the folder of the project can be moved.
    #[cfg(unix)]
    return std::os::unix::fs::symlink("../../../clients/node", &link)
        .with_context(|| format!("cannot make the link `{}`", link.display()));
    #[cfg(not(unix))]
    bail!("cannot make the link `{}` on this system", link.display());
}

fn finish(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_owned();
    let program = program.display();
    let status = command
        .status()
        .with_context(|| format!("cannot start `{program}`"))?;
    ensure!(status.success(), "`{program}` failed ({status})");
    Ok(())
}
