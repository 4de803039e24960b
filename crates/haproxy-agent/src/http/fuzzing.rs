//! Entrances for the fuzzer.

use dps_agent_api::ApplyRequest;
use dps_domain::Timestamp;

use super::problem::read_json;
use crate::edge::parse_request;

/// Reads and checks the body of an apply as the agent does before it calls HAProxy.
pub fn read_apply_request(body: &[u8]) {
    if let Ok(request) = read_json::<ApplyRequest>(body) {
        let _ = parse_request(&request, Timestamp::EPOCH);
    }
}
