use std::io::Write;
use std::sync::{Arc, Mutex};

use super::*;

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The log of `emit` under this filter.
fn logged(style: Style, filter: &str, emit: impl FnOnce()) -> String {
    logged_beside(style, filter, None, emit)
}

/// The same beside another layer.
fn logged_beside(
    style: Style,
    filter: &str,
    side: Option<SideLayer>,
    emit: impl FnOnce(),
) -> String {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let filter = filter::build(filter).unwrap();
    let subscriber = subscriber(style, filter, move || writer.clone(), side);
    tracing::subscriber::with_default(subscriber, emit);
    String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap()
}

/// Notes the names of all spans of one target.
struct Names(Arc<Mutex<Vec<&'static str>>>);

impl Layer<Registry> for Names {
    fn on_new_span(
        &self,
        attributes: &tracing::span::Attributes<'_>,
        _: &tracing::span::Id,
        _: tracing_subscriber::layer::Context<'_, Registry>,
    ) {
        self.0.lock().unwrap().push(attributes.metadata().name());
    }
}

#[test]
fn a_layer_beside_the_log_has_its_own_spans_and_changes_no_line() {
    let emit = || {
        let step = tracing::info_span!("step", domain.id = "d-1");
        let _step = step.enter();
        let span =
            tracing::trace_span!(target: "spans", parent: None, "call", url = "http://ca.test");
        let _span = span.enter();
        tracing::info!("ours");
        tracing::debug!("details");
        tracing::info!(target: "sqlx::query", "news");
    };
    let without_time = |text: &str| -> Vec<serde_json::Value> {
        let lines = text.lines().map(|line| {
            let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
            line.as_object_mut().unwrap().remove("timestamp");
            line
        });
        lines.collect()
    };
    for (filter, lines) in [("info", 1), ("trace", 3), ("error", 0)] {
        let names = Arc::new(Mutex::new(Vec::new()));
        let only = tracing_subscriber::filter::filter_fn(|span| span.target() == "spans");
        let side = Names(Arc::clone(&names)).with_filter(only);
        let beside = logged_beside(Style::Json, filter, Some(Box::new(side)), emit);
        assert_eq!(*names.lock().unwrap(), ["call"], "{filter}");
        let alone = logged(Style::Json, filter, emit);
        assert_eq!(without_time(&beside), without_time(&alone), "{filter}");
        assert_eq!(without_time(&alone).len(), lines, "{filter}: {alone}");
        assert!(!alone.contains("ca.test"), "{filter}: {alone}");
    }
}

fn every_library_at_every_level() {
    macro_rules! from {
        ($($target:literal)*) => {$(
            tracing::trace!(target: $target, "bytes of {}", $target);
            tracing::debug!(target: $target, "bytes of {}", $target);
            tracing::info!(target: $target, "news of {}", $target);
            tracing::warn!(target: $target, "trouble of {}", $target);
        )*};
    }
    from!("hyper" "hyper_util::client" "h2::codec" "rustls::conn" "reqwest::connect" "sqlx::query" "unheard_of");
}

#[test]
fn a_json_line_has_time_level_target_message_and_the_fields_beside_them() {
    let text = logged(Style::Json, "info", || {
        let span = tracing::info_span!("step", domain.id = "d-1");
        let _entered = span.enter();
        tracing::warn!(attempt = 3, code = "DNS_TIMEOUT", "no answer\nyet");
    });
    assert_eq!(text.lines().count(), 1, "{text}");
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["target"], "dps_host::telemetry::tests");
    assert_eq!(line["message"], "no answer\nyet");
    assert_eq!(line["attempt"], 3);
    assert_eq!(line["code"], "DNS_TIMEOUT");
    assert_eq!(line["span"]["domain.id"], "d-1");
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{text}");
}

#[test]
fn lines_for_people_are_no_json_and_have_colour_only_on_a_terminal() {
    for colour in [true, false] {
        let text = logged(Style::Lines { colour }, "info", || tracing::info!("hello"));
        assert!(text.contains("hello") && !text.starts_with('{'), "{text}");
        assert_eq!(text.contains('\u{1b}'), colour, "{text}");
    }
}

