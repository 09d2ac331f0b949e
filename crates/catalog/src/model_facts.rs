//! What providers tell of a model beside its name, each in its own words.

use serde_json::{Map, Value};

use crate::Model;

/// Where the size of the context window stands, in tokens: the narrowest meaning first (providers.md, model lists).
const WINDOW: &[&[&str]] = &[
    &["top_provider", "context_length"],
    &["meta", "n_ctx"],
    &["loaded_context_length"],
    &["capabilities", "limits", "max_context_window_tokens"],
    &["model_spec", "availableContextTokens"],
    &["context_length"],
    &["context_window"],
    &["max_context_length"],
    &["max_model_len"],
    &["max_input_tokens"],
    &["inputTokenLimit"],
    &["limits", "max_input_tokens"],
    &["meta", "n_ctx_train"],
];

/// Where the most tokens of one answer stand.
const OUTPUT: &[&[&str]] = &[
    &["top_provider", "max_completion_tokens"],
    &["capabilities", "limits", "max_output_tokens"],
    &["limits", "max_output_tokens"],
    &["max_completion_tokens"],
    &["max_output_tokens"],
    &["outputTokenLimit"],
    &["max_tokens"],
];

/// Where it stands whether the model takes pictures: as a word among kinds of input, or as yes or no.
const KINDS_OF_INPUT: &[&[&str]] = &[&["architecture", "input_modalities"], &["input_modalities"]];
const IMAGES: &[&[&str]] = &[
    &["supports_image_in"],
    &["supports_image_input"],
    &["capabilities", "vision"],
    &["capabilities", "supports", "vision"],
];

/// The model with what its entry in a list tells.
pub(crate) fn facts(id: &str, entry: &Map<String, Value>) -> Model {
    let name = ["display_name", "displayName", "name"].into_iter();
    let mut name = name.filter_map(|name| entry.get(name)?.as_str());
    let context_window = number(entry, WINDOW);
    let output = number(entry, OUTPUT);
    Model {
        display_name: name.next().unwrap_or(id).to_owned(),
        context_window,
        // More output than window is a number that means something else.
        output_tokens_max: output.filter(|output| Some(*output) <= context_window),
        images: takes_images(entry).unwrap_or(true),
        ..Model::named(id)
    }
}

fn at<'v>(entry: &'v Map<String, Value>, path: &[&str]) -> Option<&'v Value> {
    let (first, rest) = path.split_first()?;
    let value = entry.get(*first)?;
    rest.iter().try_fold(value, |value, name| value.get(name))
}

fn number(entry: &Map<String, Value>, places: &[&[&str]]) -> Option<u64> {
    let mut numbers = places.iter().filter_map(|path| at(entry, path)?.as_u64());
    numbers.find(|number| *number > 0)
}

fn takes_images(entry: &Map<String, Value>) -> Option<bool> {
    let mut kinds = KINDS_OF_INPUT
        .iter()
        .filter_map(|path| at(entry, path)?.as_array());
    if let Some(kinds) = kinds.next() {
        return Some(kinds.iter().any(|kind| kind == "image"));
    }
    IMAGES.iter().find_map(|path| at(entry, path)?.as_bool())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expects `window/output/images name`.
    fn check(entry: &str, expected: &str) {
        let entry: Map<String, Value> = serde_json::from_str(entry).unwrap();
        let model = facts("m", &entry);
        let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let read = format!(
            "{}/{}/{} {}",
            number(model.context_window),
            number(model.output_tokens_max),
            model.images,
            model.display_name
        );
        assert_eq!(read, expected, "{entry:?}");
    }

    #[test]
    fn facts_stand_in_many_places() {
        check("{}", "-/-/true m");
        check(
            r#"{"name": "N", "context_length": 1000, "top_provider": {"context_length": 900, "max_completion_tokens": 100},
                "architecture": {"input_modalities": ["text"]}}"#,
            "900/100/false N",
        );
        check(
            r#"{"display_name": "D", "name": "N", "max_input_tokens": 200000, "max_tokens": 64000}"#,
            "200000/64000/true D",
        );
        check(
            r#"{"context_window": 131072, "max_completion_tokens": 200000}"#,
            "131072/-/true m",
        );
        check(
            r#"{"max_context_length": 32000, "capabilities": {"vision": false}}"#,
            "32000/-/false m",
        );
        check(
            r#"{"max_model_len": 4096, "context_length": null}"#,
            "4096/-/true m",
        );
        check(
            r#"{"meta": {"n_ctx_train": 8192, "n_ctx": 0}, "max_tokens": 10}"#,
            "8192/10/true m",
        );
        check(
            r#"{"max_tokens": 10, "context_length": "big"}"#,
            "-/-/true m",
        );
    }
}
