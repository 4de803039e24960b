//! The hostnames of the story, and what their DNS says.

use std::net::Ipv4Addr;

use dps_domain::{FailureCode, Hostname, Status};
use dps_lab::LabError;
use dps_lab::dns::Zone;

/// The template of the targets to which customers of the demo's platform point.
pub(super) const CNAME_TARGET: &str = "{random}.customers.platform.test";
/// The names of the targets, all at the edge.
const TARGETS: &str = "*.customers.platform.test";
/// A name of the platform's that leads to the edge and is no domain's target.
const SHARED_TARGET: &str = "customers.platform.test";
/// The address of the edge.
pub(super) const EDGE: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// An address that belongs to the edges, but where another server answers.
pub(super) const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A server that is not the platform's, and its address.
pub(super) const ELSEWHERE: &str = "old-host.elsewhere.test";
/// See [`ELSEWHERE`].
pub(super) const ELSEWHERE_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);

/// One hostname of the story.
#[derive(Debug, Clone, Copy)]
pub(super) struct Role {
    /// As the customer types it.
    pub(super) hostname: &'static str,
    /// Its special property.
    pub(super) about: &'static str,
    /// Whether the customer creates the CNAME record that the Cabinet names, and requests a check.
    pub(super) follows: bool,
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
        follows: true,
        comes_to: GOOD,
    },
    Role {
        hostname: "winery.test",
        about: "an apex name with the edge's address",
        follows: false,
        comes_to: GOOD,
    },
    Role {
        hostname: "www.bücher.test",
        about: "an internationalised name",
        follows: true,
        comes_to: GOOD,
    },
    Role {
        hostname: MENDED,
        about: "a CNAME that points elsewhere",
        follows: false,
        comes_to: (Status::PendingDns, Some(FailureCode::DnsWrongTarget)),
    },
    Role {
        hostname: "www.nowhere.test",
        about: "a name that is not in DNS",
        follows: false,
        comes_to: (Status::PendingDns, Some(FailureCode::DnsNxdomain)),
    },
    Role {
        hostname: "museum.test",
        about: "a name where another server answers HTTP",
        follows: false,
        comes_to: (
            Status::PendingHttpProbe,
            Some(FailureCode::HttpWrongResponder),
        ),
    },
];

/// Writes the DNS records that exist before the story.
pub(super) fn set_dns(zone: &Zone) -> Result<(), LabError> {
    zone.set_a(TARGETS, &[EDGE]);
    zone.set_a(SHARED_TARGET, &[EDGE]);
    zone.set_a("winery.test", &[EDGE]);
    zone.set_a(ELSEWHERE, &[ELSEWHERE_ADDRESS]);
    zone.set_cname(MENDED, ELSEWHERE)?;
    zone.set_a("museum.test", &[STRANGER]);
    // For people who try the demo while it stays up.
    zone.set_cname("*.demo.test", SHARED_TARGET)
}

/// The customer's CNAME record to the domain's own target, in place of all that the name had.
pub(super) fn point_to_target(zone: &Zone, host: &str, target: &str) -> Result<(), LabError> {
    zone.clear(host);
    zone.set_cname(host, target)
}

/// The A-label form.
pub(super) fn ascii(hostname: &str) -> String {
    Hostname::parse(hostname).map_or_else(|_| hostname.to_owned(), |parsed| parsed.to_string())
}
