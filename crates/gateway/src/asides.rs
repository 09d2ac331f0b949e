//! What clients ask beside turns: token counts, lists of models, a web search.

use polywire_conversation::{Fault, estimate};
use polywire_dialect_messages::{self as messages, ModelEntry, ModelsQuery};
use polywire_dialect_responses as responses;

use crate::client::{Client, ClientDialect};
use crate::search::Commands;
use crate::state::{Gateway, Live};

/// Counts the input tokens of a request. An estimate: the providers that could count are not asked.
///
/// # Errors
/// What is wrong with the request.
pub fn count_tokens(dialect: ClientDialect, body: &[u8]) -> Result<Vec<u8>, Fault> {
    match dialect {
        ClientDialect::Messages => {
            let request = messages::parse_count(body)?;
            Ok(messages::render_count(messages::estimate(&request)))
        }
        ClientDialect::Responses | ClientDialect::Chat => {
            let parsed = responses::parse(body, Client::Sdk)?;
            let tokens = estimate::request_tokens(&parsed.request);
            let answer =
                serde_json::json!({"object": "response.input_tokens", "input_tokens": tokens});
            Ok(answer.to_string().into_bytes())
        }
    }
}

/// The models in the form of the Messages protocol. `query` is that of the URL: `limit`, `after_id`, `before_id`.
pub fn list_models(live: &Live, query: &str) -> Vec<u8> {
    let value = |key: &str| {
        query
            .split('&')
            .find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
    };
    let listed = live.catalog().listed_models();
    let entries: Vec<ModelEntry<'_>> = listed
        .iter()
        .map(|listed| ModelEntry {
            id: &listed.slug,
            display_name: listed
                .targets
                .first()
                .and_then(|target| target.model.as_ref())
                .map_or(&*listed.slug, |model| &model.display_name),
        })
        .collect();
    messages::models_page(
        &entries,
        &ModelsQuery {
            limit: value("limit").and_then(|limit| limit.parse().ok()),
            after_id: value("after_id"),
            before_id: value("before_id"),
        },
    )
}

/// Carries out the commands of Codex's own search tool with the service of the settings, and gives the body of the answer;
/// `None` when there is no service.
///
/// # Errors
/// What is wrong with the request.
pub async fn search_web(gateway: &Gateway, body: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
    #[derive(serde::Deserialize)]
    struct Body {
        commands: Commands,
    }
    let body: Body = serde_json::from_slice(body).map_err(|error| {
        Fault::invalid("commands", format!("`commands` cannot be read: {error}"))
    })?;
    let live = gateway.live();
    let Some(service) = live.search() else {
        return Ok(None);
    };
    let upstream = gateway.upstream();
    let output = service
        .commands(&body.commands, &upstream, live.variables())
        .await;
    Ok(Some(
        serde_json::json!({"output": output})
            .to_string()
            .into_bytes(),
    ))
}
