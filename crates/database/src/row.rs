//! Rows of either database, read column by column with errors that name table, row and column.

use std::fmt::Display;
use std::marker::PhantomData;
use std::str::FromStr;

use dps_domain::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::postgres::{PgRow, Postgres};
use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{Decode, Row as _, Type};

use crate::errors::{CorruptRow, SqlErrors};

/// The columns as the driver read them.
enum Columns {
    Postgres(PgRow),
    Sqlite(SqliteRow),
}

/// A row of either database.
pub struct Row<E> {
    columns: Columns,
    errors: PhantomData<fn() -> E>,
}

impl<E> From<PgRow> for Row<E> {
    fn from(row: PgRow) -> Self {
        Self {
            columns: Columns::Postgres(row),
            errors: PhantomData,
        }
    }
}

impl<E> From<SqliteRow> for Row<E> {
    fn from(row: SqliteRow) -> Self {
        Self {
            columns: Columns::Sqlite(row),
            errors: PhantomData,
        }
    }
}

impl<E: SqlErrors> Row<E> {
    fn get<T>(&self, column: &'static str) -> Result<T, sqlx::Error>
    where
        T: for<'r> Decode<'r, Postgres> + Type<Postgres>,
        T: for<'r> Decode<'r, Sqlite> + Type<Sqlite>,
    {
        match &self.columns {
            Columns::Postgres(row) => row.try_get(column),
            Columns::Sqlite(row) => row.try_get(column),
        }
    }

    /// Reads this row's columns as those of `table`; errors call it by the text in `key`.
    pub fn fields(&self, table: &'static str, key: &'static str) -> Fields<'_, E> {
        let text = self
            .get::<String>(key)
            .or_else(|_| self.get::<i64>(key).map(|id| id.to_string()));
        Fields {
            row: self,
            table,
            key: text.unwrap_or_else(|_| "?".to_owned()),
        }
    }
}

/// The rows that can be read: one bad row must not hide a page.
pub fn readable<E: SqlErrors, T>(
    rows: &[Row<E>],
    read: impl Fn(&Row<E>) -> Result<T, E::Error>,
) -> Vec<T> {
    let keep = |row: &Row<E>| {
        read(row)
            .inspect_err(|error| tracing::error!(%error, "row.unreadable"))
            .ok()
    };
    rows.iter().filter_map(keep).collect()
}

/// The columns of one row.
pub struct Fields<'r, E> {
    row: &'r Row<E>,
    table: &'static str,
    key: String,
}

impl<E: SqlErrors> Fields<'_, E> {
    /// The row's key, unparsed.
    pub fn key(&self) -> &str {
        &self.key
    }

    fn corrupt(&self, column: &str, reason: impl Display) -> E::Error {
        E::corrupt(CorruptRow {
            table: self.table,
            row: self.key.clone(),
            reason: format!("column {column}: {reason}"),
        })
    }

    /// A column of a plain type.
    pub fn get<T>(&self, column: &'static str) -> Result<T, E::Error>
    where
        T: for<'r> Decode<'r, Postgres> + Type<Postgres>,
        T: for<'r> Decode<'r, Sqlite> + Type<Sqlite>,
    {
        self.row
            .get(column)
            .map_err(|error| self.corrupt(column, error))
    }

    /// A text that is parsed.
    pub fn parse<T>(&self, column: &'static str) -> Result<T, E::Error>
    where
        T: FromStr<Err: Display>,
    {
        let text: String = self.get(column)?;
        text.parse().map_err(|error| self.corrupt(column, error))
    }

    /// JSON text.
    pub fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, E::Error> {
        let text: String = self.get(column)?;
        serde_json::from_str(&text).map_err(|error| self.corrupt(column, error))
    }

    /// JSON text or NULL.
    pub fn json_if_any<T: DeserializeOwned>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, E::Error> {
        let text: Option<String> = self.get(column)?;
        text.map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|error| self.corrupt(column, error))
    }

    /// A moment.
    pub fn at(&self, column: &'static str) -> Result<Timestamp, E::Error> {
        self.get(column).map(Timestamp::from_unix_micros)
    }

    /// A moment or NULL.
    pub fn at_if_any(&self, column: &'static str) -> Result<Option<Timestamp>, E::Error> {
        let micros: Option<i64> = self.get(column)?;
        Ok(micros.map(Timestamp::from_unix_micros))
    }

    /// A count, which is never negative.
    pub fn count<T>(&self, column: &'static str) -> Result<T, E::Error>
    where
        T: TryFrom<i64, Error: Display>,
    {
        let value: i64 = self.get(column)?;
        T::try_from(value).map_err(|error| self.corrupt(column, error))
    }
}
