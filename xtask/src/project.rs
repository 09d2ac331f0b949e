//! Where the project lies, and what `cargo metadata` tells about it.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The part of `cargo metadata --format-version 1` that the tasks read.
#[derive(Debug, Deserialize)]
pub(crate) struct Project {
    /// Every package of the lock file, for all platforms.
    pub(crate) packages: Vec<Package>,
    /// The identifiers of our own packages.
    workspace_members: Vec<String>,
    resolve: Resolve,
    /// Where cargo puts what it builds.
    pub(crate) target_directory: PathBuf,
    /// The folder of the root `Cargo.toml`.
    pub(crate) workspace_root: PathBuf,
}

/// One package of the lock file.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    /// The SPDX expression, if the package declares one.
    pub(crate) license: Option<String>,
    /// Where it comes from; `None` for a path in this repository.
    pub(crate) source: Option<String>,
    /// The foreign library that it brings or looks for, if any.
    pub(crate) links: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Debug, Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

#[derive(Debug, Deserialize)]
struct EdgeKind {
    /// `None` for an ordinary dependency, else `dev` or `build`.
    kind: Option<String>,
}

impl Project {
    /// Asks cargo about the project that the current folder belongs to.
    pub(crate) fn load() -> Result<Self> {
        let output = Command::new("cargo")
            .args(["metadata", "--format-version", "1", "--locked"])
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start `cargo metadata`")?;
        ensure!(output.status.success(), "`cargo metadata` failed");
        serde_json::from_slice(&output.stdout).context("cannot read what `cargo metadata` printed")
    }

    /// The names of our own packages.
    pub(crate) fn member_names(&self) -> impl Iterator<Item = &str> {
        let members: BTreeSet<&str> = self.workspace_members.iter().map(String::as_str).collect();
        self.packages
            .iter()
            .filter(move |package| members.contains(package.id.as_str()))
            .map(|package| package.name.as_str())
    }

    /// The names of the packages that `name` is linked with directly.
    pub(crate) fn direct_dependencies(&self, name: &str) -> BTreeSet<&str> {
        let graph = Graph::new(self);
        graph.names(graph.edges_of_name(name).into_iter().collect())
    }

    /// The names of all packages that end up in a program which uses `name`, without `name` itself.
    pub(crate) fn all_dependencies(&self, name: &str) -> BTreeSet<&str> {
        let graph = Graph::new(self);
        let mut waiting = graph.edges_of_name(name);
        let mut seen = BTreeSet::new();
        while let Some(id) = waiting.pop() {
            if seen.insert(id) {
                waiting.extend(graph.edges(id));
            }
        }
        graph.names(seen)
    }
}

/// The ordinary dependencies: neither those of tests nor those of build scripts.
struct Graph<'p> {
    names: HashMap<&'p str, &'p str>,
    nodes: HashMap<&'p str, &'p Node>,
}

impl<'p> Graph<'p> {
    fn new(project: &'p Project) -> Self {
        let names = project.packages.iter();
        let nodes = project.resolve.nodes.iter();
        Self {
            names: names.map(|p| (p.id.as_str(), p.name.as_str())).collect(),
            nodes: nodes.map(|node| (node.id.as_str(), node)).collect(),
        }
    }

    fn edges_of_name(&self, name: &str) -> Vec<&'p str> {
        let ids = self.names.iter().filter(|(_, known)| **known == name);
        ids.flat_map(|(id, _)| self.edges(id)).collect()
    }

    fn edges(&self, id: &str) -> Vec<&'p str> {
        let edges = self.nodes.get(id).map_or(&[][..], |node| &node.deps);
        let ordinary = |edge: &&Edge| edge.dep_kinds.iter().any(|kind| kind.kind.is_none());
        let kept = edges.iter().filter(ordinary);
        kept.map(|edge| edge.pkg.as_str()).collect()
    }

    fn names(&self, ids: BTreeSet<&str>) -> BTreeSet<&'p str> {
        ids.into_iter()
            .filter_map(|id| self.names.get(id).copied())
            .collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A project out of lines `name: dependency dependency dev:dependency`.
    pub(crate) fn project(lines: &str) -> Project {
        let rows: Vec<(&str, Vec<&str>)> = lines
            .lines()
            .filter_map(|line| line.trim().split_once(':'))
            .map(|(name, rest)| (name, rest.split_whitespace().collect()))
            .collect();
        let nodes = rows.iter().map(|(name, edges)| Node {
            id: (*name).to_owned(),
            deps: edges.iter().map(|edge| parse_edge(edge)).collect(),
        });
        Project {
            packages: rows.iter().map(|(name, _)| package(name)).collect(),
            workspace_members: rows
                .iter()
                .filter(|(name, _)| name.starts_with("polywire-"))
                .map(|(name, _)| (*name).to_owned())
                .collect(),
            resolve: Resolve {
                nodes: nodes.collect(),
            },
            target_directory: PathBuf::new(),
            workspace_root: PathBuf::new(),
        }
    }

    pub(crate) fn package(name: &str) -> Package {
        Package {
            id: name.to_owned(),
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            license: None,
            source: None,
            links: None,
        }
    }

    fn parse_edge(text: &str) -> Edge {
        let (kind, pkg) = match text.split_once(':') {
            Some((kind, pkg)) => (Some(kind.to_owned()), pkg),
            None => (None, text),
        };
        Edge {
            pkg: pkg.to_owned(),
            dep_kinds: vec![EdgeKind { kind }],
        }
    }

    #[test]
    fn dependencies_leave_tests_and_build_scripts_out() {
        let project = project(
            "polywire-a: b dev:c build:d
             b: e
             c:
             d:
             e: b",
        );
        assert_eq!(
            project.direct_dependencies("polywire-a"),
            BTreeSet::from(["b"])
        );
        assert_eq!(
            project.all_dependencies("polywire-a"),
            BTreeSet::from(["b", "e"])
        );
        assert_eq!(project.member_names().collect::<Vec<_>>(), ["polywire-a"]);
    }

    #[test]
    fn this_project_can_be_read() {
        let project = Project::load().unwrap();
        assert!(project.member_names().any(|name| name == "xtask"));
        assert!(project.all_dependencies("xtask").contains("serde_json"));
    }
}
