//! From a response to a [`ProbeAnswer`].

use dps_domain::cdn::Cdn;
use dps_domain::probe::ProbeAnswer;
use http::{HeaderMap, HeaderName, StatusCode, header};
use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Incoming;

/// Longest body that is read. A key authorization has 87 octets.
const MAX_BODY_BYTES: usize = 1024;
/// Characters kept of the `Server` header.
const MAX_SERVER_CHARS: usize = 64;
/// Characters kept of the `Location` header.
const MAX_LOCATION_CHARS: usize = 256;

/// Judges head and body. White space at the end of the body does not count (RFC 8555 §8.3). Another
/// answer than ours is a CDN's if its headers say so.
pub(super) async fn judge(response: Response<Incoming>, expected: &str) -> ProbeAnswer {
    let cdn = cdn(response.headers());
    let answer = judge_content(response, expected).await;
    let says = match &answer {
        ProbeAnswer::WrongBody { .. } => "other content".to_owned(),
        ProbeAnswer::Status(status) => format!("status {status}"),
        ProbeAnswer::Redirect { location, .. } => {
            let to = location.as_deref().unwrap_or("an unknown place");
            format!("redirect to {to}")
        }
        _ => return answer,
    };
    match cdn {
        Some(cdn) => ProbeAnswer::Cdn {
            name: cdn.name,
            answer: says,
        },
        None => answer,
    }
}

/// The CDN that sent the response, if a header tells.
fn cdn(headers: &HeaderMap) -> Option<&'static Cdn> {
    headers
        .iter()
        .find_map(|(name, value)| Cdn::by_header(name.as_str(), value.to_str().ok()?))
}

async fn judge_content(response: Response<Incoming>, expected: &str) -> ProbeAnswer {
    let status = response.status();
    if status.is_redirection() {
        return ProbeAnswer::Redirect {
            status: status.as_u16(),
            location: printable(response.headers(), &header::LOCATION, MAX_LOCATION_CHARS),
        };
    }
    if status != StatusCode::OK {
        return ProbeAnswer::Status(status.as_u16());
    }
    let server = printable(response.headers(), &header::SERVER, MAX_SERVER_CHARS);
    match read(response.into_body()).await {
        Some(body) if body.trim_ascii_end() == expected.trim_ascii_end().as_bytes() => {
            ProbeAnswer::Ours
        }
        _ => ProbeAnswer::WrongBody { server },
    }
}

/// The whole body; `None` when it is too long or breaks off.
async fn read(mut body: Incoming) -> Option<Vec<u8>> {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        // Trailers are not part of the answer.
        if let Ok(data) = frame.ok()?.into_data() {
            if read.len() + data.len() > MAX_BODY_BYTES {
                return None;
            }
            read.extend_from_slice(&data);
        }
    }
    Some(read)
}

/// The printable ASCII of a header, shortened; `None` when nothing is left.
fn printable(headers: &HeaderMap, name: &HeaderName, limit: usize) -> Option<String> {
    let text: String = headers
        .get(name)?
        .as_bytes()
        .iter()
        .map(|byte| char::from(*byte))
        .filter(|c| c.is_ascii_graphic() || *c == ' ')
        .take(limit)
        .collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_header_is_shortened_to_what_can_be_printed() {
        let server = |bytes: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(header::SERVER, HeaderValue::from_bytes(bytes).unwrap());
            printable(&headers, &header::SERVER, 8)
        };
        assert_eq!(server(b"nginx").as_deref(), Some("nginx"));
        assert_eq!(
            server(b"\xff\xfea\tb 0123456789").as_deref(),
            Some("ab 01234")
        );
        assert_eq!(server(b"\xff \xfe"), None);
        assert_eq!(printable(&HeaderMap::new(), &header::SERVER, 8), None);
    }
}
