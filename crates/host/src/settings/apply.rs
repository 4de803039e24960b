//! The sources laid over the template.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Number, Value};

use super::nearest::nearest;
use super::problem::Problem;
use super::tree::{Branch, Node, Origin};
use super::{ListOf, member, written};
use crate::MASK;

/// The merged settings, not yet in their type.
pub(super) struct Applied {
    pub(super) value: Value,
    /// Which source set each key.
    pub(super) origins: BTreeMap<String, Origin>,
    /// Keys for which the template could not distinguish a text from a number or a truth value.
    pub(super) undecided: BTreeSet<String>,
}

/// Gives every key its value; keys without a usable one keep their default.
pub(super) fn apply(
    tree: &Node,
    template: &Value,
    pass_over: &[&str],
    lists: &[ListOf],
    problems: &mut Vec<Problem>,
) -> Applied {
    let mut walk = Walk {
        template,
        pass_over,
        lists,
        problems,
        path: Vec::new(),
        origins: BTreeMap::new(),
        undecided: BTreeSet::new(),
    };
    let value = walk
        .node(tree, template)
        .unwrap_or_else(|| defaults(template));
    Applied {
        value,
        origins: walk.origins,
        undecided: walk.undecided,
    }
}

/// The template as settings, without masked secrets, so that the type's own default applies to
/// them.
pub(super) fn defaults(template: &Value) -> Value {
    match template {
        Value::Object(members) => Value::Object(default_members(members)),
        other => other.clone(),
    }
}

fn default_members(members: &Map<String, Value>) -> Map<String, Value> {
    members
        .iter()
        .filter(|(_, value)| value.as_str() != Some(MASK))
        .map(|(key, value)| (key.clone(), defaults(value)))
        .collect()
}

struct Walk<'a> {
    template: &'a Value,
    pass_over: &'a [&'a str],
    lists: &'a [ListOf],
    problems: &'a mut Vec<Problem>,
    path: Vec<String>,
    origins: BTreeMap<String, Origin>,
    undecided: BTreeSet<String>,
}

