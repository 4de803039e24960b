//! The texts in English.

use super::{Heading, Texts};

const fn heading(headline: &'static str, lead: &'static str) -> Heading {
    Heading { headline, lead }
}

pub(super) const TEXTS: Texts = Texts {
    lang: "en",
    language_name: "English",
    language: "Language",
    title: "Set up {host}",
    create_record: heading(
        "Connect {host}",
        "Create the records below where you manage the DNS of {zone}. We check automatically, and \
         this page updates by itself.",
    ),
    checking: heading(
        "Checking your DNS",
        "We are checking the DNS records of {host}. This takes a few seconds.",
    ),
    action_needed: heading(
        "One thing to fix",
        "Something in your DNS or on your server needs a change.",
    ),
    waiting: heading(
        "Nothing to do for now",
        "This takes a little time. We continue automatically.",
    ),
    our_side: heading(
        "We are on it",
        "A problem on our side is delaying this. You do not need to do anything.",
    ),
    connecting: heading(
        "Your DNS is set up correctly",
        "Now we check that requests for {host} reach us.",
    ),
    issuing: heading(
        "Creating the certificate",
        "Your DNS is set up correctly. The certificate for HTTPS usually takes a minute or two.",
    ),
    stopped: heading(
        "The setup has stopped",
        "We no longer check {host} automatically. When the problem is fixed, check again.",
    ),
    live: heading(
        "{host} is live",
        "Visitors reach it over HTTPS. The certificate renews automatically.",
    ),
    live_with_problem: heading(
        "{host} needs your attention",
        "It still works, but its certificate cannot be renewed until this is fixed.",
    ),
    removing: heading(
        "{host} is being removed",
        "You can delete its DNS records now.",
    ),
    removed: heading(
        "{host} was removed",
        "It is no longer connected to this platform.",
    ),
    open: "Open",
    progress: "Progress",
    steps: ["DNS record", "Connection", "Certificate", "Live"],
    step_done: "done",
    step_current: "in progress",
    step_todo: "not started",
    original: "Original message",
    records_title: "DNS records for {zone}",
    records_lead: "Create these records where the DNS is managed: at your registrar or DNS provider.",
    kept_title: "Keep these DNS records",
    kept_lead: "The certificate can be renewed as long as they stay as they are.",
    records_hint: "The name is relative to {zone}; if your provider wants full names, enter {host}. \
                   Leave the TTL as it is.",
    top_hint: "@ stands for {host} itself; some providers want an empty name instead. Remove all \
               other A, AAAA and CNAME records of this name.",
    record_type: "Type",
    record_name: "Name",
    record_value: "Value",
    copy: "Copy",
    copied: "Copied",
    provider: "How to add a record at {provider}",
    check_again: "Check again",
    next_check: "We check again automatically {at}.",
    next_check_now: "any moment now",
    no_next_check: "We also check automatically, so you can close this page.",
    valid_until: "The current certificate is valid until {at}.",
    in_seconds: "in {n} s",
    in_minutes: "in {n} min",
    in_hours: "in {n} h",
    in_days: "in {n} days",
    too_soon: "Please wait a little before the next check.",
    too_many: "The limit of requested checks in 24 hours is reached. Try again later.",
    not_possible: "This domain is being removed and is not checked any more.",
    unknown_link: heading(
        "This link does not work",
        "It may have expired. Open the domain's settings on your platform again to get a new one.",
    ),
    too_many_visits: heading(
        "Too many visits",
        "This page was opened too often in a short time. Try again in a minute.",
    ),
    busy: heading(
        "Try again in a moment",
        "The page cannot be shown right now. Nothing is wrong with your domain.",
    ),
};
