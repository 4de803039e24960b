//! The customer API, which the platform's backend calls.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use dps_cabinet_api::{
    CreateRequest, CustomDomain, CustomerView, Page, ProblemCode, StatusName, is_tenant_id,
};
use dps_domain::{DomainId, Status};

use super::body::JsonBody;
use super::examples;
use super::internal::{self, wake};
use super::params::{Params, PathId, TENANT_ID_RULE};
use super::refusals::{CreateRefusals, GetRefusals, ListRefusals, RetryRefusals};
use super::reply::{self, customer_view, no_such_domain};
use super::{App, Shared};
use crate::refusal::Refusal;
use crate::rules::{self, NewClaim, Quota, Record};
use crate::store::{Change, Decide, Filter, Inserted, StoreError, Update};
use crate::target::{TargetSeed, label};

/// Creates a custom domain.
///
/// If the tenant already claims the hostname, the response is 200 with the unchanged domain. A
/// removed hostname can be created again; it gets the target that it had for this tenant. Unless
/// `Cabinet:AllowContestedClaims` is false, several tenants can claim one hostname: the one that
/// proves that the name is its own gets it. The others become `Failed` with
/// `NAME_ALREADY_CLAIMED`, or wait in `PendingDns` with `DNS_OWNERSHIP_REQUIRED`; a retry lets such
/// a tenant prove it after all.
#[utoipa::path(post, path = "/api/v1/custom-domains", tag = "customer", security(("apiToken" = [])),
    operation_id = "createCustomerDomain",
    request_body(content = CreateRequest, description = "The domain to create.", example = json!(examples::create())),
    responses(
        (status = 201, body = CustomerView, description = "Created; `instruction` is the customer's next action.",
            headers(("ETag" = String, description = "The version in quotes.")), example = json!(examples::view())),
        (status = 200, body = CustomerView, description = "The tenant already claims the hostname.",
            headers(("ETag" = String, description = "The version in quotes.")), example = json!(examples::view())),
        CreateRefusals,
    ))]
pub(super) async fn create(
    State(app): Shared,
    JsonBody(request): JsonBody<CreateRequest>,
) -> Result<Response, Refusal> {
    let domain = new_domain(&app, &request)?;
    let max_creations = app.config.max_creations_per_tenant_per_day;
    let claim = NewClaim {
        creations: Quota::creations(max_creations, domain.created_at),
        domain,
        template: app
            .config
            .names
            .template()
            .filter(|_| request.cname_target.is_none()),
        is_exclusive: !app.config.allow_contested_claims,
        max_per_tenant: app.config.max_domains_per_tenant,
    };
    match app.store.insert(claim).await? {
        Inserted::New(record) => {
            wake(&app);
            tracing::info!(domain.id = %record.domain.id, domain.hostname = record.domain.canonical_host, "domain.created");
            Ok(reply::view(&app, StatusCode::CREATED, record.domain))
        }
        Inserted::Claimed(claimed) => already_claimed(&app, claimed.domain),
        Inserted::ClaimedByAnother(host) => {
            let detail = format!(
                "{host} is already in use by another account; remove it from that account first, or contact support"
            );
            Err(Refusal::at(
                ProblemCode::NameAlreadyClaimed,
                "hostname",
                detail,
            ))
        }
        Inserted::TenantFull => {
            let detail =
                "this tenant has reached the platform's limit of domains; remove one first";
            Err(Refusal::at(ProblemCode::TooManyDomains, "tenantId", detail))
        }
        Inserted::Refused(refusal) => Err(refusal),
    }
}

fn new_domain(app: &App, request: &CreateRequest) -> Result<CustomDomain, Refusal> {
    let host = app.config.names.hostname(&request.hostname)?;
    if !is_tenant_id(&request.tenant_id) {
        return Err(Refusal::at(
            ProblemCode::FieldInvalid,
            "tenantId",
            TENANT_ID_RULE,
        ));
    }
    let (id, now) = (app.config.ports.new_id(), app.config.ports.now());
    let seed = TargetSeed {
        id,
        label: &label(app.config.ports.random_bits()),
    };
    let target = app
        .config
        .names
        .target(request.cname_target.as_deref(), seed, &host)?;
    Ok(CustomDomain {
        id,
        tenant_id: request.tenant_id.clone(),
        hostname: request.hostname.trim().to_owned(),
        canonical_host: host.to_string(),
        cname_target: target.to_string(),
        status: Status::PendingDns.to_string(),
        last_error_code: None,
        last_error_message: None,
        error_details: None,
        next_attempt_at: None,
        certificate_not_after: None,
        ownership_verification: None,
        version: 1,
        created_at: now,
        updated_at: now,
    })
}

fn already_claimed(app: &App, claimed: CustomDomain) -> Result<Response, Refusal> {
    if claimed.status() == Some(Status::PendingRemoval) {
        let detail = format!(
            "{} is still being removed; try again when it is removed",
            claimed.canonical_host
        );
        return Err(Refusal::at(ProblemCode::RemovalPending, "hostname", detail));
    }
    Ok(reply::view(app, StatusCode::OK, claimed))
}

