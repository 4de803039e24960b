//! CA accounts, one per directory.

use dps_application::ports::store::{StoreError, StoredAccount};
use dps_application::ports::vault::SealedSecret;

use crate::sql::{Database, Row, Sql, args, statements};

const TABLE: &str = "acme_accounts";

statements! {
    INSERT = Sql::both(
        "INSERT INTO acme_accounts (directory_url, key_sealed, url, created_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (directory_url) DO NOTHING",
    );
    SELECT = Sql::both(
        "SELECT directory_url, key_sealed, url, created_at FROM acme_accounts WHERE directory_url = $1",
    );
    REGISTERED = Sql::both("UPDATE acme_accounts SET url = $2 WHERE directory_url = $1");
}

fn read(row: &Row) -> Result<StoredAccount, StoreError> {
    let fields = row.fields(TABLE, "directory_url");
    Ok(StoredAccount {
        directory_url: fields.get("directory_url")?,
        key: SealedSecret(fields.get("key_sealed")?),
        url: fields.get("url")?,
        created_at: fields.at("created_at")?,
    })
}

fn not_stored(directory_url: &str) -> StoreError {
    StoreError::Corrupt {
        table: TABLE,
        row: directory_url.to_owned(),
        reason: "the account is not stored".to_owned(),
    }
}

pub(crate) async fn by_directory(
    database: &Database,
    directory_url: &str,
) -> Result<Option<StoredAccount>, StoreError> {
    let mut session = database.read("read a CA account").await?;
    session
        .fetch(SELECT, args![directory_url])
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

pub(crate) async fn insert(
    database: &Database,
    account: &StoredAccount,
) -> Result<StoredAccount, StoreError> {
    let mut session = database.write("store a CA account").await?;
    let directory_url = account.directory_url.as_str();
    let args = args![
        directory_url,
        account.key.0.as_slice(),
        account.url.as_deref(),
        account.created_at,
    ];
    session.execute(INSERT, args).await?;
    let kept = session.fetch(SELECT, args![directory_url]).await?;
    session.commit().await?;
    kept.as_ref()
        .map_or_else(|| Err(not_stored(directory_url)), read)
}

pub(crate) async fn registered(
    database: &Database,
    directory_url: &str,
    url: &str,
) -> Result<(), StoreError> {
    let mut session = database.write("store a CA account's URL").await?;
    if session
        .execute(REGISTERED, args![directory_url, url])
        .await?
        != 1
    {
        return Err(not_stored(directory_url));
    }
    session.commit().await
}
