//! `dps backup`: a consistent copy of databases and keys, made while the service runs.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use dps_application::rotation;
use dps_database::{ConnectionString, FILE_MODE, Target, copy_sqlite};
use zeroize::Zeroizing;

use crate::config::{KeySource, Settings};
use crate::standalone::API_TOKEN_FILE;
use crate::wiring;

const STORE: &str = "dps.db";
const KEYS: &str = "dps.kek";
const CABINET: &str = "cabinet.db";

/// Makes the folder with the copies in it. Either the folder is whole afterwards, or there is none.
pub async fn backup(settings: &Settings, folder: &Path) -> anyhow::Result<()> {
    let store = store_file(settings)?;
    if folder.symlink_metadata().is_ok() {
        bail!(
            "{} exists already; a backup overwrites nothing, name a new folder",
            folder.display()
        );
    }
    let folder = std::path::absolute(folder)?;
    let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) else {
        bail!("{} is no folder that can be made", folder.display());
    };
    let random = dps_host::randomness::hex(4);
    let draft = parent.join(format!(".{}.partial-{random}", name.display()));
    DirBuilder::new()
        .mode(0o700)
        .create(&draft)
        .with_context(|| format!("{} cannot be made", draft.display()))?;
    let made = fill(settings, &store, &draft).await.and_then(|report| {
        sync_directory(&draft)?;
        fs::rename(&draft, &folder)?;
        sync_directory(parent)?;
        Ok(report)
    });
    match made {
        Ok(report) => {
            println!("{} holds:", folder.display());
            for line in report {
                println!("  {line}");
            }
            Ok(())
        }
        Err(error) => {
            fs::remove_dir_all(&draft)
                .with_context(|| format!("{} is left of a failed backup", draft.display()))?;
            Err(error)
        }
    }
}

/// The file of the CertificateStore.
fn store_file(settings: &Settings) -> anyhow::Result<PathBuf> {
    let section = &settings.certificate_store;
    let keys = || match section.key_source() {
        Ok(KeySource::File(path) | KeySource::FileMadeOnFirstStart(path)) => path.display().to_string(),
        Ok(KeySource::Value(_)) | Err(_) => "the keys of CertificateStore:EncryptionKey".to_owned(),
    };
    match section.connection_string.target() {
        Ok(Target::File { path, .. }) => Ok(path),
        Ok(Target::Memory) => bail!("the CertificateStore is in memory; there is nothing to copy"),
        Ok(Target::Postgres(server)) => bail!(
            "the CertificateStore is on PostgreSQL, whose own tools make its backups; for one database: \
             pg_dump --format=custom --file=dps.dump --host={} --port={} --username={} {} \
             (restore: pg_restore --create or into an empty database). Keep {} with it: one is of no \
             use without the other",
            server.options.get_host(),
            server.options.get_port(),
            server.options.get_username(),
            server.options.get_database().unwrap_or_default(),
            keys(),
        ),
        Err(error) => bail!("CertificateStore:ConnectionString cannot be used: {error}"),
    }
}

/// Copies everything into `draft`; returns what to say about it.
async fn fill(settings: &Settings, store: &Path, draft: &Path) -> anyhow::Result<Vec<String>> {
    let mut report = Vec::new();
    copy_sqlite(store, &draft.join(STORE)).await?;
    let source = settings
        .certificate_store
        .key_source()
        .map_err(|reason| anyhow::anyhow!("CertificateStore:EncryptionKey {reason}"))?;
    let keys = match source {
        KeySource::File(path) | KeySource::FileMadeOnFirstStart(path) => {
            copy_secret(&path, &draft.join(KEYS))?;
            format!("{KEYS}, its key-encryption keys")
        }
        KeySource::Value(_) => {
            "no keys: they are in CertificateStore:EncryptionKey; keep them apart, the copy is of no use without them"
                .to_owned()
        }
    };
    let opened = prove(settings, draft).await?;
    report.push(format!(
        "{STORE}, the CertificateStore; all its {opened} private keys open"
    ));
    report.push(keys);
    // After the store: a domain that is in the Cabinet's copy alone is taken in again.
    report.push(copy_cabinet(&settings.cabinet.connection_string, draft).await?);
    let token = settings.data.path.join(API_TOKEN_FILE);
    if token.exists() {
        copy_secret(&token, &draft.join(API_TOKEN_FILE))?;
        report.push(format!(
            "{API_TOKEN_FILE}, the token of the Cabinet's customer API"
        ));
    }
    Ok(report)
}

/// Opens every private key of the copy with the keys of the copy; returns how many there are.
async fn prove(settings: &Settings, draft: &Path) -> anyhow::Result<u64> {
    let mut restored = settings.clone();
    let section = &mut restored.certificate_store;
    let copy = ConnectionString::from(format!("sqlite://{STORE}?mode=ro").as_str());
    section.connection_string = copy.in_folder(draft);
    if section.encryption_key.is_none() {
        section.encryption_key_file = Some(draft.join(KEYS));
    }
    let vault = wiring::open_vault(&restored)?;
    let store = wiring::open_existing_store(&restored).await?;
    let opened = rotation::open_all(store.as_ref(), &vault).await;
    wiring::close_store(&store).await;
    opened.context("the copy was given up: not all of its private keys open with the keys beside it")
}

async fn copy_cabinet(connection: &ConnectionString, draft: &Path) -> anyhow::Result<String> {
    match connection.target() {
        Ok(Target::File { path, .. }) if path.exists() => {
            copy_sqlite(&path, &draft.join(CABINET)).await?;
            Ok(format!("{CABINET}, the database of the reference Cabinet"))
        }
        Ok(Target::File { path, .. }) => Ok(format!(
            "nothing of a reference Cabinet: there is no {}",
            path.display()
        )),
        Ok(Target::Postgres(_)) => {
            Ok("nothing of the reference Cabinet, whose database is on PostgreSQL: use pg_dump".to_owned())
        }
        Ok(Target::Memory) => Ok("nothing of the reference Cabinet, which is in memory".to_owned()),
        Err(error) => bail!("Cabinet:ConnectionString cannot be used: {error}"),
    }
}

/// Copies a small file that is for its owner alone.
fn copy_secret(from: &Path, to: &Path) -> anyhow::Result<()> {
    let text = fs::read(from).map(Zeroizing::new);
    let text = text.with_context(|| format!("{} cannot be read", from.display()))?;
    let written = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(to)?;
        file.write_all(&text)?;
        file.sync_all()
    };
    written().with_context(|| format!("{} cannot be written", to.display()))
}

fn sync_directory(path: &Path) -> anyhow::Result<()> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .with_context(|| format!("{} cannot be written to disk", path.display()))
}
