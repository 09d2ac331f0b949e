//! The settings of a Codex on this machine.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use polywire_catalog::Kind;
use polywire_engine::{EngineKind, EngineSettings};

use crate::file::ProviderTable;
use crate::load::Loading;
use crate::providers::{Wrong, expand};
use crate::{CodexPlaces, Proxy};

/// How many turns are at work at once.
const WORKERS: usize = 4;

/// More processes than this help nobody: each of them takes some hundred megabytes.
const WORKERS_MAX: usize = 64;

/// How many turns wait for a worker.
const MAX_QUEUE: usize = 64;

/// How long a turn waits for a worker, in seconds.
const QUEUE_TIMEOUT: u32 = 30;

/// How long a turn may take, in seconds. Agents run builds and tests within a turn.
const TIMEOUT: u32 = 30 * 60;

/// How many threads wait for the results of tools.
const MAX_WAITING: usize = 64;

/// How long a thread waits for the results of its tools, in seconds. Whoever answers later gets a thread that was rebuilt.
const WAITING_TIMEOUT: u32 = 10 * 60;

/// What a Codex process gets of the environment. Not the keys of providers: its shell commands could read them.
const PASSED_ON: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TERM",
    "TZ",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CODEX_CA_CERTIFICATE",
    "NODE_EXTRA_CA_CERTS",
    "CODEX_REFRESH_TOKEN_URL_OVERRIDE",
    "CODEX_REVOKE_TOKEN_URL_OVERRIDE",
    "SystemRoot",
    "USERPROFILE",
    "APPDATA",
    "LOCALAPPDATA",
    "TEMP",
    "TMP",
    "ComSpec",
    "PATHEXT",
];

/// The way out, for a provider whose table does not say it.
const PROXIES: &[&str] = &[
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
];

/// What a provider's table says about its engine.
#[derive(Debug, Default)]
pub(crate) struct EngineTable {
    codex: Option<PathBuf>,
    codex_home: Option<PathBuf>,
    engine_home: Option<PathBuf>,
    codex_config: Option<toml::Table>,
    ephemeral: Option<bool>,
    workers: Option<usize>,
    max_queue: Option<usize>,
    queue_timeout: Option<u32>,
    timeout: Option<u32>,
    max_waiting: Option<usize>,
    waiting_timeout: Option<u32>,
    default_cwd: Option<PathBuf>,
    allowed_roots: Option<Vec<PathBuf>>,
    agent: Option<bool>,
    fast: Option<bool>,
    environment: Option<Vec<String>>,
}

impl EngineTable {
    /// Takes what concerns an engine out of a provider's table.
    ///
    /// # Errors
    /// Which key a provider of another kind must not have.
    pub(crate) fn take(table: &mut ProviderTable, kind: Kind) -> Result<Self, Wrong> {
        let set = [
            ("codex", table.codex.is_some()),
            ("engine_home", table.engine_home.is_some()),
            ("codex_config", table.codex_config.is_some()),
            ("ephemeral", table.ephemeral.is_some()),
            ("workers", table.workers.is_some()),
            ("max_queue", table.max_queue.is_some()),
            ("queue_timeout", table.queue_timeout.is_some()),
            ("timeout", table.timeout.is_some()),
            ("max_waiting", table.max_waiting.is_some()),
            ("waiting_timeout", table.waiting_timeout.is_some()),
            ("default_cwd", table.default_cwd.is_some()),
            ("allowed_roots", table.allowed_roots.is_some()),
            ("agent", table.agent.is_some()),
            ("fast", table.fast.is_some()),
            ("environment", table.environment.is_some()),
        ];
        let misplaced = set.iter().find(|(_, is_set)| *is_set && !kind.is_engine());
        if let Some((key, _)) = misplaced {
            let message = format!("means nothing to a provider of kind `{}`", kind.name());
            let hint = "it belongs to the kinds `codex-exec` and `codex-app-server`";
            return Err(Wrong::new(key, message).hint(hint));
        }
        Ok(Self {
            codex: table.codex.take(),
            codex_home: table.codex_home.clone(),
            engine_home: table.engine_home.take(),
            codex_config: table.codex_config.take(),
            ephemeral: table.ephemeral.take(),
            workers: table.workers.take(),
            max_queue: table.max_queue.take(),
            queue_timeout: table.queue_timeout.take(),
            timeout: table.timeout.take(),
            max_waiting: table.max_waiting.take(),
            waiting_timeout: table.waiting_timeout.take(),
            default_cwd: table.default_cwd.take(),
            allowed_roots: table.allowed_roots.take(),
            agent: table.agent.take(),
            fast: table.fast.take(),
            environment: table.environment.take(),
        })
    }
}

