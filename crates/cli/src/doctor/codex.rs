//! Which Codex CLI is installed.

use std::path::Path;

use tokio::process::Command;

use super::check::Subject;
use super::finding::Finding;
use super::settings::split_hint;
use super::trial::{TemporaryHome, output};
use crate::codex::INSTALL;
use crate::printable::shortened;

/// The version that polywire is tested with.
pub(crate) const TESTED: &str = "0.169.0";

pub(crate) async fn check(subject: &Subject) -> Vec<Finding> {
    let program = match &subject.codex {
        Ok(program) => program,
        Err(error) => {
            let (what, hint) = split_hint(error);
            let hint = hint.map_or_else(|| format!("install it with `{INSTALL}`"), str::to_owned);
            return vec![Finding::notice("codex", what).hint(hint)];
        }
    };
    let home = match TemporaryHome::new(&subject.overrides) {
        Ok(home) => home,
        Err(error) => {
            let what = format!(
                "Codex cannot be tried, because polywire cannot write in its own folder: {error:#}"
            );
            return vec![
                Finding::problem("state_folder", what)
                    .at(subject.leftovers.state_dir.display())
                    .hint("look at its owner and mode, and whether the disk is full"),
            ];
        }
    };
    vec![match version(program, &home).await {
        Ok(version) => judged(&version).at(program.display()),
        Err(why) => Finding::problem("codex", format!("it does not tell its version: {why}"))
            .at(program.display())
            .hint(format!("install it anew with `{INSTALL}`")),
    }]
}

/// The version that `codex --version` tells. In a home of its own, because even then Codex writes in its home.
async fn version(program: &Path, home: &TemporaryHome) -> Result<String, String> {
    let mut command = Command::new(program);
    command.arg("--version").env("CODEX_HOME", home.at("codex"));
    let output = output(command).await.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_whitespace().last();
    match version.filter(|version| numbers(version).is_some()) {
        Some(version) => Ok(version.to_owned()),
        None => Err(format!("`{}`", shortened(text.trim(), 80))),
    }
}

fn judged(version: &str) -> Finding {
    let (found, tested) = (numbers(version), numbers(TESTED));
    if found == tested {
        let what = format!("version {version}, the one that polywire is tested with");
        return Finding::ok("codex_version", what);
    }
    if found > tested {
        let what = format!("version {version} is newer than the tested {TESTED}");
        return Finding::notice("codex_version", what).hint(
            "see `codex contract` below: it tells whether what polywire relies on still holds",
        );
    }
    let what = format!("version {version} is older than the tested {TESTED}");
    Finding::warning("codex_version", what)
        .hint(format!("bring it up to date with `{INSTALL}`; `codex contract` below tells whether it works as it is"))
}

/// The three numbers of a version, whatever follows them.
fn numbers(version: &str) -> Option<[u32; 3]> {
    let plain = version.split(['-', '+']).next()?;
    let mut parts = plain.split('.').map(|part| part.parse().ok());
    Some([parts.next()??, parts.next()??, parts.next()??])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Severity;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (version, expected) in [
            ("0.169.0", Severity::Ok),
            ("0.170.0-alpha.1", Severity::Notice),
            ("1.0.0", Severity::Notice),
            ("0.99.3", Severity::Warning),
        ] {
            assert_eq!(judged(version).severity, expected, "{version}");
        }
        assert_eq!(numbers("codex"), None);
    }
}
