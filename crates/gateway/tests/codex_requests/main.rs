//! Requests of clients through two dialects: Responses in, Chat Completions out, and calls back to the names that were declared.
//!
//! The requests are the repository's own (`fixtures/responses`) and, where they lie beside it, recordings of the real Codex.
//! Each is rendered for a provider of which nothing is known and for several that are; every body is judged by [`schema`] and
//! [`structure`], and every declared tool is called by [`round_trip`].

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

mod declared;
mod outline;
mod recorded;
mod round_trip;
mod schema;
mod structure;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use polywire_catalog::preset;
use polywire_conversation::{ModelFacts, Rendered};
use polywire_dialect_chat::{Profile, render};
use polywire_dialect_responses::{Client, parse};
use serde_json::Value;

/// Presets that differ from each other in all that matters for a body.
const PRESETS: [&str; 6] = [
    "zai",
    "deepseek",
    "openrouter",
    "mistral",
    "moonshot",
    "openai-chat",
];

/// A request in both forms.
struct Translated {
    /// What the client sent.
    sent: Value,
    /// What the provider gets.
    body: Value,
    rendered: Rendered,
    /// Losses of parsing and rendering.
    losses: Vec<String>,
}

/// Translates a request for one target, and checks what holds for every request and every target.
fn translated(place: &str, request: &str, target: &Target) -> Translated {
    let place = format!("{place} for {}", target.name);
    let parsed = parse(request.as_bytes(), Client::Codex)
        .unwrap_or_else(|fault| panic!("{place}: {fault}"))
        .request;
    let rendered = render(
        &parsed,
        &ModelFacts {
            images: target.images,
            ..ModelFacts::named(&target.model)
        },
        &target.profile,
    )
    .unwrap_or_else(|fault| panic!("{place}: {fault}"));
    let losses = parsed.losses.iter().chain(&rendered.losses);
    let translated = Translated {
        sent: read(&place, request),
        body: read(&place, std::str::from_utf8(&rendered.body).unwrap()),
        losses: losses
            .map(|loss| format!("{:?} {loss}", loss.severity))
            .collect(),
        rendered,
    };
    schema::check(&place, &translated.body);
    structure::check(&place, &translated.body, &target.profile);
    declared::check(&place, &translated);
    round_trip::check(&place, &translated);
    translated
}

/// Reads JSON. Half a surrogate pair, which clients do send and which passes untouched, is no character to this parser.
fn read(place: &str, json: &str) -> Value {
    const HALF: &str = r"\ud83d";
    let mut pieces = json.split(HALF);
    let mut whole = pieces.next().unwrap().to_owned();
    for piece in pieces {
        let other_half = piece.starts_with(r"\ud");
        whole.push_str(if other_half { HALF } else { r"\ufffd" });
        whole.push_str(piece);
    }
    serde_json::from_str(&whole).unwrap_or_else(|error| panic!("{place}: {error}"))
}

/// Whom a request is rendered for.
struct Target {
    name: String,
    model: String,
    profile: Profile,
    images: bool,
}

impl Target {
    /// A provider of which nothing is known.
    fn unknown() -> Self {
        Self {
            name: "unknown".to_owned(),
            model: "some-model".to_owned(),
            profile: Profile::default(),
            images: true,
        }
    }

    /// Every model of a preset.
    fn of_preset(id: &str) -> Vec<Self> {
        let provider = preset(id).unwrap().to_provider(id);
        let target = |model: &std::sync::Arc<polywire_catalog::Model>| Self {
            name: format!("{id}/{}", model.id),
            model: model.id.clone(),
            profile: provider
                .profile_for(Some(model))
                .into_owned()
                .try_into()
                .unwrap(),
            images: model.images,
        };
        provider.models.iter().map(target).collect()
    }
}

/// Every target that requests are rendered for.
fn targets() -> Vec<Target> {
    let presets = PRESETS.into_iter().flat_map(Target::of_preset);
    std::iter::once(Target::unknown()).chain(presets).collect()
}

/// A place in the repository, or beside it.
fn beside_manifest(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The repository's own requests: file name and content, in order.
fn own_requests() -> Vec<(String, String)> {
    let folder = beside_manifest("../../fixtures/responses");
    let mut requests: Vec<(String, String)> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    requests.sort();
    assert!(
        requests.len() >= 10,
        "only {} in {}",
        requests.len(),
        folder.display()
    );
    requests
}

#[test]
fn own_requests_are_valid_for_every_target() {
    let targets = targets();
    for (name, request) in own_requests() {
        for target in &targets {
            translated(&name, &request, target);
        }
    }
}

/// Request, ledger and losses of every own request, for a provider of which nothing is known; and what other providers get
/// instead, as far as it is not in the messages.
#[test]
fn own_requests_in_outline() {
    for (name, request) in own_requests() {
        let unknown = translated(&name, &request, &Target::unknown());
        let mut text = outline::with_words(&unknown);
        for preset in PRESETS {
            let target = Target::of_preset(preset).swap_remove(0);
            let other = translated(&name, &request, &target);
            writeln!(text, "\n== {} ==", target.name).unwrap();
            text.push_str(&outline::differences(&other, &unknown));
        }
        insta::assert_snapshot!(name.as_str(), text);
    }
}

#[test]
fn the_same_request_always_gives_the_same_bytes() {
    for (name, request) in own_requests() {
        let bodies = [(); 2].map(|()| {
            translated(&name, &request, &Target::unknown())
                .rendered
                .body
        });
        assert_eq!(bodies[0], bodies[1], "{name}");
    }
}
