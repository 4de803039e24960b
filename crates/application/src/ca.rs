//! The CA: account, directory, request tokens and renewal information.

pub mod account;
pub mod directory;
pub(crate) mod exemption;
pub(crate) mod renewal_info;
pub mod request_tokens;
