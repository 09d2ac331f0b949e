//! `polywire run` for clients other than Codex: what they get to know, and that the real ones work with that alone.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use polywire_testkit::{
    ClaudeCode, CodexCli, Ended, House, OpenCode, Received, Running, ScriptedUpstream, Tree, answer,
};
use tokio::process::Command;

const ANSWER: &str = "An answer through the gateway.";

fn house() -> House {
    House::new(
        env!("CARGO_BIN_EXE_polywire"),
        env!("CARGO_TARGET_TMPDIR"),
        ScriptedUpstream::start(|_, _| answer(ANSWER)),
    )
}

fn run(house: &House, arguments: &[&str]) -> Command {
    let mut command = house.polywire();
    command.arg("run").args(arguments);
    command
}

async fn ended(command: Command) -> Ended {
    Running::start(command).ended().await
}

/// A program that tells its arguments and its environment, and ends with 7.
fn teller(house: &House, name: &str) -> PathBuf {
    let script = "#!/bin/sh\nfor word; do echo \"argument $word\"; done\nenv\nexit 7\n";
    let path = house.home.write(format!("bin/{name}"), script);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path
}

/// What a teller told of its environment.
fn environment(told: &Ended) -> BTreeMap<&str, &str> {
    assert_eq!(told.code(), Some(7), "{told:?}");
    let lines = told.stdout.iter();
    lines.filter_map(|line| line.split_once('=')).collect()
}

fn folder_of(program: &Path) -> &Path {
    program.parent().unwrap()
}

/// Turns that reached the provider: each for its model, with its key.
fn assert_turns(house: &House) -> Vec<Received> {
    let received = house.upstream.received();
    assert!(!received.is_empty());
    for request in &received {
        assert_eq!(request.json()["model"], "test-model", "{request:?}");
        let key = request.headers.get("authorization");
        assert_eq!(key, Some("Bearer sk-house"), "{request:?}");
    }
    received
}

#[tokio::test]
async fn any_command_gets_what_libraries_read() {
    let house = house();
    let program = teller(&house, "tool");
    let program = program.to_str().unwrap();
    let ways: [&[&str]; 3] = [
        &["-p", "house", "--", program, "one", "--two"],
        &[program, "-p", "house", "one", "--", "--two"],
        &["--no-input", program, "one", "--", "--two"],
    ];
    for way in ways {
        let told = ended(run(&house, way)).await;
        let environment = environment(&told);
        let words: Vec<&String> = told
            .stdout
            .iter()
            .filter(|line| line.starts_with("argument "))
            .collect();
        assert_eq!(words, ["argument one", "argument --two"], "{way:?}");
        let origin = environment["ANTHROPIC_BASE_URL"];
        assert!(origin.starts_with("http://127.0.0.1:"), "{origin}");
        let token = environment["OPENAI_API_KEY"];
        assert!(token.starts_with("pw-"), "{token}");
        let base_url = format!("{origin}/v1");
        for (name, value) in [
            ("OPENAI_BASE_URL", base_url.as_str()),
            ("OPENAI_API_BASE", &base_url),
            ("OPENAI_MODEL", "house/test-model"),
            ("ANTHROPIC_AUTH_TOKEN", token),
            ("ANTHROPIC_API_KEY", token),
            ("ANTHROPIC_MODEL", "house/test-model"),
        ] {
            assert_eq!(environment.get(name), Some(&value), "{name}");
        }
        // Without a proxy nothing is to be said of one.
        assert!(!environment.contains_key("NO_PROXY"), "{environment:?}");
        assert!(!told.stdout.iter().any(|line| line.contains("sk-house")));
    }
}

#[tokio::test]
async fn arguments_go_to_the_client_byte_for_byte() {
    let house = house();
    let script = "#!/bin/sh\nprintf %s \"$1\" | od -An -tx1\n";
    let path = house.home.write("bin/tool", script);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut command = run(&house, &["-p", "house", "--", path.to_str().unwrap()]);
    command.arg(OsStr::from_bytes(b"a\xff{model} $x"));
    let told = ended(command).await;
    assert_eq!(
        told.stdout,
        [" 61 ff 7b 6d 6f 64 65 6c 7d 20 24 78"],
        "{told:?}"
    );
}

