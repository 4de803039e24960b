//! Environment variables: `Section__Key`, or `Section:Key` where the shell allows it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

use serde_json::Value;

use super::problem::Problem;
use super::tree::{Node, Origin};
use super::{member, written};

/// One tree for each variable whose first part is a known section, in the order of their names.
pub(super) fn read(
    variables: &[(OsString, OsString)],
    template: &Value,
    problems: &mut Vec<Problem>,
) -> Vec<Node> {
    let mut seen: BTreeMap<String, (String, String)> = BTreeMap::new();
    let mut sorted: Vec<_> = variables.iter().collect();
    sorted.sort();
    let mut nodes = Vec::new();
    for (name, value) in sorted {
        let Some(parts) = name.to_str().and_then(|name| parts_of(name, template)) else {
            continue;
        };
        let name = name.to_string_lossy().into_owned();
        let origin = Origin::Variable(Arc::from(name.as_str()));
        let key = written(&parts);
        let Some(text) = value.to_str() else {
            problems.push(Problem::BadValue {
                key,
                origin: Some(origin),
                what: "is not UTF-8 text".to_owned(),
            });
            continue;
        };
        match seen.get(&key.to_ascii_lowercase()) {
            Some((_, same)) if same == text => continue,
            Some((first, _)) => {
                let variables = [first.clone(), name];
                problems.push(Problem::Ambiguous { key, variables });
                continue;
            }
            None => seen.insert(key.to_ascii_lowercase(), (name, text.to_owned())),
        };
        let leaf = Node::Leaf(Value::String(text.to_owned()), origin);
        nodes.push(Node::at(parts.iter().map(String::as_str), leaf));
    }
    nodes
}

/// The parts of a variable's name if it is meant for us, spelled as the template spells them.
fn parts_of(name: &str, template: &Value) -> Option<Vec<String>> {
    let name = name.replace("__", ":");
    let mut parts = Vec::new();
    let mut below = Some(template);
    for part in name.split(':') {
        let found = below
            .and_then(Value::as_object)
            .and_then(|object| member(object, part));
        parts.push(found.map_or(part, |(known, _)| known).to_owned());
        below = found.map(|(_, below)| below);
    }
    let (_, section) = member(template.as_object()?, &parts[0])?;
    // A variable such as HTTP or LOGGING that has no second part belongs to another program.
    (parts.len() > 1 || !(section.is_object() || section.is_array())).then_some(parts)
}
