//! Values by a schema, right and wrong.

use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::{Map, Value, json};

use crate::KnownValues;
use crate::document::Document;

/// Depth at which optional members end.
const MAX_DEPTH: usize = 6;

/// Texts that are known to break programs.
const HOSTILE: &[&str] = &[
    "",
    " ",
    "\u{0}",
    "\n",
    "\r\nX-Injected: 1",
    "%00",
    "%",
    "..",
    "../../etc/passwd",
    "'; DROP TABLE custom_domains; --",
    "\" OR \"\"=\"",
    "<script>alert(1)</script>",
    "{\"a\":1}",
    "\u{202e}moc.elpmaxe",
    "b\u{fc}cher.example",
    "xn--",
    "*.example.com",
    "example.com.",
    "\u{1f4a5}",
    "-1",
    "0",
    "1e999",
    "NaN",
    "9223372036854775808",
    "18446744073709551616",
    "null",
    "true",
    "1970-01-01T00:00:00Z",
    "00000000-0000-0000-0000-000000000000",
];

/// Makes values.
pub(crate) struct Generator<'a> {
    pub(crate) document: &'a Document,
    pub(crate) known: &'a KnownValues,
    pub(crate) random: StdRng,
    /// Whether a known value is always used where there is one.
    pub(crate) uses_known: bool,
}

impl Generator<'_> {
    /// Whether something happens that does so this often in a hundred times.
    pub(crate) fn chance(&mut self, of_hundred: u32) -> bool {
        self.random.random_range(0..100) < of_hundred
    }

    fn one_of<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        let last = choices.len().checked_sub(1)?;
        choices.get(self.random.random_range(0..=last))
    }

    /// A value for a parameter or member of this name.
    pub(crate) fn named(&mut self, name: &str, schema: &Value, depth: usize) -> Value {
        let known = self.known;
        if let Some(values) = known.get(name)
            && (self.uses_known || self.chance(60))
            && let Some(value) = self.one_of(values)
        {
            return value.clone();
        }
        self.value(schema, depth)
    }

    /// A value that fits the schema, as far as its type, bounds and examples say.
    pub(crate) fn value(&mut self, schema: &Value, depth: usize) -> Value {
        let document = self.document;
        let schema = document.resolve(schema);
        for alternatives in ["oneOf", "anyOf", "allOf"] {
            if let Some(choices) = schema[alternatives].as_array()
                && let Some(choice) = self.one_of(choices)
            {
                return self.value(choice, depth);
            }
        }
        if let Some(choices) = schema["enum"].as_array()
            && let Some(choice) = self.one_of(choices)
        {
            return choice.clone();
        }
        if let Some(example) = schema.get("example")
            && self.chance(50)
        {
            return example.clone();
        }
        let kinds = match &schema["type"] {
            Value::Array(kinds) => kinds.clone(),
            kind => vec![kind.clone()],
        };
        match self.one_of(&kinds).and_then(Value::as_str) {
            Some("object") => self.object(schema, depth),
            Some("array") => {
                let count = self.random.random_range(0..=3);
                let items = (0..count).map(|_| self.value(&schema["items"], depth + 1));
                Value::Array(items.collect())
            }
            Some("integer") => self.integer(schema),
            Some("number") => json!(self.random.random_range(-1e3..1e3)),
            Some("boolean") => json!(self.chance(50)),
            Some("null") => Value::Null,
            _ => Value::String(self.text(schema)),
        }
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let required = schema["required"].as_array();
        let is_required = |name: &str| {
            let mut names = required.into_iter().flatten();
            names.any(|required| required == name)
        };
        let mut members = Map::new();
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            if is_required(name) || (depth < MAX_DEPTH && self.chance(50)) {
                members.insert(name.clone(), self.named(name, schema, depth + 1));
            }
        }
        Value::Object(members)
    }

    fn integer(&mut self, schema: &Value) -> Value {
        let low = schema["minimum"].as_i64().unwrap_or(-1000);
        let high = schema["maximum"].as_i64().unwrap_or(i64::from(i32::MAX));
        let high = high.max(low);
        let between = self.random.random_range(low..=high);
        let choices = [low, high, between, low.saturating_add(1).min(high)];
        json!(self.one_of(&choices).copied().unwrap_or(low))
    }

    fn text(&mut self, schema: &Value) -> String {
        match schema["format"].as_str() {
            Some("date-time") => return "2027-01-15T08:00:00Z".to_owned(),
            Some("uuid") => {
                let hex = format!("{:032x}", self.random.random::<u128>());
                let (a, b, c) = (&hex[..8], &hex[8..12], &hex[13..16]);
                return format!("{a}-{b}-7{c}-8{}-{}", &hex[17..20], &hex[20..]);
            }
            _ => {}
        }
        let longest = schema["maxLength"].as_u64().unwrap_or(40).min(200);
        let length = self.random.random_range(1..=longest.max(1));
        let alphabet = b"abcdefghijklmnopqrstuvwxyz0123456789-.";
        let letter = |_| char::from(*self.one_of(alphabet).unwrap_or(&b'a'));
        (0..length).map(letter).collect()
    }

    /// A hostile value of any type. `longest` bounds its text.
    pub(crate) fn hostile(&mut self, longest: usize) -> Value {
        match self.random.random_range(0..8) {
            0 => Value::Null,
            1 => json!(self.chance(50)),
            2 => json!(i64::MIN),
            3 => json!(1e308),
            4 => json!([]),
            5 => json!({ "unknown": [1, "x"] }),
            6 => Value::String("a".repeat(self.random.random_range(0..=longest))),
            _ => Value::String(self.hostile_text().to_owned()),
        }
    }

    /// A hostile text.
    pub(crate) fn hostile_text(&mut self) -> &'static str {
        self.one_of(HOSTILE).copied().unwrap_or_default()
    }

    /// Makes a body wrong at one place.
    pub(crate) fn spoil(&mut self, value: &mut Value, longest: usize) {
        match value {
            Value::Object(members) if !members.is_empty() && self.chance(85) => {
                let names: Vec<String> = members.keys().cloned().collect();
                let name = self.one_of(&names).cloned().unwrap_or_default();
                match self.random.random_range(0..4) {
                    0 => {
                        members.remove(&name);
                    }
                    1 => {
                        members.insert("unknownMember".to_owned(), json!(1));
                    }
                    _ => {
                        if let Some(member) = members.get_mut(&name) {
                            self.spoil(member, longest);
                        }
                    }
                }
            }
            Value::Array(items) if !items.is_empty() && self.chance(85) => {
                let index = self.random.random_range(0..items.len());
                self.spoil(&mut items[index], longest);
            }
            other => *other = self.hostile(longest),
        }
    }
}
