//! Tolerant reading of a Cabinet's responses: one broken item does not affect the others.
//!
//! A page is split into items before any of them is decoded, and of an item only the fields that
//! the service uses are decoded. A lone surrogate, a control character, an unknown escape and
//! invalid UTF-8 are replaced by U+FFFD if the rest can then be read.

use dps_domain::text::shown;
use dps_domain::{DomainId, Status};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::limits;

/// Characters shown of a value that cannot be used.
const SHOWN_CHARS: usize = 100;
/// Stands for what is no text.
const REPLACEMENT: char = '\u{fffd}';

/// The fields of a custom domain that the service uses. `null` is the same as an absent field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainEntry {
    /// Identifier, a UUID given by the Cabinet.
    pub id: DomainId,
    /// The platform's customer who holds the name; 1 to 200 bytes without control characters.
    pub tenant_id: String,
    /// The name to certify as the Cabinet writes it, usable or not; empty when absent.
    pub canonical_host: String,
    /// Where the customer's DNS must point as the Cabinet writes it, usable or not; empty when
    /// absent.
    pub cname_target: String,
    /// The status; `None` when absent or of a later contract.
    pub status: Option<Status>,
    /// The value for `If-Match`; at most 2^63 - 1, which is what databases store.
    pub version: u64,
}

/// An item of a page that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the item with id {id:?} cannot be used: {field} is {value}, {reason}")]
pub struct ItemError {
    /// The beginning of the item's `id`; empty when it has none that is text.
    pub id: String,
    /// The field at fault; `item` when the whole is no object.
    pub field: &'static str,
    /// The beginning of its value, as JSON.
    pub value: String,
    /// The fault of the item.
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tenant_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    canonical_host: Option<&'a RawValue>,
    #[serde(borrow, default)]
    cname_target: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
    #[serde(borrow, default)]
    version: Option<&'a RawValue>,
}

/// Decodes a body, after repair if it cannot be read as it is.
///
/// # Errors
/// The fault of the body as it was sent.
pub fn read_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(body).or_else(|error| {
        serde_json::from_str(&repaired(&String::from_utf8_lossy(body))).map_err(|_| error)
    })
}

/// Decodes one domain.
///
/// # Errors
/// The field that cannot be used, with its value and the reason.
pub fn read_domain(item: &RawValue) -> Result<DomainEntry, ItemError> {
    match serde_json::from_str(item.get()) {
        Ok(fields) => entry(&fields),
        Err(error) => match serde_json::from_str(&repaired(item.get())) {
            Ok(fields) => entry(&fields),
            Err(_) => Err(ItemError {
                id: String::new(),
                field: "item",
                value: shown(item.get(), SHOWN_CHARS),
                reason: error.to_string(),
            }),
        },
    }
}

fn entry(fields: &Fields<'_>) -> Result<DomainEntry, ItemError> {
    let id = fields
        .id
        .map_or_else(String::new, |id| shown(&text(id), SHOWN_CHARS));
    let refuse = |field, value: Option<&RawValue>, reason: String| ItemError {
        id: id.clone(),
        field,
        value: value.map_or_else(
            || "absent".to_owned(),
            |value| shown(value.get(), SHOWN_CHARS),
        ),
        reason,
    };
    let parsed = text_or_empty(fields.id).parse();
    let tenant_id = text_or_empty(fields.tenant_id);
    let is_string = fields
        .tenant_id
        .is_some_and(|raw| raw.get().starts_with('"'));
    if !is_string || !is_tenant_id(&tenant_id) {
        let reason = "where 1 to 200 bytes of text without control characters are needed";
        return Err(refuse("tenantId", fields.tenant_id, reason.to_owned()));
    }
    let version = fields.version.map_or("", RawValue::get).parse::<u64>();
    Ok(DomainEntry {
        id: parsed.map_err(|_| refuse("id", fields.id, "where a UUID is needed".to_owned()))?,
        tenant_id,
        canonical_host: text_or_empty(fields.canonical_host),
        cname_target: text_or_empty(fields.cname_target),
        status: text_or_empty(fields.status).parse().ok(),
        version: version
            .ok()
            .filter(|version| i64::try_from(*version).is_ok())
            .ok_or_else(|| {
                let reason = format!("where a whole number from 0 to {} is needed", i64::MAX);
                refuse("version", fields.version, reason)
            })?,
    })
}

