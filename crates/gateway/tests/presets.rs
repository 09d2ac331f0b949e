//! Presets are data of one crate and the keys in them are of another: here they meet.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::sync::Arc;

use polywire_catalog::{Catalog, Kind, presets};
use polywire_dialect_chat::{Profile, ReasoningForm};
use polywire_gateway::{
    Configuration, Engines, Fixed, Gateway, Keys, LocalStates, Logins, Proxies, RetryLimits, Stores,
};

#[test]
fn the_dialect_takes_every_profile() {
    for preset in presets().iter().filter(|preset| preset.kind == Kind::Chat) {
        let provider = preset.to_provider(&preset.id);
        let of_models = provider.models.iter().map(|model| Some(&**model));
        for model in of_models.chain([None]) {
            let table = provider.profile_for(model).into_owned();
            let profile: Profile = table
                .try_into()
                .unwrap_or_else(|error| panic!("{} {model:?}: {error}", preset.id));
            let Some(model) = model else { continue };
            // Whoever can be chosen an effort for must be able to ask for one.
            assert!(
                model.reasoning_efforts.is_empty()
                    || profile.reasoning_request != ReasoningForm::None,
                "{}/{} has efforts, but no way to ask for them",
                preset.id,
                model.id
            );
        }
    }
}

#[test]
fn a_gateway_takes_all_presets_together() {
    let providers = presets()
        .iter()
        .map(|preset| Arc::new(preset.to_provider(&preset.id)));
    let configuration = Configuration {
        engines: Engines::new(),
        catalog: Catalog {
            providers: providers.collect(),
            ..Catalog::default()
        },
        keys: Keys::new(),
        proxies: Proxies::new(),
        local: LocalStates::new(),
        logins: Logins::new(),
        variables: Arc::new(|_| None),
        strict: false,
        search: None,
        patience: RetryLimits::default(),
    };
    assert!(configuration.catalog.providers.len() >= 10);
    let gateway = Gateway::new(configuration, Box::new(Fixed), Stores::default())
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(gateway.live().catalog().providers.len(), presets().len());
}

#[test]
fn a_bad_key_in_the_profile_of_one_model_is_named() {
    let mut provider = presets()[0].to_provider("mine");
    let mut model = (*provider.models[0]).clone();
    model.profile.insert("colour".to_owned(), "blue".into());
    let id = model.id.clone();
    provider.models[0] = Arc::new(model);
    let configuration = Configuration {
        engines: Engines::new(),
        catalog: Catalog {
            providers: vec![Arc::new(provider)],
            ..Catalog::default()
        },
        keys: Keys::new(),
        proxies: Proxies::new(),
        local: LocalStates::new(),
        logins: Logins::new(),
        variables: Arc::new(|_| None),
        strict: false,
        search: None,
        patience: RetryLimits::default(),
    };
    let Err(error) = Gateway::new(configuration, Box::new(Fixed), Stores::default()) else {
        panic!("a profile with an unknown key was taken");
    };
    let text = error.to_string();
    assert!(
        text.contains("`mine`") && text.contains("`colour`") && text.contains(&id),
        "{text}"
    );
}
