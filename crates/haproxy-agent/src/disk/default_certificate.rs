//! A certificate for a bind that needs one even if no name matches: made once, trusted by no
//! client.

use std::fs;
use std::time::Duration;

use dps_domain::{Hostname, Timestamp};
use dps_x509::self_signed;
use secrecy::ExposeSecret;

use super::write::{sync_folder, write_synced};
use super::{Disk, DiskError, during};
use crate::random;

/// Under no registry, so that no one can own it.
const NAME: &str = "no-certificate-for-this-name.invalid";
/// No client trusts it, so its end does not matter.
const VALIDITY: Duration = Duration::from_secs(20 * 365 * 86_400);

impl Disk {
    /// Creates `default.pem`, a self-signed certificate with its key, unless it exists. A HAProxy
    /// without `strict-sni` on its bind needs it to start without another certificate, and presents
    /// it for unknown names. An operator may put another there.
    pub(crate) fn ensure_default_certificate(&self, now: Timestamp) -> Result<(), DiskError> {
        let to = self.root.join("default.pem");
        if to.exists() {
            return Ok(());
        }
        let refused = |error: String| during("make", &to)(std::io::Error::other(error));
        let name = Hostname::parse(NAME).map_err(|error| refused(error.to_string()))?;
        let (chain, key) =
            self_signed(&name, now, now + VALIDITY).map_err(|error| refused(error.to_string()))?;
        let key = key.to_pem();
        let text = zeroize::Zeroizing::new(chain.to_pem() + key.expose_secret());
        let from = self.root.join("staging").join(random::name());
        write_synced(&from, text.as_bytes()).map_err(during("write", &from))?;
        fs::rename(&from, &to).map_err(during("replace", &to))?;
        sync_folder(&self.root)
    }
}
