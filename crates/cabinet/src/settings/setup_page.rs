//! The section `Cabinet:SetupPage`: the page that shows a customer what to do.

use std::path::PathBuf;
use std::time::Duration;

use dps_host::{HumanDuration, Secret};
use serde::{Deserialize, Serialize};

use super::SettingsError;
use crate::setup::{Accent, LinkKey, WebOrigin};

const SHORTEST_LIFETIME: HumanDuration = HumanDuration::from_secs(3600);
const LONGEST_LIFETIME: HumanDuration = HumanDuration::from_secs(365 * 24 * 3600);
/// Shortest text in the key's file: 24 random bytes in base64.
const MIN_KEY_BYTES: usize = 32;
/// Longest name of the platform, in characters.
const MAX_NAME_CHARS: usize = 60;

/// The page of each domain for its customer. It is off without a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
pub struct SetupPageSettings {
    /// File with the secret that signs links; at least 32 characters.
    pub key_file: Option<PathBuf>,
    /// Where customers reach the Cabinet, such as `https://setup.platform.example`.
    pub public_url: Option<String>,
    /// How long a link works; from an hour to a year.
    pub link_lifetime: HumanDuration,
    /// Name of the platform, at the top of the page.
    pub name: String,
    /// Colour of buttons, as `#rrggbb`.
    pub accent: String,
    /// Address of the platform's logo, in place of its name.
    pub logo_url: Option<String>,
    /// Origins of the pages that may embed this one.
    pub frame_ancestors: Vec<String>,
}

impl Default for SetupPageSettings {
    fn default() -> Self {
        Self {
            key_file: None,
            public_url: None,
            link_lifetime: HumanDuration::from_secs(30 * 24 * 3600),
            name: String::new(),
            accent: "#0b57d0".to_owned(),
            logo_url: None,
            frame_ancestors: Vec::new(),
        }
    }
}

/// The settings of a page that is on, checked.
#[derive(Debug)]
pub(crate) struct CheckedSetupPage {
    pub(crate) key: LinkKey,
    /// Without a slash at its end.
    pub(crate) public_url: String,
    pub(crate) link_lifetime: Duration,
    pub(crate) name: String,
    pub(crate) accent: Accent,
    /// The logo's address with its origin.
    pub(crate) logo: Option<(String, WebOrigin)>,
    pub(crate) frame_ancestors: Vec<WebOrigin>,
}

impl SetupPageSettings {
    /// Checks the section; `None` if the page is off.
    pub(crate) fn checked(&self) -> Result<Option<CheckedSetupPage>, SettingsError> {
        let name_fits = self.name.chars().count() <= MAX_NAME_CHARS;
        if !name_fits || self.name.chars().any(char::is_control) {
            return Err(fault("Name", "must be text of at most 60 characters"));
        }
        let accent = Accent::parse(&self.accent)
            .ok_or_else(|| fault("Accent", "must be a colour such as #0b57d0"))?;
        let logo = match &self.logo_url {
            Some(address) => Some((
                address.clone(),
                WebOrigin::of_url(address)
                    .ok_or_else(|| fault("LogoUrl", "must be an https:// address"))?,
            )),
            None => None,
        };
        let parse = |origin: &String| {
            WebOrigin::parse(origin).ok_or_else(|| {
                fault(
                    "FrameAncestors",
                    "must hold origins such as https://app.platform.example",
                )
            })
        };
        let frame_ancestors = self.frame_ancestors.iter().map(parse);
        let frame_ancestors = frame_ancestors.collect::<Result<_, _>>()?;
        let link_lifetime = self
            .link_lifetime
            .within(SHORTEST_LIFETIME, LONGEST_LIFETIME)
            .map_err(SettingsError::SetupLinkLifetime)?;
        let Some(key) = self.key()? else {
            return Ok(None);
        };
        Ok(Some(CheckedSetupPage {
            key,
            public_url: self.checked_public_url()?,
            link_lifetime,
            name: self.name.clone(),
            accent,
            logo,
            frame_ancestors,
        }))
    }

    fn key(&self) -> Result<Option<LinkKey>, SettingsError> {
        let secret = Secret::resolve(None, self.key_file.as_deref()).map_err(|source| {
            SettingsError::Token {
                name: "SetupPage:KeyFile",
                source,
            }
        })?;
        match secret {
            Some(secret) if secret.expose().len() < MIN_KEY_BYTES => Err(fault(
                "KeyFile",
                "must name a file with at least 32 characters that nobody can guess, such as from \
                 openssl rand -base64 32",
            )),
            secret => Ok(secret.map(|secret| LinkKey::new(secret.expose()))),
        }
    }

    fn checked_public_url(&self) -> Result<String, SettingsError> {
        let url = self.public_url.as_deref().unwrap_or_default();
        let url = url.trim_end_matches('/');
        let is_whole = WebOrigin::of_url(url).is_some() && !url.contains(['?', '#']);
        is_whole.then(|| url.to_owned()).ok_or_else(|| {
            fault(
                "PublicUrl",
                "must be the address at which customers reach the Cabinet, such as \
                 https://setup.platform.example; http:// only on this machine",
            )
        })
    }
}

const fn fault(name: &'static str, fault: &'static str) -> SettingsError {
    SettingsError::SetupPage { name, fault }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn with_key(text: &str) -> (tempfile::TempDir, SetupPageSettings) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("setup.key");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let settings = SetupPageSettings {
            key_file: Some(path),
            public_url: Some("https://setup.platform.example/".to_owned()),
            ..SetupPageSettings::default()
        };
        (folder, settings)
    }

    #[test]
    fn the_page_is_off_without_a_key_and_each_fault_names_its_setting() {
        assert!(SetupPageSettings::default().checked().unwrap().is_none());
        let (_folder, usable) = with_key(&"k".repeat(32));
        let checked = usable.checked().unwrap().unwrap();
        assert_eq!(checked.public_url, "https://setup.platform.example");
        let (_short_folder, short) = with_key("too-short");
        let changed = |change: &dyn Fn(&mut SetupPageSettings)| {
            let mut settings = usable.clone();
            change(&mut settings);
            settings
        };
        for (settings, key) in [
            (short, "SetupPage:KeyFile"),
            (
                changed(&|settings| settings.public_url = None),
                "SetupPage:PublicUrl",
            ),
            (
                changed(&|settings| settings.public_url = Some("http://a.example".to_owned())),
                "SetupPage:PublicUrl",
            ),
            (
                changed(&|settings| settings.accent = "red;}".to_owned()),
                "SetupPage:Accent",
            ),
            (
                changed(&|settings| settings.name = "n".repeat(61)),
                "SetupPage:Name",
            ),
            (
                changed(&|settings| settings.logo_url = Some("javascript:x".to_owned())),
                "SetupPage:LogoUrl",
            ),
            (
                changed(&|settings| settings.frame_ancestors = vec!["*".to_owned()]),
                "SetupPage:FrameAncestors",
            ),
            (
                changed(&|settings| settings.link_lifetime = HumanDuration::from_secs(60)),
                "SetupPage:LinkLifetime",
            ),
        ] {
            let said = settings.checked().unwrap_err().to_string();
            assert!(said.contains(key), "{key}: {said}");
        }
    }
}
