//! Providers and models as data: presets, capabilities, look-ups.
