//! Documents of a fleet, with a text of choice wherever others write texts.

use std::time::Duration;

use dps_admin_api::{
    Activities, Activity, Cause, Claim, CountGroup, Database, Diagnosis, DiagnosisRow, DnsEvidence,
    Domain, DomainDetail, Domains, EdgeCertificate, EdgeDeployment, Evidence, Explanation, Fleet,
    Freeze, HistoryLine, Issuance, Job, JobPreview, Jobs, Key, KnownOrder, Limit, NextStep, Pause,
    PauseScopeName, ProbeEvidence, Queue, Readiness, ReadinessCheck, Removals, Renewal,
    ReplicaState, RunningLease, StatusCount, System, Task, Tenant, TenantDetail, Tenants,
    TouchedLimit, WantedCertificate,
};
use dps_dashboard::{
    ActivityView, Causes, DiagnosisView, DomainView, DomainsView, EdgeRow, EdgeState, EdgesView,
    EndingDay, Facet, FilterFields, Headroom, Hour, IssuanceNotice, IssuanceView, JobFields,
    JobFormView, JobView, JobsView, Language, LiftFields, LimitsView, Notice, OrdersAhead,
    Overview, Page, ProblemView, Renewals, ScopeFields, Section, SignIn, StateRow, Surveyed,
    SystemView, TenantView, TenantsView, Theme, TimeToActive, User,
};
use dps_domain::diagnosis::{CheckStatus, Severity};
use dps_domain::explain::{Responsible, SeenAt};
use dps_domain::renewal::info::SuggestedWindow;
use dps_domain::{
    Actor, CertificateId, DomainId, EventKind, Failure, FailureCode, Hostname, Status, Timestamp,
};
use serde_json::json;
use uuid::Uuid;

pub(crate) const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

pub(crate) fn seconds_ago(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(NOW.unix_seconds() - seconds)
}

/// The frame of a page. `text` is the name of the person and a part of the address.
pub(crate) fn frame(language: Language, text: &str) -> Page {
    Page {
        language,
        theme: Theme::Dark,
        now: NOW,
        here: format!("/domains?q={text}"),
        section: Section::Overview,
        user: Some(User {
            name: text.to_owned(),
            role: "Admin",
            is_operator: true,
            is_admin: true,
        }),
    }
}

pub(crate) fn fleet() -> Fleet {
    let status = |status| StatusCount {
        status,
        domains: 12_345,
        change: Some(-7),
    };
    let cause = |code: FailureCode, actor| Cause {
        code: code.as_str().into(),
        actor,
        domains: 40,
        served: 2,
        change: Some(3),
    };
    Fleet {
        counted_at: seconds_ago(30),
        compared_with: Some(seconds_ago(86_400)),
        domains: 1_000_000,
        statuses: Status::ALL.map(status).into(),
        causes: vec![
            cause(FailureCode::DnsNxdomain, Actor::Customer),
            cause(FailureCode::EdgeRejected, Actor::Operator),
            cause(FailureCode::AcmeRateLimited, Actor::Nobody),
        ],
        expiring: 10_000,
    }
}

pub(crate) fn calm_fleet() -> Fleet {
    Fleet {
        causes: vec![],
        expiring: 0,
        ..fleet()
    }
}

pub(crate) fn limit(text: &str) -> Limit {
    Limit {
        limit: "RegisteredDomain".to_owned(),
        name: Some(text.to_owned()),
        left: Some(0),
        next_at: seconds_ago(-600),
        blocked_until: Some(seconds_ago(-7_200)),
    }
}

pub(crate) fn pause(scope: PauseScopeName, text: &str) -> Pause {
    Pause {
        scope,
        subject: (scope != PauseScopeName::All).then(|| text.to_owned()),
        since: seconds_ago(600),
        who: text.to_owned(),
        reason: Some(text.to_owned()),
    }
}

