//! The checks that need no running service, for a command.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use dps_application::Service;
use dps_application::ports::metrics::{AcmeMetrics, AcmeResult};
use dps_application::ports::requests::RequestTokens;
use dps_application::ports::store::{StoreError, Taken};
use dps_application::ports::{Clock as _, Edge};
use dps_domain::limits::{Endpoint, Limit};
use dps_domain::{Timestamp, with_causes};
use dps_host::mutual_tls::ClientTls;
use dps_infrastructure::acme::AcmeAuthority;
use futures_util::future::join_all;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::{CabinetAnswers, OurCertificate, StoreAnswers};
use crate::config::Settings;
use crate::http::HealthCheck;
use crate::system::SystemClock;
use crate::wiring;

/// The checks of the store, and of the parties that are called with it.
pub(crate) fn of_command(
    service: &Service,
    agent_tls: Option<&ClientTls>,
) -> Vec<Arc<dyn HealthCheck>> {
    let mut checks: Vec<Arc<dyn HealthCheck>> = vec![
        Arc::new(StoreAnswers(service.clone())),
        Arc::new(CabinetAnswers(service.clone())),
        Arc::new(AgentsAnswer(service.clone())),
    ];
    if let Some(tls) = agent_tls {
        checks.push(Arc::new(OurCertificate(tls.clone(), service.clone())));
    }
    checks
}

/// The checks of the CA. Its one request takes no token.
pub(crate) fn of_ca(settings: &Settings) -> anyhow::Result<Vec<Arc<dyn HealthCheck>>> {
    let clock = Arc::new(ClockDifference::default());
    let ca = AcmeAuthority::paced(
        &wiring::acme_settings(settings)?,
        Arc::new(SystemClock),
        Arc::new(Unlimited),
        Arc::clone(&clock) as _,
    );
    let directory = Directory {
        ca: ca.context("LetsEncrypt:DirectoryUrl cannot be used")?,
        fetched: OnceCell::new(),
        clock,
    };
    let directory = Arc::new(directory);
    Ok(vec![
        Arc::new(CaAnswers(Arc::clone(&directory))),
        Arc::new(ClockIsRight(directory)),
    ])
}

/// The tokens of a process that makes single requests.
struct Unlimited;

#[async_trait]
impl RequestTokens for Unlimited {
    fn limit(&self, _: Endpoint) -> Limit {
        Limit::NONE
    }

    async fn take(&self, _: Endpoint, most: u32) -> Result<Taken, StoreError> {
        let (count, next_at) = (most, SystemClock.now());
        Ok(Taken { count, next_at })
    }

    async fn block(&self, _: Endpoint, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Longest time for the answer of an agent.
const AGENT_TIMEOUT: Duration = Duration::from_secs(2);

/// The agents answer now, and their HAProxy works.
struct AgentsAnswer(Service);

#[async_trait]
impl HealthCheck for AgentsAnswer {
    fn name(&self) -> &'static str {
        "agents"
    }

    fn is_required(&self) -> bool {
        false
    }

    async fn check(&self) -> Result<(), String> {
        let members = self.0.fleet.members();
        if members.is_empty() {
            return Err("no edge is configured or found".into());
        }
        let problem = async |edge: &Arc<dyn Edge>| match timeout(AGENT_TIMEOUT, edge.check()).await
        {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(with_causes(&error)),
            Err(_) => Some(format!(
                "{}: no answer within {} s",
                edge.name(),
                AGENT_TIMEOUT.as_secs()
            )),
        };
        let problems = join_all(members.iter().map(problem)).await;
        let problems: Vec<String> = problems.into_iter().flatten().collect();
        if problems.is_empty() {
            return Ok(());
        }
        let (count, all) = (problems.len(), members.len());
        Err(format!("{count} of {all} edges: {}", problems.join("; ")))
    }
}

/// The directory of the CA, which is fetched once.
struct Directory {
    ca: AcmeAuthority,
    fetched: OnceCell<Result<(), String>>,
    clock: Arc<ClockDifference>,
}

impl Directory {
    async fn fetched(&self) -> Result<(), String> {
        let fetch = async || {
            let fetched = self.ca.fetch_directory().await;
            fetched.map_err(|error| with_causes(&error))
        };
        self.fetched.get_or_init(fetch).await.clone()
    }
}

/// How far our clock was ahead of the CA's; `None` before an answer with a time.
#[derive(Debug, Default)]
struct ClockDifference(Mutex<Option<f64>>);

impl AcmeMetrics for ClockDifference {
    fn acme_request(&self, _: Endpoint, _: AcmeResult, _: Duration) {}

    fn ca_clock(&self, ahead_seconds: f64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead_seconds);
    }
}

/// The CA answers a request for its directory.
struct CaAnswers(Arc<Directory>);

#[async_trait]
impl HealthCheck for CaAnswers {
    fn name(&self) -> &'static str {
        "ca"
    }

    fn is_required(&self) -> bool {
        false
    }

    async fn check(&self) -> Result<(), String> {
        self.0.fetched().await
    }
}

/// A difference of clocks that is reported, as by the alert `DpsClockOff`.
const CLOCK_OFF_SECONDS: f64 = 30.0;

/// Our clock agrees with the `Date` of the CA's answer (RFC 9110 §6.6.1).
struct ClockIsRight(Arc<Directory>);

#[async_trait]
impl HealthCheck for ClockIsRight {
    fn name(&self) -> &'static str {
        "clock"
    }

    fn is_required(&self) -> bool {
        false
    }

    async fn check(&self) -> Result<(), String> {
        // The check of the CA says why there is no answer.
        let fetched = self.0.fetched().await.is_ok();
        let difference = *self
            .0
            .clock
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match difference {
            Some(ahead) => clock_is_right(ahead),
            None if fetched => Err("the CA's answer has no time".to_owned()),
            None => Err("the CA did not answer, so nothing is known of this clock".to_owned()),
        }
    }
}

fn clock_is_right(ahead: f64) -> Result<(), String> {
    if ahead.abs() <= CLOCK_OFF_SECONDS {
        return Ok(());
    }
    let side = if ahead > 0.0 { "ahead of" } else { "behind" };
    Err(format!(
        "the clock of this machine is {:.0} s {side} the CA's",
        ahead.abs()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_by_more_than_half_a_minute_is_named_with_its_side() {
        for right in [0.0, 30.0, -30.0] {
            assert_eq!(clock_is_right(right), Ok(()));
        }
        let said = |ahead| clock_is_right(ahead).unwrap_err();
        assert_eq!(
            said(95.0),
            "the clock of this machine is 95 s ahead of the CA's"
        );
        assert_eq!(
            said(-31.2),
            "the clock of this machine is 31 s behind the CA's"
        );
    }
}
