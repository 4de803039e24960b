//! Comments and commas at the end of lists, blanked out.

/// Replaces comments (`//`, `/* */`) and commas before closing brackets by spaces, so that error
/// messages show the lines and columns of the file. A comment that is never closed is left for the
/// parser to report.
pub(super) fn to_strict(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut comma = None;
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let skip = match rest {
            [b'"', ..] => string_length(rest),
            [b'/', b'/', ..] => rest
                .iter()
                .position(|byte| *byte == b'\n')
                .unwrap_or(rest.len()),
            [b'/', b'*', ..] => block_comment_length(rest).unwrap_or(rest.len()),
            _ => 1,
        };
        match rest[0] {
            b'/' if skip > 1 => blank(&mut bytes[at..at + skip]),
            b']' | b'}' => {
                if let Some(comma) = comma.take() {
                    bytes[comma] = b' ';
                }
            }
            b',' => comma = Some(at),
            byte if byte.is_ascii_whitespace() => {}
            _ => comma = None,
        }
        at += skip;
    }
    String::from_utf8(bytes)
        .expect("whole comments and single ASCII characters were replaced by spaces")
}

fn blank(bytes: &mut [u8]) {
    for byte in bytes.iter_mut().filter(|byte| **byte != b'\n') {
        *byte = b' ';
    }
}

/// The length of the string at the beginning, with both quotation marks.
fn string_length(bytes: &[u8]) -> usize {
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn block_comment_length(bytes: &[u8]) -> Option<usize> {
    bytes[2..]
        .windows(2)
        .position(|pair| pair == b"*/")
        .map(|at| at + 4)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn comments_and_last_commas_vanish_and_strings_stay() {
        let text = r#"
            // über alles: "x": 1,
            { "Url": "http://a/*b*/", /* ⚠ , } */ "Quote": "\" // no comment",
              "List": [1, 2, /* last */ ], // end
            }"#;
        let value: Value = serde_json::from_str(&to_strict(text)).unwrap();
        assert_eq!(
            value,
            json!({"Url": "http://a/*b*/", "Quote": "\" // no comment", "List": [1, 2]})
        );
    }

    #[test]
    fn what_is_wrong_stays_wrong_and_in_its_place() {
        for bad in [
            "{",
            "{,,}",
            "[1 2]",
            "{\"a\": \"b",
            "{\"a\": 1} x",
            "{\"a\": /1}",
            "\"\\",
        ] {
            assert!(
                serde_json::from_str::<Value>(&to_strict(bad)).is_err(),
                "{bad}"
            );
        }
        let error =
            serde_json::from_str::<Value>(&to_strict("{ // ü\n /* x\n */ \"a\": ? }")).unwrap_err();
        assert_eq!((error.line(), error.column()), (3, 10));
    }
}
