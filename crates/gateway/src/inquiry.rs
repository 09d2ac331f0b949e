//! A question that costs nothing: the request for a provider's list of models, for those who want to know whether it can be reached.

use bytes::Bytes;
use http_body_util::Full;
use polywire_catalog::ModelList;
use polywire_conversation::Fault;
use polywire_upstream::{Request, Upstream};

use crate::credential;
use crate::endpoint::Endpoint;
use crate::identity::CODEX_VERSION;
use crate::provider::ProviderDialect;

impl Endpoint {
    /// The request for the provider's list of models, with the headers of every request but without what lets it in. Nothing for a
    /// provider that is not reached over HTTP.
    ///
    /// # Errors
    /// A [`Fault`] of ours when the path cannot be appended to the provider's address.
    pub fn inquiry(&self) -> Result<Option<Request<Full<Bytes>>>, Fault> {
        let path = match (self.dialect(), self.provider().model_list) {
            (ProviderDialect::Engine(_) | ProviderDialect::Demo, _) => return Ok(None),
            (_, Some(ModelList::Codex)) => format!("/models?client_version={CODEX_VERSION}"),
            (ProviderDialect::Chat(_) | ProviderDialect::Responses(_), None) => {
                "/models".to_owned()
            }
            (ProviderDialect::Messages(_), None) => "/v1/models".to_owned(),
            // Its private API has no list; the one for others stands beside it (seed-behaviours.md B3).
            (ProviderDialect::CommandCode(_), None) => "/provider/v1/models".to_owned(),
        };
        self.get(&path).map(Some)
    }

    /// Puts the provider's key, or the tokens of its login, on a request. `upstream` is for a login that must be renewed.
    ///
    /// # Errors
    /// A [`Fault`] that tells why the key or the login cannot be had.
    pub async fn let_request_in(
        &self,
        request: &mut Request<Full<Bytes>>,
        upstream: &Upstream,
    ) -> Result<(), Fault> {
        let credential = self.credential(upstream).await?;
        credential::show(&credential, self.provider(), request.headers_mut())
    }
}
