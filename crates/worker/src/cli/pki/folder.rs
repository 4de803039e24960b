//! The folder on disk. Directories have mode 0700 and files 0600. The authority and each machine's
//! folder are there as a whole or not at all, whenever the process is killed.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use dps_domain::Timestamp;
use dps_file_lock::FileLock;
use dps_x509::{
    CertificateChain, CertificateKey, PeerName, PrivateAuthority, create_private_file, peer_names,
};
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

const CA: &str = "ca.pem";
const CA_KEY: &str = "ca.key";
/// The certificate of a new authority until its key is there.
const CA_UNFINISHED: &str = ".ca.pem.new";
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";

pub(super) struct Folder {
    path: PathBuf,
    /// Held while the folder is in use: another process waits.
    _lock: FileLock,
}

impl Folder {
    pub(super) fn make(path: &Path) -> anyhow::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("cannot create {}", path.display()))?;
        Self::open(path)
    }

    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        ensure!(path.is_dir(), "{} is not a folder", path.display());
        let lock = fs::File::open(path)
            .and_then(FileLock::wait)
            .with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// The authority, if there is one.
    pub(super) fn authority(&self) -> anyhow::Result<Option<PrivateAuthority>> {
        self.finish_authority()?;
        let (certificate, key) = (self.path.join(CA), self.path.join(CA_KEY));
        match (certificate.exists(), key.exists()) {
            (false, false) => Ok(None),
            (true, true) => {
                let chain = read_chain(&certificate)?;
                let text = Zeroizing::new(read(&key)?);
                let key = CertificateKey::from_pem(&text)
                    .with_context(|| format!("{} cannot be used", key.display()))?;
                let authority = PrivateAuthority::open(chain, key).with_context(|| {
                    format!("the authority in {} cannot be used", self.path.display())
                })?;
                Ok(Some(authority))
            }
            (true, false) => bail!("{} is missing beside {CA}", key.display()),
            (false, true) => bail!("{} is missing beside {CA_KEY}", certificate.display()),
        }
    }

    /// Keeps a new authority.
    pub(super) fn keep_authority(&self, authority: &PrivateAuthority) -> anyhow::Result<()> {
        let unfinished = self.path.join(CA_UNFINISHED);
        // A process that was killed here left a certificate without a key: it is of no use.
        remove_leftover(&unfinished)?;
        write_new(&unfinished, &authority.chain().to_pem())?;
        write_new(
            &self.path.join(CA_KEY),
            authority.key().to_pem().expose_secret(),
        )?;
        // A process that is killed here has everything: the next one finishes.
        self.finish_authority()
    }

    /// Gives the certificate of a new authority its name, once its key is there.
    fn finish_authority(&self) -> anyhow::Result<()> {
        let (certificate, unfinished) = (self.path.join(CA), self.path.join(CA_UNFINISHED));
        if certificate.exists() || !unfinished.exists() || !self.path.join(CA_KEY).exists() {
            return Ok(());
        }
        fs::rename(&unfinished, &certificate)
            .with_context(|| format!("cannot create {}", certificate.display()))?;
        sync(&self.path)
    }

    /// The names of a machine's certificate, if its folder is there.
    pub(super) fn names(&self, machine: &str) -> anyhow::Result<Option<Vec<PeerName>>> {
        self.certificate(machine)
            .map(|chain| chain.map(|chain| peer_names(&chain)))
    }

    /// The end of a machine's certificate.
    pub(super) fn not_after(&self, machine: &str) -> anyhow::Result<Timestamp> {
        let chain = self.certificate(machine)?;
        Ok(chain
            .with_context(|| format!("{machine} no longer exists"))?
            .leaf()
            .not_after)
    }

    /// The machines' folders by name.
    pub(super) fn machines(&self) -> anyhow::Result<Vec<String>> {
        let mut machines = Vec::new();
        for entry in fs::read_dir(&self.path)
            .with_context(|| format!("cannot read {}", self.path.display()))?
        {
            let name = entry?.file_name();
            let Some(name) = name.to_str() else { continue };
            if super::role_of(name).is_some() && self.path.join(name).join(CERTIFICATE).exists() {
                machines.push(name.to_owned());
            }
        }
        machines.sort();
        Ok(machines)
    }

    /// A new machine's folder. It gets its name when it is complete.
    pub(super) fn add(
        &self,
        machine: &str,
        authority: &PrivateAuthority,
        chain: &CertificateChain,
        key: &CertificateKey,
    ) -> anyhow::Result<()> {
        let path = self.path.join(machine);
        ensure!(
            !path.exists(),
            "{} exists but holds no {CERTIFICATE}; move it away",
            path.display()
        );
        let unfinished = tempfile::Builder::new()
            .prefix(".unfinished-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(&self.path)
            .with_context(|| format!("cannot write to {}", self.path.display()))?;
        write_new(&unfinished.path().join(KEY), key.to_pem().expose_secret())?;
        write_new(&unfinished.path().join(CERTIFICATE), &chain.to_pem())?;
        write_new(&unfinished.path().join(CA), &authority.chain().to_pem())?;
        sync(unfinished.path())?;
        fs::rename(unfinished.path(), &path)
            .with_context(|| format!("cannot create {}", path.display()))?;
        sync(&self.path)
    }

    /// Replaces a machine's certificate and key. Killed between the two, it is mended by calling it
    /// again.
    pub(super) fn replace(
        &self,
        machine: &str,
        chain: &CertificateChain,
        key: &CertificateKey,
    ) -> anyhow::Result<()> {
        let path = self.path.join(machine);
        for (name, text) in [
            (KEY, key.to_pem().expose_secret()),
            (CERTIFICATE, &chain.to_pem()),
        ] {
            let next = path.join(format!(".{name}.new"));
            remove_leftover(&next)?;
            write_new(&next, text)?;
            fs::rename(&next, path.join(name))
                .with_context(|| format!("cannot replace {}", path.join(name).display()))?;
        }
        sync(&path)
    }

    fn certificate(&self, machine: &str) -> anyhow::Result<Option<CertificateChain>> {
        let path = self.path.join(machine).join(CERTIFICATE);
        if path.exists() {
            read_chain(&path).map(Some)
        } else {
            Ok(None)
        }
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn read_chain(path: &Path) -> anyhow::Result<CertificateChain> {
    CertificateChain::from_pem(&read(path)?)
        .with_context(|| format!("{} cannot be used", path.display()))
}

fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    create_private_file(path, text.as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))
}

fn remove_leftover(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn sync(folder: &Path) -> anyhow::Result<()> {
    fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .with_context(|| format!("cannot write {} to disk", folder.display()))
}
