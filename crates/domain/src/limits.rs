//! The limits of a certificate authority, as token buckets that every replica shares.
//!
//! A [`Bucket`] is the generic cell rate algorithm in the form that Boulder uses. It keeps the
//! moment at which it will be full again; a token returns every emission interval. [`published`]
//! holds Let's Encrypt's numbers by directory URL. [`charge`] lists the buckets that an order
//! needs, and decides on all of them at once. [`effect`] lists the events of an order that change
//! them, and [`refusal`] finds the bucket that a CA's refusal means. Nothing here knows where
//! buckets are kept.

pub mod bucket;
pub mod charge;
pub mod effect;
pub mod forecast;
pub mod published;
pub mod refusal;

pub use bucket::{Bucket, Limit};
pub use charge::{BucketKey, Change, Charge, Entry, Exemption, Position, Ruling, rule};
pub use effect::OrderEffect;
pub use forecast::BucketUse;
pub use published::{CaLimits, Endpoint, LimitKind};
pub use refusal::Refused;
