//! Web searches that polywire carries out itself, for models whose provider has no search.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use polywire_conversation::{
    Function, Item, Json, Part, Request, Text, Tool, ToolChoice, ToolResult, WebSearch,
};
use polywire_credentials::KeySource;
use polywire_upstream::{Upstream, Uri};
use serde_json::Value;

use crate::legs::Search;
use crate::limits::{
    EXCERPT_CHARS_MAX, QUERY_CHARS_MAX, SEARCH_BYTES_MAX, SEARCH_TIMEOUT, SEARCHES_MAX,
};
use crate::state::Variables;

/// The name under which the model calls the search.
pub(crate) const TOOL: &str = "web_search";

const DESCRIPTION: &str =
    "Search the web. Returns titles, addresses and excerpts of the pages that were found.";

const PARAMETERS: &str = r#"{"type":"object","properties":{"query":{"type":"string","description":"What to look for."}},"required":["query"]}"#;

/// A service that searches the web, as the settings name it.
#[derive(Clone, Debug)]
pub struct SearchService {
    /// Which service.
    pub kind: SearchKind,
    /// Where its key comes from.
    pub key: KeySource,
    /// The most results that are shown to the model.
    pub results_max: usize,
}

/// The services that can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchKind {
    /// Brave Search.
    Brave {
        /// Where its API is.
        url: String,
    },
    /// Tavily.
    Tavily {
        /// Where its API is.
        url: String,
    },
    /// A `SearXNG` server, which must allow the format `json`.
    Searxng {
        /// Where the server is.
        url: String,
    },
}

/// The most queries of one command: what Codex's tool allows.
const COMMANDS_MAX: usize = 4;

/// The commands of Codex's own search tool (`web.run`), as its version 0.169 sends them to `/alpha/search`.
#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct Commands {
    #[serde(default)]
    search_query: Vec<Query>,
    #[serde(flatten)]
    others: std::collections::BTreeMap<String, Value>,
}

#[derive(Debug, serde::Deserialize)]
struct Query {
    q: String,
    #[serde(default)]
    domains: Vec<String>,
}

impl Query {
    /// The query with its domains, in the words that all services know.
    fn whole(&self) -> String {
        let domains: Vec<String> = self
            .domains
            .iter()
            .map(|domain| format!("site:{domain}"))
            .collect();
        match domains.len() {
            0 => self.q.clone(),
            _ => format!("{} {}", self.q, domains.join(" OR ")),
        }
    }
}

/// A search that was carried out.
pub(crate) struct Found {
    /// The call that asked for it.
    pub(crate) call_id: String,
    id: String,
    query: String,
    pages: Vec<Page>,
    failure: Option<String>,
    /// What the model is told.
    pub(crate) text: String,
}

/// A page that was found.
#[derive(Debug, PartialEq, Eq)]
struct Page {
    url: String,
    title: String,
    excerpt: String,
}

/// The wire type of a tool that the search can stand in for.
pub(crate) fn tag<'t>(tool: &'t Tool<'_>) -> Option<&'t str> {
    match tool {
        Tool::Hosted { tag, .. } if tag.starts_with("web_search") => Some(tag),
        Tool::Hosted { .. }
        | Tool::Function(_)
        | Tool::Freeform { .. }
        | Tool::Namespace { .. }
        | Tool::Search { .. }
        | Tool::Unknown { .. } => None,
    }
}

/// Puts the search as a function where the request has a hosted one. `false` when it has none, or when the client has a function
/// of that name itself.
pub(crate) fn offer(request: &mut Request<'_>) -> bool {
    let taken = request
        .all_tools()
        .any(|tool| matches!(tool, Tool::Function(function) if function.name == TOOL));
    let Some(place) = request.tools.iter().position(|tool| tag(tool).is_some()) else {
        return false;
    };
    if taken {
        return false;
    }
    request.tools.retain(|tool| tag(tool).is_none());
    if matches!(&request.tool_choice, ToolChoice::Hosted(tag) if tag.starts_with("web_search")) {
        request.tool_choice = ToolChoice::Named {
            name: TOOL.into(),
            namespace: None,
        };
    }
    request.tools.insert(
        place.min(request.tools.len()),
        Tool::Function(Function {
            name: TOOL.into(),
            description: Some(Text::plain(DESCRIPTION)),
            parameters: Some(Json::new(PARAMETERS)),
            strict: None,
            deferred: false,
        }),
    );
    true
}

