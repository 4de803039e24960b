//! JSON files as .NET reads them: with comments, commas at the end of a list, a byte order mark,
//! and `:` in keys.

mod relaxed;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess};
use serde_json::Value;

use super::problem::Problem;
use super::tree::{Branch, Node, Origin};

/// Larger files are refused.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Reads a file; `None` if it does not exist or cannot be used.
pub(super) fn read_file(
    path: &Path,
    must_exist: bool,
    problems: &mut Vec<Problem>,
) -> Option<Node> {
    let text = match read_text(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => return None,
        Err(error) => {
            problems.push(Problem::Unreadable {
                path: path.to_owned(),
                why: error.to_string(),
            });
            return None;
        }
    };
    match parse(&text, &Origin::File(Arc::from(path))) {
        Ok(node) => Some(node),
        Err(what) => {
            problems.push(Problem::Syntax {
                path: path.to_owned(),
                what,
            });
            None
        }
    }
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(text)
}

fn parse(text: &str, origin: &Origin) -> Result<Node, String> {
    let text = relaxed::to_strict(text.strip_prefix('\u{feff}').unwrap_or(text));
    let raw: Raw = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    match raw {
        Raw::Object(_) => Ok(raw.into_node(origin)),
        _ => Err("the file must hold one JSON object".to_owned()),
    }
}

/// JSON that keeps the order of keys and refuses a key given twice, which .NET refuses as well.
enum Raw {
    Scalar(Value),
    List(Vec<Raw>),
    Object(Vec<(String, Raw)>),
}

impl Raw {
    fn into_node(self, origin: &Origin) -> Node {
        match self {
            Self::Scalar(value) => Node::Leaf(value, origin.clone()),
            Self::List(items) => {
                let mut branch = Branch::new(Some(origin.clone()), true);
                for (index, item) in items.into_iter().enumerate() {
                    branch.insert(&index.to_string(), item.into_node(origin));
                }
                Node::Branch(branch)
            }
            Self::Object(members) => {
                let mut node = Node::Branch(Branch::new(Some(origin.clone()), false));
                for (key, below) in members {
                    node.merge(Node::at(key.split(':'), below.into_node(origin)));
                }
                node
            }
        }
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

struct Visitor;

impl<'de> de::Visitor<'de> for Visitor {
    type Value = Raw;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut members: Vec<(String, Raw)> = Vec::new();
        while let Some(key) = access.next_key::<String>()? {
            if members
                .iter()
                .any(|(known, _)| known.eq_ignore_ascii_case(&key))
            {
                return Err(de::Error::custom(format!("the key {key:?} is given twice")));
            }
            members.push((key, access.next_value()?));
        }
        Ok(Raw::Object(members))
    }
}