#[test]
fn the_resolvers_library_prints_no_response_whatever_directive_names_it() {
    for directives in [
        "hickory_net=trace",
        "trace,hickory_net=debug,hickory_resolver=trace,hickory_proto=trace",
        "hick=trace",
        "[lookup]=trace",
    ] {
        let text = logged(Style::Json, directives, || {
            let span = tracing::info_span!(target: "hickory_net::udp", "lookup");
            let _entered = span.enter();
            tracing::trace!(target: "hickory_net::udp", "the response");
            tracing::debug!(target: "hickory_net::xfer", "the response");
            tracing::debug!(target: "hickory_proto", "the response");
            tracing::warn!(target: "hickory_net::udp", "trouble");
            tracing::info!("ours");
        });
        assert!(!text.contains("the response"), "{directives}: {text}");
        assert!(text.contains("trouble"), "{directives}: {text}");
        assert!(text.contains("ours"), "{directives}: {text}");
    }
}

#[test]
fn at_trace_level_our_own_events_are_logged_but_no_library_prints_bytes() {
    let text = logged(Style::Json, "trace", || {
        tracing::trace!("ours");
        tracing::trace!(target: "dps_store::lease", "ours too");
        tracing::trace!(target: "haproxy_domain_agent", "ours as well");
        every_library_at_every_level();
    });
    assert_eq!(text.matches("ours").count(), 3, "{text}");
    assert!(!text.contains("bytes of"), "{text}");
    assert_eq!(text.matches("news of").count(), 7, "{text}");
}

#[test]
fn by_default_libraries_log_only_warnings_and_an_error_level_drops_those_too() {
    let text = logged(Style::Json, "Information", every_library_at_every_level);
    assert!(
        !text.contains("news of") && text.matches("trouble of").count() == 7,
        "{text}"
    );
    assert_eq!(
        logged(Style::Json, "error", every_library_at_every_level),
        ""
    );
    assert_eq!(logged(Style::Json, "None", || tracing::error!("ours")), "");
}

#[test]
fn a_directive_that_names_a_library_is_obeyed() {
    let text = logged(Style::Json, "info,sqlx=debug", every_library_at_every_level);
    assert_eq!(text.matches("bytes of sqlx::query").count(), 1, "{text}");
    assert_eq!(text.matches("bytes of").count(), 1, "{text}");
    let text = logged(Style::Json, "dps_host=debug", || tracing::debug!("ours"));
    assert!(text.contains("ours"), "{text}");
}

#[test]
fn a_level_nobody_knows_is_refused_with_the_known_ones() {
    for bad in ["loud", "info,loud", "dps=loud"] {
        let error = check_level(bad).unwrap_err().to_string();
        assert!(
            error.contains(bad) && error.contains("Information"),
            "{error}"
        );
    }
    for good in [
        "Trace",
        "debug",
        "Information",
        "WARNING",
        "Critical",
        "None",
        "info,hyper=trace",
        "",
    ] {
        check_level(good).unwrap();
    }
}

#[test]
fn the_format_is_read_in_any_case() {
    for (text, format) in [
        ("\"json\"", Format::Json),
        ("\"PRETTY\"", Format::Pretty),
        ("\"Auto\"", Format::Auto),
    ] {
        assert_eq!(serde_json::from_str::<Format>(text).unwrap(), format);
    }
    let error = serde_json::from_str::<Format>("\"xml\"")
        .unwrap_err()
        .to_string();
    assert!(error.contains("expected Auto, Json or Pretty"), "{error}");
}

#[test]
fn no_color_and_a_dumb_terminal_turn_colour_off() {
    let wants = |no_color: Option<&str>, term: Option<&str>| {
        wants_colour(no_color.map(OsStr::new), term.map(OsStr::new))
    };
    assert!(wants(None, Some("xterm")) && wants(None, None) && wants(Some(""), Some("xterm")));
    assert!(!wants(Some("1"), Some("xterm")) && !wants(None, Some("dumb")));
}
