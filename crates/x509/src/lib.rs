//! Reads, checks and makes X.509 certificate chains, keys and CSRs.
