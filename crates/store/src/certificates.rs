//! Certificates.

use dps_application::ports::pki::CertificateDetails;
use dps_application::ports::store::{NewCertificate, Served, StoreError, StoredCertificate};
use dps_application::ports::vault::SealedSecret;
use dps_domain::retention::SUPERSEDED_CERTIFICATES;
use dps_domain::{
    Actor, CertificateId, DomainId, FailureCode, LeaseToken, OrderId, Phase, Timestamp,
};

use crate::domains::lock::lock_in_tx;
use crate::orders::{complete_in_tx, end_in_tx};
use crate::sql::{Database, Row, Session, Sql, args, readable, statements};

const TABLE: &str = "certificates";

macro_rules! columns {
    () => {
        "id, domain_id, order_id, hostname, generation, fingerprint, serial, not_before, not_after, ari_id, \
         chain_pem, key_sealed, created_at"
    };
}

statements! {
    INSERT = Sql::both(concat!(
        "INSERT INTO certificates (", columns!(), ") \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    ));
    MARK_SUPERSEDED = Sql::both(
        "UPDATE certificates SET superseded_at = $3 \
         WHERE domain_id = $1 AND id <> $2 AND superseded_at IS NULL AND length(key_sealed) > 0",
    );
    /// All but the new one and the last ones before it.
    RETIRE = Sql::both(
        "UPDATE certificates SET retired_at = $3 WHERE domain_id = $1 AND id <> $2 AND retired_at IS NULL \
         AND id NOT IN (SELECT kept.id FROM certificates AS kept WHERE kept.domain_id = $1 AND kept.id <> $2 \
         ORDER BY kept.generation DESC LIMIT $4) RETURNING order_id, created_at",
    );
    SELECT = Sql::both(concat!("SELECT ", columns!(), " FROM certificates WHERE id = $1"));
    SELECT_VALID = Sql::both(concat!(
        "SELECT ", columns!(), " FROM certificates WHERE domain_id = $1 AND not_after > $2 ORDER BY generation DESC LIMIT $3",
    ));
    SELECT_BY_ORDER = Sql::both(concat!("SELECT ", columns!(), " FROM certificates WHERE order_id = $1"));
    GENERATION_HELD = Sql::both(
        "SELECT (SELECT MAX(generation) FROM certificates WHERE hostname = custom_domains.hostname \
         AND (domain_id = custom_domains.id OR $3)) AS generation \
         FROM custom_domains WHERE id = $1 AND lease_token = $2",
    );
    LIVE_DIRECTORIES = Sql::both(
        "SELECT DISTINCT directory_url FROM custom_domains \
         JOIN certificates ON certificates.id = serving_certificate_id \
         JOIN acme_orders ON acme_orders.id = order_id \
         WHERE serving_certificate_id IS NOT NULL ORDER BY directory_url",
    );
    /// In the order of the primary key, so that each page is a range of it.
    SERVED = Sql::both(
        "SELECT custom_domains.id AS id, actor, failure_code, not_before, not_after, answered_at, ask_at, COALESCE(failures, 0) AS failures, \
         phase, custom_domains.created_at AS taken_in_at, status_since, \
         CAST(CASE WHEN EXISTS (SELECT 1 FROM certificates AS older WHERE older.domain_id = custom_domains.id \
         AND older.generation < certificates.generation) THEN 0 ELSE 1 END AS BIGINT) AS is_first \
         FROM custom_domains JOIN certificates ON certificates.id = serving_certificate_id \
         LEFT JOIN renewal_questions ON renewal_questions.domain_id = custom_domains.id \
         WHERE custom_domains.id > $1 AND moved_away_since IS NULL AND serving_certificate_id IS NOT NULL \
         ORDER BY custom_domains.id LIMIT $2",
    );
    GREATEST_GENERATION = Sql::both(
        "SELECT MAX(generation) AS generation FROM certificates WHERE hostname = $1",
    );
}

fn read(row: &Row) -> Result<StoredCertificate, StoreError> {
    let fields = row.fields(TABLE, "id");
    Ok(StoredCertificate {
        certificate: NewCertificate {
            id: fields.parse("id")?,
            domain_id: fields.parse("domain_id")?,
            order_id: fields.parse("order_id")?,
            hostname: fields.parse("hostname")?,
            details: CertificateDetails {
                fingerprint: fields.get("fingerprint")?,
                serial: fields.get("serial")?,
                not_before: fields.at("not_before")?,
                not_after: fields.at("not_after")?,
                ari_id: fields.get("ari_id")?,
                chain_pem: fields.get("chain_pem")?,
            },
            key: SealedSecret(fields.get("key_sealed")?),
            created_at: fields.at("created_at")?,
        },
        generation: fields.count("generation")?,
    })
}

/// The next generation of a hostname: the time, or one more than the last when the clock went back.
async fn next_generation_in_tx(
    session: &mut Session,
    new: &NewCertificate,
) -> Result<u64, StoreError> {
    let row = session
        .fetch(GREATEST_GENERATION, args![&new.hostname])
        .await?;
    let greatest: Option<i64> = match &row {
        Some(row) => row.fields(TABLE, "generation").get("generation")?,
        None => None,
    };
    let by_clock = new.created_at.unix_micros().max(0);
    let next = greatest.map_or(by_clock, |greatest| {
        by_clock.max(greatest.saturating_add(1))
    });
    Ok(next.unsigned_abs())
}

pub(crate) async fn insert(
    database: &Database,
    new: &NewCertificate,
) -> Result<StoredCertificate, StoreError> {
    let mut session = database.write("store a certificate").await?;
    lock_in_tx(&mut session, new.domain_id).await?;
    if let Some(row) = session.fetch(SELECT_BY_ORDER, args![new.order_id]).await? {
        return read(&row);
    }
    let generation = next_generation_in_tx(&mut session, new).await?;
    let args = args![
        new.id,
        new.domain_id,
        new.order_id,
        &new.hostname,
        generation,
        new.details.fingerprint.as_str(),
        new.details.serial.as_str(),
        new.details.not_before,
        new.details.not_after,
        new.details.ari_id.as_deref(),
        new.details.chain_pem.as_str(),
        new.key.0.as_slice(),
        new.created_at,
    ];
    session.execute(INSERT, args).await?;
    let args = args![new.domain_id, new.id, new.created_at];
    session.execute(MARK_SUPERSEDED, args).await?;
    retire_in_tx(&mut session, new).await?;
    complete_in_tx(&mut session, new.order_id).await?;
    session.commit().await?;
    Ok(StoredCertificate {
        certificate: new.clone(),
        generation,
    })
}

/// Marks the certificates that may be deleted once their keys are erased. From then on their orders
/// count as ended; they did when their certificates were stored.
async fn retire_in_tx(session: &mut Session, new: &NewCertificate) -> Result<(), StoreError> {
    let args = args![
        new.domain_id,
        new.id,
        new.created_at,
        SUPERSEDED_CERTIFICATES
    ];
    for row in session.fetch_all(RETIRE, args).await? {
        let fields = row.fields(TABLE, "order_id");
        let order: OrderId = fields.parse("order_id")?;
        end_in_tx(session, order, fields.at("created_at")?).await?;
    }
    Ok(())
}

pub(crate) async fn by_id(
    database: &Database,
    id: CertificateId,
) -> Result<Option<StoredCertificate>, StoreError> {
    let mut session = database.read("read a certificate").await?;
    session
        .fetch(SELECT, args![id])
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

pub(crate) async fn valid(
    database: &Database,
    domain: DomainId,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<StoredCertificate>, StoreError> {
    let mut session = database.read("read a domain's certificates").await?;
    let args = args![domain, now, limit];
    let rows = session.fetch_all(SELECT_VALID, args).await?;
    rows.iter().map(read).collect()
}

pub(crate) async fn generation_held(
    database: &Database,
    domain: DomainId,
    token: LeaseToken,
) -> Result<Option<u64>, StoreError> {
    let mut session = database.read("find a domain's newest certificate").await?;
    let row = session
        .fetch(GENERATION_HELD, args![domain, token, domain.is_take_down()])
        .await?;
    let row = row.ok_or(StoreError::LeaseLost)?;
    let generation: Option<i64> = row.fields(TABLE, "generation").get("generation")?;
    Ok(generation.map(i64::unsigned_abs))
}

pub(crate) async fn live_directories(database: &Database) -> Result<Vec<String>, StoreError> {
    let mut session = database
        .read("find the directories of live certificates")
        .await?;
    let rows = session.fetch_all(LIVE_DIRECTORIES, Vec::new()).await?;
    rows.iter()
        .map(|row| {
            row.fields("acme_orders", "directory_url")
                .get("directory_url")
        })
        .collect()
}

pub(crate) async fn of_order(
    database: &Database,
    order: OrderId,
) -> Result<Option<StoredCertificate>, StoreError> {
    let mut session = database.read("find an order's certificate").await?;
    session
        .fetch(SELECT_BY_ORDER, args![order])
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

pub(crate) async fn served(
    database: &Database,
    after: Option<DomainId>,
    limit: u32,
) -> Result<Vec<Served>, StoreError> {
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    let mut session = database.read("read the served certificates").await?;
    let rows = session.fetch_all(SERVED, args![after, limit]).await?;
    let read = |row: &Row| {
        let fields = row.fields("custom_domains", "id");
        Ok(Served {
            domain_id: fields.parse("id")?,
            waits_for_customer: fields.get::<String>("actor")? == Actor::Customer.as_str(),
            is_paused: fields.get::<String>("failure_code")?
                == FailureCode::IssuancePaused.as_str(),
            validity: (fields.at("not_before")?, fields.at("not_after")?),
            renewal_info_at: fields.at_if_any("answered_at")?,
            poll_at: fields.at_if_any("ask_at")?,
            failed_polls: fields.count("failures")?,
            renew_at: fields.json::<Phase>("phase")?.renew_at(),
            taken_in_at: fields.at("taken_in_at")?,
            served_since: fields.at("status_since")?,
            is_first: fields.count::<u32>("is_first")? == 1,
        })
    };
    Ok(readable(&rows, read))
}
