//! Lists of model names as people paste them.

use anyhow::bail;
use polywire_settings::{Edit, TomlValue, toml_text};

use crate::logging::note;

/// The longest name of a model in characters. The longest real ones have about 80.
const NAME_CHARS_MAX: usize = 256;

/// The names in a text with commas or line ends between them, in their order, each once. A name is kept as it is: capitals, slashes and
/// all.
///
/// # Errors
/// There is none, or something that cannot be one.
pub(crate) fn parse(text: &str) -> anyhow::Result<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    let pieces = text.split([',', '\n', '\r']).map(str::trim);
    for name in pieces.filter(|name| !name.is_empty()) {
        check(name)?;
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    if names.is_empty() {
        bail!("there is no model in the list\nhint: names with commas or line ends between them");
    }
    Ok(names)
}

/// Whether this can be the name of a model.
///
/// # Errors
/// It cannot.
pub(crate) fn check(name: &str) -> anyhow::Result<()> {
    let shown = name.escape_debug();
    if name.is_empty() {
        bail!("a model has a name");
    }
    if name.chars().any(char::is_control) {
        bail!("`{shown}` cannot be the name of a model: it has control characters");
    }
    if name.chars().count() > NAME_CHARS_MAX {
        bail!(
            "a name of a model has at most {NAME_CHARS_MAX} characters; one in the list has more"
        );
    }
    Ok(())
}

/// The name in an item of the list: the item itself, or its `id`.
pub(crate) fn name_of(item: &TomlValue) -> Option<String> {
    let id = item.as_str().or_else(|| item.get("id")?.as_str())?;
    Some(id.to_owned())
}

/// Makes the list in the settings have these names and no others. What is noted in it, and what is known of those that stay, stays.
///
/// # Errors
/// The list is written in a form that is not changed here.
pub(crate) fn write(edit: &mut Edit<'_>, path: &[&str], names: Vec<String>) -> anyhow::Result<()> {
    let Some(raw) = edit.text().raw(path).map(str::to_owned) else {
        edit.set(path, names)?;
        return Ok(());
    };
    let there = edit.items(path)?;
    let listed: Vec<String> = there.iter().filter_map(name_of).collect();
    let new: Vec<String> = names
        .iter()
        .filter(|name| !listed.contains(name))
        .cloned()
        .collect();
    let order = listed.iter().filter(|name| names.contains(name));
    let keeps_order = order.chain(&new).eq(&names);
    if !keeps_order && !raw.contains('#') && there.iter().all(TomlValue::is_str) {
        // Nothing is lost but the old order.
        edit.set(path, names)?;
        return Ok(());
    }
    edit.remove_items(path, |item| {
        name_of(item).is_some_and(|name| !names.contains(&name))
    })?;
    let new: Vec<String> = new.iter().map(|name| toml_text(name)).collect();
    edit.add_items(path, &new)?;
    if !keeps_order {
        note("the models that were listed keep their order, because something is noted with them");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_as_they_are() {
        let text = " zai-org/GLM-5, qwen3:30B-a3b\r\n\nmodels/X y,,zai-org/GLM-5\n";
        assert_eq!(
            parse(text).unwrap(),
            ["zai-org/GLM-5", "qwen3:30B-a3b", "models/X y"]
        );
        for nothing in ["", " ,\n"] {
            assert!(parse(nothing).is_err());
        }
        assert!(parse("a\u{1b}[2J").is_err());
        assert!(parse(&"x".repeat(NAME_CHARS_MAX + 1)).is_err());
    }
}
