//! A reader of the HTML that the templates make, and the rules that every page keeps.

use std::collections::{BTreeMap, BTreeSet};

/// Elements without an end tag.
const VOID: [&str; 5] = ["meta", "link", "input", "br", "img"];

/// A start tag, with the elements around it.
#[derive(Debug)]
pub(crate) struct Tag {
    pub(crate) name: String,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) around: Vec<String>,
    /// The text up to the next tag.
    pub(crate) text: String,
}

impl Tag {
    fn has(&self, attribute: &str) -> bool {
        self.attributes.contains_key(attribute)
    }

    fn is_in(&self, element: &str) -> bool {
        self.around.iter().any(|around| around == element)
    }

    fn get(&self, attribute: &str) -> &str {
        self.attributes.get(attribute).map_or("", String::as_str)
    }
}

/// The start tags of a page. Panics if the page is not well-formed.
pub(crate) fn parse(page: &str) -> Vec<Tag> {
    let mut tags: Vec<Tag> = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let mut rest = page.strip_prefix("<!doctype html>").expect("a doctype");
    while let Some(begin) = rest.find('<') {
        let (text, tag) = rest.split_at(begin);
        assert!(!text.contains('>'), "a lone > in {text:?}");
        if let Some(last) = tags.last_mut() {
            last.text.push_str(text);
        }
        let end = end_of_tag(tag);
        let inner = &tag[1..end];
        rest = &tag[end + 1..];
        if let Some(name) = inner.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "at the end of {name}");
            continue;
        }
        let is_empty = inner.ends_with('/');
        let inner = inner.trim_end_matches('/');
        let name = inner.split_ascii_whitespace().next().expect("a name");
        tags.push(Tag {
            name: name.to_owned(),
            attributes: attributes(&inner[name.len()..]),
            around: open.clone(),
            text: String::new(),
        });
        if !is_empty && !VOID.contains(&name) {
            open.push(name.to_owned());
        }
    }
    assert!(open.is_empty(), "{open:?} is not closed");
    tags
}

fn end_of_tag(tag: &str) -> usize {
    let mut quote = None;
    for (index, c) in tag.char_indices() {
        match (quote, c) {
            (None, '>') => return index,
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
    }
    panic!("a tag does not end: {tag:.80}");
}

fn attributes(text: &str) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_ascii_whitespace());
        let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
        let (value, after) = match after.strip_prefix('=') {
            None => ("", after),
            Some(after) => {
                let quote = after.chars().next().expect("a value");
                assert!("\"'".contains(quote), "{name} has no quotes");
                after[1..].split_once(quote).expect("the end of a value")
            }
        };
        let before = attributes.insert(name.to_owned(), value.to_owned());
        assert_eq!(before, None, "{name} occurs twice in {text:?}");
        rest = after.trim_start();
    }
    attributes
}

/// Checks the rules of every page.
pub(crate) fn check(name: &str, page: &str) {
    let tags = parse(page);
    let all =
        |element: &str| -> Vec<&Tag> { tags.iter().filter(|tag| tag.name == element).collect() };
    for element in ["main", "h1"] {
        assert_eq!(all(element).len(), 1, "{name}: {element}");
    }
    let title = all("title").into_iter().find(|tag| tag.is_in("head"));
    assert!(
        title.is_some_and(|title| title.text.len() > " · dps".len()),
        "{name}"
    );
    assert!(["en", "ru"].contains(&tags[0].get("lang")), "{name}");
    check_code(name, &tags);
    check_names(name, &tags);
    let mut level = 1;
    for tag in &tags {
        if let Some(found) = tag
            .name
            .strip_prefix('h')
            .and_then(|digit| digit.parse().ok())
        {
            assert!(found <= level + 1, "{name}: h{found} after h{level}");
            level = found;
        }
    }
}

/// No inline code or style, and no file of another site.
fn check_code(name: &str, tags: &[Tag]) {
    for tag in tags {
        assert_ne!(tag.name, "style", "{name}");
        assert!(
            !["iframe", "object", "embed", "base"].contains(&tag.name.as_str()),
            "{name}"
        );
        for (attribute, value) in &tag.attributes {
            assert_ne!(attribute, "style", "{name}: {}", tag.name);
            assert!(!attribute.starts_with("on"), "{name}: {attribute}");
            assert!(!attribute.starts_with("hx-on"), "{name}: {attribute}");
            if ["href", "src", "action", "formaction", "hx-get", "hx-post"]
                .contains(&attribute.as_str())
            {
                let is_of_ca = tag.get("rel") == "noreferrer" && value.starts_with("https://");
                let is_own = value.starts_with('/') && !value.starts_with("//");
                assert!(
                    is_own || is_of_ca || value.starts_with('#'),
                    "{name}: {value}"
                );
            }
        }
        if tag.name == "script" {
            assert!(tag.get("src").starts_with("/assets/"), "{name}");
            assert!(tag.text.trim().is_empty(), "{name}: {}", tag.text);
        }
    }
}

/// Controls, tables and regions have names, and references lead somewhere.
fn check_names(name: &str, tags: &[Tag]) {
    let mut ids = BTreeSet::new();
    for tag in tags.iter().filter(|tag| tag.has("id")) {
        assert!(
            ids.insert(tag.get("id")),
            "{name}: id {} twice",
            tag.get("id")
        );
    }
    let mut labels = tags
        .iter()
        .filter(|tag| tag.name == "label" && tag.has("for"));
    for label in labels.by_ref() {
        assert!(
            ids.contains(label.get("for")),
            "{name}: {}",
            label.get("for")
        );
    }
    let labelled: BTreeSet<&str> = tags.iter().map(|tag| tag.get("for")).collect();
    for (index, tag) in tags.iter().enumerate() {
        for attribute in ["aria-labelledby", "aria-describedby", "data-copy"] {
            for id in tag.get(attribute).split_ascii_whitespace() {
                assert!(ids.contains(id), "{name}: {attribute} {id}");
            }
        }
        if ["input", "select", "textarea"].contains(&tag.name.as_str())
            && tag.get("type") != "hidden"
        {
            let has_label = tag.is_in("label")
                || tag.has("aria-label")
                || tag.has("id") && labelled.contains(tag.get("id"));
            assert!(has_label, "{name}: {} {}", tag.name, tag.get("name"));
        }
        if tag.name == "table" {
            assert_eq!(tags[index + 1].name, "caption", "{name}");
        }
        if tag.name == "th" {
            assert!(["col", "row"].contains(&tag.get("scope")), "{name}: th");
        }
        if tag.name == "time" {
            assert!(tag.get("datetime").ends_with('Z'), "{name}: time");
        }
        if tag.name == "form" && tag.get("method") != "get" {
            assert_eq!(tag.get("method"), "post", "{name}");
        }
    }
}
