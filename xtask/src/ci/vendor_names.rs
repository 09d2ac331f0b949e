//! No code asks which vendor it talks to: what is special about one is a line of its preset.
//!
//! The names of vendors and of their models are looked for in identifiers and in texts of all crates, outside comments, tests
//! and presets. The few places that may have one stand in a list, each with its reason; an entry that nothing needs any more
//! is a violation, too.

mod source;

use crate::project::Project;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

use source::{Token, tokens};

/// Vendors and models that no preset is named after.
const FURTHER_NAMES: &[&str] = &[
    "alibaba",
    "bigmodel",
    "chatglm",
    "claude",
    "dashscope",
    "glm",
    "google",
    "gpt",
    "grok",
    "kimi",
    "llama cpp",
    "lm studio",
    "nim",
    "perplexity",
    "z ai",
];

/// Presets whose name is an ordinary word, or more than a vendor's name. What is looked for instead, if anything.
const ORDINARY_WORDS: &[(&str, Option<&str>)] = &[
    // A kind of provider, which is a protocol that settings choose; and "custom" is nobody.
    ("command code", None),
    ("chatgpt", None),
    ("codex app server", None),
    ("codex exec", None),
    ("custom", None),
    ("together", Some("together ai")),
    ("kilo", Some("kilo ai")),
];

/// What a preset's name has behind the vendor's: the form of the protocol.
const FORMS: &[&str] = &["chat", "messages", "responses", "private"];

/// Crates for tests only.
const TEST_CRATES: &[&str] = &["stream-suite", "testkit"];

/// A place that may have a name.
struct Allowed {
    /// A file, or a folder with a slash at the end.
    place: &'static str,
    name: &'static str,
    reason: &'static str,
}

const fn allowed(place: &'static str, name: &'static str, reason: &'static str) -> Allowed {
    Allowed {
        place,
        name,
        reason,
    }
}

const ALLOWED: &[Allowed] = &[
    allowed(
        "crates/catalog/src/preset.rs",
        "*",
        "the list of the preset files",
    ),
    allowed(
        "crates/catalog/src/models_document.rs",
        "openai",
        "the shape of a list of models",
    ),
    allowed(
        "crates/catalog/src/base_url.rs",
        "gpt",
        "a kind of provider, which settings choose",
    ),
    allowed(
        "crates/catalog/src/provider.rs",
        "gpt",
        "a kind of provider, which settings choose",
    ),
    allowed(
        "crates/settings/src/providers.rs",
        "gpt",
        "a kind of provider, which settings choose",
    ),
    allowed(
        "crates/gateway/src/provider.rs",
        "gpt",
        "a kind of provider, which settings choose",
    ),
    allowed(
        "crates/settings/src/engines.rs",
        "gpt",
        "a kind of provider, which settings choose",
    ),
    allowed(
        "crates/probe/src/",
        "gpt",
        "a kind of provider, which settings choose",
    ),
    allowed(
        "crates/bundle/src/launcher.rs",
        "openai",
        "a word of the launcher's file",
    ),
    allowed(
        "crates/bundle/src/launcher.rs",
        "anthropic",
        "a word of the launcher's file",
    ),
    allowed(
        "crates/engine/src/process.rs",
        "openai",
        "the package that the Codex CLI comes in",
    ),
    allowed(
        "crates/gateway/src/readiness.rs",
        "openai",
        "the package that the Codex CLI comes in",
    ),
    allowed(
        "crates/gateway/src/credential.rs",
        "openai",
        "a header that goes with a login",
    ),
    allowed(
        "crates/cli/src/codex.rs",
        "openai",
        "the package that the Codex CLI comes in",
    ),
    allowed("crates/cli/src/demo.rs", "glm", "an example for people"),
    allowed("crates/cli/src/demo.rs", "zai", "an example for people"),
    allowed(
        "crates/demo-model/src/script.rs",
        "glm",
        "an example for people",
    ),
    allowed(
        "crates/demo-model/src/script.rs",
        "zai",
        "an example for people",
    ),
    allowed(
        "crates/dialect-chat/src/failure.rs",
        "openai",
        "the shape of an error",
    ),
    allowed(
        "crates/dialect-responses/src/failure.rs",
        "openai",
        "the shape of an error",
    ),
    allowed("crates/wire/src/lib.rs", "openai", "the shape of an error"),
    allowed(
        "crates/dialect-chat/src/profile.rs",
        "kimi",
        "markup that a profile switches on",
    ),
    allowed(
        "crates/dialect-chat/src/read/",
        "kimi",
        "markup that a profile switches on",
    ),
    allowed(
        "crates/dialect-chat/src/read/",
        "minimax",
        "markup that a profile switches on",
    ),
    allowed(
        "crates/dialect-chat/src/read/",
        "google",
        "a field of the wire, read from whoever sends it",
    ),
    allowed(
        "crates/dialect-chat/src/read/",
        "groq",
        "a field of the wire, read from whoever sends it",
    ),
    allowed(
        "crates/dialect-chat/src/render/",
        "google",
        "a field of the wire, in which a signature goes back",
    ),
    allowed(
        "crates/dialect-messages/src/",
        "anthropic",
        "a field of the protocol, and the schemas that it takes",
    ),
    allowed(
        "crates/gateway/src/provider.rs",
        "anthropic",
        "a header of the protocol",
    ),
    allowed("crates/server/src/", "anthropic", "headers of the protocol"),
    allowed(
        "crates/login/src/",
        "gpt",
        "the file of Codex's login, and who renews it",
    ),
    allowed(
        "crates/login/src/",
        "openai",
        "the file of Codex's login, and who renews it",
    ),
    allowed(
        "crates/schema/src/",
        "*",
        "targets are named after who reads schemas so; a profile chooses",
    ),
];

