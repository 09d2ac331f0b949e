//! A unit for Podman: `polywire.container`, from which it makes `polywire.service`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use super::ServiceSpec;
use super::systemd::{environment_words, line, words};

/// The port on which the gateway listens inside of its container.
pub const CONTAINER_PORT: u16 = 4891;

/// `polywire.container`. The gateway listens on every address of its container, and its port is published on a loopback address of the machine only.
///
/// The program of `spec` is that of the image; its arguments and variables have to make sense in there. `settings` and `token_file` are those of the user: the container reads them, so that what the user says of providers and clients holds there too.
pub fn quadlet_container(
    spec: &ServiceSpec,
    image: &str,
    settings: &Path,
    token_file: &Path,
) -> String {
    // Whatever the settings say: this is how the container is reached, and nobody else is to reach it.
    let publish = if spec.listen.ip().is_loopback() {
        spec.listen
    } else {
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), spec.listen.port())
    };
    let exec = words(spec);
    let mut environment = String::new();
    for variable in environment_words(spec) {
        line(&mut environment, "Environment", &variable);
    }
    let settings = settings.display().to_string().replace('%', "%%");
    let token_file = token_file.display().to_string().replace('%', "%%");
    let stop = spec.stop_timeout();
    format!(
        "\
[Unit]
Description=polywire, a gateway between coding clients and model providers

[Container]
Image={image}
ContainerName=polywire
Exec={exec}
# On every address of the container, published on this machine alone. The token is asked for all the same.
Environment=POLYWIRE_LISTEN=0.0.0.0:{CONTAINER_PORT}
{environment}PublishPort={publish}:{CONTAINER_PORT}
# Keys go into `.env` beside the settings, with mode 0600.
Volume={settings}:/config/polywire:ro
Volume=polywire-state:/state
Volume={token_file}:/state/polywire/token:ro
# The user of the container is you, so that files with mode 0600 can be read.
UserNS=keep-id:uid=65532,gid=65532
User=65532
Group=65532
# Rather than giving your files the label of the container, where the system has labels.
SecurityLabelDisable=true
NoNewPrivileges=true
DropCapability=all
ReadOnly=true
PodmanArgs=--read-only-tmpfs=false
Tmpfs=/tmp:rw,size=64m,mode=1777,nosuid,nodev,noexec
HealthCmd=[\"/polywire\", \"status\"]
HealthInterval=30s
PodmanArgs=--stop-timeout={stop}

[Service]
# Until it is stopped by somebody.
Restart=always
RestartSec=2
TimeoutStartSec=300
TimeoutStopSec={unit_stop}

[Install]
WantedBy=default.target
",
        unit_stop = stop.saturating_add(5),
    )
}

#[cfg(test)]
mod tests {
    use super::super::spec;
    use super::*;

    #[test]
    fn a_container() {
        insta::assert_snapshot!(quadlet_container(
            &spec(),
            "localhost/polywire:0.1.0",
            Path::new("/home/me/.config/polywire"),
            Path::new("/home/me/.local/state/polywire/token"),
        ));
    }
}
