//! The pauses of issuance.

use dps_admin_api::{Issuance as Document, Pause as PauseDocument, PauseScopeName};
use dps_application::operator::pauses::{self, IssuanceStatus};
use dps_application::ports::CertificateStore;
use dps_application::ports::store::StoreError;
use dps_domain::pause::{Pause, PauseScope};
use dps_domain::{Hostname, Timestamp};

/// The state of issuance, as programs read it.
pub async fn status(store: &dyn CertificateStore, now: Timestamp) -> Result<Document, StoreError> {
    let IssuanceStatus { pauses, waiting } = pauses::status(store, now).await?;
    Ok(Document {
        pauses: pauses.into_iter().map(wire).collect(),
        first: waiting.first,
        renewals: waiting.renewals,
        urgent: waiting.urgent,
        ended: waiting.ended,
        soonest_end: waiting.soonest_end,
    })
}

/// The pause, as programs read it.
pub fn wire(pause: Pause) -> PauseDocument {
    let (scope, subject) = wire_scope(&pause.scope);
    PauseDocument {
        scope,
        subject,
        since: pause.since,
        who: pause.who,
        reason: pause.reason,
    }
}

/// The scope of a pause, as programs read it.
pub fn wire_scope(scope: &PauseScope) -> (PauseScopeName, Option<String>) {
    match scope {
        PauseScope::All => (PauseScopeName::All, None),
        PauseScope::Tenant(tenant) => (PauseScopeName::Tenant, Some(tenant.clone())),
        PauseScope::Domain(hostname) => (PauseScopeName::Domain, Some(hostname.to_string())),
    }
}

/// The pause of a document; `None` if its subject is missing or no hostname.
pub fn read(pause: PauseDocument) -> Option<Pause> {
    let scope = match (pause.scope, pause.subject) {
        (PauseScopeName::All, _) => PauseScope::All,
        (PauseScopeName::Tenant, subject) => PauseScope::Tenant(subject?),
        (PauseScopeName::Domain, subject) => PauseScope::Domain(Hostname::parse(&subject?).ok()?),
    };
    Some(Pause {
        scope,
        since: pause.since,
        who: pause.who,
        reason: pause.reason,
    })
}