#[tokio::test]
async fn a_command_is_found_on_the_search_path_and_told_when_it_is_not() {
    let house = house();
    let folder = folder_of(&teller(&house, "tool")).to_owned();
    let mut command = run(&house, &["tool", "-p", "house"]);
    command.env("PATH", format!("{}:/usr/bin:/bin", folder.display()));
    environment(&ended(command).await);
    let missing = ended(run(&house, &["toool", "-p", "house"])).await;
    assert_eq!(missing.code(), Some(1), "{missing:?}");
    let said = missing.stderr.join("\n");
    for part in ["`toool`", "hint:", "codex-desktop, claude"] {
        assert!(said.contains(part), "{said}");
    }
    let missing = ended(run(&house, &["aider", "-p", "house"])).await;
    let said = missing.stderr.join("\n");
    assert!(said.contains("hint: install it with"), "{said}");
}

#[tokio::test]
async fn secrets_are_in_no_argument() {
    let house = house();
    for client in ["codex", "claude", "opencode", "aider"] {
        let program = teller(&house, client);
        let arguments = [
            client,
            "-p",
            "house",
            "--program",
            program.to_str().unwrap(),
        ];
        let told = ended(run(&house, &arguments)).await;
        let environment = environment(&told);
        let token = [
            "POLYWIRE_CODEX_TOKEN",
            "ANTHROPIC_AUTH_TOKEN",
            "OPENAI_API_KEY",
        ]
        .iter()
        .find_map(|name| environment.get(name).copied())
        .or_else(|| {
            environment
                .get("OPENCODE_CONFIG_CONTENT")?
                .split('"')
                .find(|part| part.starts_with("pw-"))
        })
        .unwrap_or_else(|| panic!("{client}: {environment:?}"));
        let mut words = told
            .stdout
            .iter()
            .filter(|line| line.starts_with("argument "));
        assert!(!words.any(|line| line.contains(token)), "{told:?}");
    }
}

#[tokio::test]
async fn the_gateway_is_reached_without_the_proxy_of_the_environment() {
    let house = house();
    let program = teller(&house, "tool");
    let mut command = run(&house, &["-p", "house", "--", program.to_str().unwrap()]);
    command
        .env("HTTPS_PROXY", "http://127.0.0.1:9")
        .env("NO_PROXY", "intranet.example");
    let told = ended(command).await;
    let environment = environment(&told);
    for name in ["NO_PROXY", "no_proxy"] {
        assert_eq!(environment[name], "intranet.example,127.0.0.1");
    }
}

#[tokio::test]
async fn keys_for_others_stay_with_the_user() {
    let house = house();
    let program = teller(&house, "claude");
    let mut command = run(
        &house,
        &[
            "claude",
            "-p",
            "house",
            "--program",
            program.to_str().unwrap(),
        ],
    );
    command
        .env("ANTHROPIC_API_KEY", "sk-of-the-user")
        .env("CLAUDE_CODE_USE_BEDROCK", "1");
    let told = ended(command).await;
    let environment = environment(&told);
    assert!(!environment.contains_key("ANTHROPIC_API_KEY"));
    assert!(!environment.contains_key("CLAUDE_CODE_USE_BEDROCK"));
    assert_eq!(environment["ANTHROPIC_MODEL"], "house/test-model");
}

