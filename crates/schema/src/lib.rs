//! JSON Schemas of tools and answers, rewritten for what a provider takes.
