//! Lists of domains, in order of creation.

use dps_database::{Arg, Sql, args, statements};
use dps_domain::Status;

use super::row::columns;

/// Which domains a list holds: those that match every given field.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) status: Option<Status>,
    pub(crate) tenant_id: Option<String>,
    pub(crate) canonical_host: Option<String>,
}

/// A page of the domains that satisfy a condition.
macro_rules! page {
    ($condition:literal) => {
        Sql::both(concat!(
            "SELECT ",
            columns!(),
            " FROM cabinet_domains WHERE position > $1",
            $condition,
            " ORDER BY position LIMIT $2"
        ))
    };
}

// A statement for each set of fields, so that each is planned by the index that serves it.
statements! {
    ALL_DOMAINS = page!("");
    BY_STATUS = page!(" AND status = $3");
    BY_TENANT = page!(" AND tenant_id = $3");
    BY_HOST = page!(" AND canonical_host = $3");
    BY_STATUS_AND_TENANT = page!(" AND status = $3 AND tenant_id = $4");
    BY_STATUS_AND_HOST = page!(" AND status = $3 AND canonical_host = $4");
    BY_TENANT_AND_HOST = page!(" AND tenant_id = $3 AND canonical_host = $4");
    BY_EVERY_FIELD = page!(" AND status = $3 AND tenant_id = $4 AND canonical_host = $5");
}

impl Filter {
    /// The statement of a page after a position, and its arguments.
    pub(super) fn page(&self, after: i64, limit: u32) -> (Sql, Vec<Arg>) {
        let status = self.status.map(Status::as_str);
        let fields = [
            status,
            self.tenant_id.as_deref(),
            self.canonical_host.as_deref(),
        ];
        let sql = match fields.map(|field| field.is_some()) {
            [false, false, false] => ALL_DOMAINS,
            [true, false, false] => BY_STATUS,
            [false, true, false] => BY_TENANT,
            [false, false, true] => BY_HOST,
            [true, true, false] => BY_STATUS_AND_TENANT,
            [true, false, true] => BY_STATUS_AND_HOST,
            [false, true, true] => BY_TENANT_AND_HOST,
            [true, true, true] => BY_EVERY_FIELD,
        };
        let mut args = args![after, limit];
        args.extend(fields.into_iter().flatten().map(Arg::from));
        (sql, args)
    }
}
