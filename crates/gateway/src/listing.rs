//! Asking a provider for its list of models, page by page.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use polywire_catalog::{
    Kind, Model, ModelList, ModelsPage, ModelsPageError, NextPage, Provider, read_codex_models,
    read_models_page,
};
use polywire_conversation::Fault;
use polywire_upstream::{StatusCode, Upstream};

use crate::credential::Credential;
use crate::endpoint::{ConfigurationError, Endpoint};
use crate::fault::{ours, without_secrets};
use crate::identity::CODEX_VERSION;
use crate::limits::{LIST_BYTES_MAX, LIST_MODELS_MAX, LIST_PAGES_MAX};
use crate::search::percent_encoded;

/// A list of models as it came.
#[derive(Debug, Default)]
pub struct Listing {
    /// The models in the provider's order, each once.
    pub models: Vec<Model>,
    /// Whose list it is, as a fingerprint; empty when nobody was asked to show who they are.
    pub account: String,
    /// What is missing of it, if anything is: the list has more pages, or entries without a name.
    pub missing: Option<String>,
}

/// A list of models that did not come.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The provider has none at this address.
    #[error("there is no list of models at {url} (HTTP {status})")]
    NoList {
        /// Where it was looked for.
        url: String,
        /// The status that said so.
        status: u16,
    },
    /// The provider is built in or a program on this machine.
    #[error("the provider gives out no list of models")]
    NotAsked,
    /// The provider cannot be used as it is configured.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// The provider, the network, the key or the login is to blame.
    #[error("{0}")]
    Fault(Fault),
}

/// Fetches the list of models of a provider. `timeout` is for each page; `came` hears after each page how many models there are.
///
/// Dropping the future closes the connection.
///
/// # Errors
/// See [`ListError`]. Pages that came before the one that failed are not kept: half a list would be taken for a whole one.
pub async fn fetch_models(
    endpoint: &Endpoint,
    upstream: &Upstream,
    timeout: Duration,
    mut came: impl FnMut(usize),
) -> Result<Listing, ListError> {
    let provider = endpoint.provider();
    if provider.kind == Kind::Demo || provider.kind.is_engine() {
        return Err(ListError::NotAsked);
    }
    let mut pages = Pages::default();
    let mut url = first_url(provider);
    let first = url.clone();
    loop {
        let (body, credential) = page(endpoint, upstream, &url, timeout).await?;
        let page = read(provider, &body).map_err(ListError::Fault)?;
        let next = pages.take(page, &credential);
        came(pages.listing.models.len());
        match next {
            Some(next) => {
                let joint = if first.contains('?') { '&' } else { '?' };
                url = format!(
                    "{first}{joint}{}={}",
                    next.parameter,
                    percent_encoded(&next.value)
                );
            }
            None => return Ok(pages.finished()),
        }
    }
}

/// The most models that are asked for at a time where that can be said: Anthropic's limit (its documentation, autumn 2026). The usual
/// number there is 20.
const PAGE_MODELS: u32 = 1000;

/// Where the list begins.
pub(crate) fn first_url(provider: &Provider) -> String {
    let url = provider.models_url();
    match provider.list_form() {
        Some(ModelList::Codex) => format!("{url}?client_version={CODEX_VERSION}"),
        None if provider.kind == Kind::Messages => format!("{url}?limit={PAGE_MODELS}"),
        None => url,
    }
}

