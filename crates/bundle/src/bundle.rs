//! Our bundle.

use polywire_credentials::Secret;
use serde_json::{Map, Value, json};
use toml::Table;

use crate::error::{BundleError, OpenError};
use crate::json;
use crate::seal::{Randomness, Sealed};
use crate::secrets::{SecretValue, put_back, take_out};

/// The version of the form. It goes up when an older polywire could misunderstand a newer bundle.
const VERSION: u64 = 1;

/// The member that tells a bundle from other files, and its version.
pub(crate) const MARK: &str = "polywire_bundle";

/// The members of a bundle. Others are refused: they could mean something that must not be passed over.
const MEMBERS: &[&str] = &[
    MARK,
    "exported_at",
    "polywire",
    "default_provider",
    "providers",
    "aliases",
    "routes",
    "left_out",
    "sealed",
];

/// When and by what a bundle is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// The time, as RFC 3339 writes it.
    pub exported_at: String,
    /// The version of polywire.
    pub polywire: String,
}

/// Providers, and the names that stand for their models, as they stand in a settings file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bundle {
    /// When and by what it was made.
    pub moment: Moment,
    /// The default provider.
    pub default_provider: Option<String>,
    /// The tables of the providers by name, without secrets.
    pub providers: Table,
    /// What stands for a model.
    pub aliases: Table,
    /// What stands for several, tried in order.
    pub routes: Table,
    /// The places of the secrets that were taken out: `providers`, the provider, and the keys below it.
    pub left_out: Vec<Vec<String>>,
    /// Those secrets, if they are in the bundle.
    sealed: Option<Sealed>,
}

impl Bundle {
    /// A bundle of providers. Their secrets are taken out of their tables, and given beside it.
    pub fn new(moment: Moment, providers: Table) -> (Self, Vec<(String, SecretValue)>) {
        let mut bundle = Self {
            moment,
            ..Self::default()
        };
        let mut secrets = Vec::new();
        for (id, mut provider) in providers {
            if let toml::Value::Table(table) = &mut provider {
                let taken = take_out(table);
                secrets.extend(taken.into_iter().map(|secret| (id.clone(), secret)));
            }
            bundle.providers.insert(id, provider);
        }
        bundle.left_out = secrets
            .iter()
            .map(|(id, secret)| place(id, secret))
            .collect();
        (bundle, secrets)
    }

    /// Puts secrets into the bundle, sealed. To be called last: nothing of the bundle can be changed afterwards without losing them.
    ///
    /// # Errors
    /// They cannot be sealed.
    pub fn seal(
        &mut self,
        secrets: &[(String, SecretValue)],
        passphrase: &Secret,
        randomness: &Randomness,
    ) -> Result<(), BundleError> {
        self.left_out = secrets
            .iter()
            .map(|(id, secret)| place(id, secret))
            .collect();
        let mut texts = Vec::with_capacity(secrets.len());
        for (id, secret) in secrets {
            let value = json::from_toml(&secret.value)
                .map_err(|wrong| unusable(&place(id, secret).join("."), wrong))?;
            texts.push(json!({"path": place(id, secret), "value": value}));
        }
        let text = Value::Array(texts).to_string();
        let beside = self.beside()?;
        let sealed = Sealed::seal(&text, &beside, passphrase, randomness);
        self.sealed = Some(sealed.map_err(|error| BundleError::Values(vec![error.to_string()]))?);
        Ok(())
    }

    /// Whether there are secrets in it.
    pub fn is_sealed(&self) -> bool {
        self.sealed.is_some()
    }

