//! The form of the token.

use askama::Template;

use crate::page::Page;

/// The page to sign in.
#[derive(Debug, Template)]
#[template(path = "sign_in.html")]
pub struct SignIn {
    /// The frame.
    pub page: Page,
    /// The path to go to afterwards.
    pub next: String,
    /// Whether the token was wrong.
    pub is_refused: bool,
    /// Whether a session ended.
    pub is_ended: bool,
}