/// Whether the text can be a tenant's identifier, and be stored by any database.
pub fn is_tenant_id(text: &str) -> bool {
    (1..=limits::MAX_TENANT_ID_BYTES).contains(&text.len())
        && !text.chars().any(|c| c.is_control() || c == REPLACEMENT)
}

fn text_or_empty(raw: Option<&RawValue>) -> String {
    raw.map(text).unwrap_or_default()
}

/// The text of a JSON string; of anything else, its JSON.
fn text(raw: &RawValue) -> String {
    let json = raw.get();
    serde_json::from_str(json)
        .or_else(|_| serde_json::from_str(&repaired(json)))
        .unwrap_or_else(|_| json.to_owned())
}

/// The JSON text with U+FFFD for each part of a string that no reader takes, without a byte order
/// mark.
fn repaired(json: &str) -> String {
    let json = json.trim_start_matches('\u{feff}');
    let mut repaired = String::with_capacity(json.len());
    let (mut rest, mut in_string) = (json, false);
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '"' => {
                in_string = !in_string;
                1
            }
            '\\' if in_string => escape_length(rest),
            c if in_string && c < ' ' => 0,
            c => c.len_utf8(),
        };
        if let Some(kept) = rest.get(..length).filter(|kept| !kept.is_empty()) {
            repaired.push_str(kept);
            rest = rest.get(length..).unwrap_or_default();
        } else {
            repaired.push(REPLACEMENT);
            rest = rest.get(broken_length(rest)..).unwrap_or_default();
        }
    }
    repaired
}

/// Bytes of the escape that a text begins with; 0 if no reader takes it.
fn escape_length(text: &str) -> usize {
    match text.as_bytes().get(1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
        Some(b'u') => match (unit(text), text.get(6..).and_then(unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff) | None, _) => 0,
            (Some(_), _) => 6,
        },
        _ => 0,
    }
}

/// Bytes that are replaced where no reader takes what a text begins with.
fn broken_length(text: &str) -> usize {
    let escaped = text.starts_with('\\');
    if escaped && unit(text).is_some() {
        return 6;
    }
    let mut chars = text.chars();
    let first = chars.next().map_or(0, char::len_utf8);
    let second = chars.next().filter(|c| escaped && *c >= ' ');
    first + second.map_or(0, char::len_utf8)
}