pub(crate) fn issuance(language: Language, text: &str) -> IssuanceView {
    let scopes = [
        PauseScopeName::All,
        PauseScopeName::Tenant,
        PauseScopeName::Domain,
    ];
    let fields = ScopeFields {
        scope: text.to_owned(),
        subject: text.to_owned(),
    };
    IssuanceView {
        page: frame(language, text),
        issuance: Issuance {
            pauses: scopes.map(|scope| pause(scope, text)).into(),
            first: 10,
            renewals: 20_000,
            urgent: 3,
            ended: 1,
            soonest_end: Some(seconds_ago(-9_000)),
        },
        removals: Removals {
            removed_today: 1_234,
            brake_percent: 5,
            approved_until: None,
        },
        wanted: fields.clone(),
        problem: Some(("subject".to_owned(), text.to_owned())),
        notice: Some(IssuanceNotice::ResumedInPart(fields)),
    }
}

fn job_fields(text: &str) -> JobFields {
    JobFields {
        filter: FilterFields {
            q: text.to_owned(),
            tenant: text.to_owned(),
            ..FilterFields::default()
        },
        action: "revoke".to_owned(),
        revocation_reason: text.to_owned(),
        pace_per_hour: text.to_owned(),
        limit: text.to_owned(),
    }
}

pub(crate) fn job_form(language: Language, text: &str) -> JobFormView {
    JobFormView {
        page: frame(language, text),
        fields: job_fields(text),
        preview: Some(JobPreview {
            action: "revoke:superseded".to_owned(),
            filter: text.to_owned(),
            statuses: [("Active".to_owned(), 400), (text.to_owned(), 12)].into(),
            domains: 412,
            sample: vec![text.to_owned(), "b.test".to_owned()],
            certificates: [(text.to_owned(), text.to_owned())].into(),
            takes_seconds: 7_200,
        }),
        problem: Some(("limit".to_owned(), text.to_owned())),
        refusal: Some(text.to_owned()),
    }
}

pub(crate) fn a_job(text: &str) -> Job {
    Job {
        id: text.to_owned(),
        action: "renew".to_owned(),
        filter: text.to_owned(),
        state: "running".to_owned(),
        who: text.to_owned(),
        reason: Some(text.to_owned()),
        pace_per_hour: Some(500),
        limit: Some(412),
        expected: 412,
        acted: 100,
        refused: 7,
        created_at: seconds_ago(900),
        due_at: Some(seconds_ago(-5)),
        ended_at: None,
    }
}

pub(crate) fn jobs(language: Language, text: &str) -> JobsView {
    JobsView {
        page: frame(language, text),
        jobs: Some(Jobs {
            items: vec![a_job(text)],
            next: Some(text.to_owned()),
        }),
        is_first: false,
    }
}

pub(crate) fn job(language: Language, text: &str) -> JobView {
    JobView {
        page: frame(language, text),
        job: a_job(text),
        fields: job_fields(text),
    }
}

pub(crate) fn overview(language: Language, text: &str) -> Overview {
    let edge = |state| EdgeState {
        name: text.to_owned(),
        state,
    };
    let hour = |hour: i64| Hour {
        at: seconds_ago((50 - hour) * 3_600),
        active: 900 + hour.unsigned_abs(),
        pending: 40,
        failed: 3,
    };
    Overview {
        page: frame(language, text),
        fleet: fleet(),
        expiring_is_least: true,
        pause: Some(pause(PauseScopeName::Tenant, text)),
        has_more_pauses: true,
        edges: [
            "answers",
            "silent",
            "on probation",
            "waits for approval",
            "no longer configured",
        ]
        .map(edge)
        .into(),
        limits: vec![Headroom {
            limit: limit(text),
            capacity: 300,
        }],
        hours: (0..=50).map(hour).collect(),
        time_to_active: Some(TimeToActive {
            at: seconds_ago(100),
            domains: 1_200,
            half: Duration::from_secs(45),
            nearly_all: Duration::from_secs(7_300),
        }),
        orders: OrdersAhead {
            waiting: 10_000,
            is_least: true,
            last_at: Some(seconds_ago(-90_000)),
        },
        queues: vec![queue("urgent"), queue("verification")],
        replicas: vec![replica(true, text), replica(false, text)],
    }
}

pub(crate) fn sign_in(language: Language, text: &str) -> SignIn {
    SignIn {
        page: Page {
            user: None,
            ..frame(language, text)
        },
        next: text.to_owned(),
        is_refused: true,
        is_ended: true,
    }
}

