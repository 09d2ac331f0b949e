//! What a service of these settings is: which files, with what in them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use polywire_daemon::units::{
    LAUNCHD_LABEL, ServiceSpec, UNIT_NAME, UnitKind, launchd_agent, quadlet_container,
    systemd_can_start, systemd_service, systemd_socket,
};
use polywire_daemon::{Places, StartOptions};
use polywire_settings::{
    AuthMode, Environment, KeySource, Overrides, ProcessEnvironment, Settings, TOKEN_VARIABLE,
};

use crate::background::{arguments, network_variables, said_now, secret_variables};

/// The variables by which folders are found. A service does not see those of the shell.
const FOLDER_VARIABLES: [&str; 4] = [
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
];

/// A unit file.
pub(super) struct Unit {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// What is to be installed.
pub(super) struct Plan {
    pub(super) kind: UnitKind,
    pub(super) units: Vec<Unit>,
    /// What the user should know, on lines of their own.
    pub(super) warnings: Vec<String>,
}

impl Plan {
    /// Works out the unit files, and writes nothing.
    pub(super) fn new(
        kind: UnitKind,
        by_socket: bool,
        image: &str,
        overrides: &Overrides,
        settings: &Settings,
    ) -> anyhow::Result<Self> {
        if settings.server.listen.port() == 0 {
            bail!(
                "a service needs a port that stays, and the settings leave it to the system\nhint: `--listen 127.0.0.1:4891`"
            );
        }
        if by_socket && kind != UnitKind::Systemd {
            bail!("only a unit of kind `systemd` can be started by its socket");
        }
        let spec = spec(overrides, settings)?;
        if kind == UnitKind::Systemd && !systemd_can_start(&spec.program) {
            bail!(
                "systemd starts no program with quotes or backslashes in its path: {}\nhint: put polywire into another folder",
                spec.program.display()
            );
        }
        let at = |folder: PathBuf, name: String, text: String| Unit {
            path: folder.join(name),
            text,
        };
        let units = match kind {
            UnitKind::Systemd => {
                let folder = config_home()?.join("systemd/user");
                let service = systemd_service(&spec, by_socket);
                let mut units = vec![at(folder.clone(), format!("{UNIT_NAME}.service"), service)];
                if by_socket {
                    let socket = systemd_socket(&spec);
                    units.push(at(folder, format!("{UNIT_NAME}.socket"), socket));
                }
                units
            }
            UnitKind::Quadlet => {
                let folder = config_home()?.join("containers/systemd");
                let paths = &settings.paths;
                let spec = in_container(overrides, settings, &spec)?;
                let text = quadlet_container(&spec, image, &paths.config_dir, &paths.token_file);
                vec![at(folder, format!("{UNIT_NAME}.container"), text)]
            }
            UnitKind::Launchd => {
                let folder = home()?.join("Library/LaunchAgents");
                let log = Places::in_folder(&settings.paths.state_dir).log_file;
                vec![at(
                    folder,
                    format!("{LAUNCHD_LABEL}.plist"),
                    launchd_agent(&spec, &log),
                )]
            }
        };
        let warnings = warnings(kind, &spec, overrides, settings);
        Ok(Self {
            kind,
            units,
            warnings,
        })
    }
}

fn spec(overrides: &Overrides, settings: &Settings) -> anyhow::Result<ServiceSpec> {
    let said = said_now(overrides)?;
    let folders = FOLDER_VARIABLES.into_iter().filter_map(|name| {
        let value = ProcessEnvironment.variable(name)?;
        Path::new(&value)
            .is_absolute()
            .then(|| (name.to_owned(), value))
    });
    let mut environment: BTreeMap<String, String> = folders.collect();
    environment.extend(said.variables.clone());
    let runs_programs = runs_programs(settings);
    if runs_programs {
        // Programs that lie where only the shell looks for them, such as a Codex of npm, are to be found.
        let path = ProcessEnvironment.variable("PATH");
        environment.extend(path.map(|path| ("PATH".to_owned(), path)));
    }
    let options = StartOptions {
        variables: BTreeMap::new(),
        ..said
    };
    Ok(ServiceSpec {
        program: std::env::current_exe().context("the system does not tell our own program")?,
        arguments: arguments(&options),
        environment,
        listen: settings.server.listen,
        drain_timeout: settings.server.drain_timeout,
        writable: writable(settings),
        runs_programs,
    })
}

/// The variables that mean the same in a container: they name no place of this machine.
const VARIABLES_ANYWHERE: [&str; 4] = [
    "POLYWIRE_DEFAULT_PROVIDER",
    "POLYWIRE_LOG",
    "POLYWIRE_LOG_FORMAT",
    "POLYWIRE_STRICT",
];

/// The same gateway inside of a container, where the folder of the settings has another name.
fn in_container(
    overrides: &Overrides,
    settings: &Settings,
    spec: &ServiceSpec,
) -> anyhow::Result<ServiceSpec> {
    if settings.server.auth == AuthMode::None {
        bail!(
            "a gateway in a container listens on every address in there, and `auth = \"none\"` is for loopback only\nhint: leave `auth` out, or write `auth = \"token\"`"
        );
    }
    let paths = &settings.paths;
    let name = paths.config_file.file_name().filter(|_| paths.config_named);
    let options = StartOptions {
        config: name.map(|name| Path::new("/config/polywire").join(name)),
        listen: None,
        variables: BTreeMap::new(),
        ..said_now(overrides)?
    };
    let mut environment = spec.environment.clone();
    environment.retain(|name, _| VARIABLES_ANYWHERE.contains(&name.as_str()));
    Ok(ServiceSpec {
        arguments: arguments(&options),
        environment,
        ..spec.clone()
    })
}

/// The folders that a gateway writes to: its state, its store, logins that it renews. Those of the settings for what changes them.
fn writable(settings: &Settings) -> Vec<PathBuf> {
    let paths = &settings.paths;
    let mut folders = vec![paths.config_dir.clone(), paths.state_dir.clone()];
    folders.extend(settings.store.path.parent().map(Path::to_owned));
    let logins = settings.logins.values();
    folders.extend(logins.map(|login| login.home.clone()));
    let mut wanted: Vec<PathBuf> = Vec::new();
    for folder in folders {
        if folder.is_absolute() && !wanted.iter().any(|known| folder.starts_with(known)) {
            wanted.push(folder);
        }
    }
    wanted
}

/// Whether the gateway starts programs that the settings name.
fn runs_programs(settings: &Settings) -> bool {
    let keys = settings.keys.values();
    let mut keys = keys.chain(settings.search.iter().map(|search| &search.key));
    !settings.engines.is_empty() || keys.any(|key| matches!(key, KeySource::Command(_)))
}

fn warnings(
    kind: UnitKind,
    spec: &ServiceSpec,
    overrides: &Overrides,
    settings: &Settings,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut environment = spec.environment.clone();
    environment.extend(
        ProcessEnvironment
            .home()
            .map(|home| ("HOME".to_owned(), home.display().to_string())),
    );
    let seen = polywire_settings::load(overrides, &environment).ok();
    let is_seen = |name: &str| {
        let seen = seen.as_ref();
        seen.is_some_and(|seen| seen.variable(name).is_some())
    };
    for name in secret_variables(settings) {
        if name == TOKEN_VARIABLE {
            warnings.push(format!(
                "`{name}` is set here, and a service does not see it: it asks for the token in {}",
                settings.paths.token_file.display()
            ));
        } else if !is_seen(&name) {
            warnings.push(format!(
                "`{name}` is set here, and a service does not see it; put it into {} with mode 0600",
                settings.paths.env_file.display()
            ));
        }
    }
    let by_hand = match kind {
        UnitKind::Systemd => "with `systemctl --user edit polywire`",
        // What is added to the service that is made of it does not reach the container.
        UnitKind::Quadlet | UnitKind::Launchd => "in its file",
    };
    for name in network_variables() {
        warnings.push(format!(
            "`{name}` is set here, and a service does not see it; where it is needed, use `proxy` of the providers in the settings, or add the variable to the service {by_hand}"
        ));
    }
    match kind {
        UnitKind::Quadlet if spec.runs_programs => warnings.push(
            "the settings name programs (engines, or commands that give keys), and the container has none"
                .to_owned(),
        ),
        UnitKind::Quadlet if !settings.logins.is_empty() => warnings.push(
            "the container does not see Codex's login; a provider that is reached by it does not work there"
                .to_owned(),
        ),
        UnitKind::Systemd if spec.runs_programs => warnings.push(
            "the unit is hardened less, because the settings name programs (engines, or commands that give keys)"
                .to_owned(),
        ),
        UnitKind::Quadlet | UnitKind::Systemd | UnitKind::Launchd => {}
    }
    warnings
}

fn home() -> anyhow::Result<PathBuf> {
    ProcessEnvironment
        .home()
        .context("there is no home folder\nhint: set `HOME`")
}

/// Where settings of all programs are: by the XDG rules, which systemd and Podman follow too.
fn config_home() -> anyhow::Result<PathBuf> {
    let named = ProcessEnvironment.variable("XDG_CONFIG_HOME");
    match named.map(PathBuf::from).filter(|path| path.is_absolute()) {
        Some(path) => Ok(path),
        None => Ok(home()?.join(".config")),
    }
}
