//! Files of settings that hold secrets and that others may read.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;

use dps_x509::check_private_file;
use serde::Serialize;
use serde_json::Value;

use super::{Origin, Problem, member};
use crate::MASK;

/// Finds every file that sets a secret and that others may read or change. A secret is a value that
/// the settings type masks when it is serialised, wholly or, as in a URL, in part.
pub(super) fn check<T: Serialize>(
    settings: &T,
    origins: &BTreeMap<String, Origin>,
    problems: &mut Vec<Problem>,
) {
    let Ok(shown) = serde_json::to_value(settings) else {
        return;
    };
    let mut checked = BTreeSet::new();
    for (key, origin) in origins {
        let Origin::File(path) = origin else { continue };
        if !is_masked(&shown, key) || !checked.insert(path) {
            continue;
        }
        // A file that is gone again cannot be read by others either.
        let Ok(metadata) = std::fs::metadata(path) else {
            continue;
        };
        if let Err(file) = check_private_file(path, metadata.permissions().mode()) {
            let key = key.clone();
            problems.push(Problem::Exposed { key, file });
        }
    }
}

fn is_masked(shown: &Value, key: &str) -> bool {
    let value = key.split(':').try_fold(shown, |value, part| match value {
        Value::Object(members) => member(members, part).map(|(_, value)| value),
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        _ => None,
    });
    value
        .and_then(Value::as_str)
        .is_some_and(|text| text.contains(MASK))
}
