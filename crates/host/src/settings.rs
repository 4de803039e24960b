//! Settings by the rules of .NET's configuration.
//!
//! Later sources override earlier ones: the defaults of the settings type; `appsettings.json`;
//! `appsettings.{Environment}.json`; environment variables with `__` between the parts of a key.
//! Keys are compared without regard to case. A list is, as in .NET, a set of numbered keys: a later
//! source replaces single elements (`Dns__Resolvers__0`) and leaves the others. Unlike in .NET, a
//! list that any source sets replaces a default list, and `[]` in a file empties the list.
//!
//! The serialised default of the settings type is the template. It says which keys exist, and
//! decides what a text becomes: a number, a truth value or text. Where it has `null` (an `Option`
//! without default), the settings type itself decides. A default of an empty map accepts any keys.
//! All problems are reported at once, each with its full key and its source.

mod apply;
mod decode;
mod environment;
mod exposed;
mod json;
mod nearest;
mod problem;
mod tree;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use problem::{Problem, SettingsError};
pub use tree::Origin;

use tree::Node;

/// The sections of the one `appsettings.json` that all our processes share. A process that knows
/// only some of them passes over the others (see [`Loader::ignoring_other_sections`]).
pub const SECTIONS: [&str; 14] = [
    "Admin",
    "Agent",
    "Cabinet",
    "CabinetApi",
    "CertificateStore",
    "Dns",
    "HAProxyAgent",
    "Http",
    "LetsEncrypt",
    "Logging",
    "OpenTelemetry",
    "Replica",
    "Webhooks",
    "Workers",
];

/// The variables that name the environment, the strongest first.
const ENVIRONMENT_VARIABLES: [&str; 3] = [
    "DPS_ENVIRONMENT",
    "DOTNET_ENVIRONMENT",
    "ASPNETCORE_ENVIRONMENT",
];

/// Where settings are read from.
#[derive(Debug, Clone)]
pub struct Loader {
    base: PathBuf,
    must_exist: bool,
    variables: Vec<(OsString, OsString)>,
    pass_over: &'static [&'static str],
    lists: &'static [ListOf],
}

/// A list of sections: its key, and the keys in each of its sections. The template, where the list
/// is empty, does not show them.
pub type ListOf = (&'static str, &'static [&'static str]);

/// Settings and where they came from.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    /// The settings.
    pub settings: T,
    /// The environment's name, such as `Production`.
    pub environment: String,
    /// The files that exist and were read, the strongest last.
    pub files: Vec<PathBuf>,
    /// Which source set each key that is not at its default.
    pub origins: BTreeMap<String, Origin>,
}

impl Loader {
    /// The settings of this process: `config` or `appsettings.json` in the current directory, and
    /// the environment variables.
    pub fn from_process(config: Option<&Path>) -> Self {
        let loader = Self::new(Path::new("")).variables(std::env::vars_os());
        match config {
            Some(path) => loader.config(path),
            None => loader,
        }
    }

    /// The settings that this process's environment variables give, without any file.
    pub fn from_variables() -> Self {
        Self {
            base: PathBuf::new(),
            ..Self::from_process(None)
        }
    }

    /// Settings from `appsettings.json` in this directory, without any environment variable.
    pub fn new(directory: &Path) -> Self {
        Self {
            base: directory.join("appsettings.json"),
            must_exist: false,
            variables: Vec::new(),
            pass_over: &[],
            lists: &[],
        }
    }

    /// Another base file, which must exist. `prod.json` brings `prod.{Environment}.json` beside it
    /// into play.
    #[must_use]
    pub fn config(mut self, path: &Path) -> Self {
        path.clone_into(&mut self.base);
        self.must_exist = true;
        self
    }

    /// The environment variables to regard.
    #[must_use]
    pub fn variables<K: Into<OsString>, V: Into<OsString>>(
        mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.variables = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        self
    }

    /// Passes over those of the [`SECTIONS`] that the settings type does not have.
    #[must_use]
    pub fn ignoring_other_sections(mut self) -> Self {
        self.pass_over = &SECTIONS;
        self
    }

    /// Names the keys in the sections of lists, so that their case does not matter either.
    #[must_use]
    pub fn lists(mut self, lists: &'static [ListOf]) -> Self {
        self.lists = lists;
        self
    }

    /// Reads everything, or reports all problems.
    pub fn load<T: Default + Serialize + DeserializeOwned>(
        &self,
    ) -> Result<Loaded<T>, SettingsError> {
        let template =
            serde_json::to_value(T::default()).map_err(|error| SettingsError::template(&error))?;
        let mut problems = Vec::new();
        let environment = self.environment(&mut problems);
        let mut files = Vec::new();
        let mut tree = Node::root();
        let beside = self.base.with_extension(format!("{environment}.json"));
        for (path, must_exist) in [(&self.base, self.must_exist), (&beside, false)] {
            if let Some(node) = json::read_file(path, must_exist, &mut problems) {
                files.push(path.clone());
                tree.merge(node);
            }
        }
        for node in environment::read(&self.variables, &template, &mut problems) {
            tree.merge(node);
        }
        let applied = apply::apply(&tree, &template, self.pass_over, self.lists, &mut problems);
        let origins = applied.origins.clone();
        let settings = decode::decode(applied, &template, &mut problems);
        if let Some(settings) = &settings {
            exposed::check(settings, &origins, &mut problems);
        }
        match settings {
            Some(settings) if problems.is_empty() => Ok(Loaded {
                settings,
                environment,
                files,
                origins,
            }),
            _ => Err(SettingsError::new(problems)),
        }
    }

    fn environment(&self, problems: &mut Vec<Problem>) -> String {
        let named = ENVIRONMENT_VARIABLES.iter().find_map(|wanted| {
            let found = |(name, value): &(OsString, OsString)| {
                (name == wanted && !value.is_empty()).then(|| value.to_string_lossy().into_owned())
            };
            self.variables.iter().find_map(found)
        });
        let name = named.unwrap_or_else(|| "Production".to_owned());
        let legal = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
        if name.chars().all(legal) && !name.starts_with('.') {
            return name;
        }
        problems.push(Problem::EnvironmentName { name });
        "Production".to_owned()
    }
}

/// The parts of a key as people write it: `Workers:HttpProbe:Port`.
fn written(parts: &[String]) -> String {
    parts.join(":")
}

/// The value of an object under a key, without regard to case, with the key as the template writes
/// it.
fn member<'a>(
    object: &'a serde_json::Map<String, Value>,
    key: &str,
) -> Option<(&'a String, &'a Value)> {
    object
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(key))
}
