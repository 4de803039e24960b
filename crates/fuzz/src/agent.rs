//! Inputs of the agent: HAProxy's answers and the service's requests.

use haproxy_domain_agent::fuzzing;
use haproxy_domain_agent::runtime_api::answers;

/// An answer of HAProxy's Runtime API, as each command would read it.
pub(crate) fn haproxy_answer(data: &[u8]) {
    if let Some((answer, taken)) = answers::prompted(data) {
        assert!(taken <= data.len(), "more was taken than came");
        assert!(answer.ends_with('\n'), "an answer ends with a line end");
    }
    let text = String::from_utf8_lossy(data);
    for answer in answers::split(&text) {
        assert!(!answer.is_empty(), "parts are never empty");
    }
    let _ = answers::process(&text);
    let _ = answers::store(&text);
    let _ = answers::stores(&text);
    let _ = answers::list_entries(&text);
    let _ = answers::is_locked(&text);
    let _ = answers::staged(&text);
    let _ = answers::ongoing_transaction(&text);
    let _ = answers::is_success(&text);
}

/// The body of an apply, up to the point where HAProxy would be asked.
pub(crate) fn apply_request(data: &[u8]) {
    fuzzing::read_apply_request(data);
}