impl Found {
    fn new(search: Search, asked: Result<Vec<Page>, String>) -> Self {
        let (pages, failure) = match asked {
            Ok(pages) => (pages, None),
            Err(why) => (Vec::new(), Some(why)),
        };
        Self {
            id: format!("ws_{}", search.call_id),
            text: told(&pages, failure.as_deref()),
            call_id: search.call_id,
            query: search.query,
            pages,
            failure,
        }
    }

    /// The same under another id for the client.
    pub(crate) fn with_id(self, id: String) -> Self {
        Self { id, ..self }
    }

    /// A search that is one too many.
    pub(crate) fn refused(search: Search) -> Self {
        let why = format!("no more than {SEARCHES_MAX} searches are carried out at once");
        Self::new(search, Err(why))
    }

    /// The result as the model gets it.
    pub(crate) fn item(&self) -> Item<'static> {
        Item::Result(ToolResult {
            call_id: self.call_id.clone().into(),
            parts: vec![Part::Text(Text::plain(self.text.clone()))],
            tools_loaded: Vec::new(),
            is_error: self.failure.is_some(),
        })
    }

    /// Where the pages are, and what they are called.
    pub(crate) fn pages(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pages.iter().map(|page| (&*page.url, &*page.title))
    }

    /// The event that tells the client.
    pub(crate) fn event(&self) -> WebSearch<'_> {
        WebSearch {
            id: &self.id,
            query: Text::plain(self.query.as_str()),
            sources: self
                .pages
                .iter()
                .map(|page| {
                    (
                        Text::plain(page.url.as_str()),
                        Text::plain(page.title.as_str()),
                    )
                })
                .collect(),
            failure: self.failure.as_deref().map(Text::plain),
        }
    }
}

impl SearchService {
    /// Carries out a search. A failure is told to the model, which can go on without.
    pub(crate) async fn find(
        &self,
        search: Search,
        upstream: &Upstream,
        variables: &Variables,
    ) -> Found {
        let asked = self.ask(&search.query, upstream, variables).await;
        if let Err(why) = &asked {
            tracing::warn!("a web search failed: {why}");
        }
        Found::new(search, asked)
    }

    /// Carries out the commands of Codex's own search tool and gives what the model is told. Only searches can be carried out; the
    /// model hears of the rest.
    pub(crate) async fn commands(
        &self,
        commands: &Commands,
        upstream: &Upstream,
        variables: &Variables,
    ) -> String {
        let mut told = Vec::new();
        for query in commands.search_query.iter().take(COMMANDS_MAX) {
            let search = Search {
                call_id: String::new(),
                query: query.whole(),
            };
            let found = self.find(search, upstream, variables).await;
            told.push(format!("Results for `{}`:\n\n{}", found.query, found.text));
        }
        let left = commands.search_query.len().saturating_sub(COMMANDS_MAX);
        if left > 0 {
            told.push(format!(
                "{left} more queries were not carried out: {COMMANDS_MAX} at most."
            ));
        }
        told.extend(
            commands
                .others
                .keys()
                .filter(|name| *name != "response_length")
                .map(|name| format!("`{name}` is not available here: only `search_query` is.")),
        );
        if told.is_empty() {
            told.push("Nothing was asked for. Give `search_query`.".to_owned());
        }
        told.join("\n\n")
    }

    async fn ask(
        &self,
        query: &str,
        upstream: &Upstream,
        variables: &Variables,
    ) -> Result<Vec<Page>, String> {
        let query = beginning(query, QUERY_CHARS_MAX);
        let asked = tokio::time::timeout(SEARCH_TIMEOUT, self.exchange(query, upstream, variables));
        asked
            .await
            .map_err(|_| format!("no answer within {} s", SEARCH_TIMEOUT.as_secs()))?
    }

