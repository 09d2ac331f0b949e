//! `polywire service`: units written, started, looked at, taken away again.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use background::{Background, assert_says, ended};
use polywire_testkit::{Ended, ScriptedUpstream, Tree, answer};
use serde_json::Value;
use tokio::process::Command;

#[path = "support/background.rs"]
mod background;

/// A home whose settings name a port, with a `systemctl` that writes down what it is told.
struct Machine {
    background: Background,
}

/// Says of every unit that it is active and enabled. Fails at what stands in the file `fails`.
const SYSTEMCTL: &str = r#"#!/bin/sh
echo "$*" >> "$HOME/calls"
if [ -e "$HOME/fails" ] && [ "$2" = "$(cat "$HOME/fails")" ]; then echo "it does not want to" >&2; exit 1; fi
case "$2" in
    is-active) echo active ;;
    is-enabled) echo enabled ;;
esac
"#;

impl Machine {
    fn new() -> Self {
        let background = Background::new(ScriptedUpstream::start(|_, _| answer("hello")), "");
        let settings = background.house.home.config().join("polywire/config.toml");
        let settings = fs::read_to_string(settings).unwrap();
        let home = &background.house.home;
        home.write(
            "config/polywire/config.toml",
            settings.replace("127.0.0.1:0", "127.0.0.1:48917"),
        );
        let systemctl = home.write("bin/systemctl", SYSTEMCTL);
        fs::set_permissions(systemctl, fs::Permissions::from_mode(0o700)).unwrap();
        Self { background }
    }

    fn root(&self) -> PathBuf {
        self.background.house.home.config().join("..")
    }

    /// `polywire service …`, where systemd looks after services.
    fn with_systemd(&self, arguments: &[&str]) -> Command {
        let mut command = self.without_systemd(arguments);
        let own = self.root().join("bin");
        command.env("PATH", format!("{}:/usr/bin:/bin", own.display()));
        command
    }

    /// The same where nothing does.
    fn without_systemd(&self, arguments: &[&str]) -> Command {
        let mut command = self.background.command(&[&["service"], arguments].concat());
        command.env("PATH", "/nonexistent");
        command
    }

    async fn done(&self, arguments: &[&str]) -> Ended {
        let ended = ended(self.with_systemd(arguments)).await;
        assert_eq!(ended.code(), Some(0), "{arguments:?}: {ended:?}");
        ended
    }

    async fn refused(&self, arguments: &[&str]) -> String {
        let ended = ended(self.with_systemd(arguments)).await;
        assert_eq!(ended.code(), Some(1), "{arguments:?}: {ended:?}");
        ended.stderr.join("\n")
    }

    /// What `systemctl` was told, without questions; forgotten afterwards.
    fn told(&self) -> Vec<String> {
        let path = self.root().join("home/calls");
        let calls = fs::read_to_string(&path).unwrap_or_default();
        fs::remove_file(path).ok();
        calls
            .lines()
            .filter(|call| !call.contains(" is-") && !call.contains("show-environment"))
            .map(str::to_owned)
            .collect()
    }

    fn unit(&self, name: &str) -> PathBuf {
        self.background
            .house
            .home
            .config()
            .join("systemd/user")
            .join(name)
    }
}

#[tokio::test]
async fn what_would_be_written_can_be_seen_before() {
    let machine = Machine::new();
    let before = Tree::read(&machine.root(), |_| true);
    for (arguments, holds) in [
        (
            &["--print"] as &[&str],
            &[
                "# /",
                "systemd/user/polywire.service\n[Unit]",
                " serve --provider demo\n",
                "Environment=XDG_STATE_HOME=/",
                "NoNewPrivileges=yes",
                "WantedBy=default.target",
            ] as &[&str],
        ),
        (
            &["--print", "--socket"],
            &["polywire.socket\n[Unit]", "ListenStream=127.0.0.1:48917"],
        ),
        (
            &[
                "--print",
                "--kind",
                "quadlet",
                "--image",
                "example/polywire:1",
            ],
            &[
                "containers/systemd/polywire.container\n[Unit]",
                "Image=example/polywire:1",
                "Exec=serve --provider demo\n",
                "PublishPort=127.0.0.1:48917:4891",
                "ReadOnly=true",
                "DropCapability=all",
                "NoNewPrivileges=true",
                "size=64m",
            ],
        ),
        (
            &["--print", "--kind", "launchd"],
            &["<string>serve</string>", "<key>RunAtLoad</key>"],
        ),
    ] {
        let arguments = [&["install", "-p", "demo"], arguments].concat();
        let shown = machine.done(&arguments).await.stdout.join("\n");
        assert_says(&shown, holds);
    }
    before.assert_same(&Tree::read(&machine.root(), |path| {
        !path.ends_with("home/calls")
    }));
    assert!(machine.told().is_empty());
}

