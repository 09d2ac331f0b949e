//! The built-in demo model: a small script that behaves like a provider.
