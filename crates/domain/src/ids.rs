//! Identifiers of our own records. A newtype each, so that one cannot be passed for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Hostname, Timestamp};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps an existing UUID.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// A new UUID version 7 (RFC 9562 §5.7): `now` and ten of the given random bytes.
            pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
                let millis = u64::try_from(now.unix_micros().div_euclid(1_000)).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
            }

            /// The UUID itself.
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

id! {
    /// A custom domain, as the Cabinet names it.
    DomainId
}

/// Begins the identifiers of take-downs, so that none is taken for one of the Cabinet's.
const TAKE_DOWN: &[u8; 6] = b"dps-td";

impl DomainId {
    /// The identifier of the take-down of a name that this domain had until the given version (UUID
    /// version 8, RFC 9562 §5.8). The same each time.
    #[must_use]
    pub fn take_down(self, old_name: &Hostname, version: u64) -> Self {
        let parts = [
            self.0.as_bytes(),
            old_name.as_str().as_bytes(),
            &version.to_be_bytes()[..],
        ];
        // FNV-1a. It need not be secret: two that are equal would only share a record.
        let hash = parts
            .concat()
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            });
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(TAKE_DOWN);
        bytes[8..].copy_from_slice(&hash.to_be_bytes());
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// Whether the Cabinet knows nothing of it, since [`Self::take_down`] made it.
    pub fn is_take_down(self) -> bool {
        self.0.get_version_num() == 8 && self.0.as_bytes().starts_with(TAKE_DOWN)
    }
}

id! {
    /// A stored certificate with its key.
    CertificateId
}
id! {
    /// A stored ACME order.
    OrderId
}
id! {
    /// An operator's action that was recorded.
    ActionId
}
id! {
    /// A job of an operator.
    JobId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_take_down_of_a_name_has_an_identifier_of_its_own_and_always_the_same() {
        let id = DomainId::new(Timestamp::from_unix_seconds(1_000), [7; 10]);
        let name = |text| Hostname::parse(text).unwrap();
        let old = id.take_down(&name("a.example.com"), 3);
        assert_eq!(old, id.take_down(&name("a.example.com"), 3));
        assert_ne!(old, id.take_down(&name("a.example.com"), 4));
        assert_ne!(old, id.take_down(&name("b.example.com"), 3));
        assert!(old.is_take_down() && !id.is_take_down());
    }

    #[test]
    fn new_ids_are_version_7_and_sort_by_time() {
        let early = OrderId::new(Timestamp::from_unix_seconds(1_000), [0xff; 10]);
        let late = OrderId::new(Timestamp::from_unix_seconds(2_000), [0; 10]);
        assert_eq!(early.as_uuid().get_version_num(), 7);
        assert!(early < late);
    }
}
