//! The call that diagnoses a domain, and how often it may be made.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::{Extension, Json};
use dps_admin_api::Diagnosis;
use dps_application::Service;
use dps_application::operator::diagnose;
use dps_domain::Hostname;
use tokio::time::Instant;

use super::App;
use super::auth::Caller;
use super::explain::unknown;
use super::params::PathHost;
use super::problem::{DiagnoseRefusals, Refusal};
use crate::documents::diagnosis;

/// Diagnoses of this process within [`PERIOD`].
const MOST: usize = 5;
/// The time over which they are counted.
const PERIOD: Duration = Duration::from_secs(60);

/// Diagnoses domains, each at most once at a time.
pub(super) struct Diagnoser {
    service: Service,
    turns: Mutex<Turns>,
}

/// The diagnoses that began lately, and those under way.
#[derive(Debug, Default)]
struct Turns {
    began: VecDeque<Instant>,
    under_way: BTreeSet<Hostname>,
}

/// Why a diagnosis does not begin.
#[derive(Debug, PartialEq, Eq)]
enum Denied {
    /// The domain is being diagnosed.
    UnderWay,
    /// There were too many lately. The next one may begin after this time.
    TooMany(Duration),
}

impl Turns {
    fn begin(&mut self, host: &Hostname, now: Instant) -> Result<(), Denied> {
        if self.under_way.contains(host) {
            return Err(Denied::UnderWay);
        }
        let is_over = |began: &Instant| now.saturating_duration_since(*began) >= PERIOD;
        while self.began.front().is_some_and(is_over) {
            self.began.pop_front();
        }
        if let (true, Some(first)) = (self.began.len() >= MOST, self.began.front()) {
            let passed = now.saturating_duration_since(*first);
            return Err(Denied::TooMany(PERIOD.saturating_sub(passed)));
        }
        self.began.push_back(now);
        self.under_way.insert(host.clone());
        Ok(())
    }
}

/// The end of a turn, also if its caller is gone.
struct Turn<'a> {
    diagnoser: &'a Diagnoser,
    host: &'a Hostname,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.diagnoser.lock().under_way.remove(self.host);
    }
}

impl Diagnoser {
    pub(super) fn new(service: Service) -> Self {
        Self {
            service,
            turns: Mutex::default(),
        }
    }

    /// Diagnoses a domain now.
    pub(super) async fn diagnose(&self, host: &Hostname) -> Result<Diagnosis, Refusal> {
        let began = self.lock().begin(host, Instant::now());
        began.map_err(|denied| match denied {
            Denied::UnderWay => {
                Refusal::conflict(format!("{host} is being diagnosed; wait for the result"))
            }
            Denied::TooMany(wait) => Refusal::too_many(
                format!("this process makes {MOST} diagnoses a minute; try again"),
                wait,
            ),
        })?;
        let _turn = Turn {
            diagnoser: self,
            host,
        };
        let made = diagnose::diagnose(&self.service, host).await?;
        made.map(diagnosis).ok_or_else(|| unknown(host))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Diagnoses a domain now.
///
/// DNS, CAA records, the path to every address, account and limits of the CA, and every edge are
/// checked. Nothing is ordered, and nothing of the domain is written. The first row that is not OK
/// is the one to act on. It takes 10 seconds at most. A process makes five diagnoses a minute, and
/// one of a domain at a time.
#[utoipa::path(post, path = "/admin/v1/domains/{host}/diagnose", tag = "operator",
    operation_id = "diagnoseDomain", security(("token" = [])),
    params(("host" = String, Path, description = "The hostname.", example = "shop.example.com")),
    responses((status = 200, description = "The checks.", body = Diagnosis), DiagnoseRefusals))]
pub(super) async fn diagnose_domain(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    PathHost(host): PathHost,
) -> Result<Json<Diagnosis>, Refusal> {
    Ok(Json(diagnosed(&app, &caller, &host).await?))
}

/// Diagnoses a domain, on behalf of a caller of the API or of a page.
pub(super) async fn diagnosed(
    app: &App,
    caller: &Caller,
    host: &Hostname,
) -> Result<Diagnosis, Refusal> {
    let made = app.diagnoser.diagnose(host).await?;
    tracing::info!(domain.hostname = %host, by = %caller.in_history(), "admin.domain_diagnosed");
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_makes_five_a_minute_and_one_of_a_domain_at_a_time() {
        let host = |number: usize| Hostname::parse(&format!("h{number}.example.com")).unwrap();
        let (mut turns, now) = (Turns::default(), Instant::now());
        assert_eq!(turns.begin(&host(0), now), Ok(()));
        assert_eq!(turns.begin(&host(0), now), Err(Denied::UnderWay));
        for number in 1..MOST {
            let later = now + Duration::from_secs(number as u64);
            assert_eq!(turns.begin(&host(number), later), Ok(()));
        }
        let half = now + PERIOD / 2;
        assert_eq!(
            turns.begin(&host(9), half),
            Err(Denied::TooMany(PERIOD / 2))
        );
        turns.under_way.clear();
        assert_eq!(turns.begin(&host(0), now + PERIOD), Ok(()));
        let next = turns.begin(&host(1), now + PERIOD);
        assert_eq!(next, Err(Denied::TooMany(Duration::from_secs(1))));
    }
}
