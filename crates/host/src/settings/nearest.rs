//! The known key that is nearest to an unknown one.

use dps_domain::text::edits;
use serde_json::Value;

use super::written;

/// The known key nearest to an unknown one, and whether it is near enough to be meant.
pub(super) fn nearest(unknown: &[String], template: &Value) -> Option<(String, bool)> {
    let mut known = Vec::new();
    collect(template, &mut Vec::new(), &mut known);
    let best = known
        .into_iter()
        .map(|candidate| (score(unknown, &candidate), candidate))
        .min_by(|(left, _), (right, _)| left.cmp(right));
    let ((edits, _), candidate) = best?;
    let leaf = unknown.last().map_or(0, String::len);
    Some((written(&candidate), edits <= 2.max(leaf / 3)))
}

fn collect(template: &Value, path: &mut Vec<String>, known: &mut Vec<Vec<String>>) {
    let Value::Object(members) = template else {
        return;
    };
    for (key, below) in members {
        path.push(key.clone());
        known.push(path.clone());
        collect(below, path, known);
        path.pop();
    }
}

/// Fewer is nearer: a right last part in a wrong place counts as one edit; the edits of the whole
/// key decide between equals.
fn score(unknown: &[String], known: &[String]) -> (usize, usize) {
    let whole = edits(&written(unknown), &written(known));
    match (unknown.last(), known.last()) {
        (Some(left), Some(right)) if left.eq_ignore_ascii_case(right) => (whole.min(1), whole),
        _ => (whole, whole),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn edits_are_counted_without_regard_to_case() {
        for (left, right, count) in [
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("BaseUrl", "BASEURL", 0),
            ("a", "", 1),
        ] {
            assert_eq!(edits(left, right), count, "{left} {right}");
        }
    }

    #[test]
    fn a_slip_of_the_pen_and_a_wrong_section_both_find_the_key_that_was_meant() {
        let template = json!({
            "CabinetApi": {"BaseUrl": "", "Timeout": ""},
            "Dns": {"Resolvers": []},
            "Workers": {"Renewal": {"Interval": ""}, "HttpProbe": {"Interval": "", "Port": 80}},
        });
        let find = |text: &str| {
            nearest(
                &text.split(':').map(str::to_owned).collect::<Vec<_>>(),
                &template,
            )
            .unwrap()
        };
        for (unknown, meant) in [
            ("CabinetApi:BaseUri", "CabinetApi:BaseUrl"),
            ("CabinetApl", "CabinetApi"),
            ("Workers:HttpProbes", "Workers:HttpProbe"),
            ("Workers:Resolvers", "Dns:Resolvers"),
            ("Workers:HttpProbe:Ports", "Workers:HttpProbe:Port"),
        ] {
            assert_eq!(find(unknown), (meant.to_owned(), true), "{unknown}");
        }
        assert!(!find("Serilog").1);
    }
}
