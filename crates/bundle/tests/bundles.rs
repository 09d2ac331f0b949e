//! Bundles out and in again, with and without secrets; and whatever else somebody may hand in as one.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test that calls them"
)]

use polywire_bundle::{
    Bundle, BundleError, Incoming, Moment, OpenError, Randomness, SecretValue, read,
};
use polywire_credentials::Secret;
use proptest::prelude::*;
use toml::{Table, Value};

fn moment() -> Moment {
    Moment {
        exported_at: "2026-11-25T20:00:00Z".to_owned(),
        polywire: "0.1.0".to_owned(),
    }
}

const PROVIDERS: &str = r#"
[zai]
preset = "zai"
key = "sk-zai-1"
default_model = "glm-5.1"

[house]
kind = "chat"
base_url = "http://127.0.0.1:8000/v1"
key = { env = "HOUSE_KEY" }
proxy = "http://user:pass@127.0.0.1:3128"
headers = { X-Key = "sk-header", X-Title = "mine" }
models = ["a", { id = "org/B:free", context_window = 1000 }]
profile = { tool_choice = ["auto"], stop_max = 4 }
"#;

fn bundle() -> (Bundle, Vec<(String, SecretValue)>) {
    let providers: Table = PROVIDERS.parse().unwrap();
    let (mut bundle, secrets) = Bundle::new(moment(), providers);
    bundle.default_provider = Some("zai".to_owned());
    bundle
        .aliases
        .insert("fast".to_owned(), "zai/glm-4.7-flash".into());
    (bundle, secrets)
}

fn sealed(passphrase: &str) -> String {
    let (mut bundle, secrets) = bundle();
    bundle
        .seal(&secrets, &Secret::new(passphrase), &Randomness([3; 40]))
        .unwrap();
    bundle.render().unwrap()
}

#[track_caller]
fn ours(text: &str) -> Bundle {
    match read(text) {
        Ok(Incoming::Bundle(bundle)) => *bundle,
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_secrets() {
    let (bundle, _) = bundle();
    let text = bundle.render().unwrap();
    for secret in ["sk-zai-1", "pass", "user", "sk-header"] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(text.starts_with("{\n  \"polywire_bundle\": 1,"), "{text}");
    let back = ours(&text);
    assert_eq!(back, bundle);
    assert!(!back.is_sealed());
    let left_out: Vec<String> = back.left_out.iter().map(|place| place.join(".")).collect();
    assert_eq!(
        left_out,
        [
            "providers.house.proxy",
            "providers.house.headers.X-Key",
            "providers.zai.key"
        ]
    );
    // What can be had without them.
    let house = &back.incoming(Vec::new()).unwrap()[0];
    assert_eq!(house.table["proxy"].as_str(), Some("http://127.0.0.1:3128"));
    assert_eq!(house.table["key"]["env"].as_str(), Some("HOUSE_KEY"));
}

#[test]
fn with_secrets() {
    let text = sealed("a long passphrase");
    for secret in ["sk-zai-1", "user:pass", "sk-header", "a long"] {
        assert!(!text.contains(secret), "{text}");
    }
    let back = ours(&text);
    assert!(back.is_sealed());
    let secrets = back.open(&Secret::new("a long passphrase")).unwrap();
    let providers = back.incoming(secrets).unwrap();
    assert_eq!(providers[1].id, "zai");
    assert_eq!(
        providers[1].key.as_ref().map(Secret::reveal),
        Some("sk-zai-1")
    );
    assert!(!providers[1].table.contains_key("key"));
    let house = &providers[0].table;
    assert_eq!(
        house["proxy"].as_str(),
        Some("http://user:pass@127.0.0.1:3128")
    );
    assert_eq!(house["headers"]["X-Key"].as_str(), Some("sk-header"));
    assert_eq!(
        back.open(&Secret::new("another")),
        Err(OpenError::Passphrase)
    );
}

/// Whoever changes an address must not get the key that goes there.
#[test]
fn a_bundle_that_was_changed_does_not_open() {
    let passphrase = "a long passphrase";
    let text = sealed(passphrase);
    for (from, to) in [
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8001/v1"),
        (
            "\"preset\": \"zai\"",
            "\"preset\": \"zai\", \"base_url\": \"https://thief.example\"",
        ),
        ("\"fast\"", "\"faster\""),
        (
            "\"default_provider\": \"zai\"",
            "\"default_provider\": \"house\"",
        ),
    ] {
        assert!(text.contains(from), "{from} is not in {text}");
        let changed = ours(&text.replace(from, to));
        let opened = changed.open(&Secret::new(passphrase));
        assert_eq!(opened, Err(OpenError::Changed), "{to}");
    }
    // Another layout is no change.
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(
        ours(&value.to_string())
            .open(&Secret::new(passphrase))
            .is_ok()
    );
}

#[test]
fn what_is_no_bundle_is_told_with_its_place() {
    let told = |text: &str| read(text).unwrap_err().to_string();
    assert_eq!(told("{\n  \"a\": }"), "line 2, column 8: expected value");
    for text in ["[]", "{}", "1", "{\"providers\": {}}"] {
        assert_eq!(read(text), Err(BundleError::Unknown), "{text}");
    }
    assert!(
        told("{\"polywire_bundle\": 2}")
            .contains("has version 2, and this polywire knows version 1")
    );
    let told = told(
        r#"{"polywire_bundle": 1, "providers": {"a": 1}, "aliases": {"x": null}, "default_provider": 4, "sealed": {}, "extra": 0}"#,
    );
    for place in [
        "`extra`: a bundle of this version has no such member",
        "`default_provider`: must be a text",
        "`providers.a`: must be an object",
        "`aliases`: a value in it is null",
        "`sealed`: must be",
    ] {
        assert!(told.contains(place), "{place} is not in\n{told}");
    }
}

/// Any value that a settings file can hold and JSON has a word for.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        "[ -~]{0,12}|\\PC{0,6}".prop_map(Value::String),
        any::<i64>().prop_map(Value::Integer),
        any::<bool>().prop_map(Value::Boolean),
        (-1.0e9..1.0e9f64).prop_map(Value::Float),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            tables(inner).prop_map(Value::Table),
        ]
    })
}