#[tokio::test]
async fn a_container_reads_the_settings_where_they_are_mounted() {
    let machine = Machine::new();
    let home = &machine.background.house.home;
    home.write("work/mine.toml", "log = \"debug\"\n");
    let mut install = machine
        .background
        .command(&["--config", "mine.toml", "service"]);
    install
        .args(["install", "--print", "--kind", "quadlet", "--strict"])
        .env("POLYWIRE_LISTEN", "0.0.0.0:5000")
        .env("POLYWIRE_LOG_FORMAT", "json");
    let shown = ended(install).await.stdout.join("\n");
    assert_says(
        &shown,
        &[
            "Exec=serve --config /config/polywire/mine.toml --strict\n",
            "Environment=POLYWIRE_LISTEN=0.0.0.0:4891\nEnvironment=POLYWIRE_LOG_FORMAT=json\n",
            // On loopback, whatever the settings say.
            "PublishPort=127.0.0.1:5000:4891\n",
            &format!("Volume={}:/config/polywire:ro", home.work().display()),
        ],
    );
    assert!(!shown.contains("XDG_"), "{shown}");
}

#[tokio::test]
async fn a_service_is_written_started_and_taken_away() {
    let machine = Machine::new();
    let none = ended(machine.with_systemd(&["status"])).await;
    assert_eq!(none.code(), Some(1), "{none:?}");
    assert_eq!(none.stdout, ["no service is installed"]);
    let before = Tree::read(&machine.root().join("config"), |_| true);

    let installed = machine.done(&["install"]).await;
    assert_says(
        &installed.stdout.join("\n"),
        &["written: ", "polywire runs"],
    );
    assert_says(&installed.stderr.join("\n"), &["enable-linger"]);
    let unit = machine.unit("polywire.service");
    let mode = fs::metadata(&unit).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644, "systemd warns of other modes");
    let start = [
        "--user daemon-reload",
        "--user enable polywire.service",
        "--user restart polywire.service",
    ];
    assert_eq!(machine.told(), start);
    // Once more is as good as once.
    machine.done(&["install"]).await;
    assert_eq!(machine.told(), start);

    let status = machine.done(&["status"]).await.stdout.join("\n");
    assert_says(
        &status,
        &["polywire.service: active, enabled", "as it was written"],
    );
    let status = machine.done(&["status", "--json"]).await.stdout.join("\n");
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["active"], true);
    assert_eq!(status["units"][0]["kind"], "systemd");

    let socket = machine.done(&["install", "--socket"]).await;
    assert_says(&socket.stdout.join("\n"), &["first client"]);
    assert_eq!(
        machine.told(),
        [
            "--user daemon-reload",
            "--user enable --now polywire.socket",
            "--user try-restart polywire.service",
        ]
    );
    // Without its socket the service listens itself, so systemd must not.
    machine.done(&["install"]).await;
    assert!(!machine.unit("polywire.socket").exists());
    assert_eq!(machine.told()[0], "--user disable --now polywire.socket");

    machine.done(&["uninstall"]).await;
    assert_eq!(
        machine.told(),
        [
            "--user disable --now polywire.service",
            "--user daemon-reload"
        ]
    );
    before.assert_same(&Tree::read(&machine.root().join("config"), |_| true));
    let again = machine.done(&["uninstall"]).await;
    assert_eq!(again.stdout, ["no service is installed"]);
}

