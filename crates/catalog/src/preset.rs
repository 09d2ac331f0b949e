//! Provider templates that ship with polywire: one TOML file each, in `presets/`.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use crate::{Auth, Kind, Model, ModelList, Provider};

/// A provider template.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// Its name in settings: `preset = "zai"`.
    pub id: String,
    /// The name for people.
    pub name: String,
    /// One sentence for people who choose.
    pub about: String,
    /// How the provider is reached.
    pub kind: Kind,
    /// Where it is; `None` when only its user can say.
    pub base_url: Option<String>,
    /// What such an address looks like, for a preset that has none.
    pub base_url_form: Option<String>,
    /// Other addresses of the same service, by what they are for.
    #[serde(default)]
    pub other_base_urls: BTreeMap<String, String>,
    /// How it wants the key.
    #[serde(default)]
    pub auth: Auth,
    /// The environment variable in which people usually keep its key.
    pub key_variable: Option<String>,
    /// Whether only those get it who name it, though its key variable is set. So it is for the further forms of a service, which
    /// share the variable with the first one, for variables that serve other purposes too, and for what must be a choice.
    #[serde(default)]
    pub explicit: bool,
    /// The page on which one gets a key.
    pub key_page: Option<String>,
    /// Headers that every request carries.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The upstream model for a request that names none.
    pub default_model: Option<String>,
    /// Models that are known to be there.
    #[serde(default)]
    pub models: Vec<Model>,
    /// Where the list of its models is kept up to date.
    pub model_list: Option<ModelList>,
    /// The address of its list of models, where that is not `/models` below its own.
    pub models_url: Option<String>,
    /// Its wire habits, for the dialect.
    #[serde(default)]
    pub profile: toml::Table,
}

impl Preset {
    /// The provider that this template describes, under a name of the user's choice. Its address is empty when the template
    /// has none: whoever uses the provider has to ask for one.
    pub fn to_provider(&self, id: &str) -> Provider {
        Provider {
            id: id.to_owned(),
            // A form for servers of one's own has a name that fits all of them; their user's is better.
            name: match self.base_url {
                None if id != self.id => id.to_owned(),
                Some(_) | None => self.name.clone(),
            },
            kind: self.kind,
            base_url: self.base_url.clone().unwrap_or_default(),
            auth: self.auth.clone(),
            headers: self.headers.clone().into_iter().collect(),
            models: self.models.iter().cloned().map(Arc::new).collect(),
            default_model: self.default_model.clone(),
            profile: self.profile.clone(),
            key_variable: self.key_variable.clone(),
            key_page: self.key_page.clone(),
            preset: Some(self.id.clone()),
            model_list: self.model_list,
            codex_identity: false,
        }
    }
}

macro_rules! preset_files {
    ($($file:literal),* $(,)?) => {
        &[$(include_str!(concat!("../presets/", $file))),*]
    };
}

/// The files, in the order in which they are shown.
const FILES: &[&str] = preset_files![
    "zai.toml",
    "zai-messages.toml",
    "deepseek.toml",
    "deepseek-messages.toml",
    "moonshot.toml",
    "moonshot-messages.toml",
    "kimi-code.toml",
    "minimax.toml",
    "minimax-chat.toml",
    "qwen.toml",
    "qwen-messages.toml",
    "openai.toml",
    "openai-chat.toml",
    "chatgpt.toml",
    "anthropic.toml",
    "gemini.toml",
    "xai.toml",
    "xai-responses.toml",
    "mistral.toml",
    "openrouter.toml",
    "openrouter-messages.toml",
    "kilo.toml",
    "opencode-zen.toml",
    "opencode-zen-messages.toml",
    "opencode-zen-responses.toml",
    "opencode-go.toml",
    "opencode-go-messages.toml",
    "codex-app-server.toml",
    "codex-exec.toml",
    "command-code.toml",
    "command-code-messages.toml",
    "command-code-private.toml",
    "crof.toml",
    "groq.toml",
    "cerebras.toml",
    "together.toml",
    "fireworks.toml",
    "nvidia.toml",
    "github-models.toml",
    "azure-openai.toml",
    "azure-openai-chat.toml",
    "ollama.toml",
    "lmstudio.toml",
    "vllm.toml",
    "sglang.toml",
    "llamacpp.toml",
    "custom.toml",
    "custom-messages.toml",
    "custom-responses.toml",
];

static PRESETS: LazyLock<Vec<Preset>> = LazyLock::new(|| {
    // A file that does not parse is left out here and fails a test, so that it never ships.
    FILES
        .iter()
        .filter_map(|file| parse_preset(file).ok())
        .collect()
});

/// Every preset, in the order in which it is shown.
pub fn presets() -> &'static [Preset] {
    &PRESETS
}

/// The preset of this name.
pub fn preset(id: &str) -> Option<&'static Preset> {
    presets().iter().find(|preset| preset.id == id)
}

/// Reads a preset file.
///
/// # Errors
/// The text is not TOML, or not a preset; the error says where.
pub fn parse_preset(file: &str) -> Result<Preset, toml::de::Error> {
    toml::from_str(file)
}

