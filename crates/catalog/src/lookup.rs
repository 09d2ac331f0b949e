//! Which provider and model a model name stands for.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use crate::{Model, Provider};

/// Everything that can be asked for: providers, and names that stand for their models.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    /// The providers, in the order in which they are shown.
    pub providers: Vec<Arc<Provider>>,
    /// Names that stand for one other name each.
    pub aliases: BTreeMap<String, String>,
    /// Names that stand for several others, to be tried in order.
    pub routes: BTreeMap<String, Vec<String>>,
    /// The provider that takes every name which nobody else knows.
    pub default_provider: Option<String>,
}

/// One provider's model that a name stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// Who serves it.
    pub provider: Arc<Provider>,
    /// The model's name there.
    pub upstream_model: String,
    /// What is known of it; `None` when the name is passed through.
    pub model: Option<Arc<Model>>,
}

/// A name under which a model can be asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedModel {
    /// The name.
    pub slug: String,
    /// What it stands for, in the order in which it is tried; never empty.
    pub targets: Vec<Resolved>,
}

/// A name stands for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnknownModel {
    /// Nobody lists the name, and there is no default provider to pass it to.
    NotListed {
        /// The name.
        name: String,
        /// Names that do exist, the most fitting first; a few of them.
        known: Vec<String>,
    },
    /// No name was given, and there is no default provider to choose a model.
    NoDefaultProvider,
    /// No name was given, and the provider lists no model and has no default one.
    NoDefaultModel {
        /// The provider's id.
        provider: String,
    },
    /// Aliases or routes lead back to themselves.
    Loop {
        /// The names, in the order in which they lead on.
        chain: Vec<String>,
    },
    /// A route has no targets.
    EmptyRoute {
        /// The route's name.
        route: String,
    },
}

/// How many names an [`UnknownModel::NotListed`] shows: enough to choose from, few enough for one line on a terminal.
const KNOWN_SHOWN_MAX: usize = 12;

impl fmt::Display for UnknownModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UnknownModel::NotListed { name, known } if known.is_empty() => {
                write!(f, "model `{name}` is not known, and no provider is configured")
            }
            UnknownModel::NotListed { name, known } => {
                let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
                write!(
                    f,
                    "model `{name}` is not known and there is no default provider to pass it to; known are {}",
                    known.join(", ")
                )
            }
            UnknownModel::NoDefaultProvider => f.write_str(
                "the request names no model and there is no default provider; set `default_provider`",
            ),
            UnknownModel::NoDefaultModel { provider } => write!(
                f,
                "provider `{provider}` has no default model; name one, as in `{provider}/<model>`, or set `default_model`"
            ),
            UnknownModel::Loop { chain } => {
                write!(f, "aliases or routes lead in a circle: `{}`", chain.join("` → `"))
            }
            UnknownModel::EmptyRoute { route } => write!(f, "route `{route}` has no targets"),
        }
    }
}

impl std::error::Error for UnknownModel {}

impl Catalog {
    /// The provider of this id.
    pub fn provider(&self, id: &str) -> Option<&Arc<Provider>> {
        self.providers.iter().find(|provider| provider.id == id)
    }

    /// What a model name stands for, in the order in which it is to be tried; never empty.
    ///
    /// Looked at in this order: `provider/model` → alias → route → a provider that lists the name, the default provider
    /// before the others → the default provider, which gets the name as it is. No name at all means the default provider's
    /// usual model.
    ///
    /// # Errors
    /// The name stands for nothing, or for itself.
    pub fn resolve(&self, name: &str) -> Result<Vec<Resolved>, UnknownModel> {
        self.look_up(name).map_err(|error| match error {
            UnknownModel::NotListed { name, .. } => self.with_known(name),
            UnknownModel::NoDefaultProvider
            | UnknownModel::NoDefaultModel { .. }
            | UnknownModel::Loop { .. }
            | UnknownModel::EmptyRoute { .. } => error,
        })
    }

