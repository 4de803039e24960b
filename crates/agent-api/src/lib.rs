//! Wire types of the HAProxyDomainAgent and a client for them.
