//! Every limit of the gateway, each with its reason.

use std::time::Duration;

/// The most bytes of a request body. A long Codex conversation is 1 to 4 MB; screenshots as data URLs make it ten times that.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The most bytes of one event from a provider. The largest seen are whole tool calls with a file in them, below 1 MB; Codex
/// itself reads events of 3 MB.
pub const FRAME_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The most bytes of an answer that comes in one piece, error bodies included.
pub const WHOLE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The most turns at work at a time. More than any person or team runs at once; a program gone wild is told to wait.
pub const TURNS_MAX: usize = 4096;

/// What a client is told to wait when there are too many turns.
pub const OVERLOAD_RETRY_AFTER: Duration = Duration::from_secs(2);

/// How long an answer is held back while nothing of it can be shown. Until then an early failure can still become a proper
/// HTTP status, and another attempt can take its place.
pub const COMMIT_HOLD: Duration = Duration::from_secs(15);

/// The client hears something at least this often. Codex gives up after 300 s of silence, and proxies in between earlier.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);

/// How long a provider may be silent in the middle of an answer. Any byte counts, comments included: some providers send
/// nothing else for minutes while a queue moves.
pub const IDLE_TIMEOUT: Duration = Duration::from_mins(5);

/// How long an engine's answer may be silent. The engine's own limit on the whole turn comes first, however it is set.
pub const ENGINE_SILENCE_MAX: Duration = Duration::from_hours(24);

/// How long engines may take to end their processes when the gateway ends.
pub const ENGINES_CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait for the usage once the finish reason is there. Providers send it in the next chunk or never.
pub const USAGE_WAIT: Duration = Duration::from_secs(2);

/// How long the body of an error answer may take. Its status is there already; a body that stalls must not hold the turn.
pub const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may be silent while it sends its body.
pub const REQUEST_IDLE_TIMEOUT: Duration = Duration::from_mins(1);

/// How long the rest of a finished answer may take. Reading it to its end keeps the connection for the next turn.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// The most requests to a provider that one answer may take: a search or two, a pause, a second try at the form. A model that
/// searches without end is stopped here.
pub const LEGS_MAX: u32 = 8;

/// How long a web search may take. The services answer within two or three seconds; the client waits meanwhile.
pub const SEARCH_TIMEOUT: Duration = Duration::from_secs(20);

/// The most searches that are carried out between two requests. They come one after the other, and the client waits.
pub const SEARCHES_MAX: usize = 8;

/// The most characters of a query that are sent. Brave takes 400 (its documentation, autumn 2026); what is longer is no query.
pub const QUERY_CHARS_MAX: usize = 400;

/// The most characters of a page's excerpt that the model is shown.
pub const EXCERPT_CHARS_MAX: usize = 4000;

/// The most bytes of a search service's answer. Twenty results with long excerpts are below 200 kB.
pub const SEARCH_BYTES_MAX: usize = 2 * 1024 * 1024;

/// How long it is remembered what led to a call. Most calls are answered within seconds; some wait for a person who is at lunch.
pub const MEMORY_AGE_MAX: Duration = Duration::from_hours(2);

/// The most bytes of what led to calls that are remembered: some thousand calls at the usual few kB.
pub const MEMORY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The most bytes of what led to one call. More than any model thinks at a time, and little beside the whole memory.
pub const THOUGHTS_BYTES_MAX: usize = 2 * 1024 * 1024;

/// How long the end of an answer waits for the answer to be stored. A write takes milliseconds, and seconds while another process
/// holds the file; a client must not wait for a disk that hangs.
pub const KEEP_WAIT: Duration = Duration::from_secs(6);

/// How long a provider's list of models may take. Codex itself waits as long for its own.
pub const LIST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long somebody who needs a list waits for its first coming. Less than the five seconds that Codex gives our own list.
pub const LIST_WAIT: Duration = Duration::from_secs(3);

/// How long a list of models is taken to be right. Models come and go within weeks; one that is not listed can be asked for all the same.
pub const LIST_AGE_MAX: Duration = Duration::from_hours(1);

/// How long a list is left alone after a try, so that a provider in trouble is not asked with every turn.
pub const LIST_PAUSE: Duration = Duration::from_mins(1);

/// The most bytes of a list of models. Codex's own holds a system prompt for each model, some 200 kB in all.
pub const LIST_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The most pages of a list of models. The longest lists seen have two, at a thousand models a page.
pub const LIST_PAGES_MAX: usize = 50;

/// The most models of a list. Resellers have some five hundred.
pub const LIST_MODELS_MAX: usize = 10_000;

/// How often a silent WebSocket is asked whether its client is there. Below the minute after which proxies and NAT tables forget a
/// connection.
pub const SOCKET_PING_INTERVAL: Duration = Duration::from_secs(30);

/// How long a WebSocket may be silent, answers to pings included. Codex keeps one for a session and answers while it waits for its
/// user; when its own was closed, it opens another and sends the whole conversation (observed with codex-cli 0.169.0). A client that
/// does not even answer is gone.
pub const SOCKET_IDLE_TIMEOUT: Duration = Duration::from_mins(5);

/// The most bytes of earlier responses that one WebSocket connection remembers. As much as the largest request; a thread that has
/// grown beyond it is sent whole by its client.
pub const CONNECTION_MEMORY_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The most stored items that one request may refer to instead of sending them. Each is a look-up of its own; an agent that works for
/// days makes a few thousand items.
pub const REFERENCES_MAX: usize = 10_000;

/// The most translated bytes that are handed to the client in one piece. Bounds the memory of a stream whose provider is
/// faster than its client; a write of this size costs hardly more than the copy.
pub const WRITE_BYTES_MAX: usize = 16 * 1024;

/// The most providers that are counted by their names. More than anybody configures; the rest is counted together.
pub const COUNTED_PROVIDERS_MAX: usize = 256;