#[tokio::test]
async fn claude_code_works_and_its_settings_stay() {
    let Some(claude) = ClaudeCode::find() else {
        return;
    };
    let house = house();
    house.home.write(
        "home/.claude/settings.json",
        // As somebody has it who has set up another provider there.
        r#"{"env": {"ANTHROPIC_BASE_URL": "http://127.0.0.1:9", "ANTHROPIC_AUTH_TOKEN": "sk-another", "ANTHROPIC_MODEL": "another"}}"#,
    );
    house.home.write("home/.claude/CLAUDE.md", "Be kind.\n");
    let settings = || {
        let folder = house.home.work().with_file_name("home").join(".claude");
        Tree::read(&folder, |path| {
            path == Path::new("settings.json") || path == Path::new("CLAUDE.md")
        })
    };
    let before = settings();
    let program = claude.program().to_str().unwrap();
    let mut command = run(
        &house,
        &[
            "claude",
            "-p",
            "house",
            "-m",
            "test-model",
            "--program",
            program,
            "--",
        ],
    );
    command
        .args(["-p", "hello", "--output-format", "json"])
        .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
        .env("ANTHROPIC_API_KEY", "sk-of-the-user");
    let ended = ended(command).await;
    assert_eq!(ended.code(), Some(0), "{ended:#?}");
    let result = ClaudeCode::result(&ended);
    assert_eq!(result["result"], ANSWER, "{result:#}");
    assert_turns(&house);
    before.assert_same(&settings());
    let runs = house.home.state().join("polywire/runs");
    assert_eq!(std::fs::read_dir(runs).unwrap().count(), 0);
}

#[tokio::test]
async fn a_file_for_the_client_is_private_and_gone_with_it() {
    let house = house();
    let script = "#!/bin/sh\nls -l \"$2\"; cat \"$2\"; echo; echo \"$ANTHROPIC_AUTH_TOKEN\"\n";
    let path = house.home.write("bin/claude", script);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    let arguments = ["claude", "-p", "house", "--program", path.to_str().unwrap()];
    let told = ended(run(&house, &arguments)).await;
    assert_eq!(told.code(), Some(0), "{told:?}");
    let [listed, document, token] = told.stdout.as_slice() else {
        panic!("{told:?}");
    };
    assert!(listed.starts_with("-rw------- "), "{listed}");
    let document: serde_json::Value = serde_json::from_str(document).unwrap();
    assert_eq!(document["env"]["ANTHROPIC_AUTH_TOKEN"], token.as_str());
    let runs = house.home.state().join("polywire/runs");
    assert_eq!(std::fs::read_dir(runs).unwrap().count(), 0);
}

#[tokio::test]
async fn opencode_works_and_its_settings_stay() {
    let Some(opencode) = OpenCode::find() else {
        return;
    };
    let house = house();
    let path = house.home.write(
        "config/opencode/opencode.json",
        // Without the first line opencode adds it by itself, whoever launched it.
        "{\n  \"$schema\": \"https://opencode.ai/config.json\",\n  // The user's own.\n  \"model\": \"openai/gpt-5\",\n  \"share\": \"disabled\", \"autoupdate\": false\n}\n",
    );
    let before = std::fs::read(&path).unwrap();
    let program = opencode.program().to_str().unwrap();
    let mut command = run(
        &house,
        &[
            "opencode",
            "-p",
            "house",
            "-m",
            "test-model",
            "--program",
            program,
            "--",
        ],
    );
    command
        .args(["run", "--format", "json", "hello"])
        .env("OPENCODE_DISABLE_MODELS_FETCH", "1")
        .env("OPENCODE_DISABLE_LSP_DOWNLOAD", "1")
        .env("OPENCODE_DISABLE_DEFAULT_PLUGINS", "1")
        .env("OPENCODE_DISABLE_AUTOUPDATE", "1");
    let ended = ended(command).await;
    assert_eq!(ended.code(), Some(0), "{ended:#?}");
    let texts = OpenCode::texts(&ended);
    assert_eq!(texts.last().map(String::as_str), Some(ANSWER), "{ended:#?}");
    assert_turns(&house);
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

/// The overrides stand before everything else, where every command of Codex takes them.
#[tokio::test]
async fn codex_takes_its_overrides_before_any_command() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    let house = house();
    house.home.write(
        "codex/config.toml",
        "[analytics]\nenabled = false\n\n[mcp_servers.mine]\ncommand = \"true\"\n",
    );
    for (arguments, told) in [
        (["--version"].as_slice(), "codex-cli"),
        (&["mcp", "list"], "mine"),
        (&["debug", "models"], "\"slug\":\"house/test-model\""),
        (&["features", "list"], "stable"),
        (&["exec", "--help"], "codex exec"),
        (&["resume", "--help"], "codex resume"),
        (&["fork", "--help"], "codex fork"),
        (&["review", "--help"], "codex review"),
    ] {
        let ended = ended(house.codex(&codex, arguments)).await;
        assert_eq!(ended.code(), Some(0), "{arguments:?}: {ended:#?}");
        let said = ended.stdout.join("\n");
        assert!(said.contains(told), "{arguments:?}: {said}");
    }
}

