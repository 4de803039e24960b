//! Examples of the `OpenAPI` document, made of the types that travel.

use dps_cabinet_api::{ChangesPage, CreateRequest, CustomDomain, CustomerView, Page, StatusReport};
use dps_domain::{DomainId, Status, Timestamp};
use uuid::Uuid;

use crate::cursor::CursorKind;

/// 2027-01-15T08:00:00Z.
const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
/// 90 days later.
const NOT_AFTER: Timestamp = Timestamp::from_unix_seconds(1_807_776_000);
const ID: u128 = 0x018b_cfe5_6800_7000_8000_0000_0000_0001;
const POSITION: i64 = 100;

/// A domain whose customer has not set up DNS yet.
pub(super) fn domain() -> CustomDomain {
    CustomDomain {
        id: DomainId::from_uuid(Uuid::from_u128(ID)),
        tenant_id: "tenant-1".to_owned(),
        hostname: "Shop.example.com".to_owned(),
        canonical_host: "shop.example.com".to_owned(),
        cname_target: "edge.platform.example".to_owned(),
        status: Status::PendingDns.to_string(),
        last_error_code: None,
        last_error_message: None,
        error_details: None,
        next_attempt_at: None,
        certificate_not_after: None,
        ownership_verification: None,
        version: 1,
        created_at: NOW,
        updated_at: NOW,
    }
}

/// The same domain as its customer sees it.
pub(super) fn view() -> CustomerView {
    CustomerView {
        domain: domain(),
        instruction:
            "create the record \"shop CNAME edge.platform.example.\" in the zone example.com"
                .to_owned(),
        setup_url: Some(format!(
            "https://setup.platform.example/setup/{}?sig=AAAAAGtJ0gB",
            domain().id
        )),
    }
}

/// The same domain in another status.
fn domain_in(status: Status, version: u64) -> CustomDomain {
    CustomDomain {
        status: status.to_string(),
        version,
        ..domain()
    }
}

/// The same domain after a report that it is served.
pub(super) fn reported() -> CustomDomain {
    CustomDomain {
        certificate_not_after: Some(NOT_AFTER),
        ..domain_in(Status::Active, 2)
    }
}

/// The same domain while it is being removed.
pub(super) fn removed() -> CustomerView {
    CustomerView {
        domain: domain_in(Status::PendingRemoval, 2),
        ..view()
    }
}

/// The same domain after a retry.
pub(super) fn retried() -> CustomerView {
    CustomerView {
        domain: domain_in(Status::PendingDns, 2),
        ..view()
    }
}

/// A page with one item and a page after it.
pub(super) fn page<T>(item: T) -> Page<T> {
    Page {
        items: vec![item],
        next_cursor: Some(CursorKind::List.encode(POSITION)),
    }
}

/// A page of the change feed.
pub(super) fn changes() -> ChangesPage<CustomDomain> {
    ChangesPage {
        items: vec![domain()],
        next_cursor: CursorKind::Feed.encode(POSITION),
    }
}

/// A request that leaves the target to the platform.
pub(super) fn create() -> CreateRequest {
    CreateRequest {
        hostname: "Shop.example.com".to_owned(),
        tenant_id: "tenant-1".to_owned(),
        cname_target: None,
    }
}

/// A report that the domain is served.
pub(super) fn report() -> StatusReport {
    StatusReport {
        certificate_not_after: Some(NOT_AFTER),
        ..StatusReport::of(Status::Active)
    }
}
