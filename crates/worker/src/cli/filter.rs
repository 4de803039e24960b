//! The options by which `dps domains list` and `count` choose domains.

use clap::Args;
use dps_domain::fleet::{DomainFilter, EdgeFilter, FilterError, FilterText, NameFilter};
use dps_domain::{Actor, FailureCode, Status};
use dps_host::HumanDuration;

/// The domains that are wanted: those to which every option applies.
#[derive(Debug, Clone, Default, Args)]
pub struct FilterArgs {
    /// Only hostnames that contain this
    #[arg(value_name = "TEXT", value_parser = containing, conflicts_with_all = ["name", "prefix", "suffix"])]
    containing: Option<NameFilter>,
    /// The other options
    #[command(flatten)]
    options: FilterOptions,
}

/// The options that name parts of a filter.
#[derive(Debug, Clone, Default, Args)]
pub struct FilterOptions {
    /// Only this hostname
    #[arg(long, value_name = "HOST", value_parser = name, conflicts_with_all = ["prefix", "suffix"])]
    name: Option<NameFilter>,
    /// Only hostnames that begin with this
    #[arg(long, value_name = "TEXT", value_parser = prefix, conflicts_with = "suffix")]
    prefix: Option<NameFilter>,
    /// Only this domain and hostnames below it
    #[arg(long, value_name = "DOMAIN", value_parser = suffix)]
    suffix: Option<NameFilter>,
    /// Only domains of this tenant
    #[arg(long, value_parser = tenant)]
    tenant: Option<String>,
    /// Only domains in this status, such as Failed
    #[arg(long, value_parser = status)]
    status: Option<Status>,
    /// Only domains whose last failure has this code
    #[arg(long, value_parser = code)]
    code: Option<FailureCode>,
    /// Only domains for which this party must act: customer, operator or nobody
    #[arg(long, value_parser = actor)]
    actor: Option<Actor>,
    /// Only domains whose certificate ends within this time, such as 7d
    ///
    /// Domains that moved away are left out, as nobody waits for their renewal.
    #[arg(long, value_name = "TIME")]
    expires_within: Option<HumanDuration>,
    /// Only domains whose certificate this edge presents
    #[arg(long, value_name = "URL", conflicts_with = "edge_pending")]
    edge: Option<String>,
    /// Only domains whose certificate this edge should present and does not yet
    #[arg(long, value_name = "URL")]
    edge_pending: Option<String>,
}

impl FilterArgs {
    /// The filter.
    pub fn filter(self) -> DomainFilter {
        let filter = self.options.filter();
        DomainFilter {
            name: self.containing.or(filter.name),
            ..filter
        }
    }
}

impl FilterOptions {
    /// Takes the tenant out of the filter.
    pub(super) fn take_tenant(&mut self) -> Option<String> {
        self.tenant.take()
    }

    /// The filter.
    pub fn filter(self) -> DomainFilter {
        let edge = self.edge.map(EdgeFilter::Serving);
        DomainFilter {
            name: self.name.or(self.prefix).or(self.suffix),
            tenant: self.tenant,
            status: self.status,
            code: self.code,
            actor: self.actor,
            expires_within: self.expires_within.map(HumanDuration::get),
            edge: edge.or_else(|| self.edge_pending.map(EdgeFilter::Pending)),
        }
    }
}

fn parsed(text: FilterText<'_>) -> Result<DomainFilter, String> {
    DomainFilter::parse(&text).map_err(|error: FilterError| error.problem)
}

/// Parses one option as the filter does. The option is given, so the part is there.
macro_rules! option {
    ($($parse:ident: $field:ident -> $part:ident $type:ty,)+) => {$(
        fn $parse(text: &str) -> Result<$type, String> {
            let filter = parsed(FilterText { $field: Some(text), ..FilterText::default() })?;
            filter.$part.ok_or_else(|| "the text is empty".to_owned())
        }
    )+};
}

option! {
    containing: containing -> name NameFilter,
    name: name -> name NameFilter,
    prefix: prefix -> name NameFilter,
    suffix: suffix -> name NameFilter,
    tenant: tenant -> tenant String,
    status: status -> status Status,
    code: code -> code FailureCode,
    actor: actor -> actor Actor,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command, Domains};

    fn filter(line: &str) -> Result<DomainFilter, String> {
        let words = ["dps", "domains", "list"].into_iter();
        let cli = Cli::try_parse_from(words.chain(line.split_whitespace()));
        match cli.map_err(|error| error.to_string())?.command {
            Command::Domains(Domains::List { filter, .. }) => Ok(filter.filter()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_are_the_parts_of_a_filter() {
        assert_eq!(filter(""), Ok(DomainFilter::default()));
        let found = filter(
            "--status failed --code caa_forbids --actor customer --tenant t --suffix .Example.com",
        );
        let found = found.unwrap();
        assert_eq!(found.status, Some(Status::Failed));
        assert_eq!(found.code, Some(FailureCode::CaaForbids));
        assert_eq!(found.actor, Some(Actor::Customer));
        assert_eq!(found.tenant.as_deref(), Some("t"));
        assert_eq!(found.name, Some(NameFilter::Below("example.com".into())));
        let found = filter("--expires-within 7d --edge-pending https://edge-1:9403").unwrap();
        assert_eq!(found.expires_within.unwrap().as_secs(), 7 * 86_400);
        assert_eq!(
            found.edge,
            Some(EdgeFilter::Pending("https://edge-1:9403".into()))
        );
    }

    #[test]
    fn an_option_that_cannot_be_used_is_named_with_the_remedy() {
        for (line, words) in [
            (
                "--code CAA_FORBID",
                ["--code <CODE>", "did you mean CAA_FORBIDS?"],
            ),
            (
                "--status broken",
                ["--status <STATUS>", "known are PendingDns"],
            ),
            (
                "--expires-within 7",
                ["--expires-within <TIME>", "a unit is missing"],
            ),
            ("--name localhost", ["--name <HOST>", "only one label"]),
            (
                "--prefix a --suffix b",
                ["--prefix <TEXT>", "cannot be used with"],
            ),
            ("text --name a.example", ["TEXT", "cannot be used with"]),
        ] {
            let error = filter(line).unwrap_err();
            for word in words {
                assert!(error.contains(word), "{error}");
            }
        }
    }
}