/// Asks one question by way of each of some libraries, which are told nothing but by their environment.
const NODE: &str = r"
import OpenAI from 'openai';
import Anthropic from '@anthropic-ai/sdk';
import {generateText} from 'ai';
import {openai} from '@ai-sdk/openai';
import {anthropic} from '@ai-sdk/anthropic';
const {OPENAI_MODEL, ANTHROPIC_MODEL} = process.env;
globalThis.AI_SDK_LOG_WARNINGS = false;
const messages = [{role: 'user', content: 'hello'}];
const chat = await new OpenAI().chat.completions.create({model: OPENAI_MODEL, messages});
console.log('openai', chat.choices[0].message.content);
const message = await new Anthropic().messages.create({model: ANTHROPIC_MODEL, max_tokens: 100, messages});
console.log('anthropic', message.content[0].text);
console.log('ai openai', (await generateText({model: openai(OPENAI_MODEL), prompt: 'hello'})).text);
console.log('ai anthropic', (await generateText({model: anthropic(ANTHROPIC_MODEL), prompt: 'hello'})).text);
";

/// The same for Python.
const PYTHON: &str = r"
import os, agents, anthropic, openai
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI
model, other = os.environ['OPENAI_MODEL'], os.environ['ANTHROPIC_MODEL']
print('openai', openai.OpenAI().responses.create(model=model, input='hello').output_text)
messages = [{'role': 'user', 'content': 'hello'}]
print('anthropic', anthropic.Anthropic().messages.create(model=other, max_tokens=100, messages=messages).content[0].text)
print('langchain openai', ChatOpenAI(model=model).invoke('hello').text)
print('langchain anthropic', ChatAnthropic(model=other).invoke('hello').text)
agents.set_tracing_disabled(True)
agent = agents.Agent(name='a', model=agents.OpenAIResponsesModel(model, openai.AsyncOpenAI()))
print('agents', agents.Runner.run_sync(agent, 'hello').final_output)
";

#[tokio::test]
async fn libraries_find_the_gateway_by_their_environment() {
    let Some(claude) = ClaudeCode::find() else {
        return;
    };
    // Installed together with the others: tools/node/node_modules/.bin/claude.
    let node = claude.program().ancestors().nth(3).unwrap();
    let python = node.with_file_name("python").join("bin/python");
    let node_words = ["node", "--input-type=module", "-e", NODE];
    let python_words = [python.to_str().unwrap(), "-B", "-s", "-c", PYTHON];
    let node_names = ["openai", "anthropic", "ai openai", "ai anthropic"];
    let python_names = [
        "openai",
        "anthropic",
        "langchain openai",
        "langchain anthropic",
        "agents",
    ];
    for (words, names) in [
        (node_words.as_slice(), node_names.as_slice()),
        (&python_words, &python_names),
    ] {
        let house = house();
        let mut command = run(&house, &["-p", "house", "--"]);
        command.args(words).current_dir(node);
        let ended = ended(command).await;
        assert_eq!(ended.code(), Some(0), "{ended:#?}");
        let expected: Vec<String> = names
            .iter()
            .map(|name| format!("{name} {ANSWER}"))
            .collect();
        assert_eq!(ended.stdout, expected, "{ended:#?}");
        assert_eq!(assert_turns(&house).len(), names.len());
    }
}
