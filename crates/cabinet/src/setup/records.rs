//! The DNS records that the customer creates, as a provider's form takes them.

use std::net::IpAddr;

use dps_cabinet_api::CustomDomain;
use dps_domain::{Failure, Hostname};

/// A record to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DnsRecord {
    /// Its type, such as `CNAME`.
    pub(super) kind: &'static str,
    /// Its name below the zone; `@` at the top.
    pub(super) name: String,
    pub(super) value: String,
}

/// The records of a domain, with the zone they belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ZoneRecords {
    pub(super) zone: String,
    /// Whether the domain is the top of the zone.
    pub(super) is_top: bool,
    pub(super) records: Vec<DnsRecord>,
}

/// Returns the records that the customer of a domain creates. `failure` is its last one.
///
/// They are those of the sentences that `WantedRecords` makes.
pub(super) fn records(
    domain: &CustomDomain,
    edge_addresses: &[IpAddr],
    failure: Option<&Failure>,
) -> ZoneRecords {
    let Ok(host) = domain.canonical_host() else {
        return ZoneRecords {
            zone: domain.canonical_host.clone(),
            is_top: false,
            records: Vec::new(),
        };
    };
    // In a zone of its own, the name is the top, whatever the zone above is called.
    let is_zone = matches!(failure, Some(Failure::DnsNoCname { is_zone: true, .. }));
    let zone = if is_zone {
        host.as_str()
    } else {
        host.registered_domain()
    };
    let name = below(host.as_str(), zone);
    let is_top = host.is_apex() || is_zone;
    let mut records = if is_top {
        top(&name, edge_addresses, &domain.cname_target)
    } else {
        vec![DnsRecord {
            kind: "CNAME",
            name,
            value: absolute(&domain.cname_target),
        }]
    };
    if let Some(proof) = &domain.ownership_verification {
        records.push(DnsRecord {
            kind: "TXT",
            name: below(&proof.name, zone),
            value: proof.value.clone(),
        });
    }
    ZoneRecords {
        zone: zone.to_owned(),
        is_top,
        records,
    }
}

/// The records of a name that cannot have a CNAME.
fn top(name: &str, edge_addresses: &[IpAddr], cname_target: &str) -> Vec<DnsRecord> {
    let record = |kind, value| DnsRecord {
        kind,
        name: name.to_owned(),
        value,
    };
    if edge_addresses.is_empty() {
        return vec![record("ALIAS", absolute(cname_target))];
    }
    let address = |ip: &IpAddr| {
        let kind = if ip.is_ipv4() { "A" } else { "AAAA" };
        record(kind, ip.to_string())
    };
    edge_addresses.iter().map(address).collect()
}

/// The name with a dot at its end, so that no provider takes it as below the zone.
fn absolute(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.'))
}

/// The name as it is entered in the zone.
fn below(name: &str, zone: &str) -> String {
    match name.strip_suffix(zone) {
        Some("") => "@".to_owned(),
        Some(labels) if labels.ends_with('.') => labels.trim_end_matches('.').to_owned(),
        _ => absolute(name),
    }
}

/// A name as people read it, with U-labels where it has them.
pub(super) fn in_unicode(name: &str) -> String {
    Hostname::parse(name).map_or_else(|_| name.to_owned(), |name| name.to_unicode())
}

#[cfg(test)]
mod tests {
    use dps_cabinet_api::OwnershipVerification;
    use dps_domain::failure::{WantedRecords, txt_instruction};
    use dps_domain::{DomainId, Status, Timestamp};

    use super::*;

    fn domain(host: &str) -> CustomDomain {
        CustomDomain {
            id: DomainId::from_uuid(uuid::Uuid::nil()),
            tenant_id: "t".to_owned(),
            hostname: host.to_owned(),
            canonical_host: host.to_owned(),
            cname_target: "edge.platform.example".to_owned(),
            status: Status::PendingDns.to_string(),
            last_error_code: None,
            last_error_message: None,
            error_details: None,
            next_attempt_at: None,
            certificate_not_after: None,
            ownership_verification: None,
            version: 1,
            created_at: Timestamp::EPOCH,
            updated_at: Timestamp::EPOCH,
        }
    }

    #[test]
    fn the_records_are_those_of_the_sentence() {
        let edges: [IpAddr; 2] = ["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()];
        for (host, edges) in [
            ("shop.example.com", &edges[..]),
            ("a.b.example.co.uk", &edges[..]),
            ("example.com", &edges[..]),
        ] {
            let domain = domain(host);
            let found = records(&domain, edges, None);
            let sentence = WantedRecords {
                hostname: &domain.canonical_host().unwrap(),
                cname_target: &domain.cname_target().unwrap(),
                edge_addresses: edges,
                caa_identity: None,
                proof: None,
            }
            .instruction();
            assert!(!found.records.is_empty());
            for DnsRecord { kind, name, value } in &found.records {
                let record = format!("\"{name} {kind} {value}\"");
                assert!(sentence.contains(&record), "{record} in {sentence}");
            }
            assert!(
                sentence.contains(&format!("in the zone {}", found.zone)),
                "{sentence}"
            );
        }
        let alias = records(&domain("example.com"), &[], None);
        assert_eq!(alias.records[0].kind, "ALIAS");
    }

    #[test]
    fn a_proof_is_one_more_record_and_a_zone_of_its_own_has_its_own_names() {
        let mut shop = domain("shop.example.com");
        let proof = OwnershipVerification::txt("_dps-challenge.shop.example.com", "dps-verify=abc");
        shop.ownership_verification = Some(proof.clone());
        let found = records(&shop, &[], None);
        let txt = found.records.last().unwrap();
        let sentence = txt_instruction(&proof.name, &proof.value, &shop.canonical_host().unwrap());
        assert!(
            sentence.contains(&format!("{} TXT {}", txt.name, txt.value)),
            "{sentence}"
        );
        let own_zone = Failure::DnsNoCname {
            addresses: vec![],
            more: 0,
            is_zone: true,
        };
        let found = records(&shop, &["192.0.2.7".parse().unwrap()], Some(&own_zone));
        assert_eq!(found.zone, "shop.example.com");
        let names: Vec<&str> = found
            .records
            .iter()
            .map(|record| record.name.as_str())
            .collect();
        assert_eq!(names, ["@", "_dps-challenge"]);
    }
}
