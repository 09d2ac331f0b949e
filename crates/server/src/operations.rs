//! What whoever runs the gateway asks it: whether it is ready, and what it has done.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use polywire_gateway::metrics::Counts;
use polywire_gateway::{EngineState, Gateway, Problem};
use serde_json::{Map, Value, json};

use crate::prometheus;
use crate::routes::{Shared, json_page};
use crate::serve::Stop;

/// Everything that is told of a running gateway.
pub(crate) struct Facts {
    pub(crate) uptime: Duration,
    pub(crate) turns_at_work: usize,
    pub(crate) counts: Counts,
    pub(crate) machine: Machine,
}

/// What providers have on this machine, and lack there.
#[derive(Default)]
pub(crate) struct Machine {
    pub(crate) engines: Vec<Engine>,
    /// Problems, each with its provider.
    pub(crate) problems: Vec<(String, Problem)>,
}

/// The engine of a provider.
pub(crate) struct Engine {
    pub(crate) provider: String,
    pub(crate) kind: &'static str,
    pub(crate) state: EngineState,
}

impl Machine {
    /// Asks every configured provider; the default one comes first.
    fn of(gateway: &Gateway) -> Self {
        let live = gateway.live();
        let default = live.catalog().default_provider.as_deref();
        let mut endpoints: Vec<_> = live.endpoints().iter().collect();
        endpoints.sort_by_key(|endpoint| Some(endpoint.provider_id()) != default);
        let mut machine = Machine::default();
        for endpoint in endpoints {
            let provider = || endpoint.provider_id().to_owned();
            if let Some(state) = endpoint.engine_state() {
                machine.engines.push(Engine {
                    provider: provider(),
                    kind: endpoint.provider().kind.name(),
                    state,
                });
            }
            let problems = endpoint.problems().into_iter();
            machine
                .problems
                .extend(problems.map(|problem| (provider(), problem)));
        }
        machine
    }

    fn engines_json(&self) -> Value {
        let engines = self.engines.iter().map(|engine| {
            let state = &engine.state;
            json!({
                "provider": engine.provider,
                "engine": engine.kind,
                "workers": state.workers,
                "busy": state.busy,
                "waiting": state.waiting,
                "queue": state.queue,
                "started": state.started,
                "waiting_threads": state.waiting_threads,
                "executable_found": state.executable_found,
                "login_found": state.login_found,
                "pool_started": state.pool_started,
            })
        });
        engines.collect()
    }
}

/// Whether every configured provider has what it needs on this machine.
///
/// One that has not makes the gateway not ready, even where others would serve: whoever configured it counts on it, and the body tells
/// which it is. It is open to everybody who reaches the gateway, as probes are: names of providers and words of ours, no path, no
/// account. A gateway that is stopping is not ready, whatever its providers have.
pub(crate) async fn ready(State(app): Shared, Extension(stop): Extension<Stop>) -> Response<Body> {
    if stop.drain.is_cancelled() {
        let mut response = json_page(json!({"status": "stopping"}).to_string());
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        return response;
    }
    let machine = Machine::of(&app.gateway);
    let is_ready = machine.problems.is_empty();
    let mut body = Map::new();
    let status = if is_ready { "ready" } else { "not_ready" };
    body.insert("status".to_owned(), status.into());
    if !is_ready {
        let problems = machine.problems.iter().map(|(provider, problem)| {
            json!({
                "provider": provider,
                "problem": problem.kind.name(),
                "hint": problem.hint,
            })
        });
        body.insert("problems".to_owned(), problems.collect());
    }
    if !machine.engines.is_empty() {
        body.insert("engines".to_owned(), machine.engines_json());
    }
    let mut response = json_page(Value::Object(body).to_string());
    if !is_ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

/// What was counted: for Prometheus, or as JSON for whoever accepts that.
///
/// It asks for the token like everything that is somebody's own business: which providers are used, how much, and what for tokens are
/// spent there would otherwise be told to every program and person on the machine. Prometheus sends one (`authorization:
/// credentials_file`).
pub(crate) async fn metrics(State(app): Shared, headers: HeaderMap) -> Response<Body> {
    let gateway = &app.gateway;
    let facts = Facts {
        uptime: gateway.metrics.uptime(),
        turns_at_work: gateway.turns_at_work(),
        counts: gateway.metrics.counts(),
        machine: Machine::of(gateway),
    };
    if wants_json(&headers) {
        return json_page(counters(&facts).to_string());
    }
    let mut response = Response::new(Body::from(prometheus::page(&facts)));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(prometheus::CONTENT_TYPE),
    );
    response
}

fn wants_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter();
    accepted
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("application/json"))
}

/// The counters in a flat form, under the names that scripts know from proxies with one engine, and what is ours beside them. `engine` is
/// that of the first provider that has one, the default provider before the others.
fn counters(facts: &Facts) -> Value {
    let counts = &facts.counts;
    let errors: Map<String, Value> = counts
        .errors_by_status()
        .into_iter()
        .map(|(status, count)| (status.to_string(), count.into()))
        .collect();
    let engines = &facts.machine.engines;
    let milliseconds = (facts.uptime.as_secs_f64() * 1000.0).round();
    json!({
        "requests_total": counts.requests(),
        "requests_ok": counts.ok,
        "requests_error": counts.errors(),
        "requests_client_left": counts.client_left,
        "errors_by_status": errors,
        "uptime_seconds": milliseconds / 1000.0,
        "turns_at_work": facts.turns_at_work,
        "engine": engines.first().map(|engine| engine.kind),
        "app_server_pool_started": engines.iter().any(|engine| engine.state.pool_started),
        "engines": facts.machine.engines_json(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_for_whoever_accepts_it() {
        let check = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            wants_json(&headers)
        };
        assert!(check("application/json"));
        assert!(check("text/html, application/json;q=0.9"));
        assert!(!check("*/*"));
        // What Prometheus sends.
        assert!(!check(
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
        ));
        assert!(!wants_json(&HeaderMap::new()));
    }
}
