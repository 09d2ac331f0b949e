//! Lists of models that providers give out.

use serde::Deserialize;

use crate::Model;

/// The most models that are kept of a list. Real ones have about ten; a list of thousands is a mistake.
const MODELS_MAX: usize = 200;

/// Reads the list that Codex fetches from the service behind it: `{"models": [{"slug": …}]}`. Models come in the order in which they
/// are to be shown; those that are hidden, or that only Codex itself may use, are left out.
///
/// Of a model only the name has to be there, so that a field of a new form costs the model and not the list. Facts: seed-behaviours.md
/// D5.2 and codex-client.md 4.3 (Codex 0.169, November 2026).
///
/// # Errors
/// The text is not JSON, or has no `models`.
pub fn read_codex_models(body: &[u8]) -> Result<Vec<Model>, serde_json::Error> {
    let list: List = serde_json::from_slice(body)?;
    let mut entries: Vec<Entry> = list
        .models
        .into_iter()
        .filter_map(|entry| serde_json::from_value(entry).ok())
        .filter(Entry::is_shown)
        .collect();
    // Stable: what has the same priority keeps its order.
    entries.sort_by_key(|entry| entry.priority);
    entries.truncate(MODELS_MAX);
    Ok(entries.into_iter().map(Model::from).collect())
}

#[derive(Deserialize)]
struct List {
    models: Vec<serde_json::Value>,
}

/// A model as the list has it, as far as it is read.
#[derive(Deserialize)]
struct Entry {
    slug: String,
    display_name: Option<String>,
    visibility: Option<String>,
    supported_in_api: Option<bool>,
    #[serde(default)]
    priority: i64,
    context_window: Option<u64>,
    default_reasoning_level: Option<String>,
    #[serde(default)]
    supported_reasoning_levels: Vec<Level>,
    input_modalities: Option<Vec<String>>,
    #[serde(default)]
    support_verbosity: bool,
    apply_patch_tool_type: Option<String>,
}

#[derive(Deserialize)]
struct Level {
    effort: String,
}

impl Entry {
    fn is_shown(&self) -> bool {
        let is_listed = self.visibility.as_deref().is_none_or(|word| word == "list");
        is_listed && self.supported_in_api.unwrap_or(true) && !self.slug.is_empty()
    }
}

impl From<Entry> for Model {
    fn from(entry: Entry) -> Self {
        let levels = entry.supported_reasoning_levels.into_iter();
        let efforts: Vec<String> = levels.map(|level| level.effort).collect();
        let mut profile = toml::Table::new();
        if !efforts.is_empty() {
            profile.insert("efforts".to_owned(), efforts.clone().into());
        }
        if !entry.support_verbosity {
            profile.insert("verbosity".to_owned(), false.into());
        }
        let takes_images = |kinds: Vec<String>| kinds.iter().any(|kind| kind == "image");
        Model {
            display_name: entry.display_name.unwrap_or_else(|| entry.slug.clone()),
            context_window: entry.context_window.filter(|&window| window > 0),
            images: entry.input_modalities.is_none_or(takes_images),
            default_effort: entry
                .default_reasoning_level
                .filter(|effort| efforts.contains(effort))
                .or_else(|| efforts.first().cloned()),
            reasoning_efforts: efforts,
            freeform_tools: entry
                .apply_patch_tool_type
                .is_none_or(|form| form == "freeform"),
            verbosity: entry.support_verbosity,
            profile,
            ..Model::named(entry.slug)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_in_its_order_without_what_is_hidden() {
        let list = r#"{"models": [
            {"slug": "second", "priority": 2, "visibility": "list", "supported_in_api": true, "display_name": "Second",
             "context_window": 272000, "default_reasoning_level": "medium", "support_verbosity": true,
             "supported_reasoning_levels": [{"effort": "low", "description": "l"}, {"effort": "medium"}],
             "input_modalities": ["text", "image"], "apply_patch_tool_type": "freeform", "new": {"x": [1]}},
            {"slug": "hidden", "priority": 0, "visibility": "hide", "supported_in_api": true},
            {"slug": "codex-only", "priority": 0, "visibility": "list", "supported_in_api": false},
            {"slug": 7}, "nonsense", {"slug": ""},
            {"slug": "first", "priority": 1, "visibility": "list", "context_window": 0, "input_modalities": ["text"],
             "default_reasoning_level": "gone"}
        ]}"#;
        let models = read_codex_models(list.as_bytes()).unwrap();
        let shown: Vec<String> = models
            .iter()
            .map(|model| {
                format!(
                    "{} {} {:?} {:?} {:?} images {} verbosity {} | {}",
                    model.id,
                    model.display_name,
                    model.context_window,
                    model.reasoning_efforts,
                    model.default_effort,
                    model.images,
                    model.verbosity,
                    model.profile,
                )
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn what_is_no_list_is_an_error() {
        for text in ["", "[]", "{\"data\": []}", "<html>", "{\"models\": {}}"] {
            assert!(read_codex_models(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(read_codex_models(b"{\"models\":[]}").unwrap(), []);
    }
}
