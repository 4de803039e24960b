//! The operator's dashboard as HTML.
//!
//! A view is a struct with a template of `templates/`. It takes documents of the admin API and the
//! [`Page`] around it, and returns text; nothing here reads a store or a request. Texts are in
//! [`texts`], in every [`Language`]. Pages need no script: links and forms do all, and htmx only
//! reads the part of a page that moves again.

mod activity;
pub mod assets;
mod causes;
mod chip;
mod diagnosis;
mod domain;
mod domains;
mod edges;
mod html;
mod issuance;
mod jobs;
mod language;
mod limits;
mod overview;
mod page;
mod problem;
mod renewals;
mod sign_in;
mod system;
mod tenants;
pub mod texts;

pub use askama::Template;

pub use self::activity::ActivityView;
pub use self::causes::Causes;
pub use self::diagnosis::DiagnosisView;
pub use self::domain::{DomainView, Notice};
pub use self::domains::{DomainsView, Facet, FilterFields};
pub use self::edges::{EdgeRow, EdgesView};
pub use self::html::Html;
pub use self::issuance::{IssuanceNotice, IssuanceView, ScopeFields};
pub use self::jobs::{JobFields, JobFormView, JobView, JobsView};
pub use self::language::Language;
pub use self::limits::{LiftFields, LimitsView};
pub use self::overview::{EdgeState, Headroom, Hour, OrdersAhead, Overview, TimeToActive};
pub use self::page::{Page, Section, Theme, User};
pub use self::problem::ProblemView;
pub use self::renewals::{EndingDay, Renewals, Surveyed};
pub use self::sign_in::SignIn;
pub use self::system::SystemView;
pub use self::tenants::{StateRow, TenantView, TenantsView};
