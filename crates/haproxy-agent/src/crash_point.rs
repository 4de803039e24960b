//! Named moments just before and just after each effect of an apply, in their order, then those of
//! a removal. The process aborts at the one that `AGENT_CRASH_AT` names (see `dps_crash_point`).

dps_crash_point::crash_points! {
    "AGENT_CRASH_AT";
    /// A certificate's file is written out of HAProxy's sight.
    FileStage => "file.stage";
    /// The staged files of a burst are on the disk for good.
    StageSync => "stage.sync";
    /// HAProxy is sent the certificates of a burst and answers.
    CertificateInstall => "certificate.install";
    /// HAProxy presents a certificate in a handshake.
    CertificateProve => "certificate.prove";
    /// A staged file takes its place.
    FilePublish => "file.publish";
    /// The places of a burst are on the disk for good.
    PublishSync => "publish.sync";
    /// The crt-list is replaced.
    ListWrite => "list.write";
    /// It is noted which hostnames were removed.
    TombstoneWrite => "tombstone.write";
    /// HAProxy forgets a certificate.
    CertificateUninstall => "certificate.uninstall";
    /// A removed certificate's file is deleted.
    FileDelete => "file.delete";
}
