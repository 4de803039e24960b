//! Sentences about the certificate authority.

use super::{WantedRecords, after_colon, in_brackets};
use crate::caa::reason::CaaReason;
use crate::{Hostname, Timestamp};

/// `record` is the record that forbids, and `owner` the name that has it; empty if it is not known.
/// `add` is the instruction that lets the CA issue.
pub(super) fn caa_forbids(
    host: &Hostname,
    record: &str,
    owner: &str,
    reason: CaaReason,
    add: &str,
) -> String {
    let of = if owner.is_empty() { "" } else { " of " };
    let record = format!("The CAA record {record}{of}{owner}");
    match reason {
        CaaReason::OtherAuthority => format!(
            "{record} does not allow our certificate authority to issue a certificate for {host}. \
             To fix this, {add}."
        ),
        CaaReason::OtherAccount => format!(
            "{record} allows a certificate for {host} only for another account of our certificate \
             authority. To fix this, {add}."
        ),
        CaaReason::OtherMethod => format!(
            "{record} allows a certificate for {host} only if it is validated in another way than \
             over HTTP (http-01). To fix this, {add}."
        ),
        CaaReason::UnknownCriticalTag => format!(
            "{record} is marked as critical, but certificate authorities do not know it. No \
             certificate can be issued for {host}. To fix this, remove that record."
        ),
    }
}

pub(super) fn caa_refused_by_ca(wanted: &WantedRecords<'_>, detail: &str) -> String {
    format!(
        "A CAA record does not allow our certificate authority to issue a certificate for {}{}. To \
         fix this, {}.",
        wanted.hostname,
        in_brackets(detail),
        wanted.caa_instruction("", None)
    )
}

pub(super) fn caa_lookup_failed(host: &Hostname, detail: &str) -> String {
    format!(
        "The CAA records of {host} could not be looked up{}. Ask your DNS provider to repair the \
         zone.",
        in_brackets(detail)
    )
}

pub(super) fn validation_failed(host: &Hostname, sub_cause: &str, detail: &str) -> String {
    format!(
        "The certificate authority could not validate {host} ({sub_cause}){}. Check that {host} \
         points to us from every network. We will try again automatically.",
        after_colon(detail)
    )
}

/// The DNS, a firewall or a CDN of the customer gives the CA another answer than us.
pub(super) fn reached_by_us_alone(host: &Hostname, sub_cause: &str, detail: &str) -> String {
    format!(
        "We reach {host}, but the certificate authority repeatedly does not ({sub_cause}){}. Check \
         that its DNS records are the same from every network, and that no firewall blocks the \
         certificate authority. We will try again automatically.",
        after_colon(detail)
    )
}

pub(super) fn rate_limited(until: Option<Timestamp>) -> String {
    format!(
        "The certificate authority limits how many certificates can be ordered. We will continue \
         {}. You do not need to do anything.",
        until.map_or_else(
            || "as soon as it allows".to_owned(),
            |at| format!("at {at}")
        )
    )
}

pub(super) fn issuance_paused() -> String {
    "The operator of this platform has paused new certificates. We will continue as soon as the \
     pause ends. You do not need to do anything."
        .to_owned()
}

pub(super) fn paused(host: &Hostname, unpause_url: Option<&str>) -> String {
    format!(
        "The certificate authority paused {host} after many failed attempts. Only the operator of \
         this platform can lift the pause{}.",
        unpause_url
            .map(|url| format!(", at {url}"))
            .unwrap_or_default()
    )
}

pub(super) fn unavailable() -> String {
    "The certificate authority cannot be reached at the moment. We will try again automatically. \
     You do not need to do anything."
        .to_owned()
}
