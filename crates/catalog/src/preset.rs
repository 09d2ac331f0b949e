//! Provider templates that ship with polywire: one TOML file each, in `presets/`.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use crate::{Auth, Kind, Model, Provider};

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
    /// Where it is.
    pub base_url: String,
    /// Other addresses of the same service, by what they are for.
    #[serde(default)]
    pub other_base_urls: BTreeMap<String, String>,
    /// How it wants the key.
    #[serde(default)]
    pub auth: Auth,
    /// The environment variable in which people usually keep its key.
    pub key_variable: Option<String>,
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
    /// Its wire habits, for the dialect.
    #[serde(default)]
    pub profile: toml::Table,
}

impl Preset {
    /// The provider that this template describes, under a name of the user's choice.
    pub fn to_provider(&self, id: &str) -> Provider {
        Provider {
            id: id.to_owned(),
            name: self.name.clone(),
            kind: self.kind,
            base_url: self.base_url.clone(),
            auth: self.auth.clone(),
            headers: self.headers.clone().into_iter().collect(),
            models: self.models.iter().cloned().map(Arc::new).collect(),
            default_model: self.default_model.clone(),
            profile: self.profile.clone(),
            key_variable: self.key_variable.clone(),
            key_page: self.key_page.clone(),
            preset: Some(self.id.clone()),
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
    "deepseek.toml",
    "moonshot.toml",
    "openrouter.toml",
    "openai.toml",
    "groq.toml",
    "together.toml",
    "fireworks.toml",
    "cerebras.toml",
    "mistral.toml",
    "xai.toml",
    "nvidia.toml",
    "qwen.toml",
    "ollama.toml",
    "lmstudio.toml",
    "vllm.toml",
    "llamacpp.toml",
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
            for url in preset.other_base_urls.values().chain([&preset.base_url]) {
                let normal = normalise_base_url(preset.kind, url);
                assert_eq!(normal.as_deref(), Ok(url.as_str()), "{id}");
            }
            assert_eq!(
                preset.auth == Auth::None,
                preset.key_variable.is_none(),
                "{id}: a key and its usual variable belong together"
            );
            if let Some(model) = &preset.default_model {
                assert!(
                    preset.models.iter().any(|known| known.id == *model),
                    "{id}: {model} is not listed"
                );
            }
            for model in &preset.models {
                assert!(
                    model.context_window.is_some(),
                    "{id}/{}: a listed model has a known window",
                    model.id
                );
                if let Some(effort) = &model.default_effort {
                    assert!(
                        model.reasoning_efforts.contains(effort),
                        "{id}/{}: {effort}",
                        model.id
                    );
                }
            }
        }
    }

    #[test]
    fn other_kinds_are_refused_by_name() {
        let file = "id = 'x'\nname = 'X'\nabout = ''\nkind = 'telepathy'\nbase_url = 'https://x'";
        let error = parse_preset(file).unwrap_err();
        assert_eq!(
            error.message(),
            "kind `telepathy` is not available in this version; there are: `chat`, `messages`, `responses`, `command-code`, `demo`"
        );
    }
}
