//! Profiles in the way of older versions of Codex.

use std::ops::Range;
use std::path::Path;

use toml::de::DeTable;

use super::{ConfigFile, text_of};
use crate::doctor::finding::Finding;

/// `profile = "z"` at the top, which Codex no longer takes.
pub(super) fn legacy_profile(
    file: &ConfigFile<'_>,
    table: &DeTable<'_>,
    home: &Path,
) -> Option<Finding> {
    let (name, span) = text_of(table, "profile")?;
    let own = format!("{name}.config.toml");
    let missing = if home.join(&own).is_file() {
        String::new()
    } else {
        format!(
            "; there is no `{own}` yet, and without it Codex would take the settings of no profile and say nothing"
        )
    };
    Some(
        Finding::problem(
            "legacy_profile",
            format!("`profile = \"{name}\"` is no longer supported: Codex does not start{missing}"),
        )
        .at(file.line(&span))
        .hint(format!(
            "remove the line, put the profile's settings into {}, and start `codex -p {name}`",
            home.join(&own).display()
        )),
    )
}

/// `[profiles.z]`, which Codex no longer reads.
pub(super) fn legacy_tables(
    file: &ConfigFile<'_>,
    table: &DeTable<'_>,
    home: &Path,
) -> Vec<Finding> {
    let tables = table
        .get("profiles")
        .and_then(|value| value.get_ref().as_table());
    let finding = |name: &str, span: Range<usize>| {
        let own = home.join(format!("{name}.config.toml"));
        let missing = if own.is_file() {
            ""
        } else {
            ", which is missing"
        };
        Finding::warning(
            "legacy_profile_table",
            format!(
                "[profiles.{name}] is no longer read, and `codex -p {name}` fails because of it"
            ),
        )
        .at(file.line(&span))
        .hint(format!(
            "move its settings to {}{missing}, and remove the table",
            own.display()
        ))
    };
    tables
        .into_iter()
        .flatten()
        .map(|(name, _)| finding(name.get_ref(), name.span()))
        .collect()
}
