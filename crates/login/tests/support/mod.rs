//! A folder of Codex's with a login in it, and an issuer for it.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test program uses its part, and a test that cannot go on has failed"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use polywire_login::{CodexLogin, Limits, Places};
use polywire_testkit::{Issuer, Received, TempHome};
use polywire_upstream::Upstream;
use serde_json::Value;

pub struct Scene {
    pub home: TempHome,
    pub issuer: Issuer,
    pub upstream: Upstream,
}

/// Pauses so short that they are over when the next line of a test runs.
pub fn without_pauses() -> Limits {
    Limits {
        pause: Duration::ZERO,
        pause_after_loss: Duration::ZERO,
        ..Limits::default()
    }
}

impl Scene {
    /// A folder without a login.
    pub fn empty() -> Self {
        Self {
            home: TempHome::new(env!("CARGO_TARGET_TMPDIR")),
            issuer: Issuer::start(),
            upstream: Upstream::new(),
        }
    }

    /// A login whose token ends in so many seconds.
    pub fn ends_in(seconds: i64) -> Self {
        Self::with(Some(seconds), 1)
    }

    pub fn with(ends_in_s: Option<i64>, refreshed_hours_ago: i64) -> Self {
        let scene = Self::empty();
        let file = scene.issuer.login_file(ends_in_s, refreshed_hours_ago);
        scene.home.write("codex/auth.json", file);
        scene
    }

    pub fn places(&self) -> Places {
        Places {
            token_url: self.issuer.token_url(),
            revoke_url: self.issuer.revoke_url(),
            issuer: self.issuer.url(),
            back_end: self.issuer.back_end(),
            callback_ports: vec![0],
            ..Places::new(self.home.codex_home())
        }
    }

    pub fn login(&self) -> CodexLogin {
        CodexLogin::new(self.places())
    }

    pub fn login_with(&self, limits: Limits) -> CodexLogin {
        CodexLogin::with_limits(self.places(), limits)
    }

    pub fn path(&self) -> PathBuf {
        self.home.codex_home().join("auth.json")
    }

    pub fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    pub fn file(&self) -> Value {
        serde_json::from_str(&self.text()).unwrap()
    }

    pub fn mode(&self) -> u32 {
        fs::metadata(self.path()).unwrap().permissions().mode() & 0o777
    }

    /// The names in Codex's folder, sorted.
    pub fn names(&self) -> Vec<String> {
        names(&self.home.codex_home())
    }
}

pub fn names(folder: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// The refresh tokens that were shown to the issuer, in order.
pub fn shown(renewals: &[Received]) -> Vec<String> {
    let token = |request: &Received| request.json()["refresh_token"].as_str().unwrap().to_owned();
    renewals.iter().map(token).collect()
}
