//! Words with an icon and a colour, so that none of the three is needed alone.

use dps_domain::diagnosis::{CheckStatus, Severity};
use dps_domain::explain::Responsible;
use dps_domain::{Actor, Status};

use crate::html::Html;
use crate::texts::Texts;

fn chip(tone: &str, icon: &str, word: &str) -> Html {
    // Icons and words are of this crate, so they need not be escaped.
    Html::new(format!(
        "<span class=\"chip {tone}\"><span class=\"icon\" aria-hidden=\"true\">{icon}</span>{word}</span>"
    ))
}

pub(crate) const fn status_word(t: &Texts, status: Status) -> &'static str {
    match status {
        Status::PendingDns => t.status_pending_dns,
        Status::PendingHttpProbe => t.status_pending_http,
        Status::Issuing => t.status_issuing,
        Status::Active => t.status_active,
        Status::Failed => t.status_failed,
        Status::PendingRemoval => t.status_pending_removal,
        Status::Removed => t.status_removed,
    }
}

pub(crate) fn status(t: &Texts, status: Status) -> Html {
    let (tone, icon) = match status {
        Status::PendingDns | Status::PendingHttpProbe => ("wait", "◷"),
        Status::Issuing => ("busy", "⟳"),
        Status::Active => ("good", "✓"),
        Status::Failed => ("bad", "✕"),
        Status::PendingRemoval | Status::Removed => ("still", "–"),
    };
    chip(tone, icon, status_word(t, status))
}

pub(crate) fn actor(t: &Texts, actor: Actor) -> Html {
    match actor {
        Actor::Customer => chip("wait", "☺", t.actor_customer),
        Actor::Operator => chip("bad", "⚑", t.actor_operator),
        Actor::Nobody => chip("still", "◷", t.actor_nobody),
    }
}

pub(crate) fn responsible(t: &Texts, responsible: Responsible) -> Html {
    match responsible {
        Responsible::Customer => actor(t, Actor::Customer),
        Responsible::Operator => actor(t, Actor::Operator),
        Responsible::Ca => chip("busy", "⟳", t.actor_ca),
        Responsible::Nobody => actor(t, Actor::Nobody),
    }
}

pub(crate) fn check(t: &Texts, status: CheckStatus, severity: Severity) -> Html {
    match (status, severity) {
        (CheckStatus::Ok, _) => chip("good", "✓", t.check_ok),
        (CheckStatus::Failed, Severity::Error) => chip("bad", "✕", t.check_failed),
        (CheckStatus::Failed, Severity::Warning | Severity::Info) => {
            chip("wait", "!", t.check_warning)
        }
        (CheckStatus::Unfinished, _) => chip("wait", "◷", t.check_unfinished),
        (CheckStatus::Skipped, _) => chip("still", "–", t.check_skipped),
    }
}

pub(crate) fn presented(t: &Texts, is_wanted: bool) -> Html {
    if is_wanted {
        chip("good", "✓", t.presented_wanted)
    } else {
        chip("wait", "◷", t.presented_other)
    }
}

pub(crate) fn health(t: &Texts, is_ok: bool, is_required: bool) -> Html {
    match (is_ok, is_required) {
        (true, _) => chip("good", "✓", t.check_ok),
        (false, true) => chip("bad", "✕", t.check_failed),
        (false, false) => chip("wait", "!", t.check_warning),
    }
}

pub(crate) fn alive(t: &Texts, is_alive: bool) -> Html {
    if is_alive {
        chip("good", "✓", t.replica_alive)
    } else {
        chip("wait", "!", t.replica_unanswered)
    }
}

pub(crate) fn edge(t: &Texts, state: &str) -> Html {
    match state {
        "answers" => chip("good", "✓", t.edge_answers),
        "silent" => chip("bad", "✕", t.edge_unreachable),
        "on probation" => chip("wait", "◷", t.edge_probation),
        "waits for approval" => chip("wait", "⚑", t.edge_waits),
        _ => chip("still", "–", t.edge_left),
    }
}

pub(crate) fn job(t: &Texts, state: &str) -> Html {
    match state {
        "running" => chip("busy", "⟳", t.job_running),
        "done" => chip("good", "✓", t.job_done),
        _ => chip("still", "–", t.job_cancelled),
    }
}
