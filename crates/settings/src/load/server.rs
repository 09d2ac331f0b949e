//! What the gateway listens on, who gets in, and how the log is written.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::Loading;
use crate::file::ConfigFile;
use crate::{AuthMode, DEFAULT_PORT, LogFormat, ServerSettings, SettingsError};

impl Loading<'_> {
    pub(super) fn server(&mut self, config: &ConfigFile) -> Result<ServerSettings, SettingsError> {
        let mut server = ServerSettings::default();
        let listen = self.first(
            "server.listen",
            ("--listen", self.overrides.listen.clone()),
            ("POLYWIRE_LISTEN", self.variable("POLYWIRE_LISTEN")),
            config.server.listen.clone(),
        );
        if let Some(listen) = listen {
            server.listen = parse_listen(&listen).ok_or_else(|| {
                self.value_error(
                    "server.listen",
                    format!("`{listen}` is not an address to listen on"),
                    Some(format!(
                        "write `address:port`, such as `127.0.0.1:{DEFAULT_PORT}`"
                    )),
                )
            })?;
        }
        let in_environment = self.auth_variable()?;
        let auth = self.first(
            "server.auth",
            ("--auth", self.overrides.auth),
            ("POLYWIRE_AUTH", in_environment),
            config.server.auth,
        );
        server.auth = auth.unwrap_or_default();
        let drain_timeout = self.in_file("server.drain_timeout", config.server.drain_timeout);
        server.drain_timeout = drain_timeout.unwrap_or(server.drain_timeout);
        self.check_exposure(&server)?;
        Ok(server)
    }

    fn auth_variable(&self) -> Result<Option<AuthMode>, SettingsError> {
        let Some(word) = self.variable("POLYWIRE_AUTH") else {
            return Ok(None);
        };
        match AuthMode::parse(&word) {
            Some(auth) => Ok(Some(auth)),
            None => Err(SettingsError::Value {
                place: "POLYWIRE_AUTH".to_owned(),
                message: format!("auth is `token` or `none`, not `{word}`"),
                hint: None,
            }),
        }
    }

    fn check_exposure(&mut self, server: &ServerSettings) -> Result<(), SettingsError> {
        if server.listen.ip().is_loopback() {
            return Ok(());
        }
        let listen = server.listen;
        match server.auth {
            AuthMode::None => Err(self.value_error(
                "server.auth",
                format!("`none` would let everybody who reaches {listen} use your keys"),
                Some("listen on a loopback address such as 127.0.0.1, or keep `token`".to_owned()),
            )),
            AuthMode::Token => {
                self.warnings.push(format!(
                    "listening on {listen}, which other machines can reach; they need the token, and the connection is not encrypted"
                ));
                Ok(())
            }
        }
    }

    pub(super) fn log(&mut self, config: &ConfigFile) -> Option<String> {
        self.first(
            "log",
            ("--log", self.overrides.log.clone()),
            ("POLYWIRE_LOG", self.variable("POLYWIRE_LOG")),
            config.log.clone(),
        )
    }

    pub(super) fn log_format(&mut self, config: &ConfigFile) -> Result<LogFormat, SettingsError> {
        let variable = "POLYWIRE_LOG_FORMAT";
        let in_environment = self.variable(variable).map(|word| LogFormat::parse(&word));
        let in_environment =
            in_environment
                .transpose()
                .map_err(|unknown| SettingsError::Value {
                    place: variable.to_owned(),
                    message: unknown.to_string(),
                    hint: None,
                })?;
        let format = self.first(
            "log_format",
            ("--log-format", self.overrides.log_format),
            (variable, in_environment),
            config.log_format,
        );
        Ok(format.unwrap_or_default())
    }
}

/// `address:port`, or a port alone on loopback. `localhost` is 127.0.0.1: looking names up could wait for a network.
fn parse_listen(text: &str) -> Option<SocketAddr> {
    let text = text.trim();
    if let Ok(port) = text.parse() {
        return Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    let numeric = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    numeric.parse().ok()
}
