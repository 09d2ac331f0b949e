//! What a gateway that runs tells of itself, for people and for programs.

use polywire_daemon::{GatewayState, Places, RunningGateway};
use polywire_settings::{Overrides, Settings};
use serde_json::{Value, json};

use super::start::providers;
use super::{last, moment, now};
use crate::logging::{note, say};
use crate::running::callable;
use crate::{configuration, running};

/// What a running gateway tells of itself.
pub(super) struct Facts {
    gateway: RunningGateway,
    settings: Option<Settings>,
    answers: bool,
    counters: Option<Value>,
    readiness: Option<(bool, Value)>,
}

impl Facts {
    pub(super) async fn ask(
        gateway: RunningGateway,
        state: &GatewayState,
        overrides: &Overrides,
    ) -> Self {
        let address = callable(gateway.address);
        let answers = running::is_polywire(address).await;
        // The settings that it was started with lead to its token, and to those of its providers.
        let earlier = last::overrides(&state.start).unwrap_or_else(|_| overrides.clone());
        let environment = last::WithOptions(&state.start.variables);
        let settings = polywire_settings::load(&earlier, &environment).ok();
        let token = settings
            .as_ref()
            .and_then(|settings| configuration::token(settings).ok()?);
        let (mut counters, mut readiness) = (None, None);
        if answers {
            counters = running::counters(address, token.as_ref()).await;
            readiness = running::readiness(address).await;
        }
        Self {
            gateway,
            settings,
            answers,
            counters,
            readiness,
        }
    }

    fn uptime(&self) -> u64 {
        now().saturating_sub(self.gateway.started_at)
    }

    fn counter(&self, name: &str) -> Option<u64> {
        self.counters.as_ref()?[name].as_u64()
    }

    pub(super) fn tell(&self, state: &GatewayState, places: &Places, verbose: bool) {
        let gateway = &self.gateway;
        say(format_args!(
            "polywire is running with pid {} for {}",
            gateway.process.pid(),
            duration(self.uptime())
        ));
        let mut rows = vec![(
            "address",
            format!("http://{}/v1", callable(gateway.address)),
        )];
        if self.is_stopping() {
            rows.push((
                "stopping",
                "turns at work may end, nothing new begins".to_owned(),
            ));
        }
        let at_work = self.counter("turns_at_work");
        rows.extend(at_work.map(|turns| ("turns", format!("{turns} at work"))));
        let settings = self.settings.as_ref();
        rows.extend(settings.map(|settings| ("providers", providers(settings))));
        if verbose {
            rows.extend(self.details(state, places));
        }
        for (name, value) in rows {
            say(format_args!("  {name:<11}{value}"));
        }
        self.tell_problems();
    }

    fn is_stopping(&self) -> bool {
        let said = self.readiness.as_ref();
        said.is_some_and(|(_, said)| running::says_stopping(said))
    }

    fn details(&self, state: &GatewayState, places: &Places) -> Vec<(&'static str, String)> {
        let gateway = &self.gateway;
        let options = last::in_words(&state.start);
        let secrets: Vec<&str> = state
            .start
            .secret_variables
            .iter()
            .map(String::as_str)
            .collect();
        let or_none = |words: String| {
            if words.is_empty() {
                "none".to_owned()
            } else {
                words
            }
        };
        let mut rows = vec![
            ("started", moment(gateway.started_at)),
            ("version", gateway.version.clone()),
            ("program", gateway.executable.display().to_string()),
            ("settings", gateway.settings_file.display().to_string()),
            ("options", or_none(options.join(", "))),
            ("secrets", or_none(secrets.join(", "))),
            ("drain", format!("{} s", gateway.drain_timeout)),
            ("state", places.state_file.display().to_string()),
            ("log", state.log.display().to_string()),
        ];
        if let (Some(all), Some(ok)) = (self.counter("requests_total"), self.counter("requests_ok"))
        {
            rows.push(("requests", format!("{all}, of which {ok} went well")));
        }
        rows
    }

    fn tell_problems(&self) {
        if !self.answers {
            note(format_args!(
                "warning: it does not answer on http://{}\nhint: `polywire logs` shows what it does, `polywire restart` starts it anew",
                callable(self.gateway.address)
            ));
        }
        for problem in self.problems() {
            note(format_args!(
                "warning: provider {} is not ready: {}\nhint: {}",
                problem["provider"].as_str().unwrap_or_default(),
                problem["problem"].as_str().unwrap_or_default(),
                problem["hint"].as_str().unwrap_or_default(),
            ));
        }
        let own = env!("CARGO_PKG_VERSION");
        if self.gateway.version != own {
            note(format_args!(
                "warning: it is version {}, and this is {own}\nhint: `polywire restart`",
                self.gateway.version
            ));
        }
    }

    fn problems(&self) -> Vec<Value> {
        self.readiness
            .as_ref()
            .and_then(|(_, said)| said["problems"].as_array().cloned())
            .unwrap_or_default()
    }

    pub(super) fn json(&self, state: &GatewayState, places: &Places) -> Value {
        let gateway = &self.gateway;
        let providers = self.settings.as_ref().map(|settings| {
            let providers = settings.catalog.providers.iter();
            providers
                .map(|provider| provider.id.clone())
                .collect::<Vec<_>>()
        });
        json!({
            "running": true,
            "pid": gateway.process.pid(),
            "address": gateway.address,
            "base_url": format!("http://{}/v1", callable(gateway.address)),
            "version": gateway.version,
            "program": gateway.executable,
            "started_at": moment(gateway.started_at),
            "uptime_seconds": self.uptime(),
            "answers": self.answers,
            "stopping": self.is_stopping(),
            "ready": self.readiness.as_ref().map(|(is_ready, _)| is_ready),
            "problems": self.problems(),
            "turns_at_work": self.counter("turns_at_work"),
            "counters": self.counters,
            "providers": providers,
            "settings_file": gateway.settings_file,
            "options": state.start,
            "drain_timeout": gateway.drain_timeout,
            "state_file": places.state_file,
            "log": state.log,
        })
    }
}

/// `3 d 4 h`, `5 min`, `12 s`: the two largest units.
fn duration(seconds: u64) -> String {
    let units = [
        (seconds / 86400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let parts: Vec<String> = units
        .into_iter()
        .skip_while(|(count, unit)| *count == 0 && *unit != "s")
        .take(2)
        .map(|(count, unit)| format!("{count} {unit}"))
        .collect();
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations() {
        for (seconds, expected) in [
            (0, "0 s"),
            (59, "59 s"),
            (61, "1 min 1 s"),
            (3600, "1 h 0 min"),
            (90_061, "1 d 1 h"),
        ] {
            assert_eq!(duration(seconds), expected);
        }
    }
}
