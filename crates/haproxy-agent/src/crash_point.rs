//! Named moments just before and just after each effect of an apply or a removal, at which a drill
//! ends the process as a power cut would.
//!
//! Without the feature `crash-points`, which only tests switch on, `before` and `after` are empty.
//! With it, the process aborts when it comes to the moment that the environment variable
//! `AGENT_CRASH_AT` names, such as `list.write.after`, or `file.publish.after:2` for the second
//! time.

/// What is about to happen, or has just happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// A certificate's file is written out of HAProxy's sight.
    FileStage,
    /// The staged files of a burst are on the disk for good.
    StageSync,
    /// HAProxy is sent the certificates of a burst and answers.
    CertificateInstall,
    /// HAProxy presents a certificate in a handshake.
    CertificateProve,
    /// A staged file takes its place.
    FilePublish,
    /// The places of a burst are on the disk for good.
    PublishSync,
    /// The crt-list is replaced.
    ListWrite,
    /// It is noted which hostnames were removed.
    TombstoneWrite,
    /// HAProxy forgets a certificate.
    CertificateUninstall,
    /// A removed certificate's file is deleted.
    FileDelete,
}

impl Effect {
    /// All effects: those of an apply in their order, then those that only a removal has.
    pub const ALL: [Self; 10] = [
        Self::FileStage,
        Self::StageSync,
        Self::CertificateInstall,
        Self::CertificateProve,
        Self::FilePublish,
        Self::PublishSync,
        Self::ListWrite,
        Self::TombstoneWrite,
        Self::CertificateUninstall,
        Self::FileDelete,
    ];

    /// The name in `AGENT_CRASH_AT`, without `.before` or `.after`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FileStage => "file.stage",
            Self::StageSync => "stage.sync",
            Self::CertificateInstall => "certificate.install",
            Self::CertificateProve => "certificate.prove",
            Self::FilePublish => "file.publish",
            Self::PublishSync => "publish.sync",
            Self::ListWrite => "list.write",
            Self::TombstoneWrite => "tombstone.write",
            Self::FileDelete => "file.delete",
            Self::CertificateUninstall => "certificate.uninstall",
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
        let wanted = std::env::var("AGENT_CRASH_AT").ok()?;
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
