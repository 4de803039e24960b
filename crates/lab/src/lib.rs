//! The world around the service on loopback: DNS server, Pebble, HAProxy, PostgreSQL, faults.