impl Walk<'_> {
    fn node(&mut self, node: &Node, template: &Value) -> Option<Value> {
        match node {
            Node::Branch(branch) => self.branch(branch, template),
            Node::Leaf(value, origin) => self.leaf(value, origin, template),
        }
    }

    fn branch(&mut self, branch: &Branch, template: &Value) -> Option<Value> {
        match template {
            Value::Object(_) if branch.list => {
                self.bad(branch.origin.as_ref(), "found a list, expected a section")
            }
            Value::Object(known) if !known.is_empty() => Some(self.section(branch, known)),
            Value::Object(_) => Some(self.map(branch)),
            Value::Array(items) => self.list(branch, items.first().unwrap_or(&Value::Null)),
            Value::Null
                if branch.list || (!branch.children.is_empty() && branch.elements().is_some()) =>
            {
                self.list(branch, &Value::Null)
            }
            Value::Null => Some(self.map(branch)),
            scalar => {
                let found = if branch.list { "a list" } else { "a section" };
                self.bad(
                    branch.origin.as_ref(),
                    &format!("found {found}, expected {}", expected(scalar)),
                )
            }
        }
    }

    /// A section with known keys.
    fn section(&mut self, branch: &Branch, known: &Map<String, Value>) -> Value {
        let mut members = default_members(known);
        for (key, node) in &branch.children {
            if let Some((name, template)) = member(known, key) {
                self.path.push(name.clone());
                if let Some(value) = self.node(node, template) {
                    members.insert(name.clone(), value);
                }
                self.path.pop();
            } else if !self.is_passed_over(key) {
                self.unknown(key, node);
            }
        }
        Value::Object(members)
    }

    fn is_passed_over(&self, key: &str) -> bool {
        let named = |name: &&str| name.eq_ignore_ascii_case(key);
        self.path.is_empty() && (key == "$schema" || self.pass_over.iter().any(named))
    }

    fn unknown(&mut self, key: &str, node: &Node) {
        let mut path = self.path.clone();
        path.push(key.to_owned());
        self.problems.push(Problem::UnknownKey {
            key: written(&path),
            origin: node.origin().cloned(),
            nearest: nearest(&path, self.template),
        });
    }

    /// Keys that only the settings type knows, or a section of a list.
    fn map(&mut self, branch: &Branch) -> Value {
        let list = self.path.split_last().map(|(_, list)| written(list));
        let list = self
            .lists
            .iter()
            .find(|(key, _)| Some(*key) == list.as_deref());
        let known = list.map_or(&[][..], |(_, known)| *known);
        let mut members = Map::new();
        for (key, node) in &branch.children {
            let same = known.iter().find(|known| known.eq_ignore_ascii_case(key));
            let key = same.map_or(key.as_str(), |known| known);
            self.path.push(key.to_owned());
            if let Some(value) = self.node(node, &Value::Null) {
                members.insert(key.to_owned(), value);
            }
            self.path.pop();
        }
        Value::Object(members)
    }

    fn list(&mut self, branch: &Branch, template: &Value) -> Option<Value> {
        let Some(elements) = branch.elements() else {
            return self.bad(
                branch.origin.as_ref(),
                "found a section, expected a list (its keys are 0, 1, 2, …)",
            );
        };
        let mut items = Vec::with_capacity(elements.len());
        for node in elements {
            self.path.push(items.len().to_string());
            items.extend(self.node(node, template));
            self.path.pop();
        }
        Some(Value::Array(items))
    }

    fn leaf(&mut self, value: &Value, origin: &Origin, template: &Value) -> Option<Value> {
        let key = written(&self.path);
        self.origins.insert(key.clone(), origin.clone());
        let text = value.as_str();
        match (template, value) {
            (_, Value::Null) => Some(Value::Null),
            (Value::Null, _) if text == Some("") => Some(Value::Null),
            (Value::Null, _) => {
                self.undecided.insert(key);
                Some(value.clone())
            }
            (Value::Bool(_), Value::Bool(_))
            | (Value::Number(_), Value::Number(_))
            | (Value::String(_), Value::String(_)) => Some(value.clone()),
            (Value::String(_), other) => Some(Value::String(other.to_string())),
            (Value::Bool(_), Value::String(text)) if truth(text).is_some() => {
                truth(text).map(Value::Bool)
            }
            (Value::Number(_), Value::String(text)) if number(text).is_some() => {
                number(text).map(Value::Number)
            }
            (Value::Array(_), _) => {
                let name = self.path.join("__");
                self.bad(Some(origin), &format!("found {value}, expected a list: in a file […], in the environment {name}__0, {name}__1, …"))
            }
            (template, _) => self.bad(
                Some(origin),
                &format!("found {value}, expected {}", expected(template)),
            ),
        }
    }

    fn bad(&mut self, origin: Option<&Origin>, what: &str) -> Option<Value> {
        self.problems.push(Problem::BadValue {
            key: written(&self.path),
            origin: origin.cloned(),
            what: what.to_owned(),
        });
        None
    }
}

fn expected(template: &Value) -> &'static str {
    match template {
        Value::Null => "a value",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a number",
        Value::Number(_) => "a whole number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a section",
    }
}

/// A text as truth value: `true` or `false` in any case, as in .NET.
pub(super) fn truth(text: &str) -> Option<bool> {
    let text = text.trim();
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    is("true")
        .then_some(true)
        .or_else(|| is("false").then_some(false))
}

/// A text as number.
pub(super) fn number(text: &str) -> Option<Number> {
    let text = text.trim();
    let whole = || {
        text.parse::<u64>()
            .map(Number::from)
            .ok()
            .or_else(|| text.parse::<i64>().map(Number::from).ok())
    };
    let digits = |text: &str| text.bytes().any(|byte| byte.is_ascii_digit());
    whole().or_else(|| {
        text.parse::<f64>()
            .ok()
            .filter(|_| digits(text))
            .and_then(Number::from_f64)
    })
}
