//! What an edit changes, for people: a unified diff, and what of ours others have changed.

use polywire_client_files::{Kept, Plan, TomlText};
use similar::{ChangeTag, TextDiff};

use crate::printable::printable;

/// How many unchanged lines are shown around a change.
const CONTEXT_LINES: usize = 3;

/// The plan as a unified diff, its lines without line ends. Empty when the file stays as it is.
///
/// What polywire does not write is nobody's business: of the values around its own no string is shown, because any of them may be a secret.
pub(crate) fn diff(plan: &Plan) -> Vec<String> {
    if !plan.changes_the_file() {
        return Vec::new();
    }
    let name = |bytes: Option<&[u8]>| match bytes {
        Some(_) => plan.file().display().to_string(),
        None => "/dev/null".to_owned(),
    };
    let mut lines = vec![
        format!("--- {}", name(plan.current())),
        format!("+++ {}", name(plan.after())),
    ];
    let ours: Vec<&[String]> = plan.ours().collect();
    let (old, new) = (
        Side::of(plan.current(), &ours),
        Side::of(plan.after(), &ours),
    );
    // What is hidden in both may differ.
    let diff = TextDiff::from_lines(&old.text, &new.text);
    for hunk in diff
        .unified_diff()
        .context_radius(CONTEXT_LINES)
        .iter_hunks()
    {
        lines.push(hunk.header().to_string());
        for change in hunk.iter_changes() {
            let (sign, line) = match change.tag() {
                ChangeTag::Equal => (' ', new.line(change.new_index())),
                ChangeTag::Delete => ('-', old.line(change.old_index())),
                ChangeTag::Insert => ('+', new.line(change.new_index())),
            };
            lines.push(format!("{sign}{}", printable(line)));
            if change.missing_newline() {
                lines.push("\\ No newline at end of file".to_owned());
            }
        }
    }
    lines
}

/// A file as it is, and its lines as they are shown.
struct Side {
    text: String,
    shown: Vec<String>,
}

impl Side {
    fn of(bytes: Option<&[u8]>, ours: &[&[String]]) -> Self {
        let bytes = bytes.unwrap_or_default();
        // What is no TOML is not shown at all; nothing of ours is in it.
        let masked = TomlText::parse(bytes).map(|text| text.masked(ours));
        Self {
            text: String::from_utf8_lossy(bytes).into_owned(),
            shown: masked
                .unwrap_or_default()
                .lines()
                .map(str::to_owned)
                .collect(),
        }
    }

    fn line(&self, index: Option<usize>) -> &str {
        let line = index.and_then(|index| self.shown.get(index));
        line.map_or("***", String::as_str)
    }
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
                Purpose::Restore => "it is again what it was before",
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
