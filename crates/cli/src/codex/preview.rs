//! What an edit changes, for people: a unified diff, and what of ours others have changed.

use polywire_client_files::{Kept, Plan};
use similar::{ChangeTag, TextDiff};

use crate::printable::printable;

/// How many unchanged lines are shown around a change.
const CONTEXT_LINES: usize = 3;

/// What stands in place of what nobody should read over a shoulder.
const HIDDEN: &str = "\"***\"";

/// The plan as a unified diff, its lines without line ends. Empty when the file stays as it is.
///
/// Secrets in lines that do not change are hidden. There is none in the lines that polywire writes.
pub(crate) fn diff(plan: &Plan) -> Vec<String> {
    if !plan.changes_the_file() {
        return Vec::new();
    }
    let text =
        |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    let (old, new) = (text(plan.current()), text(plan.after()));
    let name = |bytes: Option<&[u8]>| match bytes {
        Some(_) => plan.file().display().to_string(),
        None => "/dev/null".to_owned(),
    };
    let mut lines = vec![
        format!("--- {}", name(plan.current())),
        format!("+++ {}", name(plan.after())),
    ];
    let diff = TextDiff::from_lines(&old, &new);
    for hunk in diff
        .unified_diff()
        .context_radius(CONTEXT_LINES)
        .iter_hunks()
    {
        lines.push(hunk.header().to_string());
        for change in hunk.iter_changes() {
            let value = printable(change.value().trim_end_matches(['\n', '\r']));
            lines.push(match change.tag() {
                ChangeTag::Equal => format!(" {}", without_secrets(&value)),
                ChangeTag::Delete => format!("-{}", without_secrets(&value)),
                ChangeTag::Insert => format!("+{}", without_secrets(&value)),
            });
            if change.missing_newline() {
                lines.push("\\ No newline at end of file".to_owned());
            }
        }
    }
    lines
}

/// Words in the names of keys whose values are nobody's business.
const SECRET_WORDS: [&str; 6] = [
    "token",
    "secret",
    "password",
    "api_key",
    "apikey",
    "authorization",
];

/// The line with what is set to such a name hidden, and all that stands behind it.
fn without_secrets(line: &str) -> String {
    match secret_value(line) {
        Some(at) => format!("{} {HIDDEN}", &line[..at]),
        None => line.to_owned(),
    }
}

/// Where the first value in quotes begins whose name has such a word in it.
fn secret_value(line: &str) -> Option<usize> {
    let lower = line.to_ascii_lowercase();
    let words = SECRET_WORDS.iter();
    let names = words.flat_map(|word| lower.match_indices(word));
    let values = names.filter_map(|(at, word)| {
        let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || "_-\"' ".contains(letter);
        let rest = lower[at + word.len()..].trim_start_matches(is_of_name);
        let value = rest.strip_prefix('=')?;
        value
            .contains(['"', '\''])
            .then(|| lower.len() - value.len())
    });
    values.min()
}

/// What an edit is looked at for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Apply,
    Restore,
}

/// What is to be told of something that others have changed since our last edit.
pub(crate) fn kept(kept: &Kept, purpose: Purpose) -> String {
    let end = |restore: &'static str| match purpose {
        Purpose::Restore => restore,
        Purpose::Apply => "`restore` will put back what it is now",
    };
    match kept {
        Kept::Changed { path } => format!(
            "`{path}` was changed since polywire set it; {}",
            end("it stays as it is")
        ),
        Kept::Along { path, with } => format!(
            "`{path}` was changed since polywire set it, while `{with}` was still polywire's; {}",
            match purpose {
                Purpose::Restore => "it is what it was before polywire again",
                Purpose::Apply => "it is set anew",
            }
        ),
        Kept::Removed { path } => format!(
            "`{path}` was removed since polywire set it; {}",
            end("it is not put back")
        ),
        Kept::Table { table, others } => format!(
            "[{table}] stays, because `{}` in it is not polywire's; remove the table when you do not need it",
            others.join("`, `")
        ),
        Kept::File => "the file was removed since polywire wrote to it".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        for (line, expected) in [
            (
                "experimental_bearer_token = \"sk-1\"",
                "experimental_bearer_token = \"***\"",
            ),
            (
                "env = { \"DOCS_TOKEN\" = 'x', A = \"b\" } # c",
                "env = { \"DOCS_TOKEN\" = \"***\"",
            ),
            (
                "http_headers.Authorization='Bearer x'",
                "http_headers.Authorization= \"***\"",
            ),
            (
                "model_auto_compact_token_limit = 100",
                "model_auto_compact_token_limit = 100",
            ),
            (
                "args = [\"token\", \"--x=1\"]",
                "args = [\"token\", \"--x=1\"]",
            ),
            ("# the token", "# the token"),
            ("model = \"a\"", "model = \"a\""),
        ] {
            assert_eq!(without_secrets(line), expected);
        }
    }
}
