//! The agent against a real HAProxy, over the client that the service uses. Each test has its own
//! HAProxy, agent and directory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod applies;
mod authority;
mod batches;
mod challenges;
mod command;
mod corpus;
mod crash_points;
mod crashes;
mod default_certificate;
mod disk;
mod document;
mod exposure;
mod handshakes;
mod hostile;
mod hostile_haproxy;
mod interference;
mod mid_batch;
mod mutual_tls;
mod probes;
mod refusals;
mod reloads;
mod restarts;
mod sandbox;
mod shipped_configuration;
mod versions;
mod world;
