//! Named moments just before and just after each effect, at which a drill ends the process as a
//! power cut would.
//!
//! Without the feature `crash-points`, which only tests switch on, `before` and `after` are empty.
//! With it, the process aborts when it comes to the moment that the environment variable
//! `DPS_CRASH_AT` names, such as `finalize.after`, or `edge.apply.after:2` for the second time.

/// What is about to happen, or has just happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The CA is asked for a new order.
    OrderCreate,
    /// The order's URL is stored.
    OrderSave,
    /// The challenge is stored.
    ChallengeSave,
    /// The edges answer the challenge.
    ChallengePublish,
    /// The CA is told to validate.
    ChallengeAcknowledge,
    /// The edges forget the challenge.
    ChallengeWithdraw,
    /// The certificate's key is stored.
    KeySave,
    /// The CA is asked to issue.
    Finalize,
    /// The chain is fetched.
    CertificateFetch,
    /// The certificate is stored.
    CertificateSave,
    /// An edge proves the certificate.
    EdgeApply,
    /// The proof is stored.
    EdgeRecord,
    /// A step's outcome is stored, and its lease released or gone on with.
    OutcomeSave,
    /// The Cabinet takes a report.
    StatusReport,
    /// The delivered report leaves the outbox.
    ReportSettle,
}

impl Effect {
    /// All effects, in the order of a first issuance.
    pub const ALL: [Self; 15] = [
        Self::OrderCreate,
        Self::OrderSave,
        Self::ChallengeSave,
        Self::ChallengePublish,
        Self::ChallengeAcknowledge,
        Self::ChallengeWithdraw,
        Self::KeySave,
        Self::Finalize,
        Self::CertificateFetch,
        Self::CertificateSave,
        Self::EdgeApply,
        Self::EdgeRecord,
        Self::OutcomeSave,
        Self::StatusReport,
        Self::ReportSettle,
    ];

    /// The name in `DPS_CRASH_AT`, without `.before` or `.after`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OrderCreate => "order.create",
            Self::OrderSave => "order.save",
            Self::ChallengeSave => "challenge.save",
            Self::ChallengePublish => "challenge.publish",
            Self::ChallengeAcknowledge => "challenge.acknowledge",
            Self::ChallengeWithdraw => "challenge.withdraw",
            Self::KeySave => "key.save",
            Self::Finalize => "finalize",
            Self::CertificateFetch => "certificate.fetch",
            Self::CertificateSave => "certificate.save",
            Self::EdgeApply => "edge.apply",
            Self::EdgeRecord => "edge.record",
            Self::OutcomeSave => "outcome.save",
            Self::StatusReport => "status.report",
            Self::ReportSettle => "report.settle",
        }
    }
}

/// The effect is about to happen.
pub(crate) fn before(effect: Effect) {
    reached(effect, "before");
}

/// The effect has happened; nothing is built on it yet.
pub(crate) fn after(effect: Effect) {
    reached(effect, "after");
}

#[cfg(not(feature = "crash-points"))]
fn reached(_: Effect, _: &str) {}

#[cfg(feature = "crash-points")]
fn reached(effect: Effect, side: &str) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// The wanted moment, and how often it is passed before that.
    static WANTED: LazyLock<Option<(String, AtomicU32)>> = LazyLock::new(|| {
        let wanted = std::env::var("DPS_CRASH_AT").ok()?;
        let (moment, time) = wanted.split_once(':').unwrap_or((&wanted, "1"));
        let passes = time.parse::<u32>().unwrap_or(1).saturating_sub(1);
        Some((moment.to_owned(), AtomicU32::new(passes)))
    });

    let Some((moment, passes)) = &*WANTED else {
        return;
    };
    if moment
        .strip_suffix(side)
        .and_then(|effect| effect.strip_suffix('.'))
        != Some(effect.as_str())
    {
        return;
    }
    let one_less = |left: u32| left.checked_sub(1);
    if passes
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
        .is_err()
    {
        eprintln!("crash point {moment}");
        std::process::abort();
    }
}
