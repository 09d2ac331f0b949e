//! Units for the systemd of a user.

use std::fmt::Write as _;
use std::path::Path;

use super::{ServiceSpec, UNIT_NAME};

/// `polywire.service`: started with the session of the user, or by `polywire.socket` where there is one.
pub fn systemd_service(spec: &ServiceSpec, by_socket: bool) -> String {
    let mut unit = String::from(
        "[Unit]\nDescription=polywire, a gateway between coding clients and model providers\n",
    );
    if by_socket {
        line(&mut unit, "Requires", &format!("{UNIT_NAME}.socket"));
        line(&mut unit, "After", &format!("{UNIT_NAME}.socket"));
    }
    // A gateway with a mistake in its settings is not started for ever.
    unit.push_str("StartLimitIntervalSec=60\nStartLimitBurst=5\n\n[Service]\n");
    unit.push_str("# Ready when it listens. It follows its settings by itself, so that there is nothing to reload.\n");
    unit.push_str("Type=notify\nNotifyAccess=main\n");
    line(&mut unit, "ExecStart", &command(spec));
    for variable in environment_words(spec) {
        line(&mut unit, "Environment", &variable);
    }
    unit.push_str("Restart=on-failure\nRestartSec=2\n");
    unit.push_str("# Turns at work may end; what the gateway itself started is not asked to leave before them.\n");
    unit.push_str("KillMode=mixed\n");
    line(
        &mut unit,
        "TimeoutStopSec",
        &spec.stop_timeout().to_string(),
    );
    unit.push('\n');
    harden(&mut unit, spec);
    if !by_socket {
        unit.push_str("\n[Install]\nWantedBy=default.target\n");
    }
    unit
}

/// `polywire.socket`: systemd listens, and starts the gateway when the first client comes.
pub fn systemd_socket(spec: &ServiceSpec) -> String {
    format!(
        "[Unit]\nDescription=The address of polywire\n\n[Socket]\nListenStream={}\n\n[Install]\nWantedBy=sockets.target\n",
        spec.listen
    )
}

/// What holds for every gateway: none of it can get into the way of a program that it starts.
const ALWAYS: &str = "\
NoNewPrivileges=yes
UMask=0077
LockPersonality=yes
RestrictRealtime=yes
";

/// What fits a gateway that starts no program of the user's choice. Options that need more rights than a user's systemd has (`CapabilityBoundingSet`,
/// `PrivateDevices`, `ProtectClock`, `ProtectKernelModules`, `ProtectKernelLogs`, `IPAddressDeny`) are not there: it would refuse to start the unit, or take no
/// notice of them. Netlink is for the resolver of the C library.
const ALONE: &str = "\
MemoryDenyWriteExecute=yes
RestrictNamespaces=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
";

/// What a user's systemd does in a user namespace of its own.
const IN_NAMESPACE: &str = "\
PrivateUsers=yes
PrivateTmp=yes
ProtectSystem=strict
ProtectHome=read-only
ProtectControlGroups=yes
ProtectKernelTunables=yes
";

fn harden(unit: &mut String, spec: &ServiceSpec) {
    unit.push_str(ALWAYS);
    if spec.runs_programs {
        unit.push_str(
            "# No more than that: the settings name programs that the gateway starts (engines, or commands that give keys), and these work on files,\n\
             # build sandboxes of their own and compile at run time.\n",
        );
        return;
    }
    unit.push_str(ALONE);
    unit.push_str("# These need user namespaces. Where the system forbids them to users, remove the lines from here to ReadWritePaths.\n");
    unit.push_str(IN_NAMESPACE);
    for folder in &spec.writable {
        line(unit, "ReadWritePaths", &path(folder));
    }
}

pub(super) fn line(unit: &mut String, key: &str, value: &str) {
    // Writing to a string cannot fail.
    writeln!(unit, "{key}={value}").ok();
}

fn command(spec: &ServiceSpec) -> String {
    // Arguments have variables, the name of the program has none.
    format!("{} {}", word(&spec.program.to_string_lossy()), words(spec))
}

/// What stands behind the program.
pub(super) fn words(spec: &ServiceSpec) -> String {
    let words = ["serve"].into_iter();
    let words = words.chain(spec.arguments.iter().map(String::as_str));
    let words: Vec<String> = words.map(|text| word(text).replace('$', "$$")).collect();
    words.join(" ")
}

/// The variables as they stand behind `Environment=`.
pub(super) fn environment_words(spec: &ServiceSpec) -> impl Iterator<Item = String> {
    let variables = spec.environment.iter();
    variables.map(|(name, value)| word(&format!("{name}={value}")))
}

/// Whether systemd can start a program at this path. It refuses names with quotes, backslashes and control characters, however they are written (seen with 252).
pub fn systemd_can_start(program: &Path) -> bool {
    let refused = |sign: char| sign.is_control() || ['"', '\'', '\\'].contains(&sign);
    program.to_str().is_some_and(|path| !path.contains(refused))
}

/// A folder that may be missing.
fn path(folder: &Path) -> String {
    word(&format!("-{}", folder.display()))
}

/// A word as it stands in a unit: in quotes where it must be, with the signs doubled that systemd would replace.
fn word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=:,@+$".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for sign in text.chars() {
        match sign {
            '"' | '\\' => quoted.extend(['\\', sign]),
            '%' => quoted.push_str("%%"),
            '\n' => quoted.push_str("\\n"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::super::spec;
    use super::*;

    #[test]
    fn a_service() {
        insta::assert_snapshot!(systemd_service(&spec(), false));
    }

    #[test]
    fn a_service_that_runs_programs() {
        let spec = ServiceSpec {
            runs_programs: true,
            ..spec()
        };
        insta::assert_snapshot!(systemd_service(&spec, true));
    }

    #[test]
    fn a_socket() {
        insta::assert_snapshot!(systemd_socket(&spec()));
    }
}
