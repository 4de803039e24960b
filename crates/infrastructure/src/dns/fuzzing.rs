//! An entrance for the fuzzer.

use dps_domain::dns::{DnsAnswer, MAX_ADDRESSES};
use hickory_resolver::proto::op::DnsResponse;
use hickory_resolver::proto::rr::Name;

use super::chain::outcome_of;
use super::query::Answer;

/// A packet of a resolver, read as the whole answer for `shop.example.com`.
///
/// # Panics
/// Where more is kept of an answer than its bounds allow.
pub fn read_answer(data: &[u8]) {
    let Ok(response) = DnsResponse::from_buffer(data.to_vec()) else {
        return;
    };
    let host = Name::from_ascii("shop.example.com.").expect("a name");
    let outcome = outcome_of(&host, &Answer::from(response));
    let kept: usize = outcome.chain.iter().map(String::len).sum();
    assert!(kept <= 16 * 1024, "a chain of {kept} bytes");
    if let DnsAnswer::Addresses(addresses) = outcome.answer {
        assert!(
            addresses.len() <= MAX_ADDRESSES,
            "{} addresses",
            addresses.len()
        );
    }
}
