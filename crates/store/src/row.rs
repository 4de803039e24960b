//! Rows of either database, read column by column with errors that name table, row and column.

use std::fmt::Display;
use std::str::FromStr;

use dps_application::ports::store::StoreError;
use dps_application::ports::vault::SealedSecret;
use dps_domain::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::postgres::{PgRow, Postgres};
use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{Decode, Row as _, Type};

/// A row of either database.
pub(crate) enum Row {
    Postgres(PgRow),
    Sqlite(SqliteRow),
}

impl Row {
    fn get<T>(&self, column: &'static str) -> Result<T, sqlx::Error>
    where
        T: for<'r> Decode<'r, Postgres> + Type<Postgres>,
        T: for<'r> Decode<'r, Sqlite> + Type<Sqlite>,
    {
        match self {
            Self::Postgres(row) => row.try_get(column),
            Self::Sqlite(row) => row.try_get(column),
        }
    }

    /// Reads this row's columns as those of `table`; errors call it by the text in `key`.
    pub(crate) fn fields(&self, table: &'static str, key: &'static str) -> Fields<'_> {
        let row = self
            .get::<String>(key)
            .or_else(|_| self.get::<i64>(key).map(|id| id.to_string()));
        Fields {
            row: self,
            table,
            key: row.unwrap_or_else(|_| "?".to_owned()),
        }
    }
}

/// The rows that can be read: one bad row must not hide a page.
pub(crate) fn readable<T>(rows: &[Row], read: impl Fn(&Row) -> Result<T, StoreError>) -> Vec<T> {
    let keep = |row: &Row| {
        read(row)
            .inspect_err(|error| tracing::error!(%error, "row.unreadable"))
            .ok()
    };
    rows.iter().filter_map(keep).collect()
}

/// The columns of one row.
pub(crate) struct Fields<'r> {
    row: &'r Row,
    table: &'static str,
    key: String,
}

impl Fields<'_> {
    /// What identifies the row, unparsed.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    fn corrupt(&self, column: &str, reason: impl Display) -> StoreError {
        StoreError::Corrupt {
            table: self.table,
            row: self.key.clone(),
            reason: format!("column {column}: {reason}"),
        }
    }

    /// A column of a plain type.
    pub(crate) fn get<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: for<'r> Decode<'r, Postgres> + Type<Postgres>,
        T: for<'r> Decode<'r, Sqlite> + Type<Sqlite>,
    {
        self.row
            .get(column)
            .map_err(|error| self.corrupt(column, error))
    }

    /// A text that is parsed.
    pub(crate) fn parse<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: FromStr<Err: Display>,
    {
        let text: String = self.get(column)?;
        text.parse().map_err(|error| self.corrupt(column, error))
    }

    /// JSON text.
    pub(crate) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, StoreError> {
        let text: String = self.get(column)?;
        serde_json::from_str(&text).map_err(|error| self.corrupt(column, error))
    }

    /// JSON text or NULL.
    pub(crate) fn json_if_any<T: DeserializeOwned>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let text: Option<String> = self.get(column)?;
        text.map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|error| self.corrupt(column, error))
    }

    /// A moment.
    pub(crate) fn at(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        self.get(column).map(Timestamp::from_unix_micros)
    }

    /// A moment or NULL.
    pub(crate) fn at_if_any(&self, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        let micros: Option<i64> = self.get(column)?;
        Ok(micros.map(Timestamp::from_unix_micros))
    }

    /// A count, which is never negative.
    pub(crate) fn count<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: TryFrom<i64, Error: Display>,
    {
        let value: i64 = self.get(column)?;
        T::try_from(value).map_err(|error| self.corrupt(column, error))
    }

    /// A sealed secret.
    pub(crate) fn sealed(&self, column: &'static str) -> Result<SealedSecret, StoreError> {
        self.get(column).map(SealedSecret)
    }

    /// A sealed secret or NULL.
    pub(crate) fn sealed_if_any(
        &self,
        column: &'static str,
    ) -> Result<Option<SealedSecret>, StoreError> {
        let bytes: Option<Vec<u8>> = self.get(column)?;
        Ok(bytes.map(SealedSecret))
    }
}