    async fn exchange(
        &self,
        query: &str,
        upstream: &Upstream,
        variables: &Variables,
    ) -> Result<Vec<Page>, String> {
        let key = self
            .key
            .resolve(&**variables)
            .await
            .map_err(|error| error.to_string())?;
        let key = key.as_ref().map(polywire_credentials::Secret::reveal);
        let request = self.request(query, key)?;
        let response = upstream
            .send(request)
            .await
            .map_err(|error| error.to_string())?;
        let status = response.status();
        let body = Limited::new(response.into_body(), SEARCH_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| format!("the answer could not be read: {error}"))?
            .to_bytes();
        if !status.is_success() {
            return Err(format!(
                "the search service answered HTTP {}",
                status.as_u16()
            ));
        }
        let answer: Value = serde_json::from_slice(&body)
            .map_err(|error| format!("the search service sent no JSON: {error}"))?;
        Ok(self.read(&answer))
    }

    fn request(
        &self,
        query: &str,
        key: Option<&str>,
    ) -> Result<http::Request<Full<Bytes>>, String> {
        let count = self.results_max;
        let request = match &self.kind {
            SearchKind::Brave { url } => http::Request::get(uri(&format!(
                "{url}/res/v1/web/search?q={}&count={count}",
                percent_encoded(query)
            ))?)
            .header("accept", "application/json")
            .header("x-subscription-token", key.unwrap_or_default())
            .body(Full::default()),
            SearchKind::Tavily { url } => http::Request::post(uri(&format!("{url}/search"))?)
                .header("content-type", "application/json")
                .header(
                    "authorization",
                    format!("Bearer {}", key.unwrap_or_default()),
                )
                .body(Full::from(
                    serde_json::json!({"query": query, "max_results": count}).to_string(),
                )),
            SearchKind::Searxng { url } => http::Request::get(uri(&format!(
                "{url}/search?format=json&q={}",
                percent_encoded(query)
            ))?)
            .header("accept", "application/json")
            .body(Full::default()),
        };
        request.map_err(|error| format!("the request cannot be made: {error}"))
    }

    fn read(&self, answer: &Value) -> Vec<Page> {
        let (list, excerpt) = match &self.kind {
            SearchKind::Brave { .. } => (answer.pointer("/web/results"), "description"),
            SearchKind::Tavily { .. } | SearchKind::Searxng { .. } => {
                (answer.get("results"), "content")
            }
        };
        let word = |entry: &Value, key: &str| {
            entry
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        list.and_then(Value::as_array)
            .into_iter()
            .flatten()
            .take(self.results_max)
            .map(|entry| Page {
                url: word(entry, "url"),
                title: word(entry, "title"),
                excerpt: beginning(&word(entry, excerpt), EXCERPT_CHARS_MAX).to_owned(),
            })
            .filter(|page| !page.url.is_empty())
            .collect()
    }
}

/// The first characters of a text.
fn beginning(text: &str, chars_max: usize) -> &str {
    let end = text.char_indices().nth(chars_max);
    end.map_or(text, |(end, _)| &text[..end])
}

fn uri(url: &str) -> Result<Uri, String> {
    Uri::try_from(url).map_err(|error| format!("`{url}` is no URL: {error}"))
}

pub(crate) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            encoded.push('%');
            for half in [byte >> 4, byte & 15] {
                encoded.push(char::from(DIGITS[usize::from(half)]));
            }
        }
    }
    encoded
}

/// What the model is told of a search.
fn told(pages: &[Page], failure: Option<&str>) -> String {
    if let Some(why) = failure {
        return format!("The search failed: {why}.");
    }
    if pages.is_empty() {
        return "Nothing was found.".to_owned();
    }
    let entries: Vec<String> = pages
        .iter()
        .enumerate()
        .map(|(index, page)| {
            format!(
                "[{}] {}\n{}\n{}",
                index + 1,
                page.title,
                page.url,
                page.excerpt
            )
        })
        .collect();
    format!(
        "{}\n\nName the addresses of the pages that you use.",
        entries.join("\n\n")
    )
}
