//! From merged settings to their type.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::apply::{Applied, defaults, number, truth};
use super::problem::Problem;
use super::written;

/// Decodes the settings. Each value that the type refuses is reported and replaced by its default,
/// so that all refused values are found. Returns `None` if this does not succeed.
pub(super) fn decode<T: DeserializeOwned>(
    mut applied: Applied,
    template: &Value,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let defaults = defaults(template);
    let mut removed = Removed::default();
    loop {
        let error = match serde_path_to_error::deserialize::<_, T>(applied.value.clone()) {
            Ok(settings) => return Some(settings),
            Err(error) => error,
        };
        let mut path = parts(error.path());
        let key = written(&removed.path_in_source(&path));
        if applied.undecided.remove(&key) && reread(&mut applied.value, &path) {
            continue;
        }
        problems.push(Problem::BadValue {
            origin: applied.origins.get(&key).cloned(),
            key,
            what: error.inner().to_string(),
        });
        while !removed.restore(&mut applied.value, &defaults, &path) {
            path.pop()?;
        }
    }
}

/// Reads an undecided value in the other way: a text as number or truth value, a number or truth
/// value as text.
fn reread(value: &mut Value, path: &[String]) -> bool {
    let Some(value) = pointed(value, path) else {
        return false;
    };
    let other = match value {
        Value::String(text) => truth(text)
            .map(Value::Bool)
            .or_else(|| number(text).map(Value::Number)),
        Value::Number(_) | Value::Bool(_) => Some(Value::String(value.to_string())),
        _ => None,
    };
    other.is_some_and(|other| {
        *value = other;
        true
    })
}

/// The list elements that were taken out, as their paths in the source: those after them have
/// moved up.
#[derive(Default)]
struct Removed(BTreeSet<(Vec<String>, usize)>);

impl Removed {
    /// Puts the default back at this path, or takes a list element out that has none. Says no if
    /// that changes nothing.
    fn restore(&mut self, value: &mut Value, defaults: &Value, path: &[String]) -> bool {
        let default = path
            .iter()
            .try_fold(defaults, |below, part| below.get(part));
        if let (Some(default), Some(place)) = (default, pointed(value, path)) {
            let differs = place != default;
            default.clone_into(place);
            return differs;
        }
        let Some((last, above)) = path.split_last() else {
            return false;
        };
        let (Ok(index), Some(Value::Array(items))) = (last.parse::<usize>(), pointed(value, above))
        else {
            return false;
        };
        items.remove(index);
        let in_source = self.path_in_source(path);
        let index = in_source
            .last()
            .and_then(|last| last.parse().ok())
            .unwrap_or(index);
        self.0.insert((in_source[..above.len()].to_vec(), index))
    }

    fn path_in_source(&self, path: &[String]) -> Vec<String> {
        let mut in_source: Vec<String> = Vec::with_capacity(path.len());
        for part in path {
            let Ok(mut index) = part.parse::<usize>() else {
                in_source.push(part.clone());
                continue;
            };
            for (_, gone) in self.0.iter().filter(|(list, _)| *list == in_source) {
                index += usize::from(*gone <= index);
            }
            in_source.push(index.to_string());
        }
        in_source
    }
}

fn pointed<'a>(value: &'a mut Value, path: &[String]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |below, part| match below {
        Value::Object(members) => members.get_mut(part),
        Value::Array(items) => items.get_mut(part.parse::<usize>().ok()?),
        _ => None,
    })
}

fn parts(path: &Path) -> Vec<String> {
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Map { key } => Some(key.clone()),
            Segment::Enum { variant } => Some(variant.clone()),
            Segment::Unknown => None,
        })
        .collect()
}
