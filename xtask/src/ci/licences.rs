//! Licences and sources of everything in the lock file.
//!
//! `cargo deny` says the same from `deny.toml` and more; this small form is always there.

use crate::project::Project;

/// What suffices for the dependencies we have; nothing copyleft is needed. Keep in step with `deny.toml`.
const ACCEPTED: &[&str] = &[
    "AFL-2.1",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-3-Clause",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Zlib",
    "blessing",
];

/// Crates that bring foreign code to be linked (`links`), with the licence of that code. Their own declaration need not cover it.
const FOREIGN: &[(&str, &str)] = &[
    (
        "aws-lc-rs",
        "ISC AND (Apache-2.0 OR ISC) AND Apache-2.0 AND MIT AND BSD-3-Clause",
    ),
    (
        "aws-lc-sys",
        "ISC AND (Apache-2.0 OR ISC) AND Apache-2.0 AND MIT AND BSD-3-Clause",
    ),
    ("libdbus-sys", "AFL-2.1 OR GPL-2.0-or-later"),
    // SQLite is in the public domain; this is SPDX's word for how it says so.
    ("libsqlite3-sys", "blessing"),
    ("ring", "Apache-2.0 AND ISC"),
    ("wasm-bindgen-shared", "MIT OR Apache-2.0"),
];

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// One line for each package with a licence or a source we do not accept.
pub(super) fn violations(project: &Project) -> Vec<String> {
    let mut found = Vec::new();
    for package in &project.packages {
        let title = format!("{} {}", package.name, package.version);
        match &package.license {
            None => found.push(format!("{title}: no licence is declared")),
            Some(expression) if !is_accepted(expression) => {
                found.push(format!("{title}: licence `{expression}`"));
            }
            Some(_) => {}
        }
        if let Some(linked) = &package.links {
            let foreign = FOREIGN.iter().find(|(name, _)| *name == package.name);
            match foreign {
                None => found.push(format!(
                    "{title}: links `{linked}`, and nobody has looked at the licence of that yet"
                )),
                Some((_, expression)) if !is_accepted(expression) => {
                    found.push(format!("{title}: links code with licence `{expression}`"));
                }
                Some(_) => {}
            }
        }
        if let Some(source) = package.source.as_ref().filter(|from| *from != CRATES_IO) {
            found.push(format!("{title}: comes from `{source}`"));
        }
    }
    found
}

/// Whether the licences we accept satisfy an SPDX expression. One that cannot be read is not accepted.
fn is_accepted(expression: &str) -> bool {
    // Before SPDX, crates wrote `MIT/Apache-2.0`.
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    alternatives(&mut rest) == Some(true) && rest.is_empty()
}

/// `a OR b OR …`; AND binds more tightly.
fn alternatives(rest: &mut &[&str]) -> Option<bool> {
    let mut accepted = conjunction(rest)?;
    while take(rest, "OR") {
        accepted |= conjunction(rest)?;
    }
    Some(accepted)
}

fn conjunction(rest: &mut &[&str]) -> Option<bool> {
    let mut accepted = single(rest)?;
    while take(rest, "AND") {
        accepted &= single(rest)?;
    }
    Some(accepted)
}

fn single(rest: &mut &[&str]) -> Option<bool> {
    if take(rest, "(") {
        let accepted = alternatives(rest)?;
        return take(rest, ")").then_some(accepted);
    }
    let (name, tail) = rest.split_first()?;
    *rest = tail;
    if !take(rest, "WITH") {
        return Some(ACCEPTED.contains(name));
    }
    let (exception, tail) = rest.split_first()?;
    *rest = tail;
    Some(ACCEPTED.contains(&format!("{name} WITH {exception}").as_str()))
}

fn take(rest: &mut &[&str], word: &str) -> bool {
    match rest.split_first() {
        Some((first, tail)) if *first == word => {
            *rest = tail;
            true
        }
        Some(_) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::tests::{package, project};

    #[test]
    fn expressions() {
        let check = |expression: &str, expected| {
            assert_eq!(is_accepted(expression), expected, "{expression}");
        };
        check("MIT", true);
        check("GPL-3.0-only", false);
        check("MIT OR GPL-3.0-only", true);
        check("MIT AND GPL-3.0-only", false);
        check("GPL-3.0-only OR MIT AND ISC", true);
        check("(GPL-3.0-only OR MIT) AND ISC", true);
        check("(MIT OR Apache-2.0) AND GPL-3.0-only", false);
        check("MIT/Apache-2.0", true);
        check("Apache-2.0 WITH LLVM-exception OR GPL-2.0", true);
        check("MIT WITH Something-exception", false);
        check("", false);
        check("MIT OR", false);
        check("(MIT", false);
        check("MIT ISC", false);
    }

    #[test]
    fn packages() {
        let mut project = project("polywire-a:");
        for (license, source) in [
            (Some("MIT"), Some(CRATES_IO)),
            (None, None),
            (Some("MIT"), Some("git+https://example.com/a")),
        ] {
            let mut added = package("added");
            added.license = license.map(str::to_owned);
            added.source = source.map(str::to_owned);
            project.packages.push(added);
        }
        project.packages[0].license = Some("GPL-2.0".to_owned());
        for name in ["ring", "unknown-sys"] {
            let mut linking = package(name);
            linking.license = Some("MIT".to_owned());
            linking.source = Some(CRATES_IO.to_owned());
            linking.links = Some("code".to_owned());
            project.packages.push(linking);
        }
        assert_eq!(
            violations(&project),
            [
                "polywire-a 1.0.0: licence `GPL-2.0`",
                "added 1.0.0: no licence is declared",
                "added 1.0.0: comes from `git+https://example.com/a`",
                "unknown-sys 1.0.0: links `code`, and nobody has looked at the licence of that yet",
            ]
        );
    }
}
