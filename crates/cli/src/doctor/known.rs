//! Names of others' things, kept as data beside the code: one a line, `#` begins a remark.

/// The providers that the Codex CLI brings itself.
pub(crate) fn codex_providers() -> impl Iterator<Item = &'static str> {
    names(include_str!("known/codex-providers.txt"))
}

/// What may be set for them: `PROVIDER.SETTING`, or `PROVIDER.TABLE.SETTING`.
pub(crate) fn codex_provider_settings() -> impl Iterator<Item = &'static str> {
    names(include_str!("known/codex-provider-settings.txt"))
}

/// Files in the home folder that a run of a client could be thought to touch.
pub(crate) fn user_files() -> impl Iterator<Item = &'static str> {
    names(include_str!("known/user-files.txt"))
}

fn names(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}
