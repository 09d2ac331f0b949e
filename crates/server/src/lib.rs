//! The HTTP surface: connections, access check, routes, the error page. The only crate that knows the web framework.
//!
//! Start with [`serve`], then `routes.rs`, `turns.rs`.

mod access;
mod error_page;
mod helpers;
mod kept;
mod operations;
mod prometheus;
mod routes;
mod serve;
mod turns;
mod websocket;

pub use access::Access;
pub use routes::App;
pub use serve::{Stop, serve, serve_and_turn_away};
