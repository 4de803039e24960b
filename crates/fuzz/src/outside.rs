//! Inputs of the service: answers of the CA and of resolvers.

use dps_infrastructure::{acme, dns};

/// An answer of the CA: directory, order, authorization, problem or renewal information.
pub(crate) fn acme_answer(data: &[u8]) {
    acme::fuzzing::read_answer(data);
}

/// A packet of a resolver.
pub(crate) fn dns_answer(data: &[u8]) {
    dns::fuzzing::read_answer(data);
}
