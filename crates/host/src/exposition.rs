//! The text of `/metrics`, as the Prometheus text format 0.0.4, or as `OpenMetrics` 1.0 if the
//! `Accept` header prefers it.

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, VARY};
use axum::response::{IntoResponse, Response};

/// The content type of `OpenMetrics`.
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The content type of the Prometheus text format.
pub const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The answer to a request with these headers, made of `OpenMetrics` text.
pub fn response(request: &HeaderMap, open_metrics: String) -> Response {
    let accepted = request.get_all(ACCEPT).iter();
    let accepted: Vec<&str> = accepted.filter_map(|value| value.to_str().ok()).collect();
    let (kind, text) = if prefers_open_metrics(&accepted.join(",")) {
        (OPEN_METRICS, open_metrics)
    } else {
        (PROMETHEUS, to_prometheus(&open_metrics))
    };
    let headers = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-store"),
        (VARY, "Accept"),
    ];
    (headers, text).into_response()
}

/// Whether `OpenMetrics` is named, and not with a lower weight than plain text (RFC 9110 §12.5.1).
fn prefers_open_metrics(accept: &str) -> bool {
    let weight_of = |wanted: &str| {
        let weights = accept.split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let is_wanted = parts.next()?.eq_ignore_ascii_case(wanted);
            let weight =
                parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            let weight = weight.map_or(Some(1.0), |text| text.parse::<f32>().ok())?;
            is_wanted.then_some(weight)
        });
        weights.fold(0.0, f32::max)
    };
    let open_metrics = weight_of("application/openmetrics-text");
    open_metrics > 0.0 && open_metrics >= weight_of("text/plain")
}

/// `OpenMetrics` text as our metrics library writes it, in the Prometheus text format 0.0.4. In
/// that format, the name of a counter's family ends with `_total`, as its samples do. An info is a
/// gauge whose name ends with `_info`. There are no units, exemplars or end mark.
fn to_prometheus(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    // HELP comes before TYPE, which decides the name of both.
    let mut help = None;
    for line in open_metrics.lines() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
            continue;
        }
        if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|rest| rest.rsplit_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "stateset" => ("", "gauge"),
                "gaugehistogram" => ("", "histogram"),
                "unknown" => ("", "untyped"),
                same => ("", same),
            };
            if let Some((_, words)) = help.take().filter(|(helped, _)| *helped == name) {
                text.extend(["# HELP ", name, suffix, " ", words, "\n"]);
            }
            text.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
            continue;
        }
        let sample = line.split_once(" # {").map_or(line, |(sample, _)| sample);
        text.extend([sample, "\n"]);
    }
    text
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const OPEN: &str = "# HELP issued Certificates issued.\n# TYPE issued counter\n\
                        issued_total{result=\"success\"} 3 # {trace=\"a\"} 1.0\n\
                        # HELP build The build.\n# TYPE build info\nbuild_info{version=\"1\"} 1\n\
                        # HELP age_seconds Age.\n# TYPE age_seconds gauge\n# UNIT age_seconds seconds\nage_seconds NaN\n\
                        # HELP took Time.\n# TYPE took histogram\ntook_sum 1.0\ntook_count 1\ntook_bucket{le=\"+Inf\"} 1\n\
                        # EOF\n";

    #[test]
    fn the_format_is_the_one_that_is_asked_for() {
        for (accept, kind) in [
            (None, PROMETHEUS),
            (Some("*/*"), PROMETHEUS),
            (Some("text/plain; version=0.0.4"), PROMETHEUS),
            (
                Some("text/plain, application/openmetrics-text;q=0.5"),
                PROMETHEUS,
            ),
            (Some("application/openmetrics-text;q=0"), PROMETHEUS),
            (
                Some("application/openmetrics-text; version=1.0.0"),
                OPEN_METRICS,
            ),
            (
                Some(
                    "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                ),
                OPEN_METRICS,
            ),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(ACCEPT, HeaderValue::from_static(accept));
            }
            let answer = response(&headers, OPEN.to_owned());
            assert_eq!(answer.headers()[CONTENT_TYPE], kind, "{accept:?}");
            assert_eq!(answer.headers()[VARY], "Accept");
        }
    }

    #[test]
    fn the_prometheus_text_names_each_family_as_its_samples() {
        assert_eq!(
            to_prometheus(OPEN),
            "# HELP issued_total Certificates issued.\n# TYPE issued_total counter\n\
             issued_total{result=\"success\"} 3\n\
             # HELP build_info The build.\n# TYPE build_info gauge\nbuild_info{version=\"1\"} 1\n\
             # HELP age_seconds Age.\n# TYPE age_seconds gauge\nage_seconds NaN\n\
             # HELP took Time.\n# TYPE took histogram\ntook_sum 1.0\ntook_count 1\ntook_bucket{le=\"+Inf\"} 1\n"
        );
    }
}