/// Lists domains with the customer's next action, in order of creation.
#[utoipa::path(get, path = "/api/v1/custom-domains", tag = "customer", security(("apiToken" = [])),
    operation_id = "listCustomerDomains",
    params(
        ("tenantId" = Option<String>, Query, min_length = 1, max_length = 200, description = "Only domains of this tenant."),
        ("status" = inline(Option<StatusName>), Query, description = "Only domains in this status."),
        ("hostname" = Option<String>, Query, min_length = 1, max_length = 1024, description = "Only domains with this hostname, in any spelling."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500, description = "Largest number of items, 100 by default."),
        ("cursor" = Option<String>, Query, min_length = 1, max_length = 200, description = "The `nextCursor` of the previous page."),
    ),
    responses(
        (status = 200, body = Page<CustomerView>, description = "One page.", example = json!(examples::page(examples::view()))),
        ListRefusals,
    ))]
pub(super) async fn list(
    State(app): Shared,
    uri: Uri,
) -> Result<Json<Page<CustomerView>>, Refusal> {
    let params = Params::read(&uri, &["tenantId", "status", "hostname", "limit", "cursor"])?;
    let filter = Filter {
        status: params.status()?,
        tenant_id: params.tenant_id()?,
        canonical_host: params.hostname()?,
    };
    let page = internal::page(&app, &filter, &params).await?;
    let items = page
        .items
        .into_iter()
        .map(|domain| customer_view(&app, domain))
        .collect();
    Ok(Json(Page {
        items,
        next_cursor: page.next_cursor,
    }))
}

/// Returns one domain, with its version as `ETag`.
#[utoipa::path(get, path = "/api/v1/custom-domains/{id}", tag = "customer", security(("apiToken" = [])),
    operation_id = "getCustomerDomain",
    params(("id" = Uuid, Path, description = "Identifier of the domain.")),
    responses(
        (status = 200, body = CustomerView, description = "The domain.",
            headers(("ETag" = String, description = "The version in quotes.")), example = json!(examples::view())),
        GetRefusals,
    ))]
pub(super) async fn get(State(app): Shared, PathId(id): PathId) -> Result<Response, Refusal> {
    let record = app.store.find(id).await?.ok_or_else(no_such_domain)?;
    Ok(reply::view(&app, StatusCode::OK, record.domain))
}

/// Requests the removal of a domain. Idempotent.
#[utoipa::path(delete, path = "/api/v1/custom-domains/{id}", tag = "customer", security(("apiToken" = [])),
    operation_id = "removeCustomerDomain",
    params(("id" = Uuid, Path, description = "Identifier of the domain.")),
    responses(
        (status = 202, body = CustomerView, description = "The domain is being removed, or is removed.",
            headers(("ETag" = String, description = "The version in quotes.")), example = json!(examples::removed())),
        GetRefusals,
    ))]
pub(super) async fn remove(State(app): Shared, PathId(id): PathId) -> Result<Response, Refusal> {
    let now = app.config.ports.now();
    let decide = Box::new(move |record: &Record| Ok(rules::remove(record, now)));
    accepted(&app, change(&app, id, Change::Removal, decide).await?)
}

/// Restarts the checks of a domain immediately.
#[utoipa::path(post, path = "/api/v1/custom-domains/{id}/retry", tag = "customer", security(("apiToken" = [])),
    operation_id = "retryCustomerDomain",
    params(("id" = Uuid, Path, description = "Identifier of the domain.")),
    responses(
        (status = 202, body = CustomerView, description = "The checks restart.",
            headers(("ETag" = String, description = "The version in quotes.")), example = json!(examples::retried())),
        RetryRefusals,
    ))]
pub(super) async fn retry(State(app): Shared, PathId(id): PathId) -> Result<Response, Refusal> {
    accepted(&app, request_retry(&app, id).await?)
}

/// Requests a check of a domain now, if it may be requested.
pub(super) async fn request_retry(app: &Arc<App>, id: DomainId) -> Result<Update, StoreError> {
    let (now, min_interval) = (app.config.ports.now(), app.config.retry_min_interval);
    let decide = Box::new(move |record: &Record| rules::retry(record, now, min_interval));
    let retries = Quota::retries(app.config.max_retries_per_tenant_per_day, now);
    change(app, id, Change::Retry(retries), decide).await
}

async fn change(
    app: &Arc<App>,
    id: DomainId,
    change: Change,
    decide: Decide,
) -> Result<Update, StoreError> {
    let update = app.store.update(id, change, decide).await?;
    if let Update::Changed(record) = &update {
        wake(app);
        tracing::info!(domain.id = %id, status = record.domain.status, "domain.changed_by_customer");
    }
    Ok(update)
}

fn accepted(app: &App, update: Update) -> Result<Response, Refusal> {
    match update {
        Update::Changed(record) | Update::Unchanged(record) => {
            Ok(reply::view(app, StatusCode::ACCEPTED, record.domain))
        }
        Update::Refused(refusal) => Err(refusal),
        Update::Missing => Err(no_such_domain()),
    }
}
