//! Connections to providers: pools, proxies, TLS, phase timeouts.
