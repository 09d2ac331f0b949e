//! `codex app-server` as a provider.
//!
//! `pool` keeps the processes, `worker` is one of them, `turn` serves one turn (`parameters`: what Codex is told of it),
//! `translate` reads what happens in a thread, and `waiting` holds the threads whose tools are being carried out.

mod parameters;
mod pool;
mod rpc;
mod translate;
mod turn;
mod waiting;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;

pub(crate) use pool::Pool;

use crate::answer::Out;
use crate::ask::Ask;

/// Serves one turn.
pub(crate) async fn serve(pool: Arc<Pool>, ask: Ask, cwd: Option<PathBuf>, out: Out) {
    turn::serve(&pool, ask, cwd, out).await;
}
