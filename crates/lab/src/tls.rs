//! An edge seen with a client's eyes: full handshakes that verify everything.

mod authority;
mod client;
mod get;
mod leaf;
mod watcher;

pub use authority::{LocalAuthority, ServerIdentity};
pub use client::{client_config, install_crypto_provider};
pub use get::{HttpsReply, https_get};
pub use leaf::{Leaf, served_leaf};
pub use watcher::{HandshakeReport, HandshakeWatcher};