pub(crate) fn problem(language: Language, text: &str) -> ProblemView {
    ProblemView {
        page: frame(language, text),
        status: 503,
        detail: text.to_owned(),
    }
}

pub(crate) fn domain(text: &str) -> Domain {
    let failure = Failure::DnsWrongTarget {
        chain: vec![text.to_owned()],
        addresses: vec![],
        more: 0,
    };
    Domain {
        id: DomainId::from_uuid(Uuid::from_u128(7)),
        tenant_id: text.to_owned(),
        hostname: Hostname::parse("shop.example.com").unwrap(),
        cname_target: Hostname::parse("customers.platform.example").unwrap(),
        status: Status::Active,
        status_since: Some(seconds_ago(90_000)),
        phase: "live".into(),
        attempt: 3,
        next_attempt_at: Some(seconds_ago(-90)),
        ownership: text.to_owned(),
        code: Some(failure.code()),
        actor: Some(failure.actor()),
        last_failure: Some(failure),
        message: Some(text.to_owned()),
        renewal: Some(Renewal {
            not_after: seconds_ago(-900_000),
            renew_at: Some(seconds_ago(-300_000)),
            frozen_until: Some(seconds_ago(-200_000)),
            window: SuggestedWindow::new(seconds_ago(-300_000), seconds_ago(-400_000)).ok(),
            explanation_url: Some(format!("https://ca.test/{text}")),
            poll_at: None,
        }),
        certificate_ends_at: None,
        created_at: seconds_ago(9_000_000),
        updated_at: seconds_ago(9_000),
    }
}

pub(crate) fn detail(text: &str) -> DomainDetail {
    let domain = domain(text);
    DomainDetail {
        safest_caa_record: Some(text.to_owned()),
        edges: vec![EdgeDeployment {
            edge: text.to_owned(),
            is_configured: false,
            is_current: true,
            certificate_id: CertificateId::from_uuid(Uuid::from_u128(9)),
            generation: 4,
            deployed_at: seconds_ago(8_000),
        }],
        other_claims: vec![Claim {
            id: domain.id,
            tenant_id: text.to_owned(),
            status: Status::Failed,
            ownership: text.to_owned(),
        }],
        events: vec![HistoryLine {
            at: seconds_ago(5_000),
            kind: EventKind::DnsReady,
            phase: text.to_owned(),
            detail: json!({ "reason": text }),
            duration_ms: Some(1_234),
            replica: text.to_owned(),
        }],
        domain,
    }
}

pub(crate) fn explanation(text: &str) -> Explanation {
    let domain = domain(text);
    Explanation {
        hostname: domain.hostname,
        id: domain.id,
        tenant_id: text.to_owned(),
        explained_at: NOW,
        status: domain.status,
        status_since: domain.status_since,
        phase: domain.phase.clone(),
        freeze: None,
        summary: text.to_owned(),
        responsible: Responsible::Ca,
        code: domain.code,
        message: domain.message,
        remedy: Some(text.to_owned()),
        next: NextStep {
            action: "check_dns".into(),
            summary: text.to_owned(),
            at: Some(seconds_ago(-40)),
        },
        evidence: Evidence {
            dns_at: Some(seconds_ago(50)),
            dns: vec![DnsEvidence {
                server: text.to_owned(),
                kind: SeenAt::Authoritative,
                chain: vec![text.to_owned()],
                answer: text.to_owned(),
            }],
            probes_at: Some(seconds_ago(50)),
            probes: vec![ProbeEvidence {
                address: text.to_owned(),
                answer: text.to_owned(),
            }],
            ca_at: Some(seconds_ago(50)),
            ca_words: Some(text.to_owned()),
        },
        limits: vec![TouchedLimit {
            limit: text.to_owned(),
            name: Some(text.to_owned()),
            left: Some(0),
            until: Some(seconds_ago(-70)),
        }],
        lease: Some(RunningLease {
            until: seconds_ago(-80),
            holder: Some(text.to_owned()),
            last_replica: Some(text.to_owned()),
        }),
        orders: vec![KnownOrder {
            url: text.to_owned(),
            is_open: true,
            placed_at: seconds_ago(500),
        }],
        certificate: Some(WantedCertificate {
            id: CertificateId::from_uuid(Uuid::from_u128(9)),
            fingerprint: text.to_owned(),
            not_after: seconds_ago(-900_000),
            renew_at: None,
        }),
        edges: vec![EdgeCertificate {
            edge: text.to_owned(),
            state: "answers".to_owned(),
            presented: Some(text.to_owned()),
            since: Some(seconds_ago(8_000)),
            is_wanted: false,
        }],
    }
}