#[tokio::test]
async fn files_of_others_are_left_alone() {
    let machine = Machine::new();
    let home = &machine.background.house.home;
    let mine = "[Service]\nExecStart=/bin/true\n";
    let unit = home.write("config/systemd/user/polywire.service", mine);
    let refused = machine.refused(&["install"]).await;
    assert_says(
        &refused,
        &["polywire has not written it", "hint:", "--force"],
    );
    assert_eq!(fs::read_to_string(&unit).unwrap(), mine);
    assert!(machine.told().is_empty());

    let forced = machine.done(&["install", "--force"]).await;
    assert_says(&forced.stdout.join("\n"), &["kept: "]);
    let kept = machine.unit("polywire.service.before-polywire-1");
    assert_eq!(fs::read_to_string(kept).unwrap(), mine);

    let ours = fs::read_to_string(&unit).unwrap();
    let changed = format!("{ours}# mine\n");
    fs::write(&unit, &changed).unwrap();
    machine.told();
    for command in ["install", "uninstall"] {
        let refused = machine.refused(&[command]).await;
        assert_says(&refused, &["was changed since", "hint:", "--force"]);
    }
    assert_eq!(fs::read_to_string(&unit).unwrap(), changed);
    assert!(machine.told().is_empty());
    let status = machine.done(&["status"]).await.stdout.join("\n");
    assert_says(&status, &["changed since it was written"]);
    machine.done(&["uninstall", "--force"]).await;
    assert!(!unit.exists());

    // Never ours, never taken away.
    fs::write(&unit, mine).unwrap();
    machine.done(&["uninstall"]).await;
    assert_eq!(fs::read_to_string(&unit).unwrap(), mine);
}

#[tokio::test]
async fn without_systemd_it_is_said_what_to_run() {
    let machine = Machine::new();
    let installed = ended(machine.without_systemd(&["install"])).await;
    assert_eq!(installed.code(), Some(0), "{installed:?}");
    assert_says(
        &installed.stderr.join("\n"),
        &[
            "does not look after services",
            "systemctl --user enable polywire.service",
        ],
    );
    assert!(machine.unit("polywire.service").exists());
    let status = ended(machine.without_systemd(&["status"])).await;
    assert_eq!(status.code(), Some(1), "{status:?}");
    assert_says(&status.stdout.join("\n"), &["not known"]);
    let removed = ended(machine.without_systemd(&["uninstall"])).await;
    assert_eq!(removed.code(), Some(0), "{removed:?}");
    assert!(!machine.unit("polywire.service").exists());
}

#[tokio::test]
async fn what_does_not_go_is_told_before_anything_is_written() {
    let machine = Machine::new();
    let refused = machine
        .refused(&["install", "--listen", "127.0.0.1:0"])
        .await;
    assert_says(&refused, &["port that stays", "hint:"]);
    let refused = machine
        .refused(&["install", "--kind", "quadlet", "--socket"])
        .await;
    assert_says(&refused, &["only a unit of kind `systemd`"]);
    machine
        .background
        .done(&["start", "--listen", "127.0.0.1:0"])
        .await;
    let refused = machine.refused(&["install"]).await;
    assert_says(
        &refused,
        &["runs in the background", "hint: `polywire stop`"],
    );
    machine.background.done(&["stop"]).await;
    assert!(!machine.unit("polywire.service").exists());

    machine.background.house.home.write("home/fails", "restart");
    let failed = machine.refused(&["install"]).await;
    assert_says(
        &failed,
        &[
            "could not be started",
            "restart polywire.service",
            "it does not want to",
        ],
    );
    fs::remove_file(machine.root().join("home/fails")).unwrap();
    let refused = machine.refused(&["install", "--kind", "quadlet"]).await;
    assert_says(
        &refused,
        &["of kind `systemd` already", "service uninstall"],
    );
    machine.done(&["uninstall"]).await;

    machine.told();
    machine.done(&["install", "--kind", "quadlet"]).await;
    assert_eq!(
        machine.told(),
        ["--user daemon-reload", "--user restart polywire.service"]
    );
    assert!(machine.background.file("token").exists(), "it is mounted");
    machine.done(&["uninstall"]).await;
    assert_eq!(
        machine.told(),
        ["--user stop polywire.service", "--user daemon-reload"]
    );
}

