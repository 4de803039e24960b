//! DNS providers, recognised by the names of a zone's servers.

use std::sync::LazyLock;

/// The providers: facts, one a line.
const DATA: &str = include_str!("../../data/dns_providers.txt");

static PROVIDERS: LazyLock<Vec<DnsProvider>> =
    LazyLock::new(|| entries(DATA).filter_map(DnsProvider::read).collect());

/// A DNS provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsProvider {
    /// Its name.
    pub name: &'static str,
    /// The address of its instructions for adding a record.
    pub instructions: &'static str,
    /// Suffixes of the names of its servers.
    suffixes: Vec<&'static str>,
}

impl DnsProvider {
    /// The provider of a zone with these servers; `None` if none of them is known.
    pub fn of(name_servers: &[String]) -> Option<&'static Self> {
        let has = |provider: &&Self| name_servers.iter().any(|server| provider.has(server));
        PROVIDERS.iter().find(has)
    }

    /// The provider with this name.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        PROVIDERS.iter().find(|provider| provider.name == name)
    }

    fn read(line: &'static str) -> Option<Self> {
        let mut fields = line.split('|').map(str::trim);
        Some(Self {
            name: fields.next()?,
            suffixes: fields.next()?.split_whitespace().collect(),
            instructions: fields.next()?,
        })
    }

    fn has(&self, server: &str) -> bool {
        self.suffixes
            .iter()
            .any(|suffix| ends_with(server.trim_end_matches('.'), suffix))
    }
}

/// The lines of a data file, without comments.
pub(crate) fn entries(data: &'static str) -> impl Iterator<Item = &'static str> {
    data.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Whether the last labels of a name are those of the suffix. A label of the suffix may end in `*`.
fn ends_with(name: &str, suffix: &str) -> bool {
    let mut labels = name.rsplit('.');
    suffix.rsplit('.').all(|wanted| {
        labels
            .next()
            .is_some_and(|label| match wanted.strip_suffix('*') {
                Some(begin) => label
                    .get(..begin.len())
                    .is_some_and(|head| head.eq_ignore_ascii_case(begin)),
                None => label.eq_ignore_ascii_case(wanted),
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_data_is_a_provider_of_its_own() {
        assert_eq!(PROVIDERS.len(), entries(DATA).count());
        assert!(PROVIDERS.len() >= 40, "{}", PROVIDERS.len());
        let mut suffixes: Vec<&str> = vec![];
        for provider in PROVIDERS.iter() {
            assert!(
                provider.instructions.starts_with("https://"),
                "{provider:?}"
            );
            assert!(!provider.suffixes.is_empty(), "{provider:?}");
            suffixes.extend(&provider.suffixes);
        }
        let all = suffixes.len();
        suffixes.sort_unstable();
        suffixes.dedup();
        assert_eq!(suffixes.len(), all, "a suffix stands twice");
    }

    #[test]
    fn a_provider_is_known_by_whole_labels_of_its_servers() {
        for (server, name) in [
            ("lily.ns.cloudflare.com", Some("Cloudflare")),
            ("LILY.NS.Cloudflare.com.", Some("Cloudflare")),
            ("ns-1907.awsdns-46.co.uk", Some("Amazon Route 53")),
            ("ns-58.awsdns-07.com", Some("Amazon Route 53")),
            ("ns1-01.azure-dns.com", Some("Azure DNS")),
            ("ns53.domaincontrol.com", Some("GoDaddy")),
            ("hydrogen.ns.hetzner.com", Some("Hetzner")),
            ("ns1.notlinode.com", None),
            ("cloudflare.com", None),
            ("ns1.example.com", None),
            ("", None),
        ] {
            let found = DnsProvider::of(&[server.to_owned()]);
            assert_eq!(found.map(|provider| provider.name), name, "{server}");
        }
        let mixed = ["ns1.example.com".to_owned(), "ns1.he.net".to_owned()];
        assert!(DnsProvider::of(&mixed).is_some());
        assert!(DnsProvider::by_name("Gandi").is_some());
    }
}
