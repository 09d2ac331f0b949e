//! Client libraries on an engine: `model` is what the engine asks, `guest` plays a client's scenarios, `checks` says what has to come of
//! each.

pub(crate) mod checks;
mod guest;
mod model;

pub(crate) use guest::Guest;
