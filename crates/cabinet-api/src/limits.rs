//! Sizes that both sides of the contract keep to.

/// Largest body of a request, in bytes.
pub const MAX_BODY_BYTES: usize = 16 * 1024;

/// Largest number of domains on one page.
pub const MAX_PAGE_LIMIT: u32 = 500;

/// Page size when the caller names none.
pub const DEFAULT_PAGE_LIMIT: u32 = 100;

/// Longest time that the changes call may wait, in seconds.
pub const MAX_WAIT_SECONDS: u64 = 60;

/// Longest cursor, in bytes.
pub const MAX_CURSOR_BYTES: usize = 200;

/// Longest `tenantId`, in bytes.
pub const MAX_TENANT_ID_BYTES: usize = 200;

/// Longest `hostname` as typed, in bytes.
pub const MAX_HOSTNAME_BYTES: usize = 1024;

/// Longest `lastErrorCode`, in bytes.
pub const MAX_ERROR_CODE_BYTES: usize = 64;

/// Longest `lastErrorMessage`, in bytes.
pub const MAX_ERROR_MESSAGE_BYTES: usize = 2_000;

/// Largest `errorDetails` as JSON text, in bytes.
pub const MAX_ERROR_DETAILS_BYTES: usize = 8 * 1024;

/// Longest `ownershipVerification.name`, in bytes: a label before the longest hostname.
pub const MAX_OWNERSHIP_NAME_BYTES: usize = 253 + 16;

/// Longest `ownershipVerification.value`, in bytes: one character-string of a TXT record.
pub const MAX_OWNERSHIP_VALUE_BYTES: usize = 255;
