//! The turn: joins dialects, plan and upstream; knows no web framework.
