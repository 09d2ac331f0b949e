//! The answer to `GET /v1/models`: OpenAI's list and Codex's catalog in one object.
//!
//! Ordinary clients read `data` and ignore the rest; Codex (`model_catalog_url`) reads `models` and ignores the rest (seen with
//! 0.169). One invalid entry voids Codex's whole list, so every entry is made by the one function below.

use serde::Serialize;

use crate::{Catalog, ListedModel, Model, Resolved};

/// The context window, in tokens, that is told when nobody knows the real one.
///
/// Nearly every model that people use for coding has at least this much. Too small a number only makes Codex compact its history
/// early; too large a one makes providers refuse, or cut the conversation in silence. Local servers often load less: their users
/// should say so with `context_window`.
pub const CONTEXT_WINDOW_FALLBACK: u64 = 128_000;

/// The most bytes of Codex entries. Codex's source speaks of a limit of 1 MiB for the whole document; `data` needs the rest.
/// Models beyond it are in `data` only, and Codex falls back to its own guesses for them.
const CODEX_ENTRIES_BYTES_MAX: usize = 900 * 1024;

/// How much of one tool output Codex keeps, in tokens: what its own models have.
const TOOL_OUTPUT_TOKENS: u64 = 10_000;

/// The system prompt for models that Codex has none for.
const INSTRUCTIONS: &str = include_str!("../codex_instructions.md");

/// What models that get the freeform `apply_patch` tool are told about it.
const APPLY_PATCH_INSTRUCTIONS: &str = include_str!("../codex_apply_patch.md");

/// What Codex calls a model that is known and not shown in lists.
const HIDDEN: &str = "hide";

/// The slug of Codex's own reviews of what it is about to do. It must be known, and nobody would choose it from a list.
const AUTO_REVIEW: &str = "codex-auto-review";

/// The JSON of `GET /v1/models`.
///
/// `extra_model` is a name to list even if nobody lists it, because a client is about to use it: Codex warns about models
/// without an entry and treats them by guesses. A name that stands for nothing is left out. `can_search` tells whether a web
/// search of this target is carried out by anybody.
pub fn models_document(
    catalog: &Catalog,
    extra_model: Option<&str>,
    can_search: &dyn Fn(&Resolved) -> bool,
) -> String {
    let listed = listed(catalog, extra_model);
    let data: Vec<OpenAiModel<'_>> = listed.iter().map(openai_model).collect();
    let mut document = String::from("{\"object\":\"list\",\"data\":");
    document.push_str(&json(&data));
    document.push_str(",\"models\":[");
    let start = document.len();
    let hints = Hints::new();
    for (priority, model) in in_order(&listed, extra_model).enumerate() {
        let entry = json(&codex_model(model, priority, catalog, &hints, can_search));
        if document.len() - start + entry.len() > CODEX_ENTRIES_BYTES_MAX {
            break;
        }
        if document.len() > start {
            document.push(',');
        }
        document.push_str(&entry);
    }
    document.push_str("]}");
    document
}

/// Codex's catalog as a file, for its setting `model_catalog_json`: one entry a line, so that the line of an error names the entry.
///
/// Every entry has the names that the CLI reads and those that Desktop reads, without which its list of models stays empty. `extra_model` and
/// `can_search` are as for [`models_document()`].
pub fn models_file(
    catalog: &Catalog,
    extra_model: Option<&str>,
    can_search: &dyn Fn(&Resolved) -> bool,
) -> String {
    let listed = listed(catalog, extra_model);
    let hints = Hints::new();
    let entries = in_order(&listed, extra_model).enumerate();
    let lines: Vec<String> = entries
        .map(|(priority, model)| {
            let codex = codex_model(model, priority, catalog, &hints, can_search);
            json(&DesktopModel::of(codex))
        })
        .collect();
    format!("{{\"models\":[\n{}\n]}}\n", lines.join(",\n"))
}

/// The models to list, with one more that is about to be used.
fn listed(catalog: &Catalog, extra_model: Option<&str>) -> Vec<ListedModel> {
    let mut listed = catalog.listed_models();
    if let Some(slug) = extra_model
        && listed.iter().all(|model| model.slug != slug)
        && let Ok(targets) = catalog.resolve(slug)
    {
        listed.push(ListedModel {
            slug: slug.to_owned(),
            targets,
        });
    }
    listed
}

