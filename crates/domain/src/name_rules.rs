//! The platform's rules: names that a customer may not have, and targets of a CNAME.

use serde::{Deserialize, Serialize};

use crate::hostname::{HostnameError, is_icann_suffix};
use crate::{Failure, Hostname};

/// Stands in a template of targets for the domain's identifier.
pub const ID_PLACEHOLDER: &str = "{id}";

/// Stands in a template of targets for 128 random bits.
pub const RANDOM_PLACEHOLDER: &str = "{random}";

/// Whether a template makes another target for each domain.
pub fn is_unique_template(template: &str) -> bool {
    end_of_placeholders(template).is_some()
}

/// Where the last placeholder of a template ends; `None` without one.
fn end_of_placeholders(template: &str) -> Option<usize> {
    [ID_PLACEHOLDER, RANDOM_PLACEHOLDER]
        .into_iter()
        .filter_map(|placeholder| Some(template.rfind(placeholder)? + placeholder.len()))
        .max()
}

/// The fault of a public suffix among the allowed targets, for use after the name.
pub const PUBLIC_TARGET: &str =
    "a public suffix, which would allow the target of anyone; use a name of the platform";

/// A name and all names below it, lower case and in A-labels. A single label such as `local` is
/// allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NameSuffix(Box<str>);

impl TryFrom<String> for NameSuffix {
    type Error = HostnameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<NameSuffix> for String {
    fn from(suffix: NameSuffix) -> Self {
        suffix.0.into()
    }
}

impl NameSuffix {
    /// Parses `platform.example`, `*.platform.example` or `.platform.example.`.
    ///
    /// # Errors
    /// The reason why the text is not a name.
    pub fn parse(text: &str) -> Result<Self, HostnameError> {
        let bare = text.trim().trim_start_matches("*.").trim_matches('.');
        if bare.is_empty() {
            return Err(HostnameError::Empty);
        }
        // Below a label of its own, any suffix, a public one included, is a hostname.
        let below = Hostname::parse(&format!("x.{bare}"))?;
        Ok(Self(
            below.as_str().strip_prefix("x.").unwrap_or_default().into(),
        ))
    }

    /// The suffix that all targets of a template share: what follows the label with the last
    /// placeholder, else the whole.
    ///
    /// # Errors
    /// The reason why the template has no name.
    pub fn of_template(template: &str) -> Result<Self, HostnameError> {
        let shared = match end_of_placeholders(template) {
            Some(end) => {
                let rest = template.get(end..).unwrap_or_default();
                rest.split_once('.').map_or("", |(_, shared)| shared)
            }
            None => template,
        };
        Self::parse(shared)
    }

    /// The registered domain of a name.
    fn registered_domain_of(name: &Hostname) -> Self {
        Self(name.registered_domain().into())
    }

    /// The registered domain of the suffix; `None` for a single label, a public suffix or the like.
    pub fn registered_domain(&self) -> Option<Self> {
        let name = Hostname::parse(&self.0).ok()?;
        Some(Self::registered_domain_of(&name))
    }

    /// Whether the public can register names below it, as below `com` or `co.uk`.
    pub fn is_public(&self) -> bool {
        is_icann_suffix(&self.0)
    }

    /// The suffix itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name is the suffix or lies below it.
    pub fn covers(&self, name: &Hostname) -> bool {
        name.as_str()
            .strip_suffix(&*self.0)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

/// The platform's rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameRules {
    /// Names that no customer may have.
    pub blocked: Vec<NameSuffix>,
    /// Suffixes of allowed targets; every target is allowed if empty.
    pub targets: Vec<NameSuffix>,
    /// Whether customers may have names in the registered domain of their target, which is the
    /// platform's own.
    pub allow_platform_names: bool,
}

impl NameRules {
    /// The rules of a platform. Unless `allow_platform_names`, no tenant may have names in the
    /// registered domains of its targets and of its `own` names.
    pub fn new(
        mut blocked: Vec<NameSuffix>,
        targets: Vec<NameSuffix>,
        own: &[NameSuffix],
        allow_platform_names: bool,
    ) -> Self {
        if !allow_platform_names {
            let own = targets.iter().chain(own);
            blocked.extend(own.filter_map(NameSuffix::registered_domain));
        }
        Self {
            blocked,
            targets,
            allow_platform_names,
        }
    }

