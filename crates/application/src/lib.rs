//! What the service does, without knowing how the outside is reached.
//!
//! A [`ports::CertificateStore`] holds one work record per custom domain. Workers lease due records, make one step of work
//! each , and hand back the outcome in one transaction that also releases the lease. A step is: read
//! the facts, let `dps-domain` decide, act through a port, return an outcome. The parties outside (CA, DNS, edges,
//! Cabinet) are traits in [`ports`]; time and randomness are ports too. A crash anywhere is harmless, because the record
//! is the truth, effects are persisted before they are built upon, and every step may run twice.

pub mod ports;
