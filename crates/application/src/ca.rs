//! The CA: account, directory, request tokens, renewal information and revocation.

pub mod account;
pub mod directory;
pub(crate) mod exemption;
pub(crate) mod renewal_info;
pub mod request_tokens;
pub(crate) mod revocation;
