//! What can be set about the provider, as data.

use polywire_schema::Target;
use serde::Deserialize;

/// What the provider and its models take. Read from preset files; every field has a default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// Whether the provider takes images at all. The model must take them too.
    pub images: bool,
    /// The reasoning efforts that the model knows, by name. An unknown one is refused with the whole request, so with an empty list
    /// none is sent.
    pub efforts: Vec<String>,
    /// The most characters of a tool name.
    pub name_length_max: usize,
    /// The most output tokens that are asked for when the client names no limit.
    pub max_tokens_default: u64,
    /// What the schemas of tools have to obey.
    pub schema: Target,
    /// The version of the provider's own client whose protocol we speak.
    pub client_version: String,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            images: true,
            efforts: Vec::new(),
            name_length_max: 64,
            max_tokens_default: 64_000,
            schema: Target::Permissive,
            client_version: "1.64.0".to_owned(),
        }
    }
}