/// The extra model is the one that is about to be used, so it comes first: it must not be the one that no longer fits.
fn in_order<'l>(
    listed: &'l [ListedModel],
    extra_model: Option<&str>,
) -> impl Iterator<Item = &'l ListedModel> {
    let (extra, others): (Vec<_>, Vec<_>) = listed
        .iter()
        .partition(|model| Some(model.slug.as_str()) == extra_model);
    extra.into_iter().chain(others)
}

/// Values of these types always become JSON: their keys are field names and they hold no floats.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// An entry of OpenAI's list.
#[derive(Serialize)]
struct OpenAiModel<'a> {
    id: &'a str,
    object: &'static str,
    /// When the model was made. Nobody tells us, and an invented date would be one.
    created: u64,
    owned_by: &'a str,
    /// Not OpenAI's; resellers began it and many clients read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    context_length: Option<u64>,
}

fn openai_model(listed: &ListedModel) -> OpenAiModel<'_> {
    OpenAiModel {
        id: &listed.slug,
        object: "model",
        created: 0,
        owned_by: listed
            .targets
            .first()
            .map_or("polywire", |target| target.provider.id.as_str()),
        context_length: least(&listed.targets, |model| model.context_window),
    }
}

/// Codex's `ModelInfo`, as its version 0.169 parses it. Fields that it does not need and that we have nothing to say about
/// are left out.
#[derive(Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the fields are Codex's, one switch each"
)]
struct CodexModel<'a> {
    slug: &'a str,
    display_name: String,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_reasoning_level: Option<&'a str>,
    supported_reasoning_levels: Vec<ReasoningLevel<'a>>,
    shell_type: &'static str,
    visibility: &'static str,
    supported_in_api: bool,
    priority: usize,
    base_instructions: &'a str,
    support_verbosity: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_verbosity: Option<&'static str>,
    default_reasoning_summary: &'static str,
    supports_reasoning_summary_parameter: bool,
    apply_patch_tool_type: Option<&'static str>,
    web_search_tool_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    web_search_provider: Option<&'static str>,
    truncation_policy: TruncationPolicy,
    context_window: u64,
    max_context_window: u64,
    auto_compact_token_limit: u64,
    effective_context_window_percent: u64,
    experimental_supported_tools: [&'static str; 0],
    input_modalities: &'static [&'static str],
    supports_search_tool: bool,
    use_responses_lite: bool,
    tool_mode: &'static str,
    multi_agent_version: &'static str,
    include_skills_usage_instructions: bool,
    include_plugin_usage_instructions: bool,
    include_apps_usage_instructions: bool,
}

#[derive(Serialize)]
struct ReasoningLevel<'a> {
    effort: &'a str,
    description: &'static str,
}

/// The same under the names that Codex Desktop reads, beside those of the CLI (told by the launcher that was here before, whose lists of
/// models stayed empty without either; the app-server's `model/list` has these names too).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DesktopModel<'a> {
    #[serde(flatten)]
    codex: CodexModel<'a>,
    model: &'a str,
    display_name: String,
    hidden: bool,
    is_default: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_reasoning_effort: Option<&'a str>,
    supported_reasoning_efforts: Vec<DesktopEffort<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DesktopEffort<'a> {
    reasoning_effort: &'a str,
    description: &'static str,
}

impl<'a> DesktopModel<'a> {
    fn of(codex: CodexModel<'a>) -> Self {
        let levels = codex.supported_reasoning_levels.iter();
        Self {
            model: codex.slug,
            display_name: codex.display_name.clone(),
            hidden: codex.visibility == HIDDEN,
            is_default: codex.priority == 0,
            default_reasoning_effort: codex.default_reasoning_level,
            supported_reasoning_efforts: levels
                .map(|level| DesktopEffort {
                    reasoning_effort: level.effort,
                    description: level.description,
                })
                .collect(),
            codex,
        }
    }
}

#[derive(Serialize)]
struct TruncationPolicy {
    mode: &'static str,
    limit: u64,
}

/// The two system prompts, put together once per document.
struct Hints {
    with_apply_patch: String,
}

impl Hints {
    fn new() -> Self {
        Self {
            with_apply_patch: [INSTRUCTIONS, APPLY_PATCH_INSTRUCTIONS].concat(),
        }
    }
}