/// The provider that is always there: the built-in demo model, which needs no key.
pub fn demo_provider() -> Provider {
    let model = Model {
        display_name: "Demo".to_owned(),
        context_window: Some(128_000),
        images: false,
        reasoning_efforts: ["low", "medium", "high"].map(str::to_owned).to_vec(),
        default_effort: Some("medium".to_owned()),
        ..Model::named("demo")
    };
    Provider {
        id: "demo".to_owned(),
        name: "Demo".to_owned(),
        kind: Kind::Demo,
        base_url: String::new(),
        auth: Auth::None,
        headers: Vec::new(),
        models: vec![Arc::new(model)],
        default_model: Some("demo".to_owned()),
        profile: toml::Table::new(),
        key_variable: None,
        key_page: None,
        preset: None,
        model_list: None,
        codex_identity: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalise_base_url;

    #[test]
    fn every_file_is_a_preset() {
        for file in FILES {
            if let Err(error) = parse_preset(file) {
                panic!("{error}\n{file}");
            }
        }
        assert_eq!(presets().len(), FILES.len());
    }

    #[test]
    fn presets_hold_together() {
        for preset in presets() {
            let id = &preset.id;
            let twins = presets().iter().filter(|other| other.id == *id).count();
            assert_eq!(twins, 1, "{id} is there twice");
            let addresses = [preset.base_url.is_some(), preset.base_url_form.is_some()];
            assert_eq!(
                addresses.into_iter().filter(|there| *there).count(),
                usize::from(!preset.kind.is_engine()),
                "{id}: there is an address, or else a word about what it looks like; a program has neither"
            );
            let addresses = preset.other_base_urls.values();
            for url in addresses
                .chain(&preset.base_url)
                .chain(&preset.base_url_form)
            {
                let normal = normalise_base_url(preset.kind, url);
                assert_eq!(normal.as_deref(), Ok(url.as_str()), "{id}");
            }
            let needs_key = match preset.auth {
                Auth::Bearer | Auth::Header { .. } => true,
                Auth::Login | Auth::None => false,
            };
            assert_eq!(
                needs_key,
                preset.key_variable.is_some(),
                "{id}: a key and its usual variable belong together"
            );
            if let Some(model) = &preset.default_model {
                assert!(
                    preset.models.iter().any(|known| known.id == *model),
                    "{id}: {model} is not listed"
                );
            }
        }
    }

    #[test]
    fn listed_models_hold_together() {
        for preset in presets() {
            for model in &preset.models {
                let name = format!("{}/{}", preset.id, model.id);
                let window = model.context_window;
                assert!(
                    window.is_some(),
                    "{name}: a listed model has a known window"
                );
                assert!(
                    model.output_tokens_max <= window,
                    "{name}: more output than window"
                );
                let twins = preset.models.iter().filter(|other| other.id == model.id);
                assert_eq!(twins.count(), 1, "{name} is listed twice");
                if let Some(effort) = &model.default_effort {
                    assert!(model.reasoning_efforts.contains(effort), "{name}: {effort}");
                } else {
                    assert!(
                        model.reasoning_efforts.is_empty(),
                        "{name}: a choice of efforts has one to begin with"
                    );
                }
                check_efforts(&name, &model.reasoning_efforts);
            }
        }
    }

    /// Clients show the efforts from the first to the last, and know these words only.
    fn check_efforts(name: &str, efforts: &[String]) {
        const WORDS: [&str; 8] = [
            "none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra",
        ];
        let ranks: Vec<Option<usize>> = efforts
            .iter()
            .map(|effort| WORDS.iter().position(|word| word == effort))
            .collect();
        assert!(
            ranks.iter().all(Option::is_some) && ranks.is_sorted_by(|one, next| one < next),
            "{name}: {efforts:?}"
        );
    }

    #[test]
    fn prices_make_sense() {
        let mut priced = 0;
        for preset in presets() {
            for model in &preset.models {
                let Some(price) = model.price else { continue };
                let name = format!("{}/{}: {price:?}", preset.id, model.id);
                priced += 1;
                // In dollars for a million tokens. A price for one token, or in cents, would fall out of the range.
                let range = 0.01..=200.0;
                let free = price.input == 0.0 && price.output == 0.0;
                assert!(
                    free || (range.contains(&price.input) && range.contains(&price.output)),
                    "{name}"
                );
                assert!(price.input <= price.output, "{name}");
                let cached = price.cached.unwrap_or(0.0);
                assert!((0.0..=price.input).contains(&cached), "{name}");
                let write = price.cache_write.unwrap_or(price.input);
                assert!((price.input..=2.0 * price.input).contains(&write), "{name}");
            }
        }
        assert!(priced > 10, "{priced}");
    }

    /// A key in the environment brings one provider, the first form of the service.
    #[test]
    fn a_key_variable_brings_one_preset() {
        for preset in presets().iter().filter(|preset| !preset.explicit) {
            let id = &preset.id;
            assert!(
                preset.base_url.is_some() || preset.key_variable.is_none(),
                "{id}: nothing can be used without its address"
            );
            let same = presets().iter().filter(|other| {
                !other.explicit
                    && other.key_variable.is_some()
                    && other.key_variable == preset.key_variable
            });
            assert!(same.count() <= 1, "{id}: its variable brings another, too");
        }
        for preset in presets().iter().filter(|preset| preset.explicit) {
            assert!(preset.key_variable.is_some(), "{}", preset.id);
            assert!(
                preset.kind != Kind::Demo,
                "{}: the demo is always there",
                preset.id
            );
        }
        let private = presets()
            .iter()
            .filter(|preset| preset.kind == Kind::CommandCode);
        assert!(private.clone().count() == 1 && private.clone().all(|preset| preset.explicit));
    }

    #[test]
    fn other_kinds_are_refused_by_name() {
        let file = "id = 'x'\nname = 'X'\nabout = ''\nkind = 'telepathy'\nbase_url = 'https://x'";
        let error = parse_preset(file).unwrap_err();
        assert_eq!(
            error.message(),
            "kind `telepathy` is not available in this version; there are: `chat`, `messages`, `responses`, `codex-exec`, `codex-app-server`, `chatgpt`, `command-code`, `demo`"
        );
    }
}
