//! Sentences about DNS records.

use std::net::IpAddr;
use std::{fmt, iter};

use super::WantedRecords;
use crate::cdn::Cdn;
use crate::{Hostname, Timestamp};

/// Instruction beside an address: behind a proxy, the record in the customer's panel is not the one
/// that resolvers see.
pub(super) const PROXY: &str =
    "If the right record already exists, turn off the proxy (CDN) for it.";

/// Instruction beside a query for TXT records that failed, while the name itself is answered.
const MUST_ANSWER: &str = "Other queries are answered. Ask your DNS provider to make these servers \
                           answer this query too, even if no such record exists.";

pub(super) fn no_cname(wanted: &WantedRecords<'_>, found: &Addresses<'_>, is_zone: bool) -> String {
    let host = wanted.hostname;
    // In a zone of its own, the name is the top, whatever the zone above is called.
    let fix = if is_zone {
        wanted.apex_instruction("@", host.as_str())
    } else {
        wanted.instruction()
    };
    if found.is_empty() {
        return format!("{host} has no record that points to us. To fix this, {fix}.");
    }
    let fault = if is_zone {
        ", not an address of ours"
    } else {
        " instead of a CNAME record that points to us"
    };
    let remove = found.records();
    format!("{host} has {found}{fault}. To fix this, remove {remove} and {fix}. {PROXY}")
}

pub(super) fn wrong_target(
    wanted: &WantedRecords<'_>,
    chain: &[String],
    found: &Addresses<'_>,
) -> String {
    let (host, fix) = (wanted.hostname, wanted.instruction());
    match chain.last() {
        Some(end) => {
            format!("{host} points to {end}, not to us. To fix this, remove that record and {fix}.")
        }
        None => format!(
            "{host} points to {found}, not to us. To fix this, remove {} and {fix}. {PROXY}",
            found.records()
        ),
    }
}

pub(super) fn cname_loop(wanted: &WantedRecords<'_>, chain: &[String]) -> String {
    let (host, fix) = (wanted.hostname, wanted.instruction());
    let names: Vec<&str> = iter::once(host.as_str())
        .chain(chain.iter().map(String::as_str))
        .collect();
    let fault = match names.split_last() {
        Some((last, before)) if before.contains(last) => "form a loop",
        _ => "form a chain that is too long",
    };
    let path = names.join(" → ");
    format!("The CNAME records for {host} {fault}: {path}. To fix this, {fix}.")
}

pub(super) fn servfail(wanted: &WantedRecords<'_>, others_succeed: bool, txt_name: &str) -> String {
    let host = wanted.hostname;
    let zone = host.registered_domain();
    if !txt_name.is_empty() {
        return format!(
            "The DNS servers of {zone} fail to answer the query for TXT records of {txt_name}. \
             {MUST_ANSWER}"
        );
    }
    if others_succeed {
        return format!(
            "Some resolvers cannot look up {host} (SERVFAIL), but others can. Ask your DNS provider \
             to check the DNSSEC signatures and the name servers of {zone}."
        );
    }
    format!(
        "The DNS servers of {zone} fail to answer for {host} (SERVFAIL). Ask your DNS provider to \
         repair the zone. If you have not done so yet, {}.",
        wanted.instruction()
    )
}

pub(super) fn dnssec_bogus(host: &Hostname, name: &str) -> String {
    if !name.is_empty() {
        return format!(
            "{host} leads to {name}, whose DNSSEC signatures are not valid. Ask the operator of \
             {name} to sign its zone again, or point {host} directly to us."
        );
    }
    let zone = host.registered_domain();
    format!(
        "The DNSSEC signatures of {zone} are not valid. Ask your DNS provider to sign the zone \
         again, or remove the DS record of {zone} at your registrar."
    )
}

pub(super) fn timeout(wanted: &WantedRecords<'_>, is_ours: bool, txt_name: &str) -> String {
    if is_ours {
        return "Our DNS resolvers are not responding at the moment. Nothing is wrong on your side, \
                and we will try again automatically."
            .to_owned();
    }
    let zone = wanted.hostname.registered_domain();
    if !txt_name.is_empty() {
        return format!(
            "The DNS servers of {zone} do not answer the query for TXT records of {txt_name} in \
             time. {MUST_ANSWER}"
        );
    }
    format!(
        "The DNS servers of {zone} do not answer in time. Check that they are reachable. If you \
         have not done so yet, {}.",
        wanted.instruction()
    )
}

pub(super) fn ownership_required(wanted: &WantedRecords<'_>, contested: bool) -> String {
    let host = wanted.hostname;
    let why = if contested {
        format!("Another account on this platform claims {host} or had it until recently.")
    } else {
        format!("{host} points to us, but we do not know yet that it belongs to you.")
    };
    match wanted.proof_instruction() {
        Some(fix) => format!("{why} To prove that it is yours, {fix}."),
        None => format!("{why} Contact support to prove that it is yours."),
    }
}

pub(super) fn propagating(host: &Hostname, until: Option<Timestamp>) -> String {
    let end = until.map_or(String::new(), |at| {
        format!(" This ends by {at} at the latest.")
    });
    format!(
        "Your DNS change is still propagating: some resolvers see it, others do not yet.{end} You do \
         not need to do anything. We will check {host} again automatically."
    )
}

pub(super) fn stray_address(host: &Hostname, stray: &Addresses<'_>) -> String {
    let (verb, remove) = if stray.is_one() {
        ("is", "Remove that record")
    } else {
        ("are", "Remove those records")
    };
    format!(
        "{host} also has {stray}, which {verb} not ours. {remove}, because visitors and the \
         certificate authority may be sent there."
    )
}

pub(super) fn cdn_in_front(
    wanted: &WantedRecords<'_>,
    cdn: &str,
    found: &Addresses<'_>,
    answer: Option<&str>,
) -> String {
    let host = wanted.hostname;
    let how = Cdn::by_name(cdn).map_or_else(
        || "turn off the proxy".to_owned(),
        |cdn| format!("{} (see {})", cdn.remedy, cdn.instructions),
    );
    if let Some(answer) = answer {
        return format!(
            "Requests for http://{host}/.well-known/acme-challenge/ at {found} are answered by {cdn} \
             ({answer}), not by our servers. Let {cdn} pass this path on to us unchanged, or {how}."
        );
    }
    let fix = wanted.instruction();
    format!(
        "{host} is behind {cdn}: it has {found}, not a record that points to us. To fix this, {how}. \
         If the record is missing, {fix}."
    )
}

/// Some of the addresses of a name, and the number of the others.
pub(super) struct Addresses<'a>(pub(super) &'a [IpAddr], pub(super) usize);

impl Addresses<'_> {
    const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    const fn is_one(&self) -> bool {
        self.0.len() == 1 && self.1 == 0
    }

    const fn records(&self) -> &'static str {
        if self.is_one() {
            "that record"
        } else {
            "those records"
        }
    }
}

impl fmt::Display for Addresses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_one() {
            "the address "
        } else {
            "the addresses "
        })?;
        let texts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&texts.join(", "))?;
        match self.1 {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
