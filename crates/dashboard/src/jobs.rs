//! Jobs: one action on the domains of a filter.

use std::time::Duration;

use askama::Template;
use dps_admin_api::{Job, JobPreview, Jobs};
use dps_domain::Status;

use crate::chip;
use crate::domains::{Choice, FilterFields, choose};
use crate::html::Html;
use crate::page::{Page, encoded, fill, grouped};
use crate::texts::Texts;

/// The actions that every operator may choose.
const ACTIONS: [&str; 5] = ["retry", "renew", "recheck", "pause", "resume"];
/// The action of admins alone.
const REVOKE: &str = "revoke";

/// The wanted job, as forms and addresses write it. An empty text is no wish.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the admin API")]
pub struct JobFields {
    /// The domains.
    pub filter: FilterFields,
    pub action: String,
    pub revocation_reason: String,
    pub pace_per_hour: String,
    pub limit: String,
}

impl JobFields {
    /// The address of the form with these values.
    pub fn path(&self) -> String {
        let filter = self.filter.query();
        let parts = [
            ("filter", filter.as_str()),
            ("action", &self.action),
            ("revocationReason", &self.revocation_reason),
            ("pacePerHour", &self.pace_per_hour),
            ("limit", &self.limit),
        ];
        let given = parts.into_iter().filter(|(_, value)| !value.is_empty());
        let given: Vec<String> = given
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        if given.is_empty() {
            "/jobs/new".to_owned()
        } else {
            format!("/jobs/new?{}", given.join("&"))
        }
    }
}

/// The form of a job, with the preview of its effect.
#[derive(Debug, Template)]
#[template(path = "job_form.html")]
pub struct JobFormView {
    /// The frame.
    pub page: Page,
    /// The wanted job.
    pub fields: JobFields,
    /// The effect that it would have; `None` before an action is chosen.
    pub preview: Option<JobPreview>,
    /// The field that cannot be used, with the remedy.
    pub problem: Option<(String, String)>,
    /// The reason for which a job was not begun.
    pub refusal: Option<String>,
}

impl JobFormView {
    fn actions(&self) -> Vec<Choice> {
        job_actions(&self.page, &self.fields.action)
    }

    fn reasons(&self) -> Vec<Choice> {
        let t = self.page.t();
        let reasons = [
            ("unspecified", t.revoke_unspecified),
            ("key-compromise", t.revoke_compromised),
            ("superseded", t.revoke_superseded),
            ("cessation-of-operation", t.revoke_ceased),
        ];
        choose(&self.fields.revocation_reason, reasons)
    }

    fn is_revocation(&self) -> bool {
        self.fields.action == REVOKE
    }

    /// Whether this person may begin the job of the preview.
    fn can_begin(&self, preview: &JobPreview) -> bool {
        let is_allowed = !self.is_revocation() || self.page.is_admin();
        is_allowed && preview.domains > 0
    }

    fn effect(&self, preview: &JobPreview) -> String {
        let t = self.page.t();
        let text = fill(t.job_effect, "action", action_word(t, &preview.action));
        fill(&text, "domains", &grouped(preview.domains))
    }

    fn takes(&self, preview: &JobPreview) -> String {
        let t = self.page.t();
        let time = self
            .page
            .duration(&Duration::from_secs(preview.takes_seconds));
        fill(t.job_takes, "time", &time)
    }