impl Loading<'_> {
    /// The engine of a provider, when it is one.
    ///
    /// # Errors
    /// Which key has a value that makes no sense.
    pub(crate) fn engine(
        &self,
        id: &str,
        kind: Kind,
        table: EngineTable,
        proxy: Option<&Proxy>,
    ) -> Result<Option<EngineSettings>, Wrong> {
        let kind = match kind {
            Kind::CodexExec => EngineKind::Exec,
            Kind::CodexAppServer => EngineKind::AppServer,
            Kind::Chat
            | Kind::Messages
            | Kind::Responses
            | Kind::ChatGpt
            | Kind::CommandCode
            | Kind::Demo => return Ok(None),
        };
        let workers = table.workers.unwrap_or(WORKERS);
        if !(1..=WORKERS_MAX).contains(&workers) {
            let message = format!("is {workers}, and must be from 1 to {WORKERS_MAX}");
            return Err(Wrong::new("workers", message));
        }
        let seconds = |key: &'static str, value: Option<u32>, usual: u32| match value {
            Some(0) => Err(Wrong::new(
                key,
                "is 0 seconds, in which nothing can be done",
            )),
            _ => Ok(Duration::from_secs(value.unwrap_or(usual).into())),
        };
        let home = self.environment.home();
        let place = |path: PathBuf| expand(&path, &self.paths.config_dir, home.as_deref());
        let own = self.paths.state_dir.join("engines").join(id);
        let default_cwd = table
            .default_cwd
            .map_or_else(|| own.join("workspace"), place);
        Ok(Some(EngineSettings {
            provider: id.to_owned(),
            kind,
            codex: match table.codex {
                // A name is looked up in the search path, a path is a path.
                Some(path) if path.components().count() > 1 => place(path),
                Some(name) => name,
                None => PathBuf::from("codex"),
            },
            login_home: self.codex_home(table.codex_home)?,
            engine_home: table
                .engine_home
                .map_or_else(|| own.join("codex-home"), place),
            codex_config: table.codex_config.unwrap_or_default(),
            ephemeral: table.ephemeral.unwrap_or(true),
            workers,
            max_queue: table.max_queue.unwrap_or(MAX_QUEUE),
            queue_timeout: seconds("queue_timeout", table.queue_timeout, QUEUE_TIMEOUT)?,
            timeout: seconds("timeout", table.timeout, TIMEOUT)?,
            max_waiting: table.max_waiting.unwrap_or(MAX_WAITING),
            waiting_timeout: seconds("waiting_timeout", table.waiting_timeout, WAITING_TIMEOUT)?,
            allowed_roots: match table.allowed_roots {
                Some(roots) => roots.into_iter().map(place).collect(),
                None => vec![default_cwd.clone()],
            },
            default_cwd,
            agent: table.agent.unwrap_or(false),
            fast: table.fast.unwrap_or(false),
            environment: self.passed_on(&table.environment.unwrap_or_default(), proxy),
        }))
    }

    /// Where the login of Codex is: what the provider's table says, else where Codex itself looks.
    fn codex_home(&self, wanted: Option<PathBuf>) -> Result<PathBuf, Wrong> {
        if let Some(path) = wanted {
            let home = self.environment.home();
            return Ok(expand(&path, &self.paths.config_dir, home.as_deref()));
        }
        match CodexPlaces::find(self.environment) {
            Ok(places) => Ok(places.home),
            Err(error) => Err(Wrong::new("codex_home", format!("is not set: {error}"))),
        }
    }

    fn passed_on(&self, more: &[String], proxy: Option<&Proxy>) -> Vec<(OsString, OsString)> {
        let names = PASSED_ON.iter().copied();
        let names = names.chain(more.iter().map(String::as_str));
        let from_environment = match proxy {
            Some(Proxy::Direct | Proxy::Through(_)) => &[],
            Some(Proxy::Environment) | None => PROXIES,
        };
        let found = names.chain(from_environment.iter().copied());
        let found = found.filter_map(|name| {
            let value = self.environment.variable(name)?;
            Some((name.into(), value.into()))
        });
        let mut variables: Vec<(OsString, OsString)> = found.collect();
        if let Some(Proxy::Through(url)) = proxy {
            let ways = ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"];
            variables.extend(ways.map(|name| (name.into(), url.reveal().into())));
        }
        variables
    }
}
