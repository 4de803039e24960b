//! Having a certificate served.

use std::time::Duration;

use dps_agent_api::{Applied, ApplyOutcome, ProblemCode};
use dps_domain::{Hostname, with_causes};
use tokio::time::sleep;

use super::install::{install, serves, uninstall};
use super::{Edge, Refusal};
use crate::disk::{Disk, Held, Staged, StoredCertificate};
use crate::handshake::HandshakeError;
use crate::runtime_api::{Payload, RuntimeError, StoreName};

/// While a reload is under way, the old worker may still take a connection or two.
const HANDSHAKE_ATTEMPTS: u32 = 5;
const HANDSHAKE_PAUSE: Duration = Duration::from_millis(100);

impl Edge {
    /// Stages the certificate on disk, has HAProxy take it, reads it back, proves it by a handshake, publishes it on disk. After a
    /// refusal at any step the one before is still served and on disk.
    pub(super) async fn apply(&mut self, mut stored: StoredCertificate) -> Result<Applied, Refusal> {
        let hostname = stored.hostname.clone();
        let mut wanted = Held::of(&stored.chain, stored.generation);
        let previous = self.shared.view().held.get(&hostname).cloned();
        self.check_order(&hostname, &wanted, previous.as_ref())?;
        self.ensure_known().await?;
        let name = self.disk.store_name(&hostname)?;

        if let Some(previous) = previous
            .as_ref()
            .filter(|previous| previous.is_same_chain(&wanted))
        {
            if self.is_proven(&name, &hostname, previous).await? {
                return self.confirm(stored, previous).await;
            }
            stored.generation = stored.generation.max(previous.generation);
            wanted.generation = stored.generation;
        }
        let payload = Payload::new(&stored.chain, &stored.key);
        let staged = self.on_disk(move |disk| disk.stage(&stored)).await?;
        if let Err(refusal) = self.serve(&name, &hostname, &payload, &wanted).await {
            Disk::discard(&staged);
            self.restore(&name, &hostname, previous.is_some()).await;
            return Err(refusal);
        }
        if let Err(refusal) = self.publish(staged, &hostname, &wanted, previous.as_ref()).await {
            self.restore(&name, &hostname, previous.is_some()).await;
            return Err(refusal);
        }
        self.look_again().await;
        let outcome = if previous.is_some() {
            ApplyOutcome::Replaced
        } else {
            ApplyOutcome::Created
        };
        Ok(applied(hostname, &wanted, outcome))
    }

    fn check_order(
        &self,
        hostname: &Hostname,
        wanted: &Held,
        previous: Option<&Held>,
    ) -> Result<(), Refusal> {
        let Some(previous) = previous else {
            if self.shared.view().held.len() >= self.max_certificates {
                let detail = format!(
                    "{} certificates are held; raise Agent:MaxCertificates",
                    self.max_certificates
                );
                return Err(Refusal::request(
                    ProblemCode::CapacityExhausted,
                    "hostname",
                    detail,
                ));
            }
            return Ok(());
        };
        if previous.is_same_chain(wanted) || wanted.generation > previous.generation {
            return Ok(());
        }
        let (code, held) = (ProblemCode::GenerationStale, previous.generation);
        if wanted.generation < held {
            let detail = format!(
                "generation {held} of {hostname} is held and {} is older",
                wanted.generation
            );
            return Err(Refusal::request(code, "generation", detail));
        }
        let detail =
            format!("generation {held} of {hostname} is held with another certificate; use a higher one");
        Err(Refusal::request(
            ProblemCode::GenerationConflict,
            "generation",
            detail,
        ))
    }

    /// Whether HAProxy has the held certificate and presents it.
    async fn is_proven(&self, name: &StoreName, hostname: &Hostname, held: &Held) -> Result<bool, Refusal> {
        if !serves(self.runtime.inspect(name).await?.as_ref(), held) {
            return Ok(false);
        }
        Ok(self
            .prober
            .presented(hostname)
            .await
            .is_ok_and(|presented| presented == held.fingerprint))
    }

    /// The same certificate again: nothing to do but to remember a higher generation.
    async fn confirm(&self, stored: StoredCertificate, previous: &Held) -> Result<Applied, Refusal> {
        let hostname = stored.hostname.clone();
        let mut held = previous.clone();
        if stored.generation > previous.generation {
            held.generation = stored.generation;
            self.on_disk(move |disk| disk.stage(&stored).and_then(|staged| disk.publish(&staged)))
                .await?;
            self.shared.change().held.insert(hostname.clone(), held.clone());
        }
        Ok(applied(hostname, &held, ApplyOutcome::Unchanged))
    }