    /// Every name under which a model is listed: the models of the default provider by their own names, aliases, routes, and all
    /// models as `provider/model`. Names that stand for nothing are left out.
    pub fn listed_models(&self) -> Vec<ListedModel> {
        let default = self.default_provider();
        let bare = default.into_iter().flat_map(|provider| {
            let models = provider.models.iter();
            models.map(|model| model.id.clone())
        });
        let with_provider =
            default
                .into_iter()
                .chain(self.other_providers())
                .flat_map(|provider| {
                    let models = provider.models.iter();
                    models.map(|model| format!("{}/{}", provider.id, model.id))
                });
        let slugs = bare
            .chain(self.aliases.keys().cloned())
            .chain(self.routes.keys().cloned())
            .chain(with_provider);

        let mut seen = HashSet::new();
        slugs
            .filter(|slug| seen.insert(slug.clone()))
            .filter_map(|slug| {
                let targets = self.look_up(&slug).ok()?;
                Some(ListedModel { slug, targets })
            })
            .collect()
    }

    /// [`resolve`](Self::resolve) without the known names, which are found by looking up all of them.
    fn look_up(&self, name: &str) -> Result<Vec<Resolved>, UnknownModel> {
        let mut found = Vec::new();
        self.resolve_into(name, &mut Vec::new(), &mut found)?;
        Ok(found)
    }

    fn default_provider(&self) -> Option<&Arc<Provider>> {
        self.provider(self.default_provider.as_deref()?)
    }

    fn other_providers(&self) -> impl Iterator<Item = &Arc<Provider>> {
        let default = self.default_provider.as_deref();
        self.providers
            .iter()
            .filter(move |provider| Some(provider.id.as_str()) != default)
    }

    fn resolve_into<'a>(
        &'a self,
        name: &'a str,
        chain: &mut Vec<&'a str>,
        found: &mut Vec<Resolved>,
    ) -> Result<(), UnknownModel> {
        if let Some(direct) = self.direct(name)? {
            // A route may name one model twice through aliases; trying it twice would help nobody.
            if !found.contains(&direct) {
                found.push(direct);
            }
            return Ok(());
        }
        if chain.contains(&name) {
            chain.push(name);
            return Err(UnknownModel::Loop {
                chain: chain.iter().map(|&name| name.to_owned()).collect(),
            });
        }
        chain.push(name);
        self.follow(name, chain, found)?;
        chain.pop();
        Ok(())
    }

    /// Follows an alias or a route, or else finds who takes the name as it is.
    fn follow<'a>(
        &'a self,
        name: &'a str,
        chain: &mut Vec<&'a str>,
        found: &mut Vec<Resolved>,
    ) -> Result<(), UnknownModel> {
        if let Some(target) = self.aliases.get(name) {
            return self.resolve_into(target, chain, found);
        }
        if let Some(targets) = self.routes.get(name) {
            if targets.is_empty() {
                return Err(UnknownModel::EmptyRoute {
                    route: name.to_owned(),
                });
            }
            return targets
                .iter()
                .try_for_each(|target| self.resolve_into(target, chain, found));
        }
        let taker = self.listing_provider(name).or(self.default_provider());
        let provider = taker.ok_or_else(|| UnknownModel::NotListed {
            name: name.to_owned(),
            known: Vec::new(),
        })?;
        let direct = resolved(provider, name);
        if !found.contains(&direct) {
            found.push(direct);
        }
        Ok(())
    }

    /// `provider/model`, or no name at all.
    fn direct(&self, name: &str) -> Result<Option<Resolved>, UnknownModel> {
        if name.is_empty() {
            let provider = self
                .default_provider()
                .ok_or(UnknownModel::NoDefaultProvider)?;
            return usual(provider).map(Some);
        }
        // Model ids may have slashes of their own (`openai/gpt-5` at a reseller), so only a configured provider counts.
        let Some((prefix, rest)) = name.split_once('/') else {
            return Ok(None);
        };
        match self.provider(prefix) {
            Some(provider) if rest.is_empty() => usual(provider).map(Some),
            Some(provider) => Ok(Some(resolved(provider, rest))),
            None => Ok(None),
        }
    }

    fn listing_provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.default_provider()
            .into_iter()
            .chain(self.other_providers())
            .find(|provider| provider.model(name).is_some())
    }

    fn with_known(&self, name: String) -> UnknownModel {
        let listed = self.listed_models().into_iter();
        let mut known: Vec<String> = listed.map(|listed| listed.slug).collect();
        // Stable: names that share a piece with the wanted one come first, the rest keep their order.
        let wanted = name.rsplit('/').next().unwrap_or(&name).to_lowercase();
        known.sort_by_key(|slug| !slug.to_lowercase().contains(&wanted));
        known.truncate(KNOWN_SHOWN_MAX);
        UnknownModel::NotListed { name, known }
    }
}

