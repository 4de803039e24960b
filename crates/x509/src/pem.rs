//! Textual encoding of DER (RFC 7468), the strict form of it: LF, 64 columns, no blank line.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

const COLUMNS: usize = 64;

/// Appends one PEM block to `out`. The intermediate base64 text is wiped.
pub(crate) fn append(out: &mut String, label: &str, der: &[u8]) {
    let text = Zeroizing::new(STANDARD.encode(der));
    out.reserve(text.len() + text.len() / COLUMNS + 2 * label.len() + 40);
    out.push_str("-----BEGIN ");
    out.push_str(label);
    out.push_str("-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(COLUMNS));
        out.push_str(line);
        out.push('\n');
        rest = tail;
    }
    out.push_str("-----END ");
    out.push_str(label);
    out.push_str("-----\n");
}
