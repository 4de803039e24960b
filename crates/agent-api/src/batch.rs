//! Many certificates in one call.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Applied, ApplyRequest, Problem};

/// Certificates in one batch at most.
pub const MAX_BATCH_CERTIFICATES: usize = 256;
/// The longest body of a batch, in bytes.
pub const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// `POST /internal/v1/certificates/apply-batch`: serve these certificates, each for its hostname.
/// Each is applied or refused on its own; a hostname that comes twice is worked in the order of the
/// list.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchRequest<'a> {
    /// At most [`MAX_BATCH_CERTIFICATES`].
    #[schema(max_items = 256)]
    pub certificates: &'a [ApplyRequest],
}

/// The answer to a batch that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchAnswer {
    /// One result per certificate, in the order of the request.
    pub results: Vec<BatchResult>,
}

/// The result for one certificate of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum BatchResult {
    /// As the single form answers with success.
    Applied(Applied),
    /// As the single form answers with a refusal.
    Refused(Problem),
}
