//! The closed list of codes of an interface.

use serde::Serialize;

/// One kind of problem.
pub trait ProblemKind: Copy {
    /// Returns the code on the wire.
    fn code(self) -> &'static str;

    /// Returns the kind in words.
    fn title(self) -> &'static str;

    /// Returns the HTTP status that goes with it.
    fn http_status(self) -> u16;
}

/// The member `code` of a problem document.
pub trait CodeMember: Sized + Serialize {
    /// The kinds of problem that the interface knows.
    type Kind: ProblemKind;

    /// Whether a document that lacks another member of RFC 9457 is no document of the interface.
    const NEEDS_ALL_MEMBERS: bool;

    /// The code of a kind of problem.
    fn of(kind: Self::Kind) -> Self;

    /// Returns the kind that the code names; `None` for a code of another interface or version.
    fn kind(&self) -> Option<Self::Kind>;

    /// Reads the member; `None` where a document without it is no document of the interface.
    fn read(member: Option<String>) -> Option<Self>;
}

/// Defines the enum of an interface's codes: each with its text on the wire, its HTTP status and
/// its title.
#[macro_export]
macro_rules! problem_codes {
    (
        $(#[$meta:meta])* $visibility:vis enum $name:ident {
            $($(#[$doc:meta])* $variant:ident => $text:literal, $status:literal, $title:literal;)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $visibility enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Every code.
            $visibility const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The code on the wire and in metrics.
            $visibility const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The HTTP status that goes with it.
            $visibility const fn http_status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }

            /// The kind of problem in words.
            $visibility const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }

            /// The code that this text is on the wire.
            $visibility fn named(text: &str) -> ::core::option::Option<Self> {
                Self::ALL.iter().copied().find(|code| code.as_str() == text)
            }
        }

        impl ::core::fmt::Display for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::ProblemKind for $name {
            fn code(self) -> &'static str {
                self.as_str()
            }

            fn title(self) -> &'static str {
                self.title()
            }

            fn http_status(self) -> u16 {
                self.http_status()
            }
        }
    };
}
