//! What becomes of each thing in a request.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use polywire_catalog::presets;
use polywire_conversation::{Fault, Loss, Request, Severity};
use polywire_dialect_chat as chat;
use polywire_dialect_messages as messages;
use polywire_dialect_responses as responses;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::leaves::{self, Leaf, shown, words};
use crate::targets::{Sent, Target, sealed_summary};

/// The protocols of clients, with their probes.
const CLIENTS: [(&str, &str); 3] = [
    ("Responses", include_str!("responses.json")),
    ("Chat", include_str!("chat.json")),
    ("Messages", include_str!("messages.json")),
];

/// How many leaves a cell shows.
const SHOWN_MAX: usize = 4;

#[derive(Deserialize)]
struct Probes {
    /// Requests without the thing.
    bases: Map<String, Value>,
    sections: Vec<Section>,
}

#[derive(Deserialize)]
struct Section {
    title: String,
    probes: Vec<Probe>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Probe {
    /// The thing, as the page names it.
    what: String,
    /// The base to which it is added.
    #[serde(default)]
    on: Option<String>,
    /// Members of the body that are added or replaced.
    #[serde(default)]
    add: Map<String, Value>,
    /// Lists of the body that are made longer.
    #[serde(default)]
    join: Map<String, Value>,
    /// `probe-blob` stands for an envelope of ours.
    #[serde(default)]
    envelope: bool,
    /// The thing is this member: the base is the same request without it.
    #[serde(default)]
    without: Option<String>,
    /// What polywire does with it where it leaves no trace in the provider's request.
    #[serde(default)]
    ours: Option<String>,
}

impl Probe {
    /// The request without the thing, and with it.
    fn bodies(&self, bases: &Map<String, Value>) -> (String, String) {
        let base = &bases[self.on.as_deref().unwrap_or("plain")];
        let mut body = base.clone();
        for (key, value) in &self.add {
            body[key] = value.clone();
        }
        for (key, value) in &self.join {
            let more = value.as_array().unwrap().iter().cloned();
            body[key].as_array_mut().unwrap().extend(more);
        }
        let base = match &self.without {
            Some(key) => without(&body, key),
            None => base.clone(),
        };
        let mut body = body.to_string();
        if self.envelope {
            body = body.replace("probe-blob", &sealed_summary());
        }
        (base.to_string(), body)
    }
}

/// The same value without the members of this name.
fn without(value: &Value, key: &str) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, _)| *name != key);
            kept.map(|(name, value)| (name.clone(), without(value, key)))
                .collect()
        }
        Value::Array(values) => values.iter().map(|value| without(value, key)).collect(),
        leaf => leaf.clone(),
    }
}

/// A cell: what became of the thing; nothing when it left no trace.
fn cell(client: &str, target: &Target, probe: &Probe, base: &str, body: &str) -> Option<String> {
    let sent = match send(client, target, body, true) {
        Ok(sent) => sent,
        Err(fault) => return Some(refusal(&fault)),
    };
    // Two requests of which one keeps its bytes differ in more than the thing.
    let base_sent = send(client, target, base, sent.native).unwrap();
    let (before, after) = (leaves::of(&base_sent.body), leaves::of(&sent.body));
    let added = leaves::beyond(&after, &before);
    let taken = leaves::beyond(&before, &after);
    let mut said = Vec::new();
    if sent.without_tools {
        said.push("**the turn is refused**: all its tools would be lost".to_owned());
    }
    let new_lowered: Vec<&String> = sent
        .lowered
        .iter()
        .filter(|lowered| !base_sent.lowered.contains(lowered))
        .collect();
    for lowered in &new_lowered {
        said.push(format!("lowered to {lowered}"));
    }
    if sent.format_in_words {
        said.push("told to the model in words, and the answer checked".to_owned());
    }
    said.extend(placed(&added, body, &sent));
    if added.is_empty() && !taken.is_empty() {
        said.push(format!("takes out {}", places(&taken)));
    }
    let losses = sent.losses.iter();
    let new = losses.filter(|loss| !base_sent.losses.contains(loss));
    said.extend(new.map(|new| loss(new, probe)));
    (!said.is_empty()).then(|| said.join("; "))
}

fn refusal(fault: &Fault) -> String {
    let place = fault.param.as_ref().map(|param| format!(" at `{param}`"));
    format!(
        "**refused**{}: {}",
        place.unwrap_or_default(),
        words(&fault.message)
    )
}

fn loss(loss: &Loss, probe: &Probe) -> String {
    let word = match loss.severity {
        Severity::Note => "note",
        Severity::Degraded => "degraded",
        Severity::Severe => "severe",
    };
    if probe.what.contains(&*loss.what) {
        return format!("*{word}*: {}", words(&loss.why));
    }
    format!("*{word}*: {}", words(&loss.to_string()))
}

