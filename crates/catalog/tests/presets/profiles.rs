//! Every profile is one that its dialect takes, and says the same as the list of models beside it.

use polywire_catalog::{Model, Preset, presets};
use polywire_dialect_chat::ReasoningForm;
use polywire_dialect_messages::ThinkingForm;

use crate::{Profile, read_profile};

/// The efforts that go without being listed.
const USUAL_EFFORTS: [&str; 3] = ["low", "medium", "high"];

/// Every profile of every preset: its own, and those of its models.
fn each_profile(check: impl Fn(&str, Option<&Model>, Profile)) {
    each_table(|name, preset, model, table| {
        let profile = read_profile(preset.kind, table)
            .unwrap_or_else(|error| panic!("the profile of {name}: {error}"));
        check(name, model, profile);
    });
}

/// The same, unread.
fn each_table(check: impl Fn(&str, &Preset, Option<&Model>, toml::Table)) {
    for preset in presets() {
        let provider = preset.to_provider(&preset.id);
        let of_models = provider.models.iter().map(|model| Some(&**model));
        for model in of_models.chain([None]) {
            let name = match model {
                Some(model) => format!("{}/{}", preset.id, model.id),
                None => preset.id.clone(),
            };
            let table = provider.profile_for(model).into_owned();
            check(&name, preset, model, table);
        }
    }
}

#[test]
fn the_dialects_take_every_profile() {
    each_profile(|_, _, _| {});
}

/// Whoever can be chosen an effort for must be able to ask for that one.
#[test]
fn every_effort_can_be_asked_for() {
    each_profile(|name, model, profile| {
        let Some(model) = model.filter(|model| !model.reasoning_efforts.is_empty()) else {
            return;
        };
        let (can_ask, known) = match &profile {
            Profile::Chat(profile) => {
                let form = profile.reasoning_request;
                let by_name = matches!(
                    form,
                    ReasoningForm::ReasoningEffort | ReasoningForm::ReasoningObject
                );
                let known = known_efforts(&profile.efforts, by_name);
                (form != ReasoningForm::None, known)
            }
            Profile::Messages(profile) => {
                let can_ask = profile.thinking != ThinkingForm::None || !profile.efforts.is_empty();
                (can_ask, known_efforts(&profile.efforts, false))
            }
            Profile::Responses(profile) => {
                (profile.reasoning, known_efforts(&profile.efforts, true))
            }
            // Without a list none is sent.
            Profile::CommandCode(profile) => (
                !profile.efforts.is_empty(),
                known_efforts(&profile.efforts, true),
            ),
        };
        assert!(can_ask, "{name} has efforts, but no way to ask for them");
        for effort in &model.reasoning_efforts {
            // "none" is a switch of its own in most forms.
            let asked = effort == "none"
                || known
                    .as_ref()
                    .is_none_or(|known| known.contains(&effort.as_str()));
            assert!(asked, "{name}: `{effort}` is offered and never asked for");
        }
    });
}

/// The efforts that go out by name; `None` when a switch or a budget stands for all of them.
fn known_efforts(listed: &[String], by_name: bool) -> Option<Vec<&str>> {
    match (listed.is_empty(), by_name) {
        (true, true) => Some(USUAL_EFFORTS.to_vec()),
        (true, false) => None,
        (false, _) => Some(listed.iter().map(String::as_str).collect()),
    }
}

#[test]
fn what_a_model_can_its_profile_lets_through() {
    each_profile(|name, model, profile| {
        let Some(model) = model else { return };
        let (images, can_be_off) = match profile {
            Profile::Chat(profile) => (profile.images, true),
            Profile::Messages(profile) => (profile.images, profile.thinking_can_be_off),
            Profile::Responses(profile) => (profile.images, true),
            Profile::CommandCode(profile) => (profile.images, true),
        };
        assert!(images || !model.images, "{name} is denied its images");
        let offers_none = model
            .reasoning_efforts
            .iter()
            .any(|effort| effort == "none");
        assert!(
            can_be_off || !offers_none,
            "{name} always thinks, and offers not to"
        );
    });
}

#[test]
fn a_mistake_in_a_profile_is_found() {
    let preset: &Preset = &presets()[0];
    let mut table = preset.profile.clone();
    table.insert("colour".to_owned(), "blue".into());
    let Err(error) = read_profile(preset.kind, table) else {
        panic!("an unknown key was taken");
    };
    assert!(error.message().contains("`colour`"), "{error}");
}
