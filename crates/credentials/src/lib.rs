//! Secrets: provider keys and the gateway's own token.
