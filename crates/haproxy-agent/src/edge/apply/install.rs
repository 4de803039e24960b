//! Having HAProxy take the certificates of a burst.

use std::sync::Arc;

use tracing::Instrument as _;

use super::super::install::{self, Certificate, Proofs, serves};
use super::super::{Edge, Refusal, job_span};
use super::item::{Item, Need, open};
use crate::crash_point::{self, Effect};
use crate::runtime_api::{Installation, RuntimeError, StoreState};

impl Edge {
    /// HAProxy takes the certificates, lists them, and presents them.
    pub(super) async fn install(&self, items: &mut [Item]) {
        let places = open(items, &[Need::Install]);
        if places.is_empty() {
            return;
        }
        crash_point::before(Effect::CertificateInstall);
        let mut proofs = Proofs::new(self.prober.clone(), install::ATTEMPTS);
        match self.install_piped(items, &places, &mut proofs).await {
            Ok(left) => {
                for index in left {
                    self.install_alone(index, &mut items[index], &mut proofs)
                        .await;
                }
            }
            Err(error) => {
                let refusal = Arc::new(Refusal::from(error));
                for index in places {
                    if items[index].is_open() && !proofs.has(index) {
                        items[index].fail(Arc::clone(&refusal));
                    }
                }
            }
        }
        crash_point::after(Effect::CertificateInstall);
        crash_point::before(Effect::CertificateProve);
        for (index, proof) in proofs.finish().await {
            if let Err(detail) = proof {
                self.metrics.verify_failures.inc();
                items[index].fail(Refusal::Mismatch { detail });
            }
        }
        crash_point::after(Effect::CertificateProve);
    }

    /// Sends all of them over one connection, and begins to prove each as soon as HAProxy says that
    /// it has it. Gives those that met another client's work on HAProxy's certificates and need
    /// another attempt.
    async fn install_piped(
        &self,
        items: &mut [Item],
        places: &[usize],
        proofs: &mut Proofs,
    ) -> Result<Vec<usize>, RuntimeError> {
        let candidates: Vec<_> = places
            .iter()
            .map(|index| Arc::clone(&items[*index].candidate))
            .collect();
        let names: Vec<_> = candidates
            .iter()
            .map(|candidate| candidate.name().clone())
            .collect();
        let states = self.runtime.inspect_all(&names).await?;
        let installations: Vec<_> = candidates
            .iter()
            .zip(&states)
            .map(|(candidate, state)| Installation {
                name: candidate.name(),
                payload: &candidate.payload,
                sni: candidate.hostname(),
                is_new: state.is_none(),
                is_listed: install::is_served(state.as_ref()),
            })
            .collect();
        let mut left = Vec::new();
        for index in places {
            items[*index].is_touched = true;
        }
        let seen = |nth: usize, result: Result<Option<StoreState>, RuntimeError>| {
            let index = places[nth];
            match result {
                Ok(state) => begin_proof(index, &mut items[index], state.as_ref(), proofs),
                Err(RuntimeError::Locked | RuntimeError::ForeignTransaction { .. }) => {
                    left.push(index);
                }
                Err(error) => items[index].fail(Refusal::from(error)),
            }
        };
        let list = self.disk.list();
        self.runtime.install_all(list, &installations, seen).await?;
        Ok(left)
    }

    /// The same with an answer awaited to every command, and with timeout for others.
    async fn install_alone(&self, index: usize, item: &mut Item, proofs: &mut Proofs) {
        let candidate = Arc::clone(&item.candidate);
        let certificate = Certificate {
            name: candidate.name(),
            hostname: candidate.hostname(),
            payload: &candidate.payload,
        };
        let installed = async {
            let list = self.disk.list();
            install::install(&self.runtime, list, certificate).await?;
            self.runtime.inspect(certificate.name).await
        };
        let state = installed.instrument(job_span(certificate.hostname)).await;
        match state {
            Ok(state) => begin_proof(index, item, state.as_ref(), proofs),
            Err(error) => item.fail(Refusal::from(error)),
        }
    }
}

fn begin_proof(index: usize, item: &mut Item, state: Option<&StoreState>, proofs: &mut Proofs) {
    if serves(state, &item.candidate.wanted) {
        proofs.begin(index, &item.candidate);
    } else {
        let hostname = item.candidate.hostname();
        let detail = format!("after the commit HAProxy shows {state:?} for {hostname}");
        item.fail(Refusal::Mismatch { detail });
    }
}
