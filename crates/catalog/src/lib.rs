//! Providers and models as data: presets, capabilities, look-ups.
//!
//! A provider is described completely by values of this crate; no code knows a vendor's name. What a dialect needs to know
//! about a vendor's wire habits is in the `profile` tables, which this crate carries without looking inside.
//!
//! This crate holds no I/O, clock, randomness or environment. Files arrive as text: the presets are compiled in, the user's
//! own providers come from `settings`.
//!
//! Reading order: [`Provider`] and [`Model`], [`Preset`], [`Catalog`], [`models_document()`].

mod base_url;
mod lookup;
mod model_facts;
mod model_list;
mod models_document;
mod models_page;
mod preset;
mod price;
mod provider;

pub use base_url::{BaseUrlError, normalise_base_url};
pub use lookup::{Catalog, ListedModel, Resolved, UnknownModel};
pub use model_list::read_codex_models;
pub use models_document::{CONTEXT_WINDOW_FALLBACK, models_document};
pub use models_page::{ModelsPage, ModelsPageError, NextPage, read_models_page};
pub use preset::{Preset, demo_provider, parse_preset, preset, presets};
pub use price::Price;
pub use provider::{Auth, Kind, Model, ModelList, Provider, UnknownKind};
