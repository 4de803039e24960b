//! Named moments just before and just after each effect of a program, at which a drill ends the
//! process as a power cut would.
//!
//! [`crash_points!`](crate::crash_points) defines the effects of a crate and its functions `before`
//! and `after`. Without that crate's feature `crash-points`, which only tests switch on, both are
//! empty. With it, the process aborts at the moment that the environment variable names, such as
//! `finalize.after`, or `edge.apply.after:2` for the second time.

use std::sync::atomic::{AtomicU32, Ordering};

/// The moment at which the process is to abort.
#[derive(Debug)]
pub struct CrashPoint {
    moment: String,
    /// How often the moment is passed before that.
    passes: AtomicU32,
}

impl CrashPoint {
    /// The moment that the environment variable names, if it is set.
    pub fn wanted(variable: &str) -> Option<Self> {
        std::env::var(variable).ok().map(|text| Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let (moment, time) = text.split_once(':').unwrap_or((text, "1"));
        let passes = time.parse::<u32>().unwrap_or(1).saturating_sub(1);
        Self {
            moment: moment.to_owned(),
            passes: AtomicU32::new(passes),
        }
    }

    /// Aborts the process if this is the wanted moment.
    pub fn reached(&self, effect: &str, side: &str) {
        if self.is_due(effect, side) {
            eprintln!("crash point {}", self.moment);
            std::process::abort();
        }
    }

    fn is_due(&self, effect: &str, side: &str) -> bool {
        let wanted = self.moment.strip_suffix(side);
        if wanted.and_then(|wanted| wanted.strip_suffix('.')) != Some(effect) {
            return false;
        }
        let one_less = |left: u32| left.checked_sub(1);
        let passed = self
            .passes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        passed.is_err()
    }
}

/// Defines the effects of a crate, in their order, each with its name in the environment variable.
#[macro_export]
macro_rules! crash_points {
    (
        $variable:literal;
        $($(#[$doc:meta])* $effect:ident => $name:literal;)+
    ) => {
        /// An effect of this crate.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Effect { $($(#[$doc])* $effect,)+ }

        impl Effect {
            /// All effects, in their order.
            pub const ALL: [Self; [$(Self::$effect),+].len()] = [$(Self::$effect),+];

            #[doc = concat!("The name in `", $variable, "`, without `.before` or `.after`.")]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$effect => $name),+ }
            }
        }

        /// Marks that the effect is about to happen.
        pub(crate) fn before(effect: Effect) {
            reached(effect, "before");
        }

        /// Marks that the effect has happened; nothing is built on it yet.
        pub(crate) fn after(effect: Effect) {
            reached(effect, "after");
        }

        #[cfg(not(feature = "crash-points"))]
        fn reached(_: Effect, _: &str) {}

        #[cfg(feature = "crash-points")]
        fn reached(effect: Effect, side: &str) {
            use ::std::sync::LazyLock;
            static WANTED: LazyLock<Option<$crate::CrashPoint>> =
                LazyLock::new(|| $crate::CrashPoint::wanted($variable));
            if let Some(wanted) = &*WANTED {
                wanted.reached(effect.as_str(), side);
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_due_at_its_effect_and_side() {
        let point = CrashPoint::parse("list.write.after");
        for (effect, side) in [
            ("list.write", "before"),
            ("write", "after"),
            ("list", "after"),
        ] {
            assert!(!point.is_due(effect, side), "{effect}.{side}");
        }
        assert!(point.is_due("list.write", "after"));
    }

    #[test]
    fn a_moment_may_be_passed_before_it_is_due() {
        let point = CrashPoint::parse("edge.apply.after:3");
        let due = [1, 2, 3].map(|_| point.is_due("edge.apply", "after"));
        assert_eq!(due, [false, false, true]);
    }
}