fn tables(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Table> {
    prop::collection::vec(("[a-zA-Z_.-]{1,8}|key|headers|proxy", inner), 0..5)
        .prop_map(|members| members.into_iter().collect())
}

fn providers() -> impl Strategy<Value = Table> {
    prop::collection::vec(("[a-z]{1,6}", tables(values())), 0..4).prop_map(|providers| {
        let providers = providers.into_iter();
        providers
            .map(|(id, table)| (id, Value::Table(with_usable_key(table))))
            .collect()
    })
}

/// What cannot be a key is refused, and has a test of its own.
fn with_usable_key(mut table: Table) -> Table {
    if let Some(Value::String(key)) = table.get_mut("key") {
        key.retain(|letter| letter.is_ascii_graphic());
        key.push('k');
    }
    table
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(providers in providers()) {
        let (bundle, secrets) = Bundle::new(moment(), providers.clone());
        let text = bundle.render().unwrap();
        let back = ours(&text);
        prop_assert_eq!(&back, &bundle);
        // And with the secrets put back it is what it was.
        let mut whole = Table::new();
        for mut provider in back.incoming(secrets).unwrap() {
            if let Some(key) = provider.key {
                provider.table.insert("key".to_owned(), key.reveal().into());
            }
            whole.insert(provider.id, provider.table.into());
        }
        prop_assert_eq!(whole, providers);
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        read(&text).ok();
    }

    #[test]
    fn no_json_makes_it_panic(endpoint in values(), default in values()) {
        let endpoint = serde_json::to_value(&endpoint).unwrap();
        let default = serde_json::to_value(&default).unwrap();
        for text in [
            serde_json::json!({"endpoints": endpoint, "default": default}),
            serde_json::json!({"endpoints": [endpoint]}),
            serde_json::json!({"endpoints": [{"name": "a", "base_url": endpoint, "models": default}]}),
            serde_json::json!({"polywire_bundle": 1, "providers": endpoint, "sealed": default}),
        ] {
            read(&text.to_string()).ok();
        }
    }
}

proptest! {
    // Each makes two keys from a passphrase, which is made to cost time.
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn any_passphrase_opens_what_it_has_sealed(passphrase in "\\PC{1,40}", providers in providers()) {
        let (mut bundle, secrets) = Bundle::new(moment(), providers);
        bundle.seal(&secrets, &Secret::new(&passphrase), &Randomness([9; 40])).unwrap();
        let back = ours(&bundle.render().unwrap());
        let opened = back.open(&Secret::new(&passphrase)).unwrap();
        prop_assert_eq!(opened, secrets);
    }
}
