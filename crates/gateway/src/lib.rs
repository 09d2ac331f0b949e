//! The turn: joins dialects, plan and upstream. Knows no web framework and no vendor.
//!
//! Start with [`turn::run`], which reads as the life of a request does, then [`answer`], where the stream flows.

pub mod answer;
mod asides;
mod body;
mod client;
mod compaction;
mod credential;
mod delivery;
mod endpoint;
mod engine;
mod exchange;
mod fault;
mod form;
mod identity;
mod inquiry;
mod legs;
pub mod limits;
mod listing;
mod logins;
mod memory;
pub mod metrics;
mod model_lists;
mod passing;
mod phases;
mod plan_limits;
mod private;
mod provider;
mod read;
mod readiness;
mod references;
mod sealing;
mod search;
mod settle;
mod state;
mod stop;
mod stored;
pub mod turn;

pub use asides::{count_tokens, list_models, search_web};
pub use body::BodyBuffer;
pub use client::{Client, ClientDialect};
pub use endpoint::{ConfigurationError, Connection, Endpoint};
pub use engine::Engines;
pub use listing::{ListError, Listing, fetch_models};
pub use logins::Logins;
pub use phases::{Phase, PhaseTimer, Phases};
pub use polywire_plan::RetryLimits;
pub use readiness::{EngineState, LocalState, LocalStates, Problem, ProblemKind};
pub use search::{SearchKind, SearchService};
pub use settle::JSON_FIELDS;
pub use state::{
    Configuration, ConfigurationSource, Fixed, Gateway, Keys, Live, Proxies, Stores, Variables,
};
pub use stored::{ConnectionMemory, ResponseStore};
