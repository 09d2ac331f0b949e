//! Faults that the gateway itself finds.

use std::error::Error as _;

use polywire_catalog::Provider;
use polywire_conversation::{Fault, FaultClass, Origin, Retry};
use polywire_credentials::{Proxy, Secret};
use polywire_upstream::{SendError, root_cause};

/// Something that must not happen did. Reported as ours, with what is known.
pub(crate) fn ours(message: impl Into<String>) -> Fault {
    Fault {
        origin: Origin::Ours,
        retry: Retry::Never,
        status: 500,
        ..Fault::new(FaultClass::Server, message)
    }
}

/// No answer came from a provider.
pub(crate) fn not_sent(provider: &Provider, proxy: &Proxy, error: &SendError) -> Fault {
    let Provider {
        id: provider_id,
        base_url,
        ..
    } = provider;
    let cause = error.source().map(root_cause).unwrap_or_default();
    match error {
        SendError::Connect { .. } => Fault::new(
            FaultClass::NetworkCut,
            match proxy {
                Proxy::Environment | Proxy::Direct => format!(
                    "provider `{provider_id}` cannot be reached at {base_url}: {cause}. hint: is the address right and the server running?"
                ),
                Proxy::Through(proxy) => format!(
                    "provider `{provider_id}` cannot be reached at {base_url} through the proxy {proxy}: {cause}. hint: look at `proxy` under [providers.{provider_id}]"
                ),
            },
        ),
        SendError::Timeout { .. } => Fault::new(
            FaultClass::Timeout,
            format!("provider `{provider_id}`: {error}"),
        ),
        SendError::Broken { .. } => Fault::new(
            FaultClass::NetworkCut,
            format!("provider `{provider_id}`: {error}: {cause}"),
        ),
        SendError::Tls(_) => ours(format!("provider `{provider_id}`: {error}: {cause}")),
    }
}

/// The model ended its answer without a word and without a call. Asked once more, because some providers do so when busy;
/// a second empty answer is passed on as it is.
pub(crate) fn empty_answer() -> Fault {
    Fault::new(FaultClass::Server, "the provider's answer was empty")
}

/// Shorter keys are words that may stand in any message.
const KEY_BYTES_MIN: usize = 8;

/// The fault without the key and the headers that were sent. Some providers repeat a wrong key in their error, and what they say goes to the log
/// and to the client.
pub(crate) fn without_secrets(fault: Fault, secrets: &[Secret]) -> Fault {
    secrets.iter().fold(fault, without)
}

fn without(mut fault: Fault, secret: &Secret) -> Fault {
    let secret = secret.reveal();
    if secret.len() < KEY_BYTES_MIN {
        return fault;
    }
    fault.message = fault.message.replace(secret, "***");
    for text in [&mut fault.detail, &mut fault.code, &mut fault.param]
        .into_iter()
        .flatten()
    {
        *text = text.replace(secret, "***");
    }
    fault
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_taken_out_of_what_providers_say() {
        let fault = Fault::new(FaultClass::Auth, "wrong key sk-secret-1: no")
            .with_detail("{\"key\":\"sk-secret-1\"}")
            .with_code("sk-secret-1");
        let told = without_secrets(fault, &[Secret::new("sk-secret-1")]);
        assert_eq!(told.message, "wrong key ***: no");
        assert_eq!(told.detail.as_deref(), Some("{\"key\":\"***\"}"));
        assert_eq!(told.code.as_deref(), Some("***"));
        let short = Fault::new(FaultClass::Auth, "abc");
        assert_eq!(without_secrets(short.clone(), &[Secret::new("abc")]), short);
    }
}
