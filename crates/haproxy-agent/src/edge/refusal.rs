//! Why a job is not done, as a problem document.

use dps_agent_api::{ApplyRequest, Problem, ProblemCode};
use dps_domain::{Hostname, Timestamp};
use dps_x509::{CertificateChain, CertificateKey, ChainFault, check};
use secrecy::ExposeSecret;

use crate::disk::{DiskError, StoredCertificate};
use crate::runtime_api::RuntimeError;

/// A job was not done; what was served before is still served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// The request is at fault.
    #[error("{}", .0.detail)]
    Request(Box<Problem>),
    /// HAProxy cannot be reached or did not do it.
    #[error("the Runtime API failed")]
    Runtime(#[from] RuntimeError),
    /// Our disk failed.
    #[error("the state directory failed")]
    Disk(#[from] DiskError),
    /// The edge serves another certificate than the requested one.
    #[error("{detail}")]
    Mismatch { detail: String },
    /// The writer is stopping.
    #[error("the agent is stopping")]
    Stopping,
}

impl Refusal {
    pub(crate) fn request(code: ProblemCode, field: &str, detail: impl Into<String>) -> Self {
        Self::Request(Box::new(Problem::new(code, detail).at(field)))
    }

    /// Returns the refusal of generation `requested`, which is older than the one that `what_is`
    /// names.
    pub(super) fn stale(what_is: &str, requested: u64) -> Self {
        let detail = format!("{what_is} and {requested} is older");
        Self::request(ProblemCode::GenerationStale, "generation", detail)
    }

    /// Whether it says something about one certificate only, and nothing about the others.
    pub(super) const fn is_of_one_certificate(&self) -> bool {
        match self {
            Self::Request(_) | Self::Disk(_) | Self::Mismatch { .. } => true,
            Self::Runtime(error) => matches!(error, RuntimeError::Refused { .. }),
            Self::Stopping => false,
        }
    }

    /// The document to send.
    pub(crate) fn problem(&self) -> Problem {
        match self {
            Self::Request(problem) => (**problem).clone(),
            Self::Runtime(error) => runtime_problem(error),
            Self::Disk(error) => Problem::new(
                ProblemCode::Internal,
                format!("{error}; check the agent's log, its disk and the owner of its directory"),
            ),
            Self::Mismatch { detail } => Problem::new(ProblemCode::EdgeMismatch, detail.as_str()),
            Self::Stopping => Problem::new(
                ProblemCode::HaproxyUnreachable,
                "the agent is stopping; try again",
            ),
        }
    }
}

fn runtime_problem(error: &RuntimeError) -> Problem {
    match error {
        RuntimeError::Refused { .. } => Problem::new(
            ProblemCode::EdgeRejected,
            format!("{error}; the previous certificate is still served"),
        )
        .at("chainPem"),
        RuntimeError::PayloadTooLarge { .. } => {
            Problem::new(ProblemCode::PayloadTooLarge, error.to_string()).at("chainPem")
        }
        RuntimeError::Unreachable { source, .. } => Problem::new(
            ProblemCode::HaproxyUnreachable,
            format!("{error} ({source}); start HAProxy, or correct Agent:HaproxySocket"),
        ),
        RuntimeError::NoAnswer
        | RuntimeError::TimedOut(_)
        | RuntimeError::Locked
        | RuntimeError::Stopping
        | RuntimeError::PermissionDenied
        | RuntimeError::ListUnknown { .. }
        | RuntimeError::ForeignTransaction { .. }
        | RuntimeError::Unintelligible { .. }
        | RuntimeError::AnswerTooLong(_) => {
            Problem::new(ProblemCode::HaproxyUnreachable, error.to_string())
        }
    }
}

/// Greatest generation that a database can keep, as a signed integer of 64 bits.
const MAX_GENERATION: u64 = i64::MAX as u64;

/// Refuses a generation that no caller can have.
pub(super) fn check_generation(generation: u64) -> Result<(), Refusal> {
    if generation <= MAX_GENERATION {
        return Ok(());
    }
    let detail = format!("a generation must be at most {MAX_GENERATION}");
    Err(Refusal::request(
        ProblemCode::RequestMalformed,
        "generation",
        detail,
    ))
}

/// Reads and checks everything about a request that can be checked without HAProxy.
pub(crate) fn parse_request(
    request: &ApplyRequest,
    now: Timestamp,
) -> Result<StoredCertificate, Refusal> {
    let chain = CertificateChain::from_pem(&request.chain_pem).map_err(|error| {
        Refusal::request(ProblemCode::ChainMalformed, "chainPem", error.to_string())
    })?;
    let key =
        CertificateKey::from_pem(request.private_key_pem.expose_secret()).map_err(|error| {
            Refusal::request(
                ProblemCode::KeyMalformed,
                "privateKeyPem",
                error.to_string(),
            )
        })?;
    if request.fingerprint != chain.fingerprint() {
        let detail = format!(
            "the leaf of the chain has the SHA-256 fingerprint {}; send it in lower-case hex, or send the \
             chain that belongs to the fingerprint",
            chain.fingerprint()
        );
        return Err(Refusal::request(
            ProblemCode::FingerprintMismatch,
            "fingerprint",
            detail,
        ));
    }
    check_generation(request.generation)?;
    check(&chain, &key, &request.hostname, now)
        .map_err(|fault| chain_refusal(&fault, &request.hostname, now))?;
    Ok(StoredCertificate {
        hostname: request.hostname.clone(),
        generation: request.generation,
        chain,
        key,
    })
}

fn chain_refusal(fault: &ChainFault, hostname: &Hostname, now: Timestamp) -> Refusal {
    let (code, field) = match fault {
        ChainFault::KeyMismatch => (ProblemCode::KeyMismatch, "privateKeyPem"),
        // Path and roots are checked by the service alone.
        ChainFault::OutOfOrder { .. } | ChainFault::Incomplete | ChainFault::Untrusted { .. } => {
            (ProblemCode::ChainOutOfOrder, "chainPem")
        }
        ChainFault::WrongUsage { .. } => (ProblemCode::WrongUsage, "chainPem"),
        ChainFault::NotAnAuthority { .. } => (ProblemCode::NotAnAuthority, "chainPem"),
        ChainFault::NameNotCovered { .. } => (ProblemCode::NameNotCovered, "chainPem"),
        ChainFault::NotYetValid { .. } => (ProblemCode::NotYetValid, "chainPem"),
        ChainFault::Expired { .. } => (ProblemCode::Expired, "chainPem"),
        ChainFault::WeakKey => (ProblemCode::WeakKey, "chainPem"),
        ChainFault::WeakSignature { .. } => (ProblemCode::WeakSignature, "chainPem"),
    };
    let clock = match fault {
        // Where the machine's clock is wrong, this is how one finds out.
        ChainFault::NotYetValid { .. } | ChainFault::Expired { .. } => {
            format!("; the agent's clock says {now}")
        }
        _ => String::new(),
    };
    Refusal::request(
        code,
        field,
        format!("{fault}{clock}; nothing was changed for {hostname}"),
    )
}