    /// The secrets in it, each with its provider.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(&self, passphrase: &Secret) -> Result<Vec<(String, SecretValue)>, OpenError> {
        let Some(sealed) = &self.sealed else {
            return Ok(Vec::new());
        };
        let beside = self.beside().map_err(|_| OpenError::Changed)?;
        let text = sealed.open(&beside, passphrase)?;
        let secrets: Vec<Value> = serde_json::from_str(&text).map_err(|_| OpenError::Changed)?;
        secrets
            .iter()
            .map(|secret| opened(secret).ok_or(OpenError::Changed))
            .collect()
    }

    /// The bundle as a file.
    ///
    /// # Errors
    /// A provider's table holds what JSON has no word for. The error names the place.
    pub fn render(&self) -> Result<String, BundleError> {
        let mut members = self.members()?;
        if let Some(sealed) = &self.sealed {
            members.insert("sealed".to_owned(), json!(sealed));
        }
        Ok(format!("{:#}\n", Value::Object(members)))
    }

    /// Reads a file that [`MARK`] has told to be a bundle.
    ///
    /// # Errors
    /// It has another version, or values that are not as they should be.
    pub(crate) fn parse(members: &Map<String, Value>) -> Result<Self, BundleError> {
        if members[MARK] != VERSION {
            return Err(BundleError::Version {
                found: members[MARK].to_string(),
                known: VERSION,
            });
        }
        let mut reading = Reading {
            members,
            wrong: Vec::new(),
        };
        let unknown = members
            .keys()
            .filter(|key| !MEMBERS.contains(&key.as_str()));
        for key in unknown {
            reading.wrong.push(format!(
                "`{key}`: a bundle of this version has no such member"
            ));
        }
        let bundle = Self {
            moment: Moment {
                exported_at: reading.text("exported_at").unwrap_or_default(),
                polywire: reading.text("polywire").unwrap_or_default(),
            },
            default_provider: reading.text("default_provider"),
            providers: reading.tables("providers"),
            aliases: reading.table("aliases"),
            routes: reading.tables("routes"),
            left_out: reading
                .read("left_out", "a list of places")
                .unwrap_or_default(),
            sealed: reading.read("sealed", "a sealed part of this version"),
        };
        match reading.wrong {
            wrong if wrong.is_empty() => Ok(bundle),
            wrong => Err(BundleError::Values(wrong)),
        }
    }

    /// Everything but the sealed part.
    fn members(&self) -> Result<Map<String, Value>, BundleError> {
        let table = |name: &str, table: &Table| {
            json::from_table(table).map_err(|wrong| unusable(name, wrong))
        };
        let mut providers = Map::new();
        for (id, provider) in &self.providers {
            let place = format!("providers.{id}");
            let provider = json::from_toml(provider).map_err(|wrong| unusable(&place, wrong))?;
            providers.insert(id.clone(), provider);
        }
        let mut members = Map::new();
        members.insert(MARK.to_owned(), VERSION.into());
        members.insert("exported_at".to_owned(), json!(self.moment.exported_at));
        members.insert("polywire".to_owned(), json!(self.moment.polywire));
        if let Some(default) = &self.default_provider {
            members.insert("default_provider".to_owned(), json!(default));
        }
        members.insert("providers".to_owned(), Value::Object(providers));
        members.insert(
            "aliases".to_owned(),
            Value::Object(table("aliases", &self.aliases)?),
        );
        members.insert(
            "routes".to_owned(),
            Value::Object(table("routes", &self.routes)?),
        );
        members.insert("left_out".to_owned(), json!(self.left_out));
        Ok(members)
    }

    /// What is bound to the sealed part: all the rest, however it is laid out.
    fn beside(&self) -> Result<String, BundleError> {
        Ok(json::canonical(&Value::Object(self.members()?)))
    }
}

/// The bundle's tables with secrets put back where they were.
pub(crate) fn with_secrets(providers: &mut Table, secrets: Vec<(String, SecretValue)>) {
    for (id, secret) in secrets {
        if let Some(toml::Value::Table(table)) = providers.get_mut(&id) {
            put_back(table, secret);
        }
    }
}

fn place(id: &str, secret: &SecretValue) -> Vec<String> {
    let mut place = vec!["providers".to_owned(), id.to_owned()];
    place.extend(secret.path.iter().cloned());
    place
}

fn opened(secret: &Value) -> Option<(String, SecretValue)> {
    let path: Vec<String> = serde_json::from_value(secret["path"].clone()).ok()?;
    let value = json::to_toml(&secret["value"]).ok()?;
    let (id, path) = match path.as_slice() {
        [providers, id, rest @ ..] if providers == "providers" && !rest.is_empty() => {
            (id.clone(), rest.to_vec())
        }
        _ => return None,
    };
    Some((id, SecretValue { path, value }))
}

fn unusable(place: &str, wrong: &str) -> BundleError {
    BundleError::Values(vec![format!("`{place}` holds {wrong}")])
}

/// Reads members, and notes what is wrong with each.
struct Reading<'m> {
    members: &'m Map<String, Value>,
    wrong: Vec<String>,
}

impl Reading<'_> {
    fn read<T: serde::de::DeserializeOwned>(&mut self, name: &str, wanted: &str) -> Option<T> {
        let value = self.members.get(name)?;
        let read = serde_json::from_value(value.clone()).ok();
        if read.is_none() {
            self.wrong.push(format!("`{name}`: must be {wanted}"));
        }
        read
    }

    fn text(&mut self, name: &str) -> Option<String> {
        self.read(name, "a text")
    }

    fn table(&mut self, name: &str) -> Table {
        let members: Map<String, Value> = self.read(name, "an object").unwrap_or_default();
        match json::to_table(&members) {
            Ok(table) => table,
            Err(wrong) => {
                self.wrong.push(format!("`{name}`: a value in it {wrong}"));
                Table::new()
            }
        }
    }

    /// An object of objects.
    fn tables(&mut self, name: &str) -> Table {
        let table = self.table(name);
        let others = table.iter().filter(|(_, value)| !value.is_table());
        let others: Vec<String> = others
            .map(|(key, _)| format!("`{name}.{key}`: must be an object"))
            .collect();
        self.wrong.extend(others);
        table
    }
}