pub(crate) fn domains(language: Language, text: &str) -> DomainsView {
    let facet = |status| Facet {
        status,
        domains: Some(1_000),
    };
    DomainsView {
        page: frame(language, text),
        filter: FilterFields {
            q: text.to_owned(),
            tenant: text.to_owned(),
            edge: text.to_owned(),
            ..FilterFields::default()
        },
        facets: vec![facet(None), facet(Some(Status::Failed))],
        domains: Some(Domains {
            items: vec![domain(text)],
            next: Some(text.to_owned()),
        }),
        problem: Some(("tenant".to_owned(), text.to_owned())),
        is_first: false,
        edges: vec![text.to_owned()],
    }
}

pub(crate) fn domain_view(language: Language, text: &str) -> DomainView {
    DomainView {
        page: frame(language, text),
        detail: detail(text),
        explanation: explanation(text),
        notice: Some(Notice::Retried),
    }
}

pub(crate) fn causes(language: Language, text: &str) -> Causes {
    Causes {
        page: frame(language, text),
        fleet: fleet(),
    }
}

pub(crate) fn renewals(language: Language, text: &str) -> Renewals {
    Renewals {
        page: frame(language, text),
        ending: vec![EndingDay {
            within: "7d",
            domains: 10_000,
            is_least: true,
        }],
        soonest: Domains {
            items: vec![domain(text)],
            next: Some(text.to_owned()),
        },
        survey: Some(Surveyed {
            at: seconds_ago(600),
            renewing: 12,
            ahead: (0..31).map(|day| day * day).collect(),
            fresh: 999,
            stale: 1,
            overdue: 1,
            late: 2,
            late_for_customers: 3,
            late_paused: 4,
        }),
        urgent: queue("urgent"),
    }
}

fn queue(lane: &'static str) -> Queue {
    Queue {
        lane: lane.into(),
        domains: 10_000,
        next_due_at: Some(seconds_ago(-90)),
    }
}

fn replica(is_alive: bool, text: &str) -> ReplicaState {
    ReplicaState {
        name: text.to_owned(),
        version: text.to_owned(),
        roles: vec![text.to_owned()],
        started_at: seconds_ago(9_000),
        seen_at: seconds_ago(60),
        is_alive,
    }
}

pub(crate) fn tenant(language: Language, text: &str) -> TenantView {
    let state = |status, code, actor| StateRow {
        status,
        code,
        actor,
        domains: 9_000,
    };
    let Some(Tenants { mut items, .. }) = tenants(language, text).tenants else {
        panic!("the sample has tenants");
    };
    TenantView {
        page: frame(language, text),
        tenant: TenantDetail {
            tenant: items.remove(0),
            pauses: vec![pause(PauseScopeName::Tenant, text)],
            limits: vec![limit(text)],
        },
        states: vec![
            state(Status::Active, None, None),
            state(
                Status::Failed,
                Some(FailureCode::CaaForbids),
                Some(Actor::Customer),
            ),
        ],
        domains: Domains {
            items: vec![domain(text)],
            next: None,
        },
    }
}

pub(crate) fn limits(language: Language, text: &str) -> LimitsView {
    LimitsView {
        page: frame(language, text),
        directory_url: text.to_owned(),
        of_account: vec![Headroom {
            limit: limit(text),
            capacity: 300,
        }],
        of_names: vec![limit(text)],
        next: Some(text.to_owned()),
        is_lifted: true,
        lifted_in_part: Some(LiftFields {
            limit: text.to_owned(),
            name: text.to_owned(),
        }),
    }
}

pub(crate) fn edges(language: Language, text: &str) -> EdgesView {
    EdgesView {
        page: frame(language, text),
        edges: vec![EdgeRow {
            name: text.to_owned(),
            state: "waits for approval",
            unreachable_since: Some(seconds_ago(60)),
            problem: Some(text.to_owned()),
            expected: Some(1_000_000),
            refused: Some(1),
            unknown: None,
            compared_at: Some(seconds_ago(100)),
        }],
        is_approved: true,
        is_compared: true,
    }
}

