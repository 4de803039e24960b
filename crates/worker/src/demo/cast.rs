//! The hostnames of the story, and what their DNS says.

use std::net::Ipv4Addr;

use dps_domain::{FailureCode, Hostname, Status};
use dps_lab::LabError;
use dps_lab::dns::Zone;

/// Where customers of the demo's platform point.
pub(super) const CNAME_TARGET: &str = "customers.platform.test";
/// The address of the edge.
pub(super) const EDGE: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// An address that belongs to the edges, but where another server answers.
pub(super) const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// One hostname of the story.
#[derive(Debug, Clone, Copy)]
pub(super) struct Role {
    /// As the customer types it.
    pub(super) hostname: &'static str,
    /// Its special property.
    pub(super) about: &'static str,
    /// Its expected status and code without a correction.
    pub(super) comes_to: (Status, Option<FailureCode>),
}

const GOOD: (Status, Option<FailureCode>) = (Status::Active, None);

/// The name whose CNAME is wrong until the story mends it.
pub(super) const MENDED: &str = "blog.florist.test";
/// The name whose renewal is forced.
pub(super) const RENEWED: &str = "shop.bakery.test";

/// All of them.
pub(super) const CAST: [Role; 6] = [
    Role {
        hostname: RENEWED,
        about: "a subdomain with the right CNAME",
        comes_to: GOOD,
    },
    Role {
        hostname: "winery.test",
        about: "an apex name with the edge's address",
        comes_to: GOOD,
    },
    Role {
        hostname: "www.bücher.test",
        about: "an internationalised name",
        comes_to: GOOD,
    },
    Role {
        hostname: MENDED,
        about: "a CNAME that points elsewhere",
        comes_to: (Status::PendingDns, Some(FailureCode::DnsWrongTarget)),
    },
    Role {
        hostname: "www.nowhere.test",
        about: "a name that is not in DNS",
        comes_to: (Status::PendingDns, Some(FailureCode::DnsNxdomain)),
    },
    Role {
        hostname: "museum.test",
        about: "a name where another server answers HTTP",
        comes_to: (
            Status::PendingHttpProbe,
            Some(FailureCode::HttpWrongResponder),
        ),
    },
];

/// Writes the story's first DNS records.
pub(super) fn set_dns(zone: &Zone) -> Result<(), LabError> {
    zone.set_a(CNAME_TARGET, &[EDGE]);
    zone.set_cname(RENEWED, CNAME_TARGET)?;
    zone.set_a("winery.test", &[EDGE]);
    zone.set_cname(&ascii("www.bücher.test"), CNAME_TARGET)?;
    zone.set_a("old-host.elsewhere.test", &[Ipv4Addr::new(192, 0, 2, 10)]);
    zone.set_cname(MENDED, "old-host.elsewhere.test")?;
    zone.set_a("museum.test", &[STRANGER]);
    // For people who try the demo while it stays up.
    zone.set_cname("*.demo.test", CNAME_TARGET)?;
    Ok(())
}

/// The customer's correction of the wrong CNAME.
pub(super) fn mend_dns(zone: &Zone) -> Result<(), LabError> {
    zone.clear(MENDED);
    zone.set_cname(MENDED, CNAME_TARGET)
}

/// The A-label form.
pub(super) fn ascii(hostname: &str) -> String {
    Hostname::parse(hostname).map_or_else(|_| hostname.to_owned(), |parsed| parsed.to_string())
}