fn codex_model<'a>(
    listed: &'a ListedModel,
    priority: usize,
    catalog: &Catalog,
    hints: &'a Hints,
    can_search: &dyn Fn(&Resolved) -> bool,
) -> CodexModel<'a> {
    let targets = &listed.targets;
    let known = targets.first().and_then(|target| target.model.as_deref());
    let efforts = known.map_or(&[][..], |model| &model.reasoning_efforts);
    let thinks = !efforts.is_empty();
    // Whatever target of a route serves the turn, it must cope with what Codex was promised.
    let freeform = all(targets, |model| model.freeform_tools);
    let images = all(targets, |model| model.images);
    let verbosity = known.is_some() && all(targets, |model| model.verbosity);
    let context_window =
        least(targets, |model| model.context_window).unwrap_or(CONTEXT_WINDOW_FALLBACK);
    CodexModel {
        slug: &listed.slug,
        display_name: display_name(listed),
        description: description(targets),
        default_reasoning_level: default_effort(known),
        supported_reasoning_levels: efforts
            .iter()
            .map(|effort| ReasoningLevel {
                effort,
                description: effort_description(effort),
            })
            .collect(),
        shell_type: "unified_exec",
        visibility: visibility(listed, catalog),
        supported_in_api: true,
        priority,
        base_instructions: if freeform {
            &hints.with_apply_patch
        } else {
            INSTRUCTIONS
        },
        support_verbosity: verbosity,
        default_verbosity: verbosity.then_some("medium"),
        // Governs what Codex shows of the reasoning; harmless when there is none.
        default_reasoning_summary: if thinks { "auto" } else { "none" },
        supports_reasoning_summary_parameter: thinks,
        // Custom tools are lowered to functions and raised again, so the form that Codex likes best works everywhere.
        apply_patch_tool_type: freeform.then_some("freeform"),
        web_search_tool_type: "text",
        // Takes the hosted web search off the list of tools (seen with 0.169). Where nobody carries it out, a tool that is offered and
        // lost in every turn would hide other losses.
        web_search_provider: (!targets.iter().all(can_search)).then_some("search_mcp"),
        truncation_policy: TruncationPolicy {
            mode: "tokens",
            limit: TOOL_OUTPUT_TOKENS.min(context_window / 8),
        },
        context_window,
        max_context_window: context_window,
        auto_compact_token_limit: auto_compact_limit(context_window),
        effective_context_window_percent: 95,
        experimental_supported_tools: [],
        input_modalities: if images {
            &["text", "image"]
        } else {
            &["text"]
        },
        // A search would hide the user's own tools behind one more call, which small models forget to make.
        supports_search_tool: false,
        // Models that were not trained on them do badly with one JavaScript tool and tools hidden in an input item.
        use_responses_lite: false,
        tool_mode: "direct",
        // Codex's own default for unknown models. Its sub-agent tools are plain functions in a namespace, which is flattened and
        // raised again; they add about 9 kB to a request. Version 2 expects more of the model.
        multi_agent_version: "v1",
        // Other models do not know what skills and plug-ins are unless they are told.
        include_skills_usage_instructions: true,
        include_plugin_usage_instructions: true,
        // Apps live behind a ChatGPT login.
        include_apps_usage_instructions: false,
    }
}

/// When Codex compacts the history: early enough that the answer still fits.
const fn auto_compact_limit(context_window: u64) -> u64 {
    context_window / 100 * 85
}

fn display_name(listed: &ListedModel) -> String {
    match listed.targets.as_slice() {
        [
            Resolved {
                model: Some(model),
                upstream_model,
                ..
            },
        ] if listed.slug.ends_with(upstream_model.as_str()) => model.display_name.clone(),
        // An alias, a route or a name that is only passed on: its own name says most.
        _ => listed.slug.clone(),
    }
}

fn description(targets: &[Resolved]) -> String {
    let names: Vec<String> = targets
        .iter()
        .map(|target| format!("{} on {}", target.upstream_model, target.provider.name))
        .collect();
    format!("{}, through polywire", names.join(", else "))
}

/// The default provider's models have two names; one of them is enough in a list to choose from.
fn visibility(listed: &ListedModel, catalog: &Catalog) -> &'static str {
    let doubled = listed.slug.split_once('/').is_some_and(|(prefix, rest)| {
        Some(prefix) == catalog.default_provider.as_deref()
            && listed
                .targets
                .iter()
                .any(|target| target.upstream_model == rest && target.model.is_some())
    });
    if doubled || listed.slug == AUTO_REVIEW {
        HIDDEN
    } else {
        "list"
    }
}

