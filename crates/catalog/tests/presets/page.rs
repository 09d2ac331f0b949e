//! `docs/providers.md` is made from the presets, and this test sees that it is up to date.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use polywire_catalog::{Auth, Kind, Preset, presets};

use crate::losses::{LOSSES, losses};
use crate::read_profile;

/// How thinking is asked for: the word in the profile, and what is sent.
const THINKING: [(&str, &str); 10] = [
    ("reasoning_effort", "`reasoning_effort: \"high\"`"),
    (
        "thinking_toggle",
        "`thinking: {type: enabled}`, and an effort beside it where the model knows some",
    ),
    (
        "thinking_adaptive",
        "`thinking: {type: adaptive}` in Chat Completions",
    ),
    ("reasoning_object", "`reasoning: {effort: \"high\"}`"),
    ("enable_thinking", "`enable_thinking: true`"),
    (
        "thinking_budget",
        "`enable_thinking: true` and always a number of tokens",
    ),
    (
        "chat_template",
        "`chat_template_kwargs` with `thinking` and `enable_thinking`: the model's template decides",
    ),
    (
        "manual",
        "`thinking: {type: enabled}` with a number of tokens; an effort beside it where the model knows some",
    ),
    (
        "adaptive",
        "`thinking: {type: adaptive}`, steered by `output_config.effort`",
    ),
    ("reasoning", "`reasoning: {effort: …}` of the Responses API"),
];

#[test]
fn the_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/providers.md");
    let page = page();
    let written = fs::read_to_string(&path).unwrap_or_default();
    if written == page {
        return;
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "the switch of the snapshots decides about this page, too"
    )]
    let update = std::env::var("INSTA_UPDATE").is_ok_and(|value| value == "always");
    assert!(
        update,
        "docs/providers.md is not what the presets say; run `INSTA_UPDATE=always cargo test -p polywire-catalog --test presets`"
    );
    fs::write(&path, page).unwrap();
}

fn page() -> String {
    let mut page = String::from(INTRODUCTION);
    for preset in presets() {
        page.push_str(&row(preset));
    }
    page.push_str("\n## How thinking is asked for\n\n| word | what is sent |\n|---|---|\n");
    let words: BTreeSet<String> = presets().iter().flat_map(thinking_words).collect();
    for word in &words {
        let (_, sent) = THINKING
            .iter()
            .find(|(known, _)| known == word)
            .unwrap_or_else(|| panic!("`{word}` is not explained"));
        writeln!(page, "| `{word}` | {sent} |").unwrap();
    }
    page.push_str("\n## What is weaker\n\n| word | what it means |\n|---|---|\n");
    let used: BTreeSet<&str> = presets().iter().flat_map(losses_of).collect();
    for (word, meaning) in LOSSES.iter().filter(|(word, _)| used.contains(word)) {
        writeln!(page, "| {word} | {meaning} |").unwrap();
    }
    page.push_str(OTHER_ADDRESSES);
    for preset in presets() {
        for (what, url) in &preset.other_base_urls {
            writeln!(page, "| `{}` | {what} | `{url}` |", preset.id).unwrap();
        }
    }
    page
}

const INTRODUCTION: &str = "\
# Providers

Made from the presets (`crates/catalog/presets/*.toml`, where the reasons stand beside each line) by a test; do not edit it here.

A preset is used by its name: `polywire run codex -p NAME`, or `preset = \"NAME\"` in the [settings](settings.md). One whose key variable is set
needs no settings at all, except those with a * behind the variable: they want to be named, because another preset has the same
variable, because it serves other purposes, too, or because they must be a choice. Any model of a provider can be asked for by its name,
listed or not. A service that speaks several protocols has a preset for each; compare them here.

Every loss is told when it happens. What is said here goes for the provider as a whole; single models of it may do better or worse.

| preset | provider | kind | base URL | key | thinking | weaker there |
|---|---|---|---|---|---|---|
";

const OTHER_ADDRESSES: &str = "
## Other addresses

Set `base_url` to use one of these.

| preset | for | address |
|---|---|---|
";

fn row(preset: &Preset) -> String {
    let address = match (&preset.base_url, &preset.base_url_form) {
        (Some(url), _) => format!("`{url}`"),
        (None, Some(form)) => format!("yours, such as `{form}`"),
        (None, None) if preset.kind.is_engine() => "this machine".to_owned(),
        (None, None) => "yours".to_owned(),
    };
    let key = preset.key_variable.as_ref().map(|variable| {
        let named = if preset.explicit { " \\*" } else { "" };
        match &preset.auth {
            Auth::Header { name } => format!("`{variable}`{named} in `{name}`"),
            Auth::Bearer | Auth::Login | Auth::None => format!("`{variable}`{named}"),
        }
    });
    let thinking = list(
        thinking_words(preset)
            .iter()
            .map(|word| format!("`{word}`")),
    );
    let weaker = list(losses_of(preset).into_iter().map(str::to_owned));
    format!(
        "| `{id}` | {name} | `{kind}` | {address} | {key} | {thinking} | {weaker} |\n",
        id = preset.id,
        name = preset.name,
        kind = preset.kind.name(),
        key = key.as_deref().unwrap_or(match preset.auth {
            Auth::Login => "Codex's login",
            Auth::Bearer | Auth::Header { .. } | Auth::None => "–",
        }),
    )
}

fn list(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    if words.is_empty() {
        return "–".to_owned();
    }
    words.join(", ")
}

/// The forms that the provider and its models are asked in, each once.
fn thinking_words(preset: &Preset) -> Vec<String> {
    let key = match preset.kind {
        Kind::Chat => "reasoning_request",
        Kind::Messages => "thinking",
        Kind::Responses | Kind::ChatGpt | Kind::CodexExec | Kind::CodexAppServer => {
            return vec!["reasoning".to_owned()];
        }
        Kind::CommandCode => return vec!["reasoning_effort".to_owned()],
        Kind::Demo => return Vec::new(),
    };
    let of_models = preset.models.iter().map(|model| &model.profile);
    let mut words: Vec<String> = Vec::new();
    for profile in [&preset.profile].into_iter().chain(of_models) {
        let word = profile.get(key).and_then(toml::Value::as_str);
        if let Some(word) = word.filter(|word| *word != "none")
            && words.iter().all(|known| known != word)
        {
            words.push(word.to_owned());
        }
    }
    words
}

fn losses_of(preset: &Preset) -> Vec<&'static str> {
    let profile = read_profile(preset.kind, preset.profile.clone());
    losses(&profile.unwrap_or_else(|error| panic!("{}: {error}", preset.id)))
}