fn usual(provider: &Arc<Provider>) -> Result<Resolved, UnknownModel> {
    match provider.usual_model() {
        Some(model) => Ok(resolved(provider, model)),
        None => Err(UnknownModel::NoDefaultModel {
            provider: provider.id.clone(),
        }),
    }
}

fn resolved(provider: &Arc<Provider>, upstream_model: &str) -> Resolved {
    Resolved {
        provider: Arc::clone(provider),
        upstream_model: upstream_model.to_owned(),
        model: provider.model(upstream_model).cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{demo_provider, preset};

    /// Two presets, a provider with `openai/gpt-5` in its list, and names that stand for others.
    fn catalog(default_provider: Option<&str>) -> Catalog {
        let of_preset = |id: &str| Arc::new(preset(id).unwrap().to_provider(id));
        let words = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().copied();
            pairs
                .map(|(name, target)| (name.to_owned(), target.to_owned()))
                .collect()
        };
        let route = |targets: &[&str]| targets.iter().copied().map(str::to_owned).collect();
        Catalog {
            providers: vec![
                of_preset("zai"),
                of_preset("openrouter"),
                of_preset("ollama"),
                Arc::new(demo_provider()),
            ],
            aliases: words(&[
                ("fast", "zai/glm-4.7-flash"),
                ("quick", "fast"),
                ("this", "that"),
                ("that", "this"),
                ("glm-5", "openrouter/z-ai/glm-5.3"),
                ("best", "main"),
                ("lost", "nowhere"),
            ]),
            routes: [
                ("main", route(&["zai/glm-5.1", "ollama/qwen3-coder"])),
                ("wide", route(&["main", "quick", "zai/glm-5.1"])),
                ("empty", route(&[])),
                ("circle", route(&["zai/glm-5.1", "circle"])),
            ]
            .map(|(name, targets)| (name.to_owned(), targets))
            .into(),
            default_provider: default_provider.map(str::to_owned),
        }
    }

    /// Expects the targets as `provider model`, with a star behind those that are listed, or the error.
    fn check(catalog: &Catalog, name: &str, expected: &str) {
        let outcome = match catalog.resolve(name) {
            Ok(targets) => {
                let targets: Vec<String> = targets
                    .iter()
                    .map(|target| {
                        let star = if target.model.is_some() { "*" } else { "" };
                        format!("{} {}{star}", target.provider.id, target.upstream_model)
                    })
                    .collect();
                targets.join(", ")
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(outcome, expected, "{name:?}");
    }

    #[test]
    fn names_are_looked_up_in_order() {
        let with = catalog(Some("zai"));
        // Provider and model.
        check(&with, "zai/glm-5.1", "zai glm-5.1*");
        check(&with, "zai/glm-6", "zai glm-6");
        check(&with, "zai/", "zai glm-5.1*");
        check(&with, "openrouter/openai/gpt-5", "openrouter openai/gpt-5*");
        check(&with, "ollama/qwen3:4b", "ollama qwen3:4b");
        // Aliases.
        check(&with, "fast", "zai glm-4.7-flash*");
        check(&with, "quick", "zai glm-4.7-flash*");
        check(&with, "best", "zai glm-5.1*, ollama qwen3-coder");
        // An alias wins over a provider that lists the name.
        check(&with, "glm-5", "openrouter z-ai/glm-5.3*");
        // Routes.
        check(&with, "main", "zai glm-5.1*, ollama qwen3-coder");
        check(
            &with,
            "wide",
            "zai glm-5.1*, ollama qwen3-coder, zai glm-4.7-flash*",
        );
        // A provider that lists it, slash or not.
        check(&with, "glm-4.7", "zai glm-4.7*");
        check(&with, "z-ai/glm-5.3", "openrouter z-ai/glm-5.3*");
        check(&with, "demo", "demo demo*");
        // Passed through.
        check(&with, "glm-7", "zai glm-7");
        check(&with, "openai/gpt-9", "zai openai/gpt-9");
        check(&with, "", "zai glm-5.1*");
    }

    #[test]
    fn names_that_stand_for_nothing_say_why() {
        let without = catalog(None);
        check(&without, "glm-5.1", "zai glm-5.1*");
        check(
            &without,
            "glm-5.9",
            "model `glm-5.9` is not known and there is no default provider to pass it to; known are `best`, `fast`, `glm-5`, \
             `quick`, `main`, `wide`, `zai/glm-5.3`, `zai/glm-5.3-flash`, `zai/glm-5.2`, `zai/glm-5.1`, `zai/glm-5-turbo`, \
             `zai/glm-5`",
        );
        check(
            &without,
            "lost",
            "model `nowhere` is not known and there is no default provider to pass it to; known are `best`, `fast`, `glm-5`, \
             `quick`, `main`, `wide`, `zai/glm-5.3`, `zai/glm-5.3-flash`, `zai/glm-5.2`, `zai/glm-5.1`, `zai/glm-5-turbo`, \
             `zai/glm-5`",
        );
        check(
            &without,
            "",
            "the request names no model and there is no default provider; set `default_provider`",
        );
        check(
            &without,
            "ollama/",
            "provider `ollama` has no default model; name one, as in `ollama/<model>`, or set `default_model`",
        );
        check(
            &without,
            "this",
            "aliases or routes lead in a circle: `this` → `that` → `this`",
        );
        check(
            &without,
            "circle",
            "aliases or routes lead in a circle: `circle` → `circle`",
        );
        check(&without, "empty", "route `empty` has no targets");
        check(
            &Catalog::default(),
            "x",
            "model `x` is not known, and no provider is configured",
        );
    }

    #[test]
    fn near_names_are_told_first() {
        let error = catalog(None).resolve("other/Flash").unwrap_err();
        let UnknownModel::NotListed { known, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(known[..2], ["zai/glm-5.3-flash", "zai/glm-4.7-flash"]);
        assert_eq!(known.len(), KNOWN_SHOWN_MAX);
    }

    #[test]
    fn every_listed_name_resolves_and_comes_once() {
        let catalog = catalog(Some("openrouter"));
        let listed = catalog.listed_models();
        for model in &listed {
            assert_eq!(catalog.resolve(&model.slug).as_ref(), Ok(&model.targets));
            let twins = listed.iter().filter(|other| other.slug == model.slug);
            assert_eq!(twins.count(), 1, "{}", model.slug);
        }
        let slugs: Vec<&str> = listed.iter().map(|model| model.slug.as_str()).collect();
        assert_eq!(slugs[0], "z-ai/glm-5.3");
        for slug in ["openrouter/z-ai/glm-5.3", "fast", "main", "zai/glm-5.1"] {
            assert!(slugs.contains(&slug), "{slug}");
        }
        for slug in ["glm-5.1", "this", "circle", "empty"] {
            assert!(!slugs.contains(&slug), "{slug}");
        }
    }

    #[test]
    fn a_model_can_differ_from_its_provider() {
        let provider = preset("zai").unwrap().to_provider("zai");
        let own = |model: &str| {
            let model = provider.model(model).unwrap();
            provider.profile_for(Some(model)).into_owned()
        };
        assert_eq!(provider.profile_for(None).as_ref(), &provider.profile);
        assert_eq!(own("glm-5.1"), provider.profile);
        let other = own("glm-5.3");
        assert!(other.contains_key("efforts"));
        assert_eq!(other["reasoning_back"], provider.profile["reasoning_back"]);
    }
}