    /// HAProxy takes the certificate, says so when asked, and presents it.
    async fn serve(
        &self,
        name: &StoreName,
        hostname: &Hostname,
        payload: &Payload,
        wanted: &Held,
    ) -> Result<(), Refusal> {
        install(&self.runtime, self.disk.list(), name, (hostname, payload)).await?;
        let state = self.runtime.inspect(name).await?;
        if !serves(state.as_ref(), wanted) {
            let detail = format!("after the commit HAProxy shows {state:?} for {hostname}");
            return Err(Refusal::Mismatch { detail });
        }
        let mut last = String::new();
        for attempt in 0..HANDSHAKE_ATTEMPTS {
            if attempt > 0 {
                sleep(HANDSHAKE_PAUSE).await;
            }
            match self.prober.presented(hostname).await {
                Ok(presented) if presented == wanted.fingerprint => return Ok(()),
                Ok(presented) => last = format!("a handshake for {hostname} presents {presented}"),
                Err(error @ HandshakeError::TimedOut { .. }) => {
                    last = error.to_string();
                    break;
                }
                Err(error) => last = with_causes(&error),
            }
        }
        self.metrics.verify_failures.inc();
        Err(Refusal::Mismatch {
            detail: format!(
                "{last}; expected {}; check that Agent:TlsAddress is a bind with our crt-list",
                wanted.fingerprint
            ),
        })
    }

    async fn publish(
        &self,
        staged: Staged,
        hostname: &Hostname,
        wanted: &Held,
        previous: Option<&Held>,
    ) -> Result<(), Refusal> {
        self.on_disk(move |disk| disk.publish(&staged)).await?;
        self.shared.change().held.insert(hostname.clone(), wanted.clone());
        if previous.is_none()
            && let Err(error) = self.write_list().await
        {
            self.shared.change().held.remove(hostname);
            let forgotten = hostname.clone();
            self.on_disk(move |disk| disk.delete(&forgotten)).await.ok();
            return Err(error.into());
        }
        Ok(())
    }

    /// Puts back what was served before, which is what the disk holds. Why is logged with the refusal.
    async fn restore(&mut self, name: &StoreName, hostname: &Hostname, had_previous: bool) {
        let restored = if had_previous {
            self.reinstall(name, hostname).await
        } else {
            uninstall(&self.runtime, self.disk.list(), name)
                .await
                .map_err(Refusal::from)
        };
        if let Err(refusal) = restored {
            tracing::warn!(%hostname, reason = %with_causes(&refusal), "going back failed; the next repair tries again");
            self.doubt();
        }
    }

    /// Has HAProxy serve what the disk holds for a hostname.
    pub(super) async fn reinstall(&self, name: &StoreName, hostname: &Hostname) -> Result<(), Refusal> {
        let wanted = self.shared.view().held.get(hostname).cloned();
        if let Some(held) = wanted.as_ref()
            && serves(self.runtime.inspect(name).await?.as_ref(), held)
        {
            return Ok(());
        }
        let wanted = hostname.clone();
        let stored = self.on_disk(move |disk| disk.read(&wanted)).await?;
        let payload = Payload::new(&stored.chain, &stored.key);
        install(&self.runtime, self.disk.list(), name, (hostname, &payload)).await?;
        Ok(())
    }

    /// If HAProxy was replaced while we worked, it may have read the disk before we published: compare again.
    async fn look_again(&mut self) {
        let same = match self.runtime.process().await {
            Ok(process) => self
                .known
                .as_ref()
                .is_some_and(|known| known.process.is_same(&process)),
            Err(RuntimeError::Locked) => true,
            Err(_) => false,
        };
        if !same {
            self.doubt();
            if let Err(refusal) = self.ensure_known().await {
                tracing::warn!(reason = %with_causes(&refusal), "HAProxy went away during an apply; it is repaired when it is back");
            }
        }
    }
}

fn applied(hostname: Hostname, held: &Held, outcome: ApplyOutcome) -> Applied {
    Applied {
        hostname,
        fingerprint: held.fingerprint.clone(),
        generation: held.generation,
        not_after: held.not_after,
        outcome,
    }
}
