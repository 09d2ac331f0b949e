//! Command Code's private API, towards the provider.
