//! Sealed secrets as such, wherever they are, for the rotation of key-encryption keys.

use dps_application::ports::store::{SecretRow, StoreError};
use dps_application::ports::vault::{SealedSecret, SecretPurpose};

use crate::sql::{Database, Sql, args, statements};

/// The statements that read one page of a table's secrets and replace one.
macro_rules! page_of {
    ($table:literal, $key:literal) => {
        Sql::both(concat!(
            "SELECT ",
            $key,
            " AS row_key, key_sealed FROM ",
            $table,
            " WHERE length(key_sealed) > 0 AND ",
            $key,
            " > $1 ORDER BY ",
            $key,
            " LIMIT $2",
        ))
    };
}
macro_rules! replace_in {
    ($table:literal, $key:literal) => {
        Sql::both(concat!(
            "UPDATE ",
            $table,
            " SET key_sealed = $3 WHERE ",
            $key,
            " = $1 AND key_sealed = $2",
        ))
    };
}

statements! {
    ACCOUNT_KEYS = page_of!("acme_accounts", "directory_url");
    ORDER_KEYS = page_of!("acme_orders", "id");
    CERTIFICATE_KEYS = page_of!("certificates", "id");
    REPLACE_ACCOUNT_KEY = replace_in!("acme_accounts", "directory_url");
    REPLACE_ORDER_KEY = replace_in!("acme_orders", "id");
    REPLACE_CERTIFICATE_KEY = replace_in!("certificates", "id");
}

/// The table, its statement for a page, its statement for a replacement.
const fn place_of(purpose: SecretPurpose) -> (&'static str, Sql, Sql) {
    match purpose {
        SecretPurpose::AccountKey => ("acme_accounts", ACCOUNT_KEYS, REPLACE_ACCOUNT_KEY),
        SecretPurpose::OrderKey => ("acme_orders", ORDER_KEYS, REPLACE_ORDER_KEY),
        SecretPurpose::CertificateKey => {
            ("certificates", CERTIFICATE_KEYS, REPLACE_CERTIFICATE_KEY)
        }
    }
}

pub(crate) async fn page(
    database: &Database,
    purpose: SecretPurpose,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<SecretRow>, StoreError> {
    let (table, list, _) = place_of(purpose);
    let mut session = database.read("list sealed secrets").await?;
    let rows = session
        .fetch_all(list, args![after.unwrap_or_default(), limit])
        .await?;
    rows.iter()
        .map(|row| {
            let fields = row.fields(table, "row_key");
            Ok(SecretRow {
                purpose,
                row: fields.get("row_key")?,
                sealed: SealedSecret(fields.get("key_sealed")?),
            })
        })
        .collect()
}

pub(crate) async fn replace(
    database: &Database,
    row: &SecretRow,
    new: &SealedSecret,
) -> Result<bool, StoreError> {
    let (_, _, replace) = place_of(row.purpose);
    let mut session = database.write("replace a sealed secret").await?;
    let args = args![row.row.as_str(), row.sealed.0.as_slice(), new.0.as_slice()];
    let replaced = session.execute(replace, args).await? == 1;
    session.commit().await?;
    Ok(replaced)
}
