//! The fixtures that lie beside the repository on some machines.

use std::path::{Path, PathBuf};

use polywire_catalog::Kind;
use serde_json::{Value, json};

use super::Fixture;
use crate::support::clients::{list, string};

/// A folder of shared fixtures, where there is one.
fn folder(name: &str) -> Option<PathBuf> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/fixtures")
        .join(name);
    if place.is_dir() {
        return Some(place);
    }
    println!("skipped: no fixtures beside the repository (../shared/fixtures/{name})");
    None
}

/// All of them that a kind of provider can answer with.
pub(crate) fn fixtures() -> Vec<Fixture> {
    let mut all = Vec::new();
    if let Some(place) = folder("providers") {
        let of_providers = providers(&place);
        assert!(of_providers.len() >= 175, "{}", of_providers.len());
        all.extend(of_providers);
    }
    if let Some(place) = folder("command-code") {
        all.extend(command_code(&place));
    }
    all
}

fn providers(place: &Path) -> Vec<Fixture> {
    let index: Value = read_json(&place.join("index.json"));
    list(&index["fixtures"])
        .filter_map(|entry| {
            let kind = match entry["dialect"].as_str().unwrap() {
                "chat" => Kind::Chat,
                "messages" => Kind::Messages,
                "responses" => Kind::Responses,
                // Lists of models, and protocols that no provider is asked in: Gemini's own and that of Ollama.
                "models" | "gemini" | "ollama" => return None,
                other => panic!("dialect `{other}`"),
            };
            let headers = entry["headers"].as_object().into_iter().flatten();
            Some(Fixture {
                name: string(&entry["file"]),
                kind,
                status: u16::try_from(entry["status"].as_u64().unwrap_or(200)).unwrap(),
                headers: headers
                    .filter(|(name, _)| !name.starts_with("retry-after"))
                    .map(|(name, value)| (name.clone(), string(value)))
                    .collect(),
                bytes: std::fs::read(place.join(entry["file"].as_str().unwrap())).unwrap(),
                expected: read_json(&place.join(entry["expected"].as_str()?)),
            })
        })
        .collect()
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Those of the private API, whose expected results stand in a table for people.
fn command_code(place: &Path) -> Vec<Fixture> {
    let stream = |name: &str, expected: Value| Fixture {
        name: format!("command-code/{name}"),
        kind: Kind::CommandCode,
        status: 200,
        headers: Vec::new(),
        bytes: std::fs::read(place.join("streams").join(name)).unwrap(),
        expected,
    };
    let error = |name: &str, class: &str| {
        let bytes = std::fs::read(place.join("errors").join(name)).unwrap();
        Fixture {
            name: format!("command-code/{name}"),
            kind: Kind::CommandCode,
            status: name[..3].parse().unwrap(),
            headers: Vec::new(),
            bytes,
            expected: json!({"error": {"class": class}}),
        }
    };
    let mut fixtures: Vec<Fixture> = STREAMS
        .iter()
        .map(|row| stream(row.name, row.expected()))
        .collect();
    fixtures.extend(ERRORS.map(|(name, class)| error(name, class)));
    fixtures
}

/// A row of the table in the fixtures' `README.md`.
struct Row {
    name: &'static str,
    text: &'static str,
    reasoning: &'static str,
    /// Id, name and arguments.
    calls: &'static [(&'static str, &'static str, &'static str)],
    /// The reason to end, or the class of the failure.
    end: Result<&'static str, &'static str>,
    /// Input, cached, output and reasoning, where the table has numbers.
    usage: Option<[u64; 4]>,
}

const ROW: Row = Row {
    name: "",
    text: "",
    reasoning: "",
    calls: &[],
    end: Ok("stop"),
    usage: None,
};

