//! Durations of steps, and of whole onboardings.

use std::time::Duration;

use dps_application::ports::metrics::Milestone;
use dps_domain::decide::Action;
use dps_domain::lane::Lane;
use prometheus_client::registry::Registry;

use super::histogram::{CALLS, Durations, ONBOARDING};

#[derive(Debug, Clone)]
pub(super) struct StepMetrics {
    steps: Durations<2>,
    onboarding: Durations<1>,
}

impl StepMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let of_lane = |lane: Lane| {
            Action::NAMES
                .into_iter()
                .map(move |step| [("lane", lane.as_str()), ("step", step)])
        };
        let metrics = Self {
            steps: Durations::new(&CALLS, Lane::ALL.into_iter().flat_map(of_lane)),
            onboarding: Durations::new(
                &ONBOARDING,
                Milestone::ALL.map(|milestone| [("step", milestone.as_str())]),
            ),
        };
        registry.register(
            "dps_step_duration_seconds",
            "Duration of steps, by the lane that they were leased from and their kind",
            metrics.steps.clone(),
        );
        registry.register(
            "dps_time_to_active_seconds",
            "Time from the intake of a domain until its first issuance reached a step; the last is active",
            metrics.onboarding.clone(),
        );
        metrics
    }

    pub(super) fn step(&self, lane: Lane, action: &Action, took: Duration) {
        let row = Lane::ALL.iter().position(|known| *known == lane);
        let place = row.map(|row| row * Action::NAMES.len() + action.index());
        if let Some(place) = place {
            self.steps.observe(place, took);
        }
    }

    pub(super) fn onboarding(&self, milestone: Milestone, since_intake: Duration) {
        let place = Milestone::ALL.iter().position(|known| *known == milestone);
        if let Some(place) = place {
            self.onboarding.observe(place, since_intake);
        }
    }
}
