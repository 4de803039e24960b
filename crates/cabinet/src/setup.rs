//! The setup page: what a customer must do for a domain, in their language.
//!
//! The platform's backend gives the customer a signed link ([`LinkKey`]). [`SetupPage`] turns the
//! stored record into a page: [`stage`] says where the domain is, [`records`] what to create, and
//! [`texts`] holds every word. `http/setup.rs` serves it.

mod brand;
mod limiter;
mod link;
mod page;
mod records;
mod stage;
mod texts;
mod web_origin;

use std::time::Duration;

use axum::http::HeaderValue;
use dps_domain::{DomainId, Timestamp};

pub(crate) use brand::{Accent, Asset};
pub(crate) use link::LinkKey;
pub(crate) use page::{Refused, RenderError, Viewed, Visit};
pub(crate) use texts::{Language, Notice};
pub(crate) use web_origin::WebOrigin;

use crate::settings::CheckedSetupPage;
use brand::{Brand, Theme};
use limiter::VisitLimiter;

/// The page as it is configured.
#[derive(Debug)]
pub(crate) struct SetupPage {
    key: LinkKey,
    public_url: String,
    link_lifetime: Duration,
    brand: Brand,
    theme: Theme,
    policy: HeaderValue,
    is_embeddable: bool,
    visits: VisitLimiter,
}

impl SetupPage {
    /// The page by its settings.
    pub(crate) fn new(settings: CheckedSetupPage) -> Self {
        let policy = policy(&settings);
        Self {
            key: settings.key,
            public_url: settings.public_url,
            link_lifetime: settings.link_lifetime,
            brand: Brand {
                name: settings.name,
                logo_url: settings.logo.map(|(url, _)| url),
            },
            theme: Theme::new(settings.accent),
            policy,
            is_embeddable: !settings.frame_ancestors.is_empty(),
            visits: VisitLimiter::default(),
        }
    }

    /// The link that the platform gives to the customer of a domain. It is the same for an hour.
    pub(crate) fn link(&self, id: DomainId, now: Timestamp) -> String {
        let signature = self.key.sign(id, link::expiry(now + self.link_lifetime));
        format!("{}/setup/{id}?sig={signature}", self.public_url)
    }

    /// Whether a signature is that of a link to this domain that still works.
    pub(crate) fn admits(&self, id: DomainId, signature: &str, now: Timestamp) -> bool {
        self.key.admits(id, signature, now)
    }

    /// Counts a visit of a domain's page.
    ///
    /// # Errors
    /// The time until the next one is served, when there were too many.
    pub(crate) fn count_visit(&self, id: DomainId, now: Timestamp) -> Result<(), Duration> {
        self.visits.admit(id, now)
    }

    /// The value of `Content-Security-Policy`.
    pub(crate) fn policy(&self) -> &HeaderValue {
        &self.policy
    }

    /// Whether other pages may embed it.
    pub(crate) fn is_embeddable(&self) -> bool {
        self.is_embeddable
    }

    /// The file of the page with this name.
    pub(crate) fn asset(&self, name: &str) -> Option<Asset<'_>> {
        brand::asset(&self.theme, name)
    }
}

fn policy(settings: &CheckedSetupPage) -> HeaderValue {
    let logo = settings.logo.as_ref();
    let logo = logo.map_or(String::new(), |(_, origin)| format!(" {}", origin.as_str()));
    let ancestors: Vec<&str> = settings
        .frame_ancestors
        .iter()
        .map(WebOrigin::as_str)
        .collect();
    let ancestors = if ancestors.is_empty() {
        "'none'".to_owned()
    } else {
        ancestors.join(" ")
    };
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'{logo}; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
    );
    // Origins are made of visible ASCII characters.
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static(
        "default-src 'none'; frame-ancestors 'none'",
    ))
}
