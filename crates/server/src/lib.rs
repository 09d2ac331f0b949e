//! The HTTP surface: connections, access check, routes, the error page. The only crate that knows the web framework.
//!
//! Start with [`serve`], then `routes.rs`.

mod access;
mod error_page;
mod routes;
mod serve;

pub use access::Access;
pub use routes::App;
pub use serve::serve;
