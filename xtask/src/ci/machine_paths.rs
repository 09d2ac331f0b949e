//! No tracked file names a folder or a package host of the machine it was written on.
//!
//! What to look for is asked of the machine that runs the check: its project folder, its home, the package hosts that its
//! cargo and npm are set to. So nothing of any machine stands here either.

use crate::project::Project;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Folders every machine has: as a parent of the project they tell nothing, and texts may name them.
const COMMON_FOLDERS: &[&str] = &[
    "/", "/home", "/mnt", "/opt", "/root", "/srv", "/tmp", "/usr/src", "/var/tmp",
];

/// Hosts that belong to the public, not to a machine.
const PUBLIC_HOSTS: &[&str] = &["crates.io", "github.com", "npmjs.org"];

/// One line for each place where a tracked file names this machine.
pub(super) fn violations(project: &Project) -> Result<Vec<String>> {
    let needles = needles(project);
    let mut found = Vec::new();
    for path in tracked_files(&project.workspace_root)? {
        // A file that was deleted but not yet committed, or a link to nowhere, holds nothing.
        let Ok(content) = std::fs::read(project.workspace_root.join(&path)) else {
            continue;
        };
        found.extend(search(&path, &content, &needles));
    }
    Ok(found)
}

fn search(path: &Path, content: &[u8], needles: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
        let line = String::from_utf8_lossy(line);
        let hits = needles.iter().filter(|needle| line.contains(*needle));
        found.extend(hits.map(|needle| format!("{}:{}: `{needle}`", path.display(), index + 1)));
    }
    found
}

fn tracked_files(root: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root)
        .output()
        .context("cannot start `git ls-files`")?;
    ensure!(
        output.status.success(),
        "`git ls-files` failed in `{}`",
        root.display()
    );
    let names = output.stdout.split(|byte| *byte == 0);
    Ok(names
        .filter(|name| !name.is_empty())
        .map(|name| PathBuf::from(String::from_utf8_lossy(name).into_owned()))
        .collect())
}

fn needles(project: &Project) -> Vec<String> {
    let mut folders: Vec<PathBuf> = vec![project.workspace_root.clone()];
    folders.extend(project.workspace_root.parent().map(Path::to_owned));
    folders.extend(std::env::home_dir());
    let mut needles = folder_needles(&folders);
    needles.extend(package_hosts());
    needles
}

/// A folder counts with the slash behind it, so that a longer name is not taken for it.
fn folder_needles(folders: &[PathBuf]) -> Vec<String> {
    let telling = folders
        .iter()
        .map(|folder| folder.to_string_lossy())
        .filter(|folder| !COMMON_FOLDERS.contains(&folder.as_ref()));
    telling.map(|folder| format!("{folder}/")).collect()
}

/// The hosts of the registries that cargo and npm use here, if they are not the public ones.
fn package_hosts() -> Vec<String> {
    let mut settings = String::new();
    if let Some(home) = cargo_home() {
        let files = ["config.toml", "config"].map(|name| home.join(name));
        settings.extend(
            files
                .iter()
                .filter_map(|file| std::fs::read_to_string(file).ok()),
        );
    }
    let npm = Command::new("npm")
        .args(["config", "get", "registry"])
        .output();
    if let Ok(output) = npm {
        settings.push_str(&String::from_utf8_lossy(&output.stdout));
    }
    private_hosts(&settings)
}

fn cargo_home() -> Option<PathBuf> {
    let set = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    set.or_else(|| Some(std::env::home_dir()?.join(".cargo")))
}

fn private_hosts(settings: &str) -> Vec<String> {
    let hosts = settings.split("://").skip(1).map(|rest| {
        let host = rest.split(['/', '"', '\'', '\n']).next().unwrap_or("");
        // Behind an `@` stands the host, before it a login.
        host.rsplit('@').next().unwrap_or(host)
    });
    let is_public = |host: &str| {
        PUBLIC_HOSTS
            .iter()
            .any(|public| host == *public || host.ends_with(&format!(".{public}")))
    };
    hosts
        .filter(|host| !host.is_empty() && !is_public(host))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_that_tell_something() {
        let folders = ["/tmp", "/", "/srv/someone/project", "/home/someone"].map(PathBuf::from);
        assert_eq!(
            folder_needles(&folders),
            ["/srv/someone/project/", "/home/someone/"]
        );
    }

    #[test]
    fn places_are_named_by_line() {
        let needles = ["/srv/p/".to_owned()];
        assert_eq!(
            search(Path::new("a.md"), b"first\nsee /srv/p/x\n/srv/pq", &needles),
            ["a.md:2: `/srv/p/`"]
        );
    }

    #[test]
    fn hosts_of_private_registries() {
        assert_eq!(
            private_hosts(
                "registry = \"sparse+https://user:word@packages.example:8080/index/\"\n\
                 https://registry.npmjs.org/\nhttps://notnpmjs.org"
            ),
            ["packages.example:8080", "notnpmjs.org"]
        );
    }
}
