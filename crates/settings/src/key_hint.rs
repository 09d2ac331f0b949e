//! The way out for whoever has no key, or a wrong one.

use crate::{KeySource, Settings};

impl Settings {
    /// What to do when a provider's key is missing or wrong. Where the settings name a place for it, that place is told.
    pub fn key_hint(&self, provider_id: &str) -> String {
        let key = format!("providers.{provider_id}.key");
        let mut hint = if self.origins.contains_key(&key) {
            format!(
                "{}, or take another one in with `polywire provider edit {provider_id} --key-stdin`",
                self.at_its_place(provider_id)
            )
        } else {
            self.where_none_is_named(provider_id)
        };
        let provider = self.catalog.provider(provider_id);
        if let Some(page) = provider.and_then(|provider| provider.key_page.as_ref()) {
            hint.push_str("; keys are made at ");
            hint.push_str(page);
        }
        hint
    }

    fn at_its_place(&self, provider_id: &str) -> String {
        match self.keys.get(provider_id).unwrap_or(&KeySource::None) {
            KeySource::Env(name) => format!("set `{name}`"),
            KeySource::File(path) => format!("put it into `{}`", path.display()),
            KeySource::Command(command) => {
                let program = command.first().map_or("", String::as_str);
                format!("see what `{program}` prints")
            }
            KeySource::Keyring(entry) => format!("put it into the keyring as `{entry}`"),
            KeySource::Literal(_) | KeySource::None => format!(
                "change `key` of `[providers.{provider_id}]` in {}",
                self.paths.config_file.display()
            ),
        }
    }

    fn where_none_is_named(&self, provider_id: &str) -> String {
        let file = self.paths.config_file.display();
        let add = format!("add `key` to `[providers.{provider_id}]` in {file}");
        let provider = self.catalog.provider(provider_id);
        let variable = match self.keys.get(provider_id) {
            Some(KeySource::Env(name)) => Some(name),
            Some(
                KeySource::Literal(_)
                | KeySource::File(_)
                | KeySource::Command(_)
                | KeySource::Keyring(_)
                | KeySource::None,
            )
            | None => provider.and_then(|provider| provider.key_variable.as_ref()),
        };
        match variable {
            Some(name) => format!("set `{name}`, or {add}"),
            None => add,
        }
    }
}
