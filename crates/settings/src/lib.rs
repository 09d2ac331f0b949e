//! Settings: one typed struct, and where each value came from.
