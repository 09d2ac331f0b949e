//! A question that costs nothing: the request for a provider's list of models, for those who want to know whether it can be reached.

use bytes::Bytes;
use http_body_util::Full;
use polywire_catalog::Kind;
use polywire_conversation::Fault;
use polywire_upstream::{Request, Upstream};

use crate::credential;
use crate::endpoint::Endpoint;
use crate::listing::first_url;

impl Endpoint {
    /// The request for the provider's list of models, with the headers of every request but without what lets it in. Nothing for a
    /// provider that is not reached over HTTP.
    ///
    /// # Errors
    /// A [`Fault`] of ours when the address cannot be used.
    pub fn inquiry(&self) -> Result<Option<Request<Full<Bytes>>>, Fault> {
        let provider = self.provider();
        if provider.kind == Kind::Demo || provider.kind.is_engine() {
            return Ok(None);
        }
        self.get(&first_url(provider)).map(Some)
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
