//! Problems of settings, with their remedies.

use std::fmt;
use std::path::PathBuf;

use dps_x509::ExposedFile;

use super::tree::Origin;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The file named on the command line cannot be read, or one that exists cannot.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The file is not JSON with comments.
    Syntax {
        /// The file.
        path: PathBuf,
        /// The fault and its place.
        what: String,
    },
    /// The key is unknown.
    UnknownKey {
        /// The full key.
        key: String,
        /// Where it stands.
        origin: Option<Origin>,
        /// The known key nearest to it, and whether it is near enough to be meant.
        nearest: Option<(String, bool)>,
    },
    /// The key is known but its value will not do.
    BadValue {
        /// The full key.
        key: String,
        /// Where the value stands; `None` when it is a default.
        origin: Option<Origin>,
        /// The found and the expected value.
        what: String,
    },
    /// Two environment variables differ in case only, and in their values.
    Ambiguous {
        /// The full key.
        key: String,
        /// The variables.
        variables: [String; 2],
    },
    /// Others may read or change a file that holds a secret.
    Exposed {
        /// The first key in it whose value is a secret.
        key: String,
        /// The file.
        file: ExposedFile,
    },
    /// The environment's name cannot be part of a file name.
    EnvironmentName {
        /// The given name.
        name: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, why } => {
                write!(f, "{}: cannot be read: {why}", path.display())
            }
            Self::Syntax { path, what } => write!(f, "{}: {what}", path.display()),
            Self::UnknownKey {
                key,
                origin,
                nearest,
            } => {
                write!(f, "{key}{}: unknown key", Place(origin.as_ref()))?;
                match nearest {
                    Some((known, true)) => write!(f, "; did you mean {known}?"),
                    Some((known, false)) => write!(f, "; the nearest known key is {known}"),
                    None => Ok(()),
                }
            }
            Self::BadValue { key, origin, what } => {
                write!(f, "{key}{}: {what}", Place(origin.as_ref()))
            }
            Self::Ambiguous {
                key,
                variables: [first, second],
            } => {
                write!(
                    f,
                    "{key}: the environment variables {first} and {second} set different values; remove one"
                )
            }
            Self::Exposed { key, file } => write!(
                f,
                "{key} is a secret, and its file {file}; or set it by an environment variable or in a \
                 separate file"
            ),
            Self::EnvironmentName { name } => write!(
                f,
                "the environment name {name:?} (DPS_ENVIRONMENT, DOTNET_ENVIRONMENT or ASPNETCORE_ENVIRONMENT) may only \
                 have letters, digits, '-', '_' and '.'"
            ),
        }
    }
}

struct Place<'a>(Option<&'a Origin>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |origin| write!(f, " ({origin})"))
    }
}

/// The settings cannot be used; all that is wrong with them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SettingsError {
    problems: Vec<Problem>,
}

impl SettingsError {
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    pub(super) fn template(error: &serde_json::Error) -> Self {
        Self::new(vec![Problem::BadValue {
            key: "the built-in defaults".to_owned(),
            origin: None,
            what: error.to_string(),
        }])
    }

    /// Every problem, in the order of the keys' appearance.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration cannot be used:")?;
        self.problems
            .iter()
            .try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}