/// Where the thing stands in the provider's request.
fn placed(added: &[Leaf], body: &str, sent: &Sent) -> Option<String> {
    let wanted: Vec<String> = leaves::of(&serde_json::from_str(body).unwrap())
        .into_iter()
        .filter_map(|(_, value)| value.as_str().map(str::to_owned))
        .filter(|text| text.contains("probe"))
        .collect();
    let text = |leaf: &&Leaf| leaf.1.as_str().is_some_and(|text| text.contains("probe"));
    let with_text: Vec<Leaf> = added.iter().filter(text).cloned().collect();
    if !with_text.is_empty() {
        let is_exact = |leaf: &&Leaf| wanted.iter().any(|text| leaf.1 == **text);
        let exact: Vec<Leaf> = with_text.iter().filter(is_exact).cloned().collect();
        let other: Vec<Leaf> = with_text
            .iter()
            .filter(|leaf| !is_exact(leaf))
            .cloned()
            .collect();
        let mut said = Vec::new();
        if !exact.is_empty() {
            said.push(format!("→ {}", places(&exact)));
        }
        if !other.is_empty() {
            said.push(format!("→ inside {}", places(&other)));
        }
        return Some(said.join(", "));
    }
    if added.is_empty() {
        return None;
    }
    // Who speaks and of what type it is says little beside what is said.
    let says = |leaf: &&Leaf| !leaf.0.ends_with("role") && !leaf.0.ends_with("type");
    let mut saying: Vec<&Leaf> = added.iter().filter(says).collect();
    if saying.is_empty() {
        saying = added.iter().collect();
    }
    let mut listed: Vec<String> = saying
        .iter()
        .take(SHOWN_MAX)
        .map(|(path, value)| format!("`{path}`: {}", shown(value)))
        .collect();
    listed.dedup();
    if saying.len() > SHOWN_MAX {
        listed.push("…".to_owned());
    }
    let arrow = if sent.native { "passes" } else { "→" };
    Some(format!("{arrow} {}", listed.join(", ")))
}

fn places(leaves: &[Leaf]) -> String {
    let mut paths: Vec<String> = Vec::new();
    for (path, _) in leaves {
        let path = format!("`{path}`");
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    if paths.len() > SHOWN_MAX {
        paths.truncate(SHOWN_MAX);
        paths.push("…".to_owned());
    }
    paths.join(", ")
}

fn send(client: &str, target: &Target, body: &str, native: bool) -> Result<Sent, Fault> {
    target.send(&parse(client, body)?, native.then_some(body))
}

fn parse<'b>(client: &str, body: &'b str) -> Result<Request<'b>, Fault> {
    match client {
        "Responses" => responses::parse_for_store(body.as_bytes(), responses::Client::Sdk)
            .map(|parsed| parsed.request),
        "Chat" => chat::parse(body.as_bytes()).map(|parsed| parsed.request),
        _ => messages::parse(body.as_bytes()).map(|parsed| parsed.request),
    }
}

/// The tables of all clients and kinds of providers.
pub(crate) fn chapter(silent: &mut Vec<String>) -> String {
    let targets = Target::plain();
    let mut page = String::new();
    for (client, probes) in CLIENTS {
        let probes: Probes = serde_json::from_str(probes).unwrap();
        write!(page, "\n## Requests of {client} clients\n").unwrap();
        for section in &probes.sections {
            write!(page, "\n### {client}: {}\n\n| |", section.title).unwrap();
            for (name, _) in &targets {
                write!(page, " {name} |").unwrap();
            }
            page.push_str("\n|---|---|---|---|---|\n");
            for probe in &section.probes {
                let (base, body) = probe.bodies(&probes.bases);
                write!(page, "| {} |", probe.what).unwrap();
                for (name, target) in &targets {
                    let cell =
                        cell(client, target, probe, &base, &body).or_else(|| probe.ours.clone());
                    if cell.is_none() {
                        silent.push(format!("{client} → {name}: {}", probe.what));
                    }
                    write!(page, " {} |", cell.unwrap_or_default()).unwrap();
                }
                page.push('\n');
            }
        }
    }
    page
}

/// A row of the chapter about presets: who does it so, and what.
type Habits = BTreeMap<(usize, String), Vec<String>>;

/// What the habits of known providers change in those tables.
pub(crate) fn presets_chapter() -> String {
    let mut page = String::from(PRESETS);
    let clients = CLIENTS.map(|(client, probes)| {
        let probes: Probes = serde_json::from_str(probes).unwrap();
        (client, probes)
    });
    let all: Vec<(&str, &Probe, (String, String))> = clients
        .iter()
        .flat_map(|(client, probes)| {
            let listed = probes.sections.iter().flat_map(|section| &section.probes);
            listed.map(|probe| (*client, probe, probe.bodies(&probes.bases)))
        })
        .collect();
    for (kind, plain) in Target::plain() {
        let usual: Vec<Option<String>> = all
            .iter()
            .map(|(client, probe, (base, body))| cell(client, &plain, probe, base, body))
            .collect();
        let mut habits = Habits::new();
        for preset in presets() {
            let Some((_, target)) = Target::of(preset).filter(|(of, _)| *of == kind) else {
                continue;
            };
            for (place, (client, probe, (base, body))) in all.iter().enumerate() {
                let here = cell(client, &target, probe, base, body);
                if here != usual[place] {
                    let here = here.or_else(|| probe.ours.clone());
                    let here = here.unwrap_or_else(|| "as the provider does it anyhow".to_owned());
                    let who = habits.entry((place, here)).or_default();
                    who.push(format!("`{}`", preset.id));
                }
            }
        }
        write!(page, "\n### {kind} providers\n\n").unwrap();
        page.push_str("| client | thing | becomes | at |\n|---|---|---|---|\n");
        for ((place, becomes), who) in habits {
            let (client, probe, _) = &all[place];
            writeln!(
                page,
                "| {client} | {} | {becomes} | {} |",
                probe.what,
                who.join(", ")
            )
            .unwrap();
        }
    }
    page
}

const PRESETS: &str = "
## What the habits of known providers change

The tables above are for providers of which nothing is known but their protocol. A preset knows more. Listed is what differs, for the
first model of each preset.
";