    /// Returns the rule that blocks this name, if there is one.
    pub fn blocking(&self, hostname: &Hostname, target: &Hostname) -> Option<NameSuffix> {
        let own = NameSuffix::registered_domain_of(target);
        let own = Some(&own).filter(|_| !self.allow_platform_names);
        let mut rules = self.blocked.iter().chain(own);
        rules.find(|rule| rule.covers(hostname)).cloned()
    }

    /// Whether the target is allowed.
    pub fn allows_target(&self, target: &Hostname) -> bool {
        self.targets.is_empty() || self.targets.iter().any(|rule| rule.covers(target))
    }

    /// Returns the refusal of a domain with this name and target; `None` if it is accepted.
    pub fn refusal(&self, hostname: &Hostname, target: &Hostname) -> Option<Failure> {
        if !self.allows_target(target) {
            return Some(Failure::TargetNotAllowed {
                target: target.to_string(),
                reason: "it is not at or below an allowed target".to_owned(),
            });
        }
        let rule = self.blocking(hostname, target)?;
        Some(Failure::NameBlocked {
            rule: format!("{} and all names below it", rule.as_str()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Hostname {
        Hostname::parse(text).unwrap()
    }

    fn suffix(text: &str) -> NameSuffix {
        NameSuffix::parse(text).unwrap()
    }

    #[test]
    fn a_suffix_covers_itself_and_what_is_below_and_nothing_beside() {
        for (rule, name, covered) in [
            ("bank.example", "bank.example", true),
            ("*.bank.example.", "www.BANK.example", true),
            ("bank.example", "mybank.example", false),
            ("local", "a.local", true),
            ("x.example", "y.example", false),
            ("co.uk", "shop.co.uk", true),
            ("bücher.example", "www.xn--bcher-kva.example", true),
        ] {
            assert_eq!(suffix(rule).covers(&host(name)), covered, "{rule} {name}");
        }
        for (rule, is_public) in [
            ("com", true),
            ("*.co.uk", true),
            ("platform.example", false),
            ("test", false),
            ("shop.co.uk", false),
        ] {
            assert_eq!(suffix(rule).is_public(), is_public, "{rule}");
        }
        for wrong in ["", "*", ".", "a b"] {
            assert!(NameSuffix::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_targets_of_a_template_share_what_follows_the_label_with_the_placeholder() {
        for (template, shared, is_unique) in [
            ("edge.platform.example", "edge.platform.example", false),
            ("{id}.edge.platform.example", "edge.platform.example", true),
            ("edge-{id}.platform.example", "platform.example", true),
            (
                "{random}.edge.platform.example",
                "edge.platform.example",
                true,
            ),
            ("{random}.{id}.platform.example", "platform.example", true),
            ("{id}-{random}.platform.example", "platform.example", true),
        ] {
            assert_eq!(is_unique_template(template), is_unique, "{template}");
            assert_eq!(
                NameSuffix::of_template(template).unwrap(),
                suffix(shared),
                "{template}"
            );
        }
        for alone in ["{id}", "{random}"] {
            assert!(NameSuffix::of_template(alone).is_err(), "{alone}");
        }
    }

    #[test]
    fn the_platforms_own_names_are_nobody_elses_and_a_target_lies_where_it_may() {
        let rules = NameRules {
            targets: vec![suffix("edge.platform.example")],
            ..NameRules::default()
        };
        let target = host("a1.edge.platform.example");
        for own in [
            "platform.example",
            "www.platform.example",
            "edge.platform.example",
            "b2.edge.platform.example",
        ] {
            let refusal = rules.refusal(&host(own), &target);
            assert!(
                matches!(refusal, Some(Failure::NameBlocked { .. })),
                "{own}"
            );
        }
        assert_eq!(rules.refusal(&host("shop.example.com"), &target), None);
        for elsewhere in ["anything.evil.example", "myedge.platform.example"] {
            let refusal = rules.refusal(&host("shop.example.com"), &host(elsewhere));
            assert!(
                matches!(refusal, Some(Failure::TargetNotAllowed { .. })),
                "{elsewhere}"
            );
        }
        let lax = NameRules {
            allow_platform_names: true,
            ..NameRules::default()
        };
        assert_eq!(
            lax.refusal(&host("www.platform.example"), &host("a.other.example")),
            None
        );
        assert_eq!(lax.refusal(&host("www.platform.example"), &target), None);
    }
}
