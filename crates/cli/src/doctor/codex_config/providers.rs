//! The providers that a file names and chooses.

use std::collections::BTreeSet;

use toml::de::{DeTable, DeValue};

use super::{ConfigFile, text_of};
use crate::codex::PROVIDER;
use crate::codex::checks::not_beside_auth;
use crate::configuration::variable;
use crate::doctor::finding::Finding;
use crate::doctor::known::{codex_provider_settings, codex_providers};

/// The providers of a file: names that are not free, keys whose variables are not set.
pub(super) fn named_providers(
    file: &ConfigFile<'_>,
    table: &DeTable<'_>,
    providers: &mut BTreeSet<String>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let tables = table
        .get("model_providers")
        .and_then(|value| value.get_ref().as_table());
    for (name, value) in tables.into_iter().flatten() {
        let id = name.get_ref().to_string();
        if is_built_in(&id) && !only_allowed(&id, value.get_ref()) {
            found.push(
                Finding::problem(
                    "reserved_provider",
                    format!("`{id}` is the name of a provider that Codex brings itself, and Codex does not start with settings of another of that name"),
                )
                .at(file.line(&name.span()))
                .hint(format!("give it another name, such as `{id}-own`")),
            );
        }
        let key = value
            .get_ref()
            .as_table()
            .and_then(|table| text_of(table, "env_key"));
        if let Some((key, span)) = key
            && variable(key).is_none_or(|value| value.is_empty())
        {
            found.push(
                Finding::warning(
                    "env_key_unset",
                    format!("the key of `{id}` is to come from `{key}`, which is not set here"),
                )
                .at(file.line(&span))
                .hint(format!(
                    "export {key}=… before Codex is started with this provider"
                )),
            );
        }
        if let Some(table) = value.get_ref().as_table() {
            found.extend(second_token(file, &id, table));
        }
        providers.insert(id);
    }
    found
}

/// Two kinds of token: in one provider, or in one that `polywire run codex` lays its own over.
fn second_token(file: &ConfigFile<'_>, id: &str, table: &DeTable<'_>) -> Option<Finding> {
    let (key, value) = not_beside_auth()
        .find_map(|key| Some((key, table.get(key)?)))
        .filter(|(_, value)| !matches!(value.get_ref(), DeValue::Boolean(false)))?;
    let (finding, hint) = if table.contains_key("auth") {
        let what = format!(
            "provider `{id}` has `auth` and `{key}`: Codex does not start with both, whichever provider is used"
        );
        (Finding::problem("second_token", what), "remove one of them")
    } else if id == PROVIDER {
        let what = format!(
            "provider `{id}` has `{key}`: `polywire run codex` lays its own `auth` over it, and Codex does not start with both"
        );
        (
            Finding::warning("second_token", what),
            "give that provider another name, or remove it; `polywire codex apply` writes one that goes with `run`",
        )
    } else {
        return None;
    };
    Some(finding.at(file.line(&value.span())).hint(hint))
}

/// Whether only that is set of a provider of Codex's own which may be.
fn only_allowed(path: &str, value: &DeValue<'_>) -> bool {
    if codex_provider_settings().any(|allowed| allowed == path) {
        return true;
    }
    let leads = |allowed: &str| {
        let rest = allowed.strip_prefix(path);
        rest.is_some_and(|rest| rest.starts_with('.'))
    };
    codex_provider_settings().any(leads)
        && value.as_table().is_some_and(|table| {
            table.iter().all(|(key, value)| {
                only_allowed(&format!("{path}.{}", key.get_ref()), value.get_ref())
            })
        })
}

fn is_built_in(id: &str) -> bool {
    codex_providers().any(|name| name == id)
}

/// The provider that is chosen and that nobody has named.
pub(super) fn chosen_provider(
    file: &ConfigFile<'_>,
    table: &DeTable<'_>,
    providers: &BTreeSet<String>,
) -> Option<Finding> {
    let (id, span) = text_of(table, "model_provider")?;
    if is_built_in(id) || providers.contains(id) {
        return None;
    }
    Some(
        Finding::problem(
            "unknown_provider",
            format!("`model_provider` is `{id}`, and there is no [model_providers.{id}]: Codex does not start"),
        )
        .at(file.line(&span))
        .hint("add the provider, correct the name, or remove the line"),
    )
}
