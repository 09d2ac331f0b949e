//! Scripted upstreams, temporary homes and drivers for real clients; for tests only.