fn default_effort(known: Option<&Model>) -> Option<&str> {
    let model = known?;
    let chosen = model.default_effort.as_ref();
    let medium = model
        .reasoning_efforts
        .iter()
        .find(|effort| *effort == "medium");
    chosen
        .or(medium)
        .or(model.reasoning_efforts.first())
        .map(String::as_str)
}

fn effort_description(effort: &str) -> &'static str {
    match effort {
        "none" => "No thinking",
        "minimal" => "Hardly any thinking, quickest answers",
        "low" => "Little thinking, quick answers",
        "medium" => "A balance of speed and depth",
        "high" => "More thinking for harder problems",
        "xhigh" => "Much thinking for the hardest problems",
        "max" | "ultra" => "As much thinking as the model can do",
        _ => "A level of this model's own",
    }
}

/// The smallest of what is known.
fn least(targets: &[Resolved], fact: impl Fn(&Model) -> Option<u64>) -> Option<u64> {
    targets
        .iter()
        .filter_map(|target| fact(target.model.as_deref()?))
        .min()
}

/// Whether every target can do it. What nobody knows is taken to be so: refusing beforehand would take it away for good.
fn all(targets: &[Resolved], fact: impl Fn(&Model) -> bool) -> bool {
    targets
        .iter()
        .all(|target| target.model.as_deref().is_none_or(&fact))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::Value;

    use super::*;
    use crate::{Provider, demo_provider, preset};

    /// What Codex 0.169 refuses to do without, in the order in which its parser asks.
    const REQUIRED: &[&str] = &[
        "slug",
        "display_name",
        "supported_reasoning_levels",
        "shell_type",
        "visibility",
        "supported_in_api",
        "priority",
        "support_verbosity",
        "truncation_policy",
        "experimental_supported_tools",
        "base_instructions",
    ];

    fn catalog() -> Catalog {
        let of_preset = |id: &str| preset(id).unwrap().to_provider(id);
        let plain = Model {
            context_window: Some(32_768),
            images: false,
            freeform_tools: false,
            ..Model::named("tiny")
        };
        let house = Provider {
            models: vec![Arc::new(plain), Arc::new(Model::named("unknown-size"))],
            ..of_preset("vllm")
        };
        Catalog {
            providers: [of_preset("openai-chat"), house, demo_provider()]
                .map(Arc::new)
                .into(),
            aliases: [(AUTO_REVIEW.to_owned(), "openai-chat/gpt-5-mini".to_owned())].into(),
            routes: [(
                "main".to_owned(),
                vec!["gpt-5".to_owned(), "vllm/tiny".to_owned()],
            )]
            .into(),
            default_provider: Some("openai-chat".to_owned()),
        }
    }

    fn document(catalog: &Catalog, extra: Option<&str>) -> Value {
        serde_json::from_str(&models_document(catalog, extra, &|_| false)).unwrap()
    }

    fn codex_entry<'d>(document: &'d Value, slug: &str) -> Option<&'d Value> {
        let entries = document["models"].as_array().unwrap();
        entries.iter().find(|entry| entry["slug"] == slug)
    }

    #[test]
    fn the_whole_document() {
        let mut document = document(&catalog(), Some("gpt-9"));
        for entry in document["models"].as_array_mut().unwrap() {
            let instructions = entry["base_instructions"].as_str().unwrap();
            let patches = instructions.contains("*** Begin Patch");
            entry["base_instructions"] =
                format!("{} bytes, patches: {patches}", instructions.len()).into();
        }
        insta::assert_snapshot!(serde_json::to_string_pretty(&document).unwrap());
    }

    #[test]
    fn every_entry_has_what_codex_requires() {
        let catalog = catalog();
        let document = document(&catalog, None);
        let entries = document["models"].as_array().unwrap();
        assert_eq!(entries.len(), catalog.listed_models().len());
        assert_eq!(entries.len(), document["data"].as_array().unwrap().len());
        for entry in entries {
            for field in REQUIRED {
                assert!(!entry[field].is_null(), "{} lacks {field}", entry["slug"]);
            }
            let default = &entry["default_reasoning_level"];
            let levels = entry["supported_reasoning_levels"].as_array().unwrap();
            assert!(
                default.is_null() && levels.is_empty()
                    || levels.iter().any(|level| level["effort"] == *default),
                "{}: {default}",
                entry["slug"]
            );
        }
    }

    #[test]
    fn a_file_has_an_entry_a_line_with_both_spellings() {
        let catalog = catalog();
        let file = models_file(&catalog, Some("gpt-9"), &|_| false);
        let lines: Vec<&str> = file.lines().collect();
        assert_eq!(lines.first(), Some(&"{\"models\":["));
        assert_eq!(lines.last(), Some(&"]}"));
        let whole: Value = serde_json::from_str(&file).unwrap();
        let entries = whole["models"].as_array().unwrap();
        assert_eq!(entries.len() + 2, lines.len());
        let served = document(&catalog, Some("gpt-9"));
        for (entry, served) in entries.iter().zip(served["models"].as_array().unwrap()) {
            for (name, value) in served.as_object().unwrap() {
                assert_eq!(&entry[name], value, "{name}");
            }
            assert_eq!(entry["model"], entry["slug"]);
            assert_eq!(entry["displayName"], entry["display_name"]);
            assert_eq!(entry["hidden"], entry["visibility"] == "hide");
            let efforts = entry["supportedReasoningEfforts"].as_array().unwrap();
            let levels = entry["supported_reasoning_levels"].as_array().unwrap();
            assert_eq!(efforts.len(), levels.len());
            for (effort, level) in efforts.iter().zip(levels) {
                assert_eq!(effort["reasoningEffort"], level["effort"]);
                assert_eq!(effort["description"], level["description"]);
            }
        }
        assert_eq!(entries[0]["slug"], "gpt-9");
        assert_eq!(entries[0]["isDefault"], true);
        assert_eq!(entries[1]["isDefault"], false);
    }

    #[test]
    fn the_extra_model_is_listed_once_and_first() {
        let catalog = catalog();
        let plain = document(&catalog, None);
        let count = plain["models"].as_array().unwrap().len();
        for (extra, more) in [("gpt-9", 1), ("gpt-5", 0), ("vllm/other", 1)] {
            let document = document(&catalog, Some(extra));
            assert_eq!(document["models"][0]["slug"], extra);
            assert_eq!(document["models"].as_array().unwrap().len(), count + more);
            assert_eq!(document["data"].as_array().unwrap().len(), count + more);
        }
        let nowhere = Catalog {
            default_provider: None,
            ..catalog
        };
        assert!(codex_entry(&document(&nowhere, Some("gpt-9")), "gpt-9").is_none());
    }

    #[test]
    fn a_route_promises_what_all_its_targets_can_do() {
        let document = document(&catalog(), None);
        let main = codex_entry(&document, "main").unwrap();
        assert_eq!(main["context_window"], 32_768);
        assert_eq!(main["input_modalities"], serde_json::json!(["text"]));
        assert!(main["apply_patch_tool_type"].is_null());
    }

    #[test]
    fn the_search_tool_is_there_where_somebody_searches() {
        let catalog = catalog();
        let text = models_document(&catalog, None, &|target| target.provider.id == "vllm");
        let document: Value = serde_json::from_str(&text).unwrap();
        let offered = |slug| {
            codex_entry(&document, slug)
                .unwrap()
                .get("web_search_provider")
                .is_none()
        };
        assert!(offered("vllm/tiny"));
        // One of the route's targets cannot.
        assert!(!offered("main"));
    }

    #[test]
    fn the_document_stays_below_what_codex_reads() {
        let model = |index| Arc::new(Model::named(format!("model-{index}")));
        let mut catalog = catalog();
        catalog.providers.push(Arc::new(Provider {
            id: "many".to_owned(),
            models: (0..1000).map(model).collect(),
            ..demo_provider()
        }));
        let text = models_document(&catalog, Some("many/another"), &|_| false);
        assert!(text.len() < 1024 * 1024, "{}", text.len());
        let document: Value = serde_json::from_str(&text).unwrap();
        assert!(codex_entry(&document, "many/another").is_some());
        assert!(codex_entry(&document, "gpt-5").is_some());
        assert!(document["data"].as_array().unwrap().len() > 1000);
    }
}
