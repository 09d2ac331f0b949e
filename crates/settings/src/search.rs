//! Who searches the web when a model asks for it and its provider cannot.

use polywire_credentials::KeyringEntry;
use serde::Deserialize;
use serde::de::{self, Deserializer};

use crate::file::{KeyForm, SearchTable};
use crate::load::Loading;
use crate::providers::key_source;
use crate::suggest::{nearest, quoted};
use crate::{KeySource, SettingsError};

/// How many results a search gives when nobody says otherwise. More costs tokens in every later turn of the conversation.
const RESULTS: u32 = 5;

/// The most results that can be asked for: what the search services give on one page.
const RESULTS_MAX: u32 = 20;

/// Who searches the web.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchSettings {
    /// The interface that the service speaks.
    pub provider: SearchProvider,
    /// The service's address without a slash at its end, where it is not the usual one.
    pub url: Option<String>,
    /// Where the key comes from. [`crate::Settings::search_key`] gets it.
    pub key: KeySource,
    /// How many results a search gives.
    pub max_results: u32,
}

/// The interfaces of search services that polywire speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchProvider {
    /// The Brave Search API.
    Brave,
    /// The Tavily API.
    Tavily,
    /// A `SearXNG` instance; its address has to be given.
    Searxng,
}

impl SearchProvider {
    const ALL: [Self; 3] = [Self::Brave, Self::Tavily, Self::Searxng];

    /// The word for it in the settings.
    pub const fn name(self) -> &'static str {
        match self {
            SearchProvider::Brave => "brave",
            SearchProvider::Tavily => "tavily",
            SearchProvider::Searxng => "searxng",
        }
    }

    /// Where the key is when nobody says.
    fn usual_key(self) -> KeySource {
        match self {
            SearchProvider::Brave => KeySource::Env("BRAVE_API_KEY".to_owned()),
            SearchProvider::Tavily => KeySource::Env("TAVILY_API_KEY".to_owned()),
            SearchProvider::Searxng => KeySource::None,
        }
    }
}

impl<'de> Deserialize<'de> for SearchProvider {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        let known = || Self::ALL.into_iter().map(Self::name);
        let found = Self::ALL
            .into_iter()
            .find(|provider| provider.name() == word);
        found.ok_or_else(|| {
            let way_out = match nearest(&word, known()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("there are {}", quoted(known())),
            };
            de::Error::custom(format!("there is no search provider `{word}`; {way_out}"))
        })
    }
}

impl Loading<'_> {
    pub(crate) fn search(
        &mut self,
        table: Option<SearchTable>,
    ) -> Result<Option<SearchSettings>, SettingsError> {
        let Some(SearchTable {
            provider,
            url,
            key,
            max_results,
        }) = table
        else {
            return Ok(None);
        };
        self.in_file("search.provider", Some(provider));
        let url = self.in_file("search.url", url);
        let url = url.map(|url| self.address(&url)).transpose()?;
        if provider == SearchProvider::Searxng && url.is_none() {
            return Err(self.value_error(
                "search",
                "has no `url`".to_owned(),
                Some(
                    "give the address of the SearXNG instance, such as `http://127.0.0.1:8888`"
                        .to_owned(),
                ),
            ));
        }
        let max_results = self
            .in_file("search.max_results", max_results)
            .unwrap_or(RESULTS);
        if !(1..=RESULTS_MAX).contains(&max_results) {
            let message = format!("`{max_results}` is not a number from 1 to {RESULTS_MAX}");
            return Err(self.value_error("search.max_results", message, None));
        }
        self.in_file("search.key", key.as_ref().map(|_| ()));
        Ok(Some(SearchSettings {
            provider,
            url,
            key: self.search_key(provider, key),
            max_results,
        }))
    }

    fn search_key(&self, provider: SearchProvider, key: Option<KeyForm>) -> KeySource {
        let home = self.environment.home();
        let surroundings = self.surroundings(home.as_deref());
        match key {
            Some(form) => {
                let entry = KeyringEntry::of_search(surroundings.keyring);
                key_source(form, surroundings, entry)
            }
            None => provider.usual_key(),
        }
    }

    fn address(&self, url: &str) -> Result<String, SettingsError> {
        let address = url.trim().trim_end_matches('/');
        let after_scheme = address
            .strip_prefix("https://")
            .or_else(|| address.strip_prefix("http://"));
        let legal = after_scheme.is_some_and(|host| !host.is_empty() && !host.starts_with('/'))
            && address.bytes().all(|byte| byte.is_ascii_graphic());
        if legal {
            return Ok(address.to_owned());
        }
        Err(self.value_error(
            "search.url",
            format!("`{url}` is not an address"),
            Some("write it with `http://` or `https://`".to_owned()),
        ))
    }
}
