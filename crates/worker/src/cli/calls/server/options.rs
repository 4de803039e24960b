//! The options and variables that name a server.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use url::Url;

use super::http::Access;

/// The server that a command calls instead of reading the store.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// Call the admin API at this URL; needs no database and no configuration; or `DPS_SERVER`
    #[arg(long, global = true, value_name = "URL", value_parser = server_url, conflicts_with = "config")]
    pub server: Option<Url>,
    /// File with the token for --server, mode 0600; or `DPS_TOKEN_FILE`
    #[arg(long, global = true, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Authorities in PEM to trust for --server, not the system's; or `DPS_CA_FILE`
    #[arg(long, global = true, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Certificate in PEM to show to --server for mutual TLS; or `DPS_CERTIFICATE_FILE`
    #[arg(long, global = true, value_name = "FILE")]
    pub certificate_file: Option<PathBuf>,
    /// Private key in PEM of --certificate-file, mode 0600; or `DPS_KEY_FILE`
    #[arg(long, global = true, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
}

impl ServerArgs {
    /// How the server is reached, by the options and the environment; `None` without a server.
    ///
    /// # Errors
    /// The option or variable that cannot be used.
    pub fn access(
        self,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> anyhow::Result<Option<Access>> {
        let variable = |name| variable(name).filter(|value: &OsString| !value.is_empty());
        let path = |given: Option<PathBuf>, name| given.or_else(|| variable(name).map(Into::into));
        let url = match (self.server, variable("DPS_SERVER")) {
            (Some(url), _) => url,
            (None, Some(text)) => {
                let text = text.to_string_lossy();
                let parsed = server_url(&text).map_err(anyhow::Error::msg);
                parsed.with_context(|| format!("DPS_SERVER: {text:?} cannot be used"))?
            }
            (None, None) => return Ok(None),
        };
        Ok(Some(Access {
            url,
            token: path(self.token_file, "DPS_TOKEN_FILE"),
            authorities: path(self.ca_file, "DPS_CA_FILE"),
            certificate: path(self.certificate_file, "DPS_CERTIFICATE_FILE"),
            key: path(self.key_file, "DPS_KEY_FILE"),
        }))
    }

    /// The same, with the environment of this process.
    pub fn access_here(self) -> anyhow::Result<Option<Access>> {
        self.access(|name| env::var_os(name))
    }
}

/// Parses the URL of a server.
fn server_url(text: &str) -> Result<Url, String> {
    let hint = "give the address of Admin:Listen, such as https://dps.internal:8082";
    let url: Url = text.parse().map_err(|error| format!("{error}; {hint}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
        return Err(format!("http or https is needed; {hint}"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a password does not belong there; use --token-file".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("it must end with the path; {hint}"));
    }
    Ok(url)
}
