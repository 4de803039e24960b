//! `dps backup`: a consistent copy of databases and keys, made while the service runs.

use anyhow::{Context as _, bail};
use dps_application::rotation;
use dps_database::{
    ConnectionString, FILE_MODE, PostgresPrograms, PostgresTarget, Target, copy_sqlite,
    dump_postgres,
};
use dps_domain::with_causes;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use zeroize::Zeroizing;

use super::output::outln;
use crate::config::{KeySource, Settings};
use crate::standalone::API_TOKEN_FILE;
use crate::wiring;

const STORE: &str = "dps.db";
const STORE_DUMP: &str = "dps.dump";
const KEYS: &str = "dps.kek";
const CABINET: &str = "cabinet.db";
const CABINET_DUMP: &str = "cabinet.dump";

/// Makes the folder with the copies in it. Either the folder is whole afterwards, or there is none.
pub async fn backup(
    settings: &Settings,
    folder: &Path,
    programs: &PostgresPrograms,
) -> anyhow::Result<()> {
    let store = store_database(settings)?;
    if folder.symlink_metadata().is_ok() {
        bail!(
            "{} already exists; name a new folder, since a backup never overwrites anything",
            folder.display()
        );
    }
    let folder = std::path::absolute(folder)?;
    let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) else {
        bail!(
            "{} cannot be created; name another folder",
            folder.display()
        );
    };
    let stop = dps_host::shutdown::token()?;
    let random = dps_host::randomness::hex(4);
    let draft = parent.join(format!(".{}.partial-{random}", name.display()));
    DirBuilder::new()
        .mode(0o700)
        .create(&draft)
        .with_context(|| format!("cannot create {}", draft.display()))?;
    let filled = tokio::select! {
        filled = fill(settings, &store, &draft, programs) => filled,
        () = stop.cancelled() => Err(anyhow::anyhow!("the backup was interrupted and removed")),
    };
    let made = filled.and_then(|report| {
        sync_directory(&draft)?;
        fs::rename(&draft, &folder)?;
        sync_directory(parent)?;
        Ok(report)
    });
    match made {
        Ok(report) => {
            outln!("{} holds:", folder.display())?;
            for line in report {
                outln!("  {line}")?;
            }
            Ok(())
        }
        Err(error) => {
            fs::remove_dir_all(&draft).with_context(|| {
                format!(
                    "the backup failed, and {} remains; remove it",
                    draft.display()
                )
            })?;
            Err(error)
        }
    }
}

/// The database of the CertificateStore.
fn store_database(settings: &Settings) -> anyhow::Result<Target> {
    match settings.certificate_store.database() {
        Ok(Target::Memory) => {
            bail!("the CertificateStore is in memory, so there is nothing to copy")
        }
        Ok(target) => Ok(target),
        Err(what) => bail!("CertificateStore:ConnectionString {what}"),
    }
}

/// Copies everything into `draft`; returns what to say about it.
async fn fill(
    settings: &Settings,
    store: &Target,
    draft: &Path,
    programs: &PostgresPrograms,
) -> anyhow::Result<Vec<String>> {
    let mut report = Vec::new();
    match store {
        Target::File { path, .. } => {
            copy_sqlite(path, &draft.join(STORE)).await?;
            let keys = copy_keys(settings, draft)?;
            let opened = prove_copy(settings, draft).await?;
            report.push(format!(
                "{STORE}: the CertificateStore; all of its {opened} private keys can be decrypted"
            ));
            report.push(keys);
        }
        Target::Postgres(server) => {
            let keys = copy_keys(settings, draft)?;
            report.push(dump_store(settings, server, draft, programs).await?);
            report.push(keys);
        }
        Target::Memory => {}
    }
    // After the store: a domain that is in the Cabinet's copy alone is taken in again.
    report.push(copy_cabinet(settings, store, draft, programs).await?);
    let token = settings.data.path.join(API_TOKEN_FILE);
    if token.exists() {
        copy_secret(&token, &draft.join(API_TOKEN_FILE))?;
        report.push(format!(
            "{API_TOKEN_FILE}: the token of the Cabinet's customer API"
        ));
    }
    Ok(report)
}

/// Copies the key-encryption keys; returns what to say about them.
fn copy_keys(settings: &Settings, draft: &Path) -> anyhow::Result<String> {
    let source = settings
        .certificate_store
        .key_source()
        .map_err(|reason| anyhow::anyhow!("CertificateStore:EncryptionKey {reason}"))?;
    Ok(match source {
        KeySource::File(path) | KeySource::FileMadeOnFirstStart(path) => {
            copy_secret(&path, &draft.join(KEYS))?;
            format!("{KEYS}: its key-encryption keys")
        }
        KeySource::Value(_) => {
            "no keys: they are in the setting CertificateStore:EncryptionKey; keep them elsewhere, \
             since the copy is useless without them"
                .to_owned()
        }
    })
}

