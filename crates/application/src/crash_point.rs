//! Named moments just before and just after each effect of a first issuance, in their order. The
//! process aborts at the one that `DPS_CRASH_AT` names (see `dps_crash_point`).

dps_crash_point::crash_points! {
    "DPS_CRASH_AT";
    /// A new order is requested from the CA.
    OrderCreate => "order.create";
    /// The order's URL is stored.
    OrderSave => "order.save";
    /// The challenge is stored.
    ChallengeSave => "challenge.save";
    /// The edges answer the challenge.
    ChallengePublish => "challenge.publish";
    /// The challenge is acknowledged at the CA.
    ChallengeAcknowledge => "challenge.acknowledge";
    /// The edges forget the challenge.
    ChallengeWithdraw => "challenge.withdraw";
    /// The certificate's key is stored.
    KeySave => "key.save";
    /// The order is finalized at the CA.
    Finalize => "finalize";
    /// The chain is fetched.
    CertificateFetch => "certificate.fetch";
    /// The certificate is stored.
    CertificateSave => "certificate.save";
    /// An edge proves the certificate.
    EdgeApply => "edge.apply";
    /// The proof is stored.
    EdgeRecord => "edge.record";
    /// A step's outcome is stored, and its lease released or extended.
    OutcomeSave => "outcome.save";
    /// The Cabinet takes a report.
    StatusReport => "status.report";
    /// The delivered report leaves the outbox.
    ReportSettle => "report.settle";
}
