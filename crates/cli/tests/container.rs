//! The image and the compose file: one static program, of no rights, reached from this machine alone.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::fs;
use std::path::{Path, PathBuf};

use polywire_testkit::{Running, TempHome};
use serde_json::{Value, json};
use tokio::process::Command;

const USER: &str = "65532:65532";

fn file(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The instructions of the Containerfile, each on one line, with one space between words.
fn instructions() -> Vec<String> {
    let text = file("Containerfile").replace("\\\n", " ");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let words = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    words.filter(|line| !line.is_empty()).collect()
}

/// The instructions of the last stage, which is the image.
fn image() -> Vec<String> {
    let all = instructions();
    let last = all.iter().rposition(|line| line.starts_with("FROM "));
    all[last.unwrap()..].to_vec()
}

/// What an instruction of the image says.
fn said(image: &[String], instruction: &str) -> Vec<String> {
    let lines = image.iter();
    let found = lines.filter_map(|line| line.strip_prefix(instruction)?.strip_prefix(' '));
    found.map(str::to_owned).collect()
}

/// The lines below a key of the compose file, without what is deeper in; comments left out. The file is written plainly: two spaces a level.
fn below(path: &[&str]) -> Vec<String> {
    let text = file("compose.yaml");
    let mut lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .collect();
    for (depth, key) in path.iter().enumerate() {
        let indent = "  ".repeat(depth);
        let head = format!("{indent}{key}:");
        let at = lines.iter().position(|line| line.trim_end() == head);
        let at = at.unwrap_or_else(|| panic!("there is no `{key}` in compose.yaml"));
        let deeper = format!("{indent}  ");
        lines = lines[at + 1..]
            .iter()
            .take_while(|line| line.starts_with(&deeper))
            .copied()
            .collect();
    }
    let own = "  ".repeat(path.len());
    let own = lines.iter().filter_map(|line| line.strip_prefix(&own));
    own.filter(|line| !line.starts_with(' '))
        .map(str::to_owned)
        .collect()
}

fn service(key: &str) -> Vec<String> {
    below(&["services", "polywire", key])
}

#[test]
fn the_image_is_built_statically_by_the_compiler_of_the_workspace() {
    let manifest: toml::Table = toml::from_str(&file("Cargo.toml")).unwrap();
    let version = manifest["workspace"]["package"]["rust-version"].as_str();
    // Where musl is the compiler's own target, programs are linked statically.
    let from = format!(
        "FROM docker.io/library/rust:{}-alpine AS build",
        version.unwrap()
    );
    let all = instructions();
    assert_eq!(all[0], from);
    let build = all
        .iter()
        .find(|line| line.contains("cargo build"))
        .unwrap();
    assert!(build.contains("--release --locked"), "{build}");
    assert!(!build.contains("--target"), "{build}");
    let image = image();
    assert_eq!(image[0], "FROM scratch");
    let copied = said(&image, "COPY");
    assert!(
        copied.iter().all(|copy| copy.starts_with("--from=build ")),
        "{copied:?}"
    );
    assert!(copied.iter().any(|copy| copy.ends_with(" /polywire")));
    assert!(
        copied.iter().any(|copy| copy.contains("ca-certificates")),
        "{copied:?}"
    );
    assert!(said(&image, "RUN").is_empty() && said(&image, "ADD").is_empty());
}

#[test]
fn the_image_runs_as_nobody_and_holds_no_secret() {
    let image = image();
    assert_eq!(said(&image, "USER"), [USER]);
    assert_eq!(said(&image, "ENTRYPOINT"), ["[\"/polywire\"]"]);
    assert_eq!(said(&image, "EXPOSE"), ["4891"]);
    assert!(said(&image, "ENV")[0].contains("POLYWIRE_LISTEN=0.0.0.0:4891"));
    for line in instructions() {
        let is_said = ["ENV", "ARG", "LABEL"]
            .iter()
            .any(|kind| line.starts_with(kind));
        for word in ["KEY", "TOKEN", "SECRET", "PASSWORD"] {
            assert!(!(is_said && line.contains(word)), "{line}");
        }
    }
    // What is never sent to the builder cannot get into a layer.
    let ignored = file(".dockerignore");
    let ignored: Vec<&str> = ignored.lines().collect();
    for path in ["target", ".git", "config", "polywire.env"] {
        assert!(ignored.contains(&path), "{path} is not in .dockerignore");
    }
}

#[test]
fn the_compose_file_gives_no_rights_and_publishes_on_loopback() {
    let service_lines = below(&["services", "polywire"]);
    for line in [
        format!("user: \"{USER}\""),
        "read_only: true".to_owned(),
        concat!("image: localhost/polywire:", env!("CARGO_PKG_VERSION")).to_owned(),
    ] {
        assert!(service_lines.contains(&line), "{line}: {service_lines:?}");
    }
    let ports = service("ports");
    assert_eq!(ports, ["- \"127.0.0.1:4891:4891\""]);
    assert_eq!(service("cap_drop"), ["- ALL"]);
    assert_eq!(service("security_opt"), ["- no-new-privileges:true"]);
    let volumes = service("volumes");
    let state = "- state:/state".to_owned();
    assert!(
        volumes
            .iter()
            .all(|line| line.ends_with(":ro") || *line == state),
        "{volumes:?}"
    );
    for line in service("tmpfs") {
        for option in ["size=", "noexec", "nosuid", "nodev"] {
            assert!(line.contains(option), "{line}");
        }
    }
    for line in service_lines {
        let key = line.split(':').next().unwrap();
        for risky in [
            "privileged",
            "network_mode",
            "cap_add",
            "pid",
            "environment",
        ] {
            assert_ne!(key, risky, "{line}");
        }
    }
    // Time enough for the turns at work, by the usual `drain_timeout`.
    let text = file("compose.yaml");
    let grace = text.split("stop_grace_period: ").nth(1).unwrap();
    let grace = grace.split('s').next().unwrap();
    assert!(grace.parse::<u32>().unwrap() >= 45, "{grace}");
}

/// Podman on images of its own, in this home.
fn podman(home: &TempHome, arguments: &[&str]) -> Command {
    let at = |name: &str| home.work().join(name).display().to_string();
    let mut command = home.command("podman");
    command
        .args(["--root", &at("images"), "--runroot", &at("run")])
        .args(["--storage-driver", "vfs"])
        .args(arguments);
    command
}

/// Builds from the folder `context`, with nothing that comes from elsewhere.
fn build(home: &TempHome, containerfile: &str) -> Command {
    home.write("work/Containerfile", containerfile);
    podman(
        home,
        &[
            "build",
            "--isolation=chroot",
            "--format=docker",
            "--pull=never",
            "--tag=polywire-test",
            "--file=Containerfile",
            "context",
        ],
    )
}

/// The last stage as Podman understands it, where it is: the stage before it stands as files, so that nothing is fetched or compiled.
#[tokio::test]
async fn podman_makes_the_image_that_is_meant() {
    if !Path::new("/usr/bin/podman").exists() {
        eprintln!("podman is not here, so the image is not made");
        return;
    }
    let home = TempHome::new(env!("CARGO_TARGET_TMPDIR"));
    for path in [
        "etc/ssl/certs/ca-certificates.crt",
        "image/polywire",
        "image/config/polywire/none",
        "image/state/polywire/none",
    ] {
        home.write(format!("work/context/{path}"), path);
    }
    let stage = "FROM scratch AS build\nCOPY --chown=65532:65532 . /\n";
    let trial = Running::start(build(&home, stage)).ended().await;
    if trial.code() != Some(0) {
        eprintln!("podman makes no images here, so ours is not made: {trial:?}");
        return;
    }
    let all = format!("{stage}{}\n", image().join("\n"));
    let made = Running::start(build(&home, &all)).ended().await;
    assert_eq!(made.code(), Some(0), "{made:?}");
    let inspect = ["image", "inspect", "polywire-test"];
    let told = Running::start(podman(&home, &inspect)).ended().await;
    let told: Value = serde_json::from_str(&told.stdout.join("\n")).unwrap();
    let config = &told[0]["Config"];
    assert_eq!(config["User"], USER);
    assert_eq!(config["Entrypoint"], json!(["/polywire"]));
    assert_eq!(config["Cmd"], json!(["serve"]));
    assert_eq!(config["ExposedPorts"], json!({"4891/tcp": {}}));
    assert_eq!(config["Volumes"], json!({"/state": {}}));
    assert_eq!(
        told[0]["Healthcheck"]["Test"],
        json!(["CMD", "/polywire", "status"])
    );
    let removed = Running::start(podman(&home, &["image", "rm", "--all", "--force"]));
    assert_eq!(removed.ended().await.code(), Some(0));
}
