//! The record of operators' actions: who did what?

use askama::Template;
use dps_admin_api::{Activities, Activity};

use crate::page::{Page, encoded};

/// The page.
#[derive(Debug, Template)]
#[template(path = "activity.html")]
pub struct ActivityView {
    /// The frame.
    pub page: Page,
    /// The actions; `None` if the place cannot be used.
    pub activities: Option<Activities>,
    /// Whether these are the newest.
    pub is_first: bool,
}

#[expect(clippy::unused_self, reason = "templates call methods of the view")]
impl ActivityView {
    /// The page that the subject of an action has.
    fn subject_path(&self, action: &Activity) -> Option<String> {
        let subject = action.subject.as_deref()?;
        match action.scope.as_str() {
            "domain" => Some(format!("/domains/{}", encoded(subject))),
            "tenant" => Some(format!("/tenants/{}", encoded(subject))),
            "edge" => Some(format!("/domains?edge={}", encoded(subject))),
            _ => None,
        }
    }
}