/// Opens every private key of the copy with the keys of the copy; returns how many there are.
async fn prove_copy(settings: &Settings, draft: &Path) -> anyhow::Result<u64> {
    let mut restored = with_copied_keys(settings, draft);
    let copy = ConnectionString::from(format!("sqlite://{STORE}?mode=ro").as_str());
    restored.certificate_store.connection_string = copy.in_folder(draft);
    open_all_keys(&restored).await
}

/// The settings, with the key-encryption keys of the copy.
fn with_copied_keys(settings: &Settings, draft: &Path) -> Settings {
    let mut copied = settings.clone();
    let section = &mut copied.certificate_store;
    if section.encryption_key.is_none() {
        section.encryption_key_file = Some(draft.join(KEYS));
    }
    copied
}

async fn open_all_keys(settings: &Settings) -> anyhow::Result<u64> {
    let vault = wiring::open_vault(settings)?;
    let store = wiring::open_existing_store(settings).await?;
    let opened = rotation::open_all(store.as_ref(), &vault).await;
    wiring::close_store(&store).await;
    opened.context(
        "the copy was removed: some of its private keys cannot be decrypted with the copied keys",
    )
}

/// Dumps the CertificateStore; returns what to say about it.
///
/// A dump cannot be opened without a second server. So the private keys of the database itself must
/// open with the copied keys, before and after the dump.
async fn dump_store(
    settings: &Settings,
    server: &PostgresTarget,
    draft: &Path,
    programs: &PostgresPrograms,
) -> anyhow::Result<String> {
    let copied = with_copied_keys(settings, draft);
    open_all_keys(&copied).await?;
    let dump = dump_postgres(server, programs, &draft.join(STORE_DUMP)).await?;
    let opened = open_all_keys(&copied).await?;
    Ok(format!(
        "{STORE_DUMP}: the CertificateStore, dumped by pg_dump, with {} tables, read to its end but \
         not restored; the {opened} private keys of the database can be decrypted with the copied \
         keys. To restore: pg_restore --no-owner --exit-on-error --dbname=<an empty database> {STORE_DUMP}",
        dump.tables
    ))
}

/// Copies the database of the reference Cabinet, if there is one; returns what to say about it.
async fn copy_cabinet(
    settings: &Settings,
    store: &Target,
    draft: &Path,
    programs: &PostgresPrograms,
) -> anyhow::Result<String> {
    let section = &settings.cabinet;
    let target = section.database().map_err(|error| {
        anyhow::anyhow!(
            "Cabinet:ConnectionString cannot be used: {}",
            with_causes(&error)
        )
    })?;
    match &target {
        Target::File { path, .. } if path.exists() => {
            copy_sqlite(path, &draft.join(CABINET)).await?;
            Ok(format!("{CABINET}: the database of the reference Cabinet"))
        }
        Target::File { path, .. } => Ok(format!(
            "nothing of a reference Cabinet: {} does not exist",
            path.display()
        )),
        Target::Postgres(server) if is_same_database(server, store) => Ok(format!(
            "the reference Cabinet's tables are in {STORE_DUMP}, since it uses the same database"
        )),
        Target::Postgres(server) => {
            let dump = dump_postgres(server, programs, &draft.join(CABINET_DUMP)).await?;
            Ok(format!(
                "{CABINET_DUMP}: the database of the reference Cabinet, dumped by pg_dump, with {} \
                 tables",
                dump.tables
            ))
        }
        Target::Memory => Ok("nothing of the reference Cabinet, which is in memory".to_owned()),
    }
}

fn is_same_database(server: &PostgresTarget, other: &Target) -> bool {
    let Target::Postgres(other) = other else {
        return false;
    };
    let place = |server: &PostgresTarget| {
        let options = &server.options;
        let name = options
            .get_database()
            .unwrap_or(options.get_username())
            .to_owned();
        let socket = options.get_socket().cloned();
        (
            socket,
            options.get_host().to_owned(),
            options.get_port(),
            name,
        )
    };
    place(server) == place(other)
}

/// Copies a small file that is for its owner alone.
fn copy_secret(from: &Path, to: &Path) -> anyhow::Result<()> {
    let text = fs::read(from).map(Zeroizing::new);
    let text = text.with_context(|| format!("cannot read {}", from.display()))?;
    let written = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(to)?;
        file.write_all(&text)?;
        file.sync_all()
    };
    written().with_context(|| format!("cannot write {}", to.display()))
}

fn sync_directory(path: &Path) -> anyhow::Result<()> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .with_context(|| format!("cannot write {} to disk", path.display()))
}
