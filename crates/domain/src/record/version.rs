//! The version of a record, by which a caller says which state it has read.

use std::fmt;
use std::str::FromStr;

use super::DomainRecord;
use crate::DomainId;

/// A state of a record. Each write makes another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordVersion {
    /// The domain.
    pub id: DomainId,
    /// [`DomainRecord::revision`].
    pub revision: i64,
}

impl DomainRecord {
    /// The present version.
    pub const fn version(&self) -> RecordVersion {
        RecordVersion {
            id: self.id,
            revision: self.revision,
        }
    }
}

impl fmt::Display for RecordVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.id, self.revision)
    }
}

/// The text is no version of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no version of a record")]
pub struct NoVersion;

impl FromStr for RecordVersion {
    type Err = NoVersion;

    fn from_str(text: &str) -> Result<Self, NoVersion> {
        let (id, revision) = text.split_once('/').ok_or(NoVersion)?;
        Ok(Self {
            id: id.parse().map_err(|_| NoVersion)?,
            revision: revision.parse().map_err(|_| NoVersion)?,
        })
    }
}