    fn help(&self) -> &'static str {
        let t = self.page.t();
        match self.fields.action.as_str() {
            "retry" => t.retry_help,
            "renew" => t.renew_help,
            "recheck" => t.recheck_help,
            "pause" => t.pause_help,
            "resume" => t.resume_help,
            _ => t.revoke_help,
        }
    }

    fn statuses(&self, preview: &JobPreview) -> Vec<(Html, u64)> {
        let t = self.page.t();
        let known = |(status, domains): (&String, &u64)| {
            let status: Status = status.parse().ok()?;
            Some((chip::status(t, status), *domains))
        };
        preview.statuses.iter().filter_map(known).collect()
    }

    #[expect(clippy::unused_self, reason = "templates call methods of the view")]
    fn others(&self, preview: &JobPreview) -> Option<String> {
        let shown = u64::try_from(preview.sample.len()).unwrap_or(u64::MAX);
        let others = preview.domains.saturating_sub(shown);
        (others > 0).then(|| grouped(others))
    }

    #[expect(clippy::unused_self, reason = "templates call methods of the view")]
    fn certificate(&self, preview: &JobPreview, host: &str) -> Option<String> {
        preview.certificates.get(host).cloned()
    }
}

/// The list of jobs.
#[derive(Debug, Template)]
#[template(path = "jobs.html")]
pub struct JobsView {
    /// The frame.
    pub page: Page,
    /// The jobs; `None` if the place cannot be used.
    pub jobs: Option<Jobs>,
    /// Whether these are the newest.
    pub is_first: bool,
}

impl JobsView {
    fn action(&self, job: &Job) -> String {
        action_text(self.page.t(), &job.action)
    }

    fn state(&self, job: &Job) -> Html {
        chip::job(self.page.t(), &job.state)
    }
}

/// One job.
#[derive(Debug, Template)]
#[template(path = "job.html")]
pub struct JobView {
    /// The frame.
    pub page: Page,
    /// The job.
    pub job: Job,
    /// The same as a wish, from which another can be begun.
    pub fields: JobFields,
}

impl JobView {
    fn action(&self) -> String {
        action_text(self.page.t(), &self.job.action)
    }

    fn state(&self) -> Html {
        chip::job(self.page.t(), &self.job.state)
    }

    fn is_running(&self) -> bool {
        self.job.state == "running"
    }

    fn visited(&self) -> u64 {
        self.job.acted.saturating_add(self.job.refused)
    }

    /// The end of the progress bar, which is never before its value.
    fn most(&self) -> u64 {
        self.job.expected.max(self.visited()).max(1)
    }

    fn progress(&self) -> String {
        let t = self.page.t();
        let text = fill(t.job_progress, "acted", &grouped(self.job.acted));
        let text = fill(&text, "expected", &grouped(self.job.expected));
        fill(&text, "refused", &grouped(self.job.refused))
    }
}

/// The actions that the person may choose.
pub(crate) fn job_actions(page: &Page, chosen: &str) -> Vec<Choice> {
    let of_admin = page.is_admin().then_some(REVOKE);
    let actions = ACTIONS.into_iter().chain(of_admin);
    choose(
        chosen,
        actions.map(|action| (action, action_word(page.t(), action))),
    )
}

/// The word for an action of a job, with the reason of a revocation.
fn action_text(t: &Texts, action: &str) -> String {
    match action.split_once(':') {
        Some((action, reason)) => format!("{} ({reason})", action_word(t, action)),
        None => action_word(t, action).to_owned(),
    }
}

fn action_word(t: &Texts, action: &str) -> &'static str {
    let (action, _) = action.split_once(':').unwrap_or((action, ""));
    match action {
        "retry" => t.job_retry,
        "renew" => t.job_renew,
        "recheck" => t.job_recheck,
        "pause" => t.job_pause,
        "resume" => t.job_resume,
        _ => t.job_revoke,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_the_form_holds_the_filter_as_one_part() {
        let mut fields = JobFields::default();
        assert_eq!(fields.path(), "/jobs/new");
        "Failed".clone_into(&mut fields.filter.status);
        "a&b".clone_into(&mut fields.filter.tenant);
        "renew".clone_into(&mut fields.action);
        "500".clone_into(&mut fields.pace_per_hour);
        assert_eq!(
            fields.path(),
            "/jobs/new?filter=tenant%3Da%2526b%26status%3DFailed&action=renew&pacePerHour=500"
        );
    }
}
