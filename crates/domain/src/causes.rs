//! Errors as one line for operators: logs, events and reports hold text.

use std::error::Error;

/// The text of an error, followed by each of its causes that the text does not repeat.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{words}")]
    struct Chain {
        words: &'static str,
        source: Option<Box<Chain>>,
    }

    fn chain(words: &[&'static str]) -> Chain {
        let (words, rest) = words.split_first().unwrap();
        let source = (!rest.is_empty()).then(|| Box::new(chain(rest)));
        Chain { words, source }
    }

    #[test]
    fn every_cause_appears_once_and_in_order() {
        let text = |words| with_causes(&chain(words));
        assert_eq!(text(&["alone"]), "alone");
        assert_eq!(
            text(&["cannot store", "no answer", "refused"]),
            "cannot store: no answer: refused"
        );
        assert_eq!(
            text(&["cannot store: no answer", "no answer", "refused"]),
            "cannot store: no answer: refused"
        );
    }
}