pub(crate) fn tenants(language: Language, text: &str) -> TenantsView {
    let group = |status: &str| CountGroup {
        key: Some(status.to_owned()),
        domains: 9_000,
    };
    TenantsView {
        page: frame(language, text),
        tenants: Some(Tenants {
            items: vec![Tenant {
                tenant_id: text.to_owned(),
                domains: 10_000,
                is_complete: false,
                statuses: vec![group("Active"), group("Failed"), group(text)],
                limited: 1,
                paused: 2,
                contested: 3_000,
            }],
            next: Some(text.to_owned()),
        }),
        is_first: false,
    }
}

pub(crate) fn system(language: Language, text: &str) -> SystemView {
    let check = |is_ok, is_required| ReadinessCheck {
        name: text.to_owned(),
        is_ok,
        is_required,
        detail: Some(text.to_owned()),
    };
    let replica = |is_alive| ReplicaState {
        name: text.to_owned(),
        version: text.to_owned(),
        roles: vec![text.to_owned(), "admin".to_owned()],
        is_alive,
        started_at: seconds_ago(4_000),
        seen_at: seconds_ago(20),
    };
    let task = |is_running| Task {
        name: text.to_owned(),
        is_running,
        due_at: Some(seconds_ago(-60)),
        ran_at: (!is_running).then(|| seconds_ago(60)),
    };
    SystemView {
        page: frame(language, text),
        system: System {
            at: NOW,
            replica: text.to_owned(),
            version: "1.2.3".into(),
            readiness: Readiness {
                status: "ready".to_owned(),
                checks: vec![check(true, true), check(false, true), check(false, false)],
            },
            replicas: vec![replica(true), replica(false)],
            database: Database {
                kind: "PostgreSQL".into(),
                migration: 40,
            },
            tasks: vec![task(true), task(false)],
            queues: vec![Queue {
                lane: "verification".into(),
                domains: 10_000,
                next_due_at: Some(seconds_ago(5)),
            }],
            reports: 7,
            keys: vec![Key {
                id: text.to_owned(),
                is_current: true,
            }],
            freeze: Some(Freeze {
                from: seconds_ago(100_000),
                until: seconds_ago(-200_000),
                reason: Some(text.to_owned()),
            }),
            secrets_under_old_keys: None,
        },
    }
}

pub(crate) fn activity(language: Language, text: &str) -> ActivityView {
    let action = |scope: &str| Activity {
        id: text.to_owned(),
        at: seconds_ago(300),
        who: text.to_owned(),
        source: "api".to_owned(),
        role: Some(text.to_owned()),
        action: text.to_owned(),
        scope: scope.to_owned(),
        subject: Some(text.to_owned()),
        reason: Some(text.to_owned()),
        before: Some(text.to_owned()),
        after: Some(text.to_owned()),
        count: Some(4_000),
    };
    ActivityView {
        page: frame(language, text),
        activities: Some(Activities {
            items: ["domain", "tenant", "edge", "filter"].map(action).into(),
            next: Some(text.to_owned()),
        }),
        is_first: false,
    }
}

pub(crate) fn diagnosis(language: Language, text: &str) -> DiagnosisView {
    let row = |status| DiagnosisRow {
        id: "dns".into(),
        subject: Some(text.to_owned()),
        status,
        severity: Severity::Error,
        code: Some(FailureCode::DnsNxdomain),
        message: text.to_owned(),
        details: json!({ "answer": text }),
        took_ms: 1_500,
        remedy: Some(text.to_owned()),
    };
    let statuses = [
        CheckStatus::Failed,
        CheckStatus::Unfinished,
        CheckStatus::Skipped,
        CheckStatus::Ok,
    ];
    DiagnosisView {
        page: frame(language, text),
        diagnosis: Diagnosis {
            hostname: domain(text).hostname,
            id: Some(domain(text).id),
            diagnosed_at: NOW,
            took_ms: 700,
            rows: statuses.map(row).into(),
        },
    }
}
