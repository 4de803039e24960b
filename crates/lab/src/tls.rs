//! An edge seen with a client's eyes: full handshakes that verify everything. And a server in an
//! edge's place.

mod authority;
mod client;
mod get;
mod leaf;
mod server;
mod watcher;

pub use authority::{LocalAuthority, ServerIdentity};
pub use client::{client_config, install_crypto_provider};
pub use get::{HttpsReply, https_get};
pub use leaf::{Leaf, presented_leaf, served_leaf};
pub use server::TlsServer;
pub use watcher::{HandshakeReport, HandshakeWatcher};
