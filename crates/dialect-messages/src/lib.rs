//! The Anthropic Messages protocol, towards clients and towards providers.
