//! What a client gets to know, and how: its variables.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use polywire_credentials::Secret;
use serde_json::Value;

use super::clients::Client;

/// The names of the variables that a run has set, and the runs around it, with commas between them. Polywire takes none of them for the user's, and `--plain`
/// inside of a run leaves them out.
pub(crate) use polywire_settings::RUN_SET_VARIABLE as SET_VARIABLE;

/// The variables that send requests over a proxy; each exists in lower case, too.
const PROXIES: [&str; 3] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];

/// The two spellings of the variable that names what no proxy is asked for. Programs differ in which they read.
pub(crate) const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// What is to be told to a client.
pub(crate) struct Told<'a> {
    /// Where the gateway can be reached from here.
    pub(crate) address: SocketAddr,
    /// What the gateway asks for; `None` for nothing.
    pub(crate) token: Option<&'a Secret>,
    /// The name by which the gateway serves the model.
    pub(crate) model: &'a str,
    /// The most tokens that the model takes.
    pub(crate) context_window: u64,
    /// The most tokens that it answers with.
    pub(crate) output_tokens_max: u64,
}

impl Told<'_> {
    /// `http://127.0.0.1:4891`.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The token, or a word in its place: clients insist on one.
    pub(crate) fn token(&self) -> &str {
        self.token.map_or("none", Secret::reveal)
    }

    /// A template with what it names filled in.
    pub(crate) fn filled(&self, template: &str) -> String {
        let origin = self.origin();
        template
            .replace("{base_url}", &format!("{origin}/v1"))
            .replace("{origin}", &origin)
            .replace("{token}", self.token())
            .replace("{model}", self.model)
    }

    /// A table as JSON.
    pub(crate) fn document(&self, template: &toml::Value) -> Value {
        match template {
            toml::Value::String(text) => match text.as_str() {
                "{context_window}" => self.context_window.into(),
                "{output_tokens_max}" => self.output_tokens_max.into(),
                text => self.filled(text).into(),
            },
            toml::Value::Table(table) => {
                let members = table.iter();
                let filled = members.map(|(key, value)| (self.filled(key), self.document(value)));
                Value::Object(filled.collect())
            }
            toml::Value::Array(items) => items.iter().map(|item| self.document(item)).collect(),
            toml::Value::Integer(number) => (*number).into(),
            toml::Value::Float(number) => (*number).into(),
            toml::Value::Boolean(flag) => (*flag).into(),
            toml::Value::Datetime(moment) => moment.to_string().into(),
        }
    }
}

/// The variables that a client gets beside those of its user. `variable` has the user's.
pub(crate) fn variables(
    client: &Client,
    told: &Told<'_>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> BTreeMap<String, String> {
    let plain = client.variables.iter();
    let plain = plain.map(|(name, template)| (name.clone(), told.filled(template)));
    let documents = client.documents.iter();
    let documents =
        documents.map(|(name, template)| (name.clone(), told.document(template).to_string()));
    let exceptions = proxy_exceptions(told.address, variable);
    plain.chain(documents).chain(exceptions).collect()
}

/// Where a proxy is set, the gateway is among what it is not asked for: a proxy elsewhere could not reach it, and need not hear of it.
fn proxy_exceptions(
    address: SocketAddr,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Vec<(String, String)> {
    let value = |name: &str| variable(name).filter(|value| !value.is_empty());
    let has_proxy = PROXIES
        .iter()
        .any(|name| value(name).is_some() || value(&name.to_lowercase()).is_some());
    if !has_proxy {
        return Vec::new();
    }
    let host = address.ip().to_string();
    let either = EXCEPTIONS.iter().find_map(|name| value(name));
    EXCEPTIONS
        .into_iter()
        .filter_map(|name| {
            let listed = value(name).or_else(|| either.clone()).unwrap_or_default();
            let mut hosts = listed.split(',').map(str::trim);
            let is_exempt = hosts.any(|listed| listed == host || listed == "*");
            let extended = match (is_exempt, listed.is_empty()) {
                (true, _) if value(name).is_some() => return None,
                (true, _) => listed,
                (false, true) => host.clone(),
                (false, false) => format!("{listed},{host}"),
            };
            Some((name.to_owned(), extended))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::clients;
    use super::*;

    fn exceptions(set: &[(&str, &str)]) -> Vec<(String, String)> {
        let variable = |name: &str| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        proxy_exceptions("127.0.0.1:4891".parse().unwrap(), &variable)
    }

    #[test]
    fn the_gateway_is_reached_without_the_proxy() {
        let both = |value: &str| {
            EXCEPTIONS
                .map(|name| (name.to_owned(), value.to_owned()))
                .to_vec()
        };
        let proxy = ("https_proxy", "http://proxy:3128");
        assert_eq!(exceptions(&[]), []);
        assert_eq!(exceptions(&[("NO_PROXY", "intranet")]), []);
        assert_eq!(exceptions(&[("HTTP_PROXY", "")]), []);
        assert_eq!(exceptions(&[proxy]), both("127.0.0.1"));
        assert_eq!(
            exceptions(&[proxy, ("no_proxy", "a, b")]),
            both("a, b,127.0.0.1")
        );
        let there = [proxy, ("NO_PROXY", "a,127.0.0.1")];
        assert_eq!(
            exceptions(&there),
            [("no_proxy".to_owned(), "a,127.0.0.1".to_owned())]
        );
        let differing = [proxy, ("NO_PROXY", "*"), ("no_proxy", "b")];
        assert_eq!(
            exceptions(&differing),
            [("no_proxy".to_owned(), "b,127.0.0.1".to_owned())]
        );
    }

    #[test]
    fn documents_are_json_with_the_model_as_it_is() {
        let token = Secret::new("pw-1".to_owned());
        let told = Told {
            address: "127.0.0.1:1".parse().unwrap(),
            token: Some(&token),
            model: "house/a \"b\"",
            context_window: 1000,
            output_tokens_max: 100,
        };
        let client = clients::client("opencode").unwrap();
        let set = variables(&client, &told, &|_| None);
        let document: Value = serde_json::from_str(&set["OPENCODE_CONFIG_CONTENT"]).unwrap();
        assert_eq!(document["model"], "polywire/house/a \"b\"");
        let provider = &document["provider"]["polywire"];
        assert_eq!(provider["options"]["baseURL"], "http://127.0.0.1:1/v1");
        assert_eq!(
            provider["models"]["house/a \"b\""]["limit"]["context"],
            1000
        );
    }
}
