//! The limits of a certificate authority, as token buckets that every replica shares.
//!
//! A [`Bucket`] is the generic cell rate algorithm in the form that Boulder uses: it keeps one
//! moment, when it will be full again, and a token comes back every emission interval.
//! [`published`] holds Let's Encrypt's numbers by directory URL, [`charge`] says which buckets an
//! order needs and decides over all of them at once, [`refusal`] tells from a CA's words which
//! bucket it means. Nothing here knows where buckets are kept.

pub mod bucket;
pub mod charge;
pub mod published;
pub mod refusal;

pub use bucket::{Bucket, Limit};
pub use charge::{BucketKey, Change, Charge, Entry, Exemption, Position, Ruling, rule};
pub use published::{CaLimits, Endpoint, LimitKind};
pub use refusal::Refused;
