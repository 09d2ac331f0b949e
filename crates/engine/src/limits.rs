//! Every limit of an engine that is not a setting, with its reason.

use std::time::Duration;

/// The longest line that a Codex process may write, in bytes. A line holds at most one item of an answer; the largest are
/// pictures of some megabytes.
pub(crate) const LINE_BYTES_MAX: usize = 64 << 20;

/// The most bytes of an answer that wait for a client that reads slowly. More than any answer has.
pub(crate) const WAITING_BYTES_MAX: usize = 64 << 20;

/// How long `codex app-server` may take to answer a call that asks no model. They take milliseconds; a machine that swaps needs
/// more.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a process may take from its start to its first word. The first start on a cold disk was seen to take 2.5 s.
pub(crate) const START_TIMEOUT: Duration = Duration::from_mins(1);

/// How long Codex may take to list its models. It asks the network first, for up to ten seconds.
pub(crate) const CATALOG_TIMEOUT: Duration = Duration::from_secs(45);

/// How long an interrupted turn may go on before its process is given up. Interrupts were seen to take 2 ms.
pub(crate) const INTERRUPT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a process may take to end by itself when its input is closed, before it is killed.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A worker that dies younger than this is not replaced before somebody needs it: it would probably die again.
pub(crate) const HEALTHY_AGE: Duration = Duration::from_secs(5);

/// How long the requests for tool calls may take to come that belong to an answer which is over. They come at once.
pub(crate) const TOOL_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client is asked to stay away when the queue is full or the engine's own tries have failed. Longer than the
/// gateway waits between attempts: the waiting was done already.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(30);

/// The most bytes of a process's error output that are kept, to tell why it failed.
pub(crate) const ERROR_OUTPUT_BYTES_MAX: usize = 16 << 10;
