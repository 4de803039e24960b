//! Targets of customers' CNAME records, made from the platform's template.

use dps_domain::hostname::HostnameError;
use dps_domain::name_rules::{ID_PLACEHOLDER, RANDOM_PLACEHOLDER, is_unique_template};
use dps_domain::{DomainId, Hostname, NameSuffix};
use uuid::Uuid;

/// Characters of [`label`].
const LABEL_CHARS: usize = 26;
/// Zeros in place of a random label, which does not use the digit.
const NO_LABEL: &str = "00000000000000000000000000";

/// The parts of a target that belong to one domain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TargetSeed<'a> {
    /// The domain's identifier.
    pub(crate) id: DomainId,
    /// The domain's [`label`].
    pub(crate) label: &'a str,
}

/// A removed domain that a tenant had with the hostname of a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RemovedDomain {
    pub(crate) id: DomainId,
    pub(crate) cname_target: String,
}

/// Where customers' CNAME records point, by `Cabinet:CnameTarget`.
#[derive(Debug, Clone)]
pub(crate) struct TargetTemplate {
    template: String,
    /// The suffix that all targets share.
    suffix: Option<NameSuffix>,
    /// The canonical text before and after the placeholder; `None` if all domains share a target.
    around: Option<(String, String)>,
}

impl TargetTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// The reason why its targets are not hostnames.
    pub(crate) fn new(template: &str) -> Result<Self, HostnameError> {
        let id = DomainId::from_uuid(Uuid::nil());
        let sample = Hostname::parse(&fill_in(
            template,
            TargetSeed {
                id,
                label: NO_LABEL,
            },
        ))?;
        let placed = if template.contains(RANDOM_PLACEHOLDER) {
            NO_LABEL.to_owned()
        } else {
            simple(id)
        };
        let around = sample
            .as_str()
            .split_once(&placed)
            .filter(|_| is_unique_template(template))
            .map(|(before, after)| (before.to_owned(), after.to_owned()));
        Ok(Self {
            template: template.to_owned(),
            suffix: NameSuffix::of_template(template).ok(),
            around,
        })
    }

    /// The suffix that all targets share.
    pub(crate) fn suffix(&self) -> Option<&NameSuffix> {
        self.suffix.as_ref()
    }

    /// The suffix below which each target belongs to one domain; `None` if all domains share a
    /// target.
    pub(crate) fn suffix_of_unique(&self) -> Option<&NameSuffix> {
        self.suffix().filter(|_| is_unique_template(&self.template))
    }

    /// Returns the target of a new domain.
    pub(crate) fn target(&self, seed: TargetSeed<'_>) -> String {
        fill_in(&self.template, seed)
    }

    /// Returns the target that a tenant had for the same hostname, so that the DNS records it left
    /// in place are right. `removed` has the newest domain first.
    ///
    /// A target that was not made for one of these domains is passed over.
    pub(crate) fn target_again(&self, removed: &[RemovedDomain]) -> Option<String> {
        let (before, after) = self.around.as_ref()?;
        // An earlier version let a request name the target of somebody else's domain.
        let is_own = |target: &str| {
            let made = target
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after));
            made.is_some_and(|made| {
                is_label(made) || removed.iter().any(|domain| simple(domain.id) == made)
            })
        };
        let mut targets = removed.iter().map(|domain| &domain.cname_target);
        targets.find(|target| is_own(target)).cloned()
    }
}

fn fill_in(template: &str, seed: TargetSeed<'_>) -> String {
    template
        .replace(ID_PLACEHOLDER, &simple(seed.id))
        .replace(RANDOM_PLACEHOLDER, seed.label)
}

/// The identifier as a DNS label.
fn simple(id: DomainId) -> String {
    id.as_uuid().simple().to_string()
}

/// 128 bits as a DNS label: 26 digits of lower-case base32 (RFC 4648 §6).
pub(crate) fn label(bits: u128) -> String {
    const DIGITS: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";
    let digit = |place: usize| (bits >> (5 * place)) as usize % DIGITS.len();
    (0..LABEL_CHARS)
        .rev()
        .filter_map(|place| DIGITS.get(digit(place)))
        .map(|digit| char::from(*digit))
        .collect()
}

fn is_label(text: &str) -> bool {
    text.len() == LABEL_CHARS && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANDOM: &str = "{random}.Edge.platform.example";

    fn removed(id: u128, cname_target: &str) -> RemovedDomain {
        RemovedDomain {
            id: DomainId::from_uuid(Uuid::from_u128(id)),
            cname_target: cname_target.to_owned(),
        }
    }

    fn again(template: &str, had: &[RemovedDomain]) -> Option<String> {
        TargetTemplate::new(template).unwrap().target_again(had)
    }

    #[test]
    fn a_label_holds_all_bits_in_26_characters() {
        assert_eq!(label(0), "aaaaaaaaaaaaaaaaaaaaaaaaaa");
        assert_eq!(label(u128::MAX), "h7777777777777777777777777");
        assert_eq!(label(33), "aaaaaaaaaaaaaaaaaaaaaaaabb");
        assert!((0..128).all(|bit| is_label(&label(1 << bit))));
        assert!(!is_label(NO_LABEL) && NO_LABEL.len() == LABEL_CHARS);
    }

    #[test]
    fn placeholders_are_filled_in_and_a_template_without_one_is_shared() {
        let id = DomainId::from_uuid(Uuid::from_u128(0xab));
        let label = &label(1);
        let made = |template| {
            let template = TargetTemplate::new(template).unwrap();
            let unique = template.suffix_of_unique().map(NameSuffix::as_str);
            (
                template.target(TargetSeed { id, label }),
                unique.map(str::to_owned),
            )
        };
        let suffix = Some("edge.platform.example".to_owned());
        let random = format!("{label}.Edge.platform.example");
        assert_eq!(made(RANDOM), (random, suffix.clone()));
        let by_id = "000000000000000000000000000000ab.edge.platform.example".to_owned();
        assert_eq!(made("{id}.edge.platform.example"), (by_id, suffix));
        let shared = "edge.platform.example";
        assert_eq!(made(shared), (shared.to_owned(), None));
        assert!(TargetTemplate::new("{random}{id}.edge.platform.example").is_ok());
        assert!(TargetTemplate::new("{random}{id}{id}.edge.platform.example").is_err());
        assert!(TargetTemplate::new("{name}.edge.platform.example").is_err());
    }

    #[test]
    fn a_tenant_gets_its_target_again_but_none_of_somebody_elses_domain() {
        let random = format!("{}.edge.platform.example", label(7));
        let first = "000000000000000000000000000000ab.edge.platform.example";
        let of_another = "000000000000000000000000000000cd.edge.platform.example";
        let newest_first = [removed(1, &random), removed(0xab, first)];
        assert_eq!(again(RANDOM, &newest_first), Some(random));
        // A platform that changed `{id}` to `{random}` keeps the targets that it gave.
        let had = [
            removed(2, "lb.other.example"),
            removed(1, first),
            removed(0xab, first),
        ];
        assert_eq!(again(RANDOM, &had).as_deref(), Some(first));
        assert_eq!(
            again("{id}.edge.platform.example", &had).as_deref(),
            Some(first)
        );
        for none in [
            vec![removed(1, of_another)],
            vec![removed(1, "x.edge.platform.example")],
            vec![removed(
                0xab,
                "000000000000000000000000000000ab.old.example",
            )],
            vec![],
        ] {
            assert_eq!(again(RANDOM, &none), None, "{none:?}");
        }
        assert_eq!(again("edge.platform.example", &had), None);
    }
}