const STREAMS: [Row; 18] = [
    Row {
        name: "text.ndjson",
        text: "Hello, wörld 👋\nSecond line.",
        usage: Some([120, 0, 9, 0]),
        ..ROW
    },
    Row {
        name: "reasoning-then-text.ndjson",
        text: "Good morning.",
        reasoning: "The user wants a greeting.",
        usage: Some([640, 512, 41, 33]),
        ..ROW
    },
    Row {
        name: "tool-call-streamed-args.ndjson",
        text: "Let me look.",
        calls: &[("call_b2", "shell", r#"{"command":"ls -la"}"#)],
        end: Ok("tool_calls"),
        ..ROW
    },
    Row {
        name: "tool-calls-parallel.ndjson",
        calls: &[
            ("call_p1", "shell", r#"{"command":"pwd"}"#),
            ("call_p2", "read_file", r#"{"path":"Cargo.toml"}"#),
        ],
        end: Ok("tool_calls"),
        ..ROW
    },
    Row {
        name: "tool-call-variants.ndjson",
        calls: &[
            ("call_v1", "shell", r#"{"command":"id"}"#),
            ("call_v2", "shell", r#"{"command":"date"}"#),
            ("call_v3", "read_file", r#"{"path":"a.txt"}"#),
            ("call_v4", "read_file", "{}"),
        ],
        end: Ok("tool_calls"),
        ..ROW
    },
    Row {
        name: "server-side-tool.ndjson",
        text: "Found one result.",
        ..ROW
    },
    Row {
        name: "length.ndjson",
        text: "half of a summ",
        end: Ok("length"),
        ..ROW
    },
    Row {
        name: "pause-turn.ndjson",
        text: "Still searching",
        end: Ok("pause"),
        ..ROW
    },
    Row {
        name: "error-before-output.ndjson",
        end: Err("quota"),
        ..ROW
    },
    Row {
        name: "error-mid-text-string.ndjson",
        text: "Working on ",
        end: Err("server"),
        ..ROW
    },
    Row {
        name: "error-missing-tool-result.ndjson",
        end: Err("invalid_request"),
        ..ROW
    },
    Row {
        name: "finish-reason-error.ndjson",
        text: "partial",
        end: Err("server"),
        ..ROW
    },
    Row {
        name: "truncated-no-finish.ndjson",
        text: "cut off here",
        end: Err("network_cut"),
        ..ROW
    },
    Row {
        name: "abort.ndjson",
        text: "before",
        end: Ok("length"),
        ..ROW
    },
    Row {
        name: "finish-step-only.ndjson",
        text: "hi",
        end: Err("network_cut"),
        ..ROW
    },
    Row {
        name: "noise.ndjson",
        text: "still fine",
        ..ROW
    },
    Row {
        name: "crlf-no-final-newline.ndjson",
        text: "ab",
        usage: Some([3, 0, 2, 0]),
        ..ROW
    },
    Row {
        name: "sse-framed-older-names.txt",
        text: "Hello there",
        calls: &[("call_s1", "read", r#"{"path":"/etc/hostname"}"#)],
        end: Ok("tool_calls"),
        usage: Some([30, 0, 7, 0]),
        ..ROW
    },
];

const ERRORS: [(&str, &str); 9] = [
    ("400-insufficient-credits.json", "quota"),
    ("400-proxy-detected.json", "auth"),
    ("400-reasoning-effort.json", "invalid_request"),
    ("401-unauthorized.json", "auth"),
    ("403-model-not-in-plan.json", "auth"),
    ("403-model-not-recognized.json", "not_found"),
    ("403-upgrade-required.json", "auth"),
    ("403-usage-exceeded.json", "quota"),
    ("422-zdr-no-providers.json", "not_found"),
];

impl Row {
    fn expected(&self) -> Value {
        let calls: Vec<Value> = self
            .calls
            .iter()
            .map(|(id, name, arguments)| {
                let parsed: Value = serde_json::from_str(arguments).unwrap();
                json!({"id": id, "name": name, "arguments": parsed, "arguments_raw": arguments})
            })
            .collect();
        let usage = self.usage.map(|[input, cached, output, reasoning]| {
            json!({"input": input, "cached": cached, "output": output, "reasoning": reasoning})
        });
        json!({
            "text": self.text, "reasoning": self.reasoning, "tool_calls": calls,
            "finish_reason": self.end.unwrap_or("error"),
            "usage": usage.unwrap_or_else(|| json!("untold")),
            "error": self.end.err().map(|class| json!({"class": class})),
        })
    }
}
