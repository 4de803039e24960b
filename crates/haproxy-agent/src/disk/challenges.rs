//! The challenges that are answered, so that an agent which is restarted between the service's
//! acknowledgement and the CA's fetch still answers.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use dps_agent_api::ChallengeToken;
use dps_domain::Timestamp;

use super::{Disk, DiskError, during, write};

/// The longest file: a moment, a space, and the longest key authorization.
const MAX_FILE_BYTES: u64 = 1024;

/// A challenge as it lies on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptChallenge {
    pub(crate) token: ChallengeToken,
    pub(crate) key_authorization: String,
    pub(crate) expires_at: Timestamp,
}

impl Disk {
    /// Writes `challenges/<token>`. It is not synced: it must survive the process, and with the
    /// machine the CA's fetch fails too.
    pub(crate) fn keep_challenge(&self, kept: &KeptChallenge) -> Result<(), DiskError> {
        let line = format!(
            "{} {}\n",
            kept.expires_at.unix_seconds(),
            kept.key_authorization
        );
        write::replace_unsynced(
            &self.root.join("staging"),
            &self.challenge(&kept.token),
            line.as_bytes(),
        )
    }

    /// Deletes the file of a challenge; no error when there is none.
    pub(crate) fn forget_challenge(&self, token: &ChallengeToken) -> Result<(), DiskError> {
        let path = self.challenge(token);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(during("delete", &path)(error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Reads at most `capacity` challenges that are still answered at `now`, for `ttl` at most, and
    /// deletes every other file.
    pub(crate) fn kept_challenges(
        &self,
        capacity: usize,
        ttl: Duration,
        now: Timestamp,
    ) -> Vec<KeptChallenge> {
        let mut kept = Vec::new();
        let Ok(files) = fs::read_dir(self.root.join("challenges")) else {
            return kept;
        };
        for file in files.flatten() {
            let found = file
                .file_name()
                .to_str()
                .and_then(|name| self.read_challenge(name));
            match found {
                // A clock that was set back does not make one last longer.
                Some(mut one) if one.expires_at > now && kept.len() < capacity => {
                    one.expires_at = one.expires_at.min(now + ttl);
                    kept.push(one);
                }
                Some(_) | None => {
                    if let Err(error) = fs::remove_file(file.path()) {
                        tracing::warn!(path = %file.path().display(), %error, "challenge.file_not_deleted");
                    }
                }
            }
        }
        kept
    }

    fn read_challenge(&self, name: &str) -> Option<KeptChallenge> {
        let token = ChallengeToken::parse(name).ok()?;
        let path = self.challenge(&token);
        let about = fs::symlink_metadata(&path).ok()?;
        if !about.is_file() || about.len() > MAX_FILE_BYTES {
            return None;
        }
        let text = fs::read_to_string(path).ok()?;
        let (seconds, key_authorization) = text.strip_suffix('\n')?.split_once(' ')?;
        Some(KeptChallenge {
            token,
            key_authorization: key_authorization.to_owned(),
            expires_at: Timestamp::from_unix_seconds(seconds.parse().ok()?),
        })
    }

    /// A token's alphabet has nothing that means something in a path.
    fn challenge(&self, token: &ChallengeToken) -> PathBuf {
        self.root.join("challenges").join(token.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn challenges_survive_within_their_bounds_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::open(&folder.path().join("state")).unwrap();
        let noon = Timestamp::from_unix_seconds(1_800_000_000);
        let hour = Duration::from_secs(3600);
        let keep = |token: &str, expires_at| {
            let kept = KeptChallenge {
                token: ChallengeToken::parse(token).unwrap(),
                key_authorization: format!("{token}.thumbprint"),
                expires_at,
            };
            disk.keep_challenge(&kept).unwrap();
            kept
        };
        let live = keep("live", noon + hour);
        keep("expired", noon);
        keep("withdrawn", noon + hour);
        disk.forget_challenge(&ChallengeToken::parse("withdrawn").unwrap())
            .unwrap();
        disk.forget_challenge(&ChallengeToken::parse("unknown").unwrap())
            .unwrap();
        let path = |name: &str| folder.path().join("state/challenges").join(name);
        fs::write(path("garbage"), "no moment").unwrap();
        fs::write(path("long"), "1".repeat(5000)).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", path("link")).unwrap();
        let mode = fs::metadata(path("live")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        assert_eq!(
            disk.kept_challenges(10, hour, noon),
            std::slice::from_ref(&live)
        );
        assert_eq!(fs::read_dir(path("")).unwrap().count(), 1);
        let later = disk
            .kept_challenges(10, hour, noon + Duration::from_secs(1))
            .remove(0);
        assert_eq!(later.expires_at, noon + hour);
        // The clock was set back by a day.
        let yesterday = Timestamp::from_unix_seconds(noon.unix_seconds() - 86_400);
        assert_eq!(
            disk.kept_challenges(10, hour, yesterday)
                .remove(0)
                .expires_at,
            yesterday + hour
        );
        keep("second", noon + hour);
        assert_eq!(disk.kept_challenges(1, hour, noon).len(), 1);
        assert_eq!(
            fs::read_dir(path("")).unwrap().count(),
            1,
            "as many as are answered"
        );
    }
}
