//! A lasting edit of Codex's configuration: where the file is, where polywire is, and where the journal is.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

#[path = "support/codex_edits.rs"]
mod codex_edits;

use std::fs;
use std::path::Path;

use codex_edits::{PROGRAM, USERS, config, done, home, polywire};
use polywire_testkit::Running;

#[tokio::test]
async fn the_command_for_the_token_carries_what_a_desktop_would_not_know() {
    let home = home(None);
    let plain = home.codex_home().with_file_name("home");
    let args = async |variables: &[(&str, &Path)]| {
        let mut command = polywire(&home, &["diff", "-p", "demo"]);
        command
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_STATE_HOME");
        command.envs(variables.iter().copied());
        command.env("POLYWIRE_LISTEN", "127.0.0.1:4891");
        let ended = Running::start(command).ended().await;
        let line = ended
            .stdout
            .iter()
            .find(|line| line.starts_with("+args = "));
        line.unwrap_or_else(|| panic!("{ended:?}")).clone()
    };
    assert_eq!(args(&[]).await, "+args = [\"token\"]");
    let usual = plain.join(".local/state");
    assert_eq!(
        args(&[("XDG_STATE_HOME", &usual)]).await,
        "+args = [\"token\"]"
    );
    let other = home.state();
    let expected = format!(
        "+args = [\"XDG_STATE_HOME={}\", \"{PROGRAM}\", \"token\"]",
        other.display()
    );
    assert_eq!(args(&[("XDG_STATE_HOME", &other)]).await, expected);
    let named = home.config().join("polywire/config.toml");
    let expected = format!("+args = [\"token\", \"--config\", \"{}\"]", named.display());
    assert_eq!(args(&[("POLYWIRE_CONFIG", &named)]).await, expected);
}

#[tokio::test]
async fn however_the_folder_is_named_it_is_the_same_file() {
    let home = home(Some(USERS));
    done(&home, &["apply", "--yes"]).await;
    let link = home.work().join("link");
    std::os::unix::fs::symlink(home.codex_home(), &link).unwrap();
    let mut command = polywire(&home, &["restore"]);
    command.env("CODEX_HOME", format!("{}//", link.display()));
    let restored = Running::start(command).ended().await;
    assert_eq!(restored.code(), Some(0), "{restored:?}");
    assert_eq!(fs::read_to_string(config(&home)).unwrap(), USERS);
}

#[tokio::test]
async fn a_folder_that_was_moved_and_linked_is_the_same() {
    let home = home(Some(USERS));
    done(&home, &["apply", "--yes"]).await;
    let moved = home.work().join("dotfiles");
    fs::rename(home.codex_home(), &moved).unwrap();
    std::os::unix::fs::symlink(&moved, home.codex_home()).unwrap();
    let again = done(&home, &["apply", "--yes"]).await;
    assert!(again.ends_with("says all of it already"), "{again}");
    done(&home, &["restore"]).await;
    assert_eq!(
        fs::read_to_string(moved.join("config.toml")).unwrap(),
        USERS
    );
}

#[tokio::test]
async fn what_is_there_without_a_record_is_not_denied() {
    let home = home(Some(USERS));
    done(&home, &["apply", "--yes"]).await;
    let ours = fs::read_to_string(config(&home)).unwrap();
    for arguments in [&["restore"][..], &["restore", "--json"]] {
        let other = home.work().join("state");
        let mut command = polywire(&home, arguments);
        command.env("XDG_STATE_HOME", &other);
        let ended = Running::start(command).ended().await;
        assert_eq!(ended.code(), Some(1), "{ended:?}");
        let said = ended.stderr.join("\n");
        let folder = other.join("polywire/edits").display().to_string();
        assert!(said.contains(&folder), "{said}");
        assert!(said.contains("\nhint: "), "{said}");
    }
    assert_eq!(fs::read_to_string(config(&home)).unwrap(), ours);
    done(&home, &["restore"]).await;
    assert_eq!(fs::read_to_string(config(&home)).unwrap(), USERS);
}

/// An upgrade moves the name to the next version; the program behind it goes.
#[tokio::test]
async fn the_command_for_the_token_is_the_name_on_the_search_path() {
    let home = home(None);
    let bin = home.work().join("bin");
    fs::create_dir(&bin).unwrap();
    let link = bin.join("polywire");
    std::os::unix::fs::symlink(PROGRAM, &link).unwrap();
    let diff = async |program: &Path, path: &str| {
        let mut command = home.command(program);
        command
            .args(["codex", "diff", "-p", "demo"])
            .env("PATH", path);
        let ended = Running::start(command).ended().await;
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        ended.stdout.join("\n")
    };
    let named = format!("\"{}\", \"token\"]", link.display());
    let path = bin.display().to_string();
    for (program, path) in [(Path::new(PROGRAM), path.as_str()), (&link, "/nonexistent")] {
        let shown = diff(program, path).await;
        assert!(shown.contains(&named), "{shown}");
    }
    // Another program of that name is another program.
    fs::remove_file(&link).unwrap();
    fs::copy("/bin/true", &link).unwrap();
    let shown = diff(Path::new(PROGRAM), &path).await;
    assert!(
        shown.contains(&format!("\"{PROGRAM}\", \"token\"]")),
        "{shown}"
    );
}

/// Codex asks the address of the settings, wherever the gateway was started.
#[tokio::test]
async fn a_gateway_that_runs_elsewhere_is_told() {
    let home = home(None);
    let gateway = async |arguments: &[&str]| {
        let mut command = home.command(PROGRAM);
        command.args(arguments);
        Running::start(command).ended().await
    };
    let started = gateway(&["start", "--listen", "127.0.0.1:0"]).await;
    let applied = polywire(&home, &["apply", "-p", "demo", "--yes"]);
    let applied = Running::start(applied).ended().await;
    let stopped = gateway(&["stop"]).await;
    assert_eq!(started.code(), Some(0), "{started:?}");
    assert_eq!(stopped.code(), Some(0), "{stopped:?}");
    assert_eq!(applied.code(), Some(0), "{applied:?}");
    let told = applied.stderr.join("\n");
    assert!(
        told.contains("polywire runs on 127.0.0.1:")
            && told.contains("Codex will ask 127.0.0.1:4891")
            && told.contains("hint: set `listen`"),
        "{told}"
    );
}
