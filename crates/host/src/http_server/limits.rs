//! The bounds of a server.

use std::time::Duration;

use super::register::Bounds;

/// The bounds of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerLimits {
    /// Connections open at once; more wait in the kernel's queue. Lowered to the listener's share
    /// of the process's file descriptors ([`crate::process::descriptors_of_a_listener`]).
    pub connections: usize,
    /// Connections open at once from one client: an IPv4 address or an IPv6 network of 64 bits.
    pub connections_per_client: usize,
    /// Connections that have completed neither a TLS handshake nor the head of a request.
    pub unproven: usize,
    /// The same, from one client.
    pub unproven_per_client: usize,
    /// Longest time for the TLS handshake; without TLS, for the head of the first request.
    pub handshake_timeout: Duration,
    /// Longest time for the head of a request, the wait between two requests included.
    pub head_timeout: Duration,
    /// Longest head of a request, in bytes; at least 8192.
    pub head_bytes: usize,
    /// Longest time for running requests to finish after the stop.
    pub drain_timeout: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_client: 256,
            unproven: 256,
            unproven_per_client: 64,
            handshake_timeout: Duration::from_secs(5),
            head_timeout: Duration::from_secs(30),
            head_bytes: 16 * 1024,
            drain_timeout: Duration::from_secs(20),
        }
    }
}

impl ServerLimits {
    /// These limits with at most so many connections.
    pub(super) fn at_most(self, connections: usize) -> Self {
        if self.connections <= connections {
            return self;
        }
        Self {
            connections,
            connections_per_client: self.connections_per_client.min(connections.div_ceil(2)),
            unproven: self.unproven.min(connections.div_ceil(2)),
            unproven_per_client: self.unproven_per_client.min(connections.div_ceil(4)),
            ..self
        }
    }

    pub(super) const fn bounds(&self) -> Bounds {
        Bounds {
            total: self.connections,
            per_peer: self.connections_per_client,
            unproven: self.unproven,
            unproven_per_peer: self.unproven_per_client,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_lowered_for_want_of_descriptors_keep_their_proportions() {
        let limits = ServerLimits::default();
        assert_eq!(limits.at_most(1024), limits);
        let lowered = limits.at_most(113).bounds();
        let expected = Bounds {
            total: 113,
            per_peer: 57,
            unproven: 57,
            unproven_per_peer: 29,
        };
        assert_eq!(lowered, expected);
    }
}