/// One line for each name that stands where none belongs.
pub(super) fn violations(project: &Project) -> Result<Vec<String>> {
    let crates = project.workspace_root.join("crates");
    let names = names(&crates.join("catalog/presets"))?;
    let mut files = Vec::new();
    for folder in entries(&crates)? {
        let name = folder.file_name().map(|name| name.to_string_lossy());
        if name.is_some_and(|name| !TEST_CRATES.contains(&name.as_ref())) {
            rust_files(&folder.join("src"), &mut files)?;
        }
    }
    let mut found = Vec::new();
    let mut used = vec![false; ALLOWED.len()];
    for file in files {
        let place = file
            .strip_prefix(&project.workspace_root)
            .unwrap_or(&file)
            .to_string_lossy()
            .into_owned();
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read `{place}`"))?;
        for hit in search(&text, &names) {
            match allowing(&place, &hit.name) {
                Some(index) => used[index] = true,
                None => found.push(format!("{place}:{}: `{}`", hit.line, hit.name)),
            }
        }
    }
    let unused = ALLOWED.iter().zip(used).filter(|(_, used)| !used);
    found.extend(unused.map(|(entry, _)| {
        format!(
            "`{}` is allowed in {} ({}), and is not there",
            entry.name, entry.place, entry.reason
        )
    }));
    Ok(found)
}

/// The entry of the list that allows a name in a file.
fn allowing(place: &str, name: &str) -> Option<usize> {
    ALLOWED.iter().position(|entry| {
        let in_place = match entry.place.strip_suffix('/') {
            Some(_) => place.starts_with(entry.place),
            None => place == entry.place,
        };
        in_place && (entry.name == "*" || entry.name == name)
    })
}

/// What is looked for: the names of the presets without their forms, and some more; each as words with one space between.
fn names(presets: &Path) -> Result<Vec<String>> {
    let files = entries(presets)?;
    let ids = files
        .iter()
        .filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned()));
    let mut names: Vec<String> = ids
        .filter_map(|id| vendor_of(&id))
        .chain(FURTHER_NAMES.iter().copied().map(str::to_owned))
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

fn vendor_of(id: &str) -> Option<String> {
    let words: Vec<&str> = id.split('-').filter(|word| !FORMS.contains(word)).collect();
    let name = words.join(" ");
    match ORDINARY_WORDS.iter().find(|(word, _)| *word == name) {
        Some((_, instead)) => instead.map(str::to_owned),
        None => Some(name),
    }
}

/// A name in a file.
#[derive(Debug, PartialEq)]
struct Hit {
    line: usize,
    name: String,
}

fn search(text: &str, names: &[String]) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (line, token) in tokens(text) {
        let (Token::Name(content) | Token::Text(content)) = token else {
            continue;
        };
        let words = format!(" {} ", words(&content).join(" "));
        let found = names
            .iter()
            .filter(|name| words.contains(&format!(" {name} ")));
        hits.extend(found.map(|name| Hit {
            line,
            name: name.clone(),
        }));
    }
    hits
}

/// The words of an identifier or a text, in small letters: `OpenaiStrict`, `OPENAI_STRICT` and `"openai-strict"` are the same two.
fn words(content: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for letter in content.chars() {
        let begins = letter.is_uppercase() && before.is_lowercase();
        if begins || !letter.is_alphanumeric() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| letter.is_alphanumeric()) {
            word.extend(letter.to_lowercase());
        }
        before = letter;
    }
    words.retain(|word| !word.is_empty());
    words
}

fn rust_files(folder: &Path, files: &mut Vec<std::path::PathBuf>) -> Result<()> {
    for entry in entries(folder)? {
        let name = entry.file_stem().map(|name| name.to_string_lossy());
        if name.is_some_and(|name| name == "tests") {
            continue;
        }
        if entry.is_dir() {
            rust_files(&entry, files)?;
        } else if entry.extension().is_some_and(|end| end == "rs") {
            files.push(entry);
        }
    }
    Ok(())
}

/// What is in a folder, in order.
fn entries(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let place = folder.display();
    let read = fs::read_dir(folder).with_context(|| format!("cannot list `{place}`"))?;
    let mut paths = read
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(usize, &str)]) {
        let names: Vec<String> = ["acme", "big corp"].map(str::to_owned).to_vec();
        let expected: Vec<Hit> = expected
            .iter()
            .map(|&(line, name)| Hit {
                line,
                name: name.to_owned(),
            })
            .collect();
        assert_eq!(search(text, &names), expected, "{text}");
    }

    #[test]
    fn names_are_found_as_whole_words() {
        check("if name == \"acme\" {}", &[(1, "acme")]);
        check("fn is_acme() {}\nenum Acme {}", &[(1, "acme"), (2, "acme")]);
        check("const ACME_URL: u8 = 1;", &[(1, "acme")]);
        check("\"https://api.big-corp.com\"", &[(1, "big corp")]);
        check("BigCorp", &[(1, "big corp")]);
        check("acmes, \"tacmeter\", \"big\", \"corp\"", &[]);
    }

    #[test]
    fn comments_and_tests_may_have_them() {
        check("// acme\n/* acme */ /// acme\nlet a = 1;", &[]);
        check(
            "#[cfg(test)]\nmod tests {\n fn acme() {}\n}\nfn f() { g(\"acme\") }",
            &[(5, "acme")],
        );
    }

    #[test]
    fn presets_are_named_after_vendors() {
        assert_eq!(vendor_of("acme-chat").as_deref(), Some("acme"));
        assert_eq!(vendor_of("big-corp-messages").as_deref(), Some("big corp"));
        assert_eq!(vendor_of("together").as_deref(), Some("together ai"));
        assert_eq!(vendor_of("custom-responses"), None);
    }
}
