//! The values of all sources, before they are decoded.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

/// Where a setting was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In this file.
    File(Arc<Path>),
    /// In the environment variable of this name.
    Variable(Arc<str>),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
        }
    }
}

/// A key with a value, or with keys below it.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Leaf(Value, Origin),
    Branch(Branch),
}

/// Keys in the order of their first appearance. List elements have their index as key.
#[derive(Debug, Clone)]
pub(super) struct Branch {
    pub(super) children: Vec<(String, Node)>,
    pub(super) origin: Option<Origin>,
    /// Written as a list in a file. Lists from environment variables are known by their keys.
    pub(super) list: bool,
}

impl Branch {
    pub(super) fn new(origin: Option<Origin>, list: bool) -> Self {
        Self {
            children: Vec::new(),
            origin,
            list,
        }
    }

    /// Puts a node under a key; an equal key's nodes are merged.
    pub(super) fn insert(&mut self, key: &str, node: Node) {
        match self
            .children
            .iter_mut()
            .find(|(known, _)| known.eq_ignore_ascii_case(key))
        {
            Some((_, present)) => present.merge(node),
            None => self.children.push((key.to_owned(), node)),
        }
    }

    /// `[]` in a file: what weaker sources put in the list does not count.
    fn empties(&self) -> bool {
        self.list && self.children.is_empty()
    }

    /// The children in the order of their indices, if all keys are indices.
    pub(super) fn elements(&self) -> Option<Vec<&Node>> {
        let mut elements = Vec::with_capacity(self.children.len());
        for (key, node) in &self.children {
            elements.push((key.parse::<u32>().ok()?, node));
        }
        elements.sort_by_key(|(index, _)| *index);
        Some(elements.into_iter().map(|(_, node)| node).collect())
    }
}

impl Node {
    pub(super) fn root() -> Self {
        Self::Branch(Branch::new(None, false))
    }

    /// A node at the end of a path of keys.
    pub(super) fn at<'a>(path: impl DoubleEndedIterator<Item = &'a str>, node: Self) -> Self {
        path.rev().fold(node, |below, key| {
            let mut branch = Branch::new(below.origin().cloned(), false);
            branch.children.push((key.to_owned(), below));
            Self::Branch(branch)
        })
    }

    pub(super) fn origin(&self) -> Option<&Origin> {
        match self {
            Self::Leaf(_, origin) => Some(origin),
            Self::Branch(branch) => branch.origin.as_ref(),
        }
    }

    /// Lays a stronger source over this one: branches are merged key by key, anything else is
    /// replaced.
    pub(super) fn merge(&mut self, stronger: Self) {
        match (self, stronger) {
            (Self::Branch(under), Self::Branch(over)) if !over.empties() => {
                under.list |= over.list;
                under.origin = over.origin;
                for (key, node) in over.children {
                    under.insert(&key, node);
                }
            }
            (under, over) => *under = over,
        }
    }
}