async fn page(
    endpoint: &Endpoint,
    upstream: &Upstream,
    url: &str,
    timeout: Duration,
) -> Result<(Bytes, Credential), ListError> {
    let asked = async {
        let request = endpoint.get(url).map_err(ListError::Fault)?;
        let sent = endpoint.let_in(request, upstream).await;
        let (response, credential) = sent.map_err(ListError::Fault)?;
        let status = response.status();
        let has_none = [
            StatusCode::NOT_FOUND,
            StatusCode::METHOD_NOT_ALLOWED,
            StatusCode::NOT_IMPLEMENTED,
        ];
        if has_none.contains(&status) {
            return Err(ListError::NoList {
                url: url.to_owned(),
                status: status.as_u16(),
            });
        }
        let response = endpoint.accepted(response).await;
        let response = response
            .map_err(|fault| without_secrets(fault, &endpoint.secrets(&credential)))
            .map_err(ListError::Fault)?;
        let body = Limited::new(response.into_body(), LIST_BYTES_MAX).collect();
        let body = body.await.map_err(|error| {
            let message = format!("the list of models broke off: {error}");
            ListError::Fault(ours(message))
        })?;
        Ok((body.to_bytes(), credential))
    };
    match tokio::time::timeout(timeout, asked).await {
        Ok(outcome) => outcome,
        Err(_) => Err(ListError::Fault(ours(format!(
            "provider `{}`: no list of models came within {} s",
            endpoint.provider_id(),
            timeout.as_secs()
        )))),
    }
}

fn read(provider: &Provider, body: &[u8]) -> Result<ModelsPage, Fault> {
    let read = match provider.list_form() {
        Some(ModelList::Codex) => read_codex_models(body)
            .map(|models| ModelsPage {
                models,
                nameless: 0,
                next: None,
            })
            .map_err(ModelsPageError::Json),
        None => read_models_page(provider.kind, body),
    };
    read.map_err(|error| ours(format!("the list of models cannot be read: {error}")))
}

/// The pages that came so far.
#[derive(Default)]
struct Pages {
    listing: Listing,
    names: BTreeSet<String>,
    nameless: usize,
    count: usize,
}

impl Pages {
    /// Takes a page in, and tells what to ask for next. A page that brings nothing new ends the list, so that a provider that sends the
    /// same page for ever is asked twice only.
    fn take(&mut self, page: ModelsPage, credential: &Credential) -> Option<NextPage> {
        let before = self.listing.models.len();
        for model in page.models {
            if self.names.insert(model.id.clone()) {
                self.listing.models.push(model);
            }
        }
        self.nameless += page.nameless;
        self.count += 1;
        self.listing.account = credential.account();
        let next = page.next?;
        let count = self.listing.models.len();
        self.listing.missing = if count == before {
            Some(
                "the provider says that there are more, but its next page has nothing new"
                    .to_owned(),
            )
        } else if count >= LIST_MODELS_MAX || self.count >= LIST_PAGES_MAX {
            Some(format!(
                "the list goes on after {count} models, and is not followed further"
            ))
        } else {
            return Some(next);
        };
        None
    }

    fn finished(self) -> Listing {
        let mut listing = self.listing;
        if listing.missing.is_none() && self.nameless > 0 {
            listing.missing = Some(format!("{} entries have no name", self.nameless));
        }
        listing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(names: &[&str], next: Option<&str>) -> ModelsPage {
        ModelsPage {
            models: names.iter().map(|name| Model::named(*name)).collect(),
            nameless: 0,
            next: next.map(|value| NextPage {
                parameter: "after",
                value: value.to_owned(),
            }),
        }
    }

    #[test]
    fn a_provider_that_repeats_itself_is_not_followed_for_ever() {
        let mut pages = Pages::default();
        assert!(
            pages
                .take(page(&["a", "b"], Some("b")), &Credential::None)
                .is_some()
        );
        assert!(
            pages
                .take(page(&["a", "b"], Some("b")), &Credential::None)
                .is_none()
        );
        let listing = pages.finished();
        assert_eq!(listing.models.len(), 2);
        assert!(
            listing
                .missing
                .is_some_and(|why| why.contains("nothing new"))
        );
    }

    #[test]
    fn a_list_without_end_is_cut_and_says_so() {
        let mut pages = Pages::default();
        let mut asked = 0;
        loop {
            let name = format!("m{asked}");
            asked += 1;
            if pages
                .take(page(&[&name], Some(&name)), &Credential::None)
                .is_none()
            {
                break;
            }
        }
        assert_eq!(asked, LIST_PAGES_MAX);
        assert!(pages.finished().missing.is_some());
    }
}
