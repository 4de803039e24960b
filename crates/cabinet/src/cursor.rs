//! Cursors: positions as opaque text, one kind per list so that none is taken for another.

use dps_cabinet_api::ProblemCode;

use crate::refusal::Refusal;

/// The sequence that a cursor belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CursorKind {
    /// A list, by position at creation.
    List,
    /// The change feed, by position of the last change.
    Feed,
}

impl CursorKind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::List => "l",
            Self::Feed => "c",
        }
    }

    /// The name of the query parameter.
    pub(crate) const fn parameter(self) -> &'static str {
        match self {
            Self::List => "cursor",
            Self::Feed => "after",
        }
    }

    /// The position as text.
    pub(crate) fn encode(self, position: i64) -> String {
        format!("{}{position:x}", self.prefix())
    }

    /// The position again; only what [`Self::encode`] made is accepted.
    pub(crate) fn decode(self, text: &str) -> Result<i64, Refusal> {
        text.strip_prefix(self.prefix())
            .filter(|digits| digits.len() <= 16)
            .and_then(|digits| i64::from_str_radix(digits, 16).ok())
            .filter(|position| *position >= 0 && self.encode(*position) == text)
            .ok_or_else(|| self.refuse("it is not a cursor of this list"))
    }

    /// The refusal of a cursor.
    pub(crate) fn refuse(self, why: &str) -> Refusal {
        let field = self.parameter();
        let detail = format!("the cursor in {field:?} is not valid: {why}; start again without it");
        Refusal::at(ProblemCode::CursorInvalid, field, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_the_position_it_was_made_of() {
        for position in [0, 1, 255, i64::MAX] {
            for kind in [CursorKind::List, CursorKind::Feed] {
                assert_eq!(kind.decode(&kind.encode(position)), Ok(position));
            }
        }
    }

    #[test]
    fn a_made_up_cursor_is_refused_and_its_parameter_named() {
        let made_up = [
            "",
            "l",
            "c1",
            "l-1",
            "l+1",
            "l01",
            "lF",
            "l8000000000000000",
            "l1 OR 1=1",
            "lü",
        ];
        for text in made_up {
            let refusal = CursorKind::List.decode(text).unwrap_err();
            assert_eq!(refusal.problem.field.as_deref(), Some("cursor"), "{text}");
        }
    }
}