/// The code unit of the `\uXXXX` that a text begins with.
fn unit(text: &str) -> Option<u16> {
    let digits = text.get(..6)?.strip_prefix("\\u")?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Page;

    const ID: &str = "018bcfe5-6800-7000-8000-000000000001";

    /// A page whose first item has this text in it, and whose second is good.
    fn page(broken: &[u8]) -> Vec<Result<DomainEntry, ItemError>> {
        let good = format!(
            r#"{{"id":"{ID}","tenantId":"t","canonicalHost":"a.example.com","cnameTarget":"e.example.net","status":"Active","version":1}}"#
        );
        let body = [
            b"{\"items\":[",
            broken,
            b",",
            good.as_bytes(),
            b"],\"nextCursor\":null}",
        ]
        .concat();
        let page: Page<Box<RawValue>> = read_body(&body).unwrap();
        page.items.iter().map(|item| read_domain(item)).collect()
    }

    fn with(field: &str, json: &str) -> Vec<u8> {
        let mut fields = vec![
            ("id", "\"018bcfe5-6800-7000-8000-000000000002\""),
            ("tenantId", "\"t\""),
            ("canonicalHost", "\"shop.example.com\""),
            ("cnameTarget", "\"edge.example.net\""),
            ("version", "7"),
        ];
        fields.retain(|(name, _)| *name != field);
        fields.push((field, json));
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, json)| format!("\"{name}\":{json}"))
            .collect();
        format!("{{{}}}", fields.join(",")).into_bytes()
    }

    #[test]
    fn whatever_one_item_holds_the_others_of_its_page_are_read() {
        for field in [
            "id",
            "tenantId",
            "canonicalHost",
            "cnameTarget",
            "status",
            "version",
            "unused",
            "createdAt",
        ] {
            for json in [
                r#""a\u0000b""#,
                r#""a\ud800b""#,
                r#""\udc00\ud800""#,
                r#""a\qb""#,
                r#""a\u12""#,
                "\"a\tb\"",
                "\"a\u{0}b\"",
                "null",
                "7",
                "-1.5e999",
                "18446744073709551616",
                "[[[]]]",
                r#"{"deep":{}}"#,
                "true",
                "\"2026-01-02T03:04:05.1234567\"",
            ] {
                let items = page(&with(field, json));
                assert_eq!(items.len(), 2, "{field} {json}");
                assert_eq!(
                    items[1].as_ref().unwrap().id.to_string(),
                    ID,
                    "{field} {json}"
                );
                if let Err(error) = &items[0] {
                    assert_eq!(error.field, field, "{json}");
                    assert!(error.to_string().len() < 400, "{error}");
                }
            }
        }
        for whole in [
            "{\"id\":\"x\"}",
            "7",
            "null",
            "[]",
            "{\"\\ud800\":1}",
            "{\"id\":1,\"id\":2}",
        ] {
            let items = page(whole.as_bytes());
            assert!(items[0].is_err() && items[1].is_ok(), "{whole}");
        }
        let items = page(b"{\"id\":\"\xff\xfe\",\"tenantId\":\"t\"}");
        assert!(
            items[0].is_err() && items[1].is_ok(),
            "bytes that are no UTF-8"
        );
    }

    #[test]
    fn a_refusal_names_the_item_the_field_and_the_value() {
        let error = page(&with("tenantId", r#""a\u0000b""#))
            .remove(0)
            .unwrap_err();
        assert_eq!(error.id, "018bcfe5-6800-7000-8000-000000000002");
        assert_eq!(
            (error.field, error.value.as_str()),
            ("tenantId", r#""a\u0000b""#)
        );
        let error = page(&with("version", "null")).remove(0).unwrap_err();
        assert_eq!((error.field, error.value.as_str()), ("version", "absent"));
        let long = page(&with("tenantId", &format!("\"{}\"", "x".repeat(5_000)))).remove(0);
        assert!(long.unwrap_err().value.len() <= SHOWN_CHARS);
    }

    #[test]
    fn fields_that_the_service_does_not_use_are_passed_over_and_null_is_absent() {
        for (field, json) in [
            ("createdAt", "\"2026-01-02T03:04:05.1234567\""),
            ("errorDetails", "[]"),
            ("hostname", "null"),
            ("status", "null"),
            ("status", "\"Suspended\""),
        ] {
            let entry = page(&with(field, json)).remove(0).unwrap();
            assert_eq!((entry.version, entry.status), (7, None), "{field}");
        }
        let entry = page(&with("cnameTarget", "null")).remove(0).unwrap();
        assert_eq!(
            entry.cname_target, "",
            "the domain's own finding, not the page's"
        );
        let entry = page(&with("canonicalHost", r#""a\ud800.example.com""#))
            .remove(0)
            .unwrap();
        assert_eq!(entry.canonical_host, "a\u{fffd}.example.com");
    }

    #[test]
    fn a_repair_leaves_good_text_as_it_is() {
        for json in [
            r#"{"a":"\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t","b":[1, 2]}"#,
            "{ \"a\" :\n\t\"é😀\" }",
            r#""\\u12""#,
        ] {
            assert_eq!(repaired(json), json);
        }
        assert_eq!(repaired("\u{feff}\"a\\q\""), "\"a\u{fffd}\"");
    }
}
