//! Section `Replica`: the name of this process.

use serde::{Deserialize, Serialize};

use super::report::Report;

/// The longest name, in bytes.
const MAX_BYTES: usize = 63;

/// The process among its replicas.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Replica {
    /// Name in the domains' histories, 1 to 63 printable ASCII characters. `None` is the machine's
    /// name with a random suffix of this start.
    pub name: Option<String>,
}

impl Replica {
    /// Returns the name of this process; `random` is the suffix if none is configured.
    pub fn name(&self, random: &str) -> String {
        self.name
            .clone()
            .unwrap_or_else(|| format!("{}-{random}", machine()))
    }

    /// Keeps one name for this process; `random` is the suffix if none is configured.
    pub fn settle(&mut self, random: &str) {
        self.name = Some(self.name(random));
    }

    /// Returns the name of an operator's command in the history: the person, also behind `sudo`,
    /// and the machine.
    pub fn operator() -> String {
        let person = |variable| std::env::var(variable).ok();
        operator(person("SUDO_USER").or_else(|| person("USER")).as_deref())
    }

    pub(super) fn check(&self, report: &mut Report) {
        if let Some(name) = &self.name
            && (name.is_empty()
                || name.len() > MAX_BYTES
                || !name.bytes().all(|byte| byte.is_ascii_graphic()))
        {
            report.error(
                "Replica:Name",
                format!("must be 1 to {MAX_BYTES} printable ASCII characters without spaces, such as dps-1"),
            );
        }
    }
}

/// The name of an operator's command that this person runs.
fn operator(person: Option<&str>) -> String {
    let is_usable = |name: &&str| {
        (1..=32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let person = person.filter(is_usable).unwrap_or("operator");
    format!("{person}@{}", machine())
}

/// The machine's name up to its first dot.
fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let short = name.trim().split('.').next().unwrap_or_default();
    let kept: String = short
        .chars()
        .filter(char::is_ascii_graphic)
        .take(MAX_BYTES - 10)
        .collect();
    if kept.is_empty() {
        "dps".to_owned()
    } else {
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_the_configured_name_or_one_of_its_own() {
        let named = Replica {
            name: Some("dps-1".into()),
        };
        assert_eq!(named.name("c0ffee"), "dps-1");
        let drawn = Replica::default().name("c0ffee");
        assert!(
            drawn.ends_with("-c0ffee") && drawn.len() <= MAX_BYTES,
            "{drawn}"
        );
        assert!(operator(None).starts_with("operator@"));
        assert!(operator(Some("ada")).starts_with("ada@"));
        assert!(operator(Some("a b")).starts_with("operator@"));
        assert!(Replica::operator().contains('@'));
    }
}
