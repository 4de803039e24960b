//! Every code of the failure catalogue has a producer in the code, and a test that sees it end to
//! end. The sources of the workspace are read as text.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};

use dps_domain::FailureCode;

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// The texts of all Rust files below a folder whose path is accepted.
fn texts(folder: &Path, accepts: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut texts = vec![];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts.extend(self::texts(&path, accepts));
        } else if path.extension().is_some_and(|kind| kind == "rs")
            && accepts(path.to_str().unwrap())
        {
            texts.push(fs::read_to_string(path).unwrap());
        }
    }
    texts
}

/// Whether a file belongs to the product, and does not only describe the catalogue.
fn is_product(path: &str) -> bool {
    let describes = [
        "domain/src/failure.rs",
        "domain/src/failure/",
        "simulation/",
        "lab/",
    ];
    path.contains("/src/")
        && !path.ends_with("tests.rs")
        && !describes.iter().any(|part| path.contains(part))
}

/// The code before the tests at the foot of a file.
fn without_tests(text: &str) -> &str {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    &text[..end]
}

/// Whether the text makes a value of this variant, and does not only match one.
fn makes(text: &str, variant: &str) -> bool {
    let is_conversion = text.contains(" for Failure {");
    makes_named(text, &format!("Failure::{variant}"))
        || (is_conversion && makes_named(text, &format!("Self::{variant}")))
}

fn makes_named(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let rest = text[at + name.len()..].trim_start();
        fields(rest).is_some_and(|(fields, after)| {
            let is_pattern = fields.trim_end().ends_with("..")
                || ["=>", "|", "if ", "= "]
                    .iter()
                    .any(|sign| after.trim_start().starts_with(sign));
            !is_pattern
        })
    })
}

/// The text between the braces at its beginning, and the text after them.
fn fields(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('{')?;
    let mut depth = 1;
    for (at, character) in inside.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&inside[..at], &inside[at + 1..]));
        }
    }
    None
}

#[test]
fn every_code_has_a_producer() {
    let texts = texts(&crates(), &is_product);
    assert!(texts.len() > 100, "{} files", texts.len());
    let missing: Vec<&str> = FailureCode::ALL
        .iter()
        .filter(|code| {
            let variant = format!("{code:?}");
            !texts
                .iter()
                .any(|text| makes(without_tests(text), &variant))
        })
        .map(|code| code.as_str())
        .collect();
    assert!(missing.is_empty(), "nothing produces {missing:?}");
}

#[test]
fn every_code_is_seen_end_to_end() {
    let texts = texts(&crates().join("worker/tests"), &|_| true);
    let is_seen = |code: &FailureCode| {
        let quoted = format!("\"{code}\"");
        texts.iter().any(|text| text.contains(&quoted))
    };
    let unseen: Vec<&str> = FailureCode::ALL
        .iter()
        .filter(|code| !is_seen(code))
        .map(|code| code.as_str())
        .collect();
    assert!(unseen.is_empty(), "no test in worker/tests sees {unseen:?}");
}

#[test]
fn a_pattern_is_no_producer() {
    for (text, expected) in [
        ("Err(Failure::DnsMoved { cause: Box::new(cause) })", true),
        ("Failure::DnsMoved {\n    cause,\n}", true),
        ("matches!(failure, Failure::DnsMoved { .. })", false),
        (
            "impl From<A> for Failure {\n A::B { cause } => Self::DnsMoved { cause },",
            true,
        ),
        ("Failure::DnsMoved { cause } => cause", false),
        (
            "Failure::DnsMoved { cause: _, .. } | Failure::Other {}",
            false,
        ),
        ("if let Failure::DnsMoved { cause } = failure {", false),
        ("FailureCode::DnsMoved", false),
    ] {
        assert_eq!(makes(text, "DnsMoved"), expected, "{text}");
    }
}