#[tokio::test]
async fn keys_that_a_service_does_not_see_are_told() {
    let machine = Machine::new();
    let print = |token: bool| {
        let mut command = machine.with_systemd(&["install", "--print"]);
        command.env("ZAI_API_KEY", "sk-secret");
        if token {
            command.env("POLYWIRE_TOKEN", "pw-secret-1234567890");
        }
        command
    };
    let shown = ended(print(true)).await;
    let said = shown.stderr.join("\n");
    assert_says(
        &said,
        &[
            "`ZAI_API_KEY` is set here",
            ".env",
            "`POLYWIRE_TOKEN` is set here",
        ],
    );
    assert!(!format!("{shown:?}").contains("secret"), "{shown:?}");
    let mut by_proxy = print(false);
    by_proxy
        .env("https_proxy", "http://user:secret@127.0.0.1:9")
        .env("SSL_CERT_FILE", "/etc/ssl/secret.pem");
    let shown = ended(by_proxy).await;
    assert_says(
        &shown.stderr.join("\n"),
        &["`https_proxy` is set here", "`SSL_CERT_FILE` is set here"],
    );
    assert!(!format!("{shown:?}").contains("secret"), "{shown:?}");
    let home = &machine.background.house.home;
    home.write("config/polywire/.env", "ZAI_API_KEY=sk-secret\n");
    let shown = ended(print(false)).await;
    assert!(shown.stderr.is_empty(), "{shown:?}");

    let settings = home.config().join("polywire/config.toml");
    let mut settings = fs::read_to_string(settings).unwrap();
    settings.push_str("\n[providers.agent]\nkind = \"codex-app-server\"\n");
    home.write("config/polywire/config.toml", settings);
    let shown = ended(print(false)).await;
    assert_says(&shown.stderr.join("\n"), &["hardened less"]);
    assert_says(&shown.stdout.join("\n"), &["Environment=PATH=/"]);
    assert!(
        !shown.stdout.join("\n").contains("SystemCallFilter"),
        "{shown:?}"
    );
}

/// systemd's own check, where it is: the words of its manuals are many.
#[tokio::test]
async fn systemd_finds_no_fault_with_the_units() {
    let analyze = PathBuf::from("/usr/bin/systemd-analyze");
    if !analyze.exists() {
        eprintln!("systemd-analyze is not here, so the units are not verified");
        return;
    }
    let machine = Machine::new();
    let home = &machine.background.house.home;
    // The program lies where every sign that systemd replaces is in its path.
    let program_in = |folder: &str| {
        let program = home.write(format!("bin/{folder}/polywire"), "");
        fs::remove_file(&program).unwrap();
        fs::hard_link(env!("CARGO_BIN_EXE_polywire"), &program).unwrap();
        program
    };
    let mut impossible = home.command(program_in("a \"b\""));
    impossible.args(["service", "install", "--print"]);
    let refused = ended(impossible).await;
    assert_eq!(refused.code(), Some(1), "{refused:?}");
    assert_says(&refused.stderr.join("\n"), &["quotes", "hint:"]);
    let program = program_in("a b 50% $c");
    for arguments in [
        ["install", "--socket"].as_slice(),
        &["install"],
        &["install", "--provider", "demo", "--log", "info,a=debug"],
    ] {
        let mut install = home.command(&program);
        install
            .arg("service")
            .args(arguments)
            .env("PATH", "/nonexistent")
            .env("POLYWIRE_STORE", home.work().join("50% \"store\""));
        let installed = ended(install).await;
        assert_eq!(installed.code(), Some(0), "{installed:?}");
        let folder = machine.unit("");
        for unit in fs::read_dir(folder).unwrap() {
            let mut verify = home.command(&analyze);
            verify
                .args(["verify", "--user", "--man=no"])
                .arg(unit.unwrap().path());
            let verified = ended(verify).await;
            assert_eq!(verified.code(), Some(0), "{verified:?}");
            assert!(verified.stderr.is_empty(), "{verified:?}");
        }
    }
}
