//! The connection to the admin API of a server, and the errors with their remedies.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use dps_admin_api::NO_SUCH_PATH;
use dps_domain::text::shown;
use dps_domain::with_causes;
use dps_host::mutual_tls::{ClientTls, TlsFiles};
use dps_host::{Secret, TOKEN_RULE};
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode, redirect};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::Url;

/// Time for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Time for an answer; the server itself ends a call after 30 seconds.
const TOTAL: Duration = Duration::from_secs(35);
/// Longest answer, in bytes. A page of 1000 domains needs a few million.
const MAX_ANSWER: usize = 64 * 1024 * 1024;
/// Longest text of the server that an error repeats, in characters.
const SHOWN: usize = 500;

/// How a server is reached: its URL and the files of the options.
#[derive(Debug, Clone)]
pub struct Access {
    /// The base of the admin API.
    pub url: Url,
    /// `--token-file`.
    pub token: Option<PathBuf>,
    /// `--ca-file`.
    pub authorities: Option<PathBuf>,
    /// `--certificate-file`.
    pub certificate: Option<PathBuf>,
    /// `--key-file`.
    pub key: Option<PathBuf>,
}

/// Calls by HTTP. It uses no proxy and follows no redirect.
#[derive(Debug)]
pub(super) struct Http {
    client: Client,
    base: Url,
    token: Secret,
}

/// The members of a problem document that are read.
#[derive(Deserialize)]
struct Problem {
    detail: String,
    code: String,
    field: Option<String>,
}

impl Http {
    pub(super) fn open(access: Access) -> anyhow::Result<Self> {
        let Some(file) = &access.token else {
            bail!(
                "--token-file is missing: calls to {} need a token of Admin:Tokens; give its file, \
                 or set DPS_TOKEN_FILE",
                access.url
            );
        };
        let token = Secret::resolve(None, Some(file)).context("--token-file")?;
        let token = token.filter(Secret::is_usable_token);
        let token = token.with_context(|| format!("--token-file: the token {TOKEN_RULE}"))?;
        let client = trusting(&access)?
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(TOTAL)
            .user_agent(concat!("dps/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("no HTTP client can be built")?;
        Ok(Self {
            client,
            base: access.url,
            token,
        })
    }

    /// Reads a document. The query has two parts.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &(impl Serialize, impl Serialize),
    ) -> anyhow::Result<T> {
        let call = self.client.get(self.url(path)).query(&query.0);
        self.send(call.query(&query.1), TOTAL).await
    }

    /// Acts, or has something looked at.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        self.post_within(path, query, body, TOTAL).await
    }

    /// The same, with this long for the answer.
    pub(super) async fn post_within<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        body: &impl Serialize,
        within: Duration,
    ) -> anyhow::Result<T> {
        let call = self.client.post(self.url(path)).query(query).json(body);
        self.send(call, within).await
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["admin", "v1"]).extend(path);
        }
        url
    }

    async fn send<T: DeserializeOwned>(
        &self,
        call: RequestBuilder,
        within: Duration,
    ) -> anyhow::Result<T> {
        let call = call.bearer_auth(self.token.expose()).timeout(within);
        let response = call.send().await.map_err(|error| self.lost(&error))?;
        let (status, url) = (response.status(), response.url().clone());
        let body = self.body(response).await?;
        if !status.is_success() {
            return Err(self.refused(status, &url, &body));
        }
        serde_json::from_slice(&body).map_err(|error| {
            anyhow!(
                "the answer of {} to {} cannot be read ({error}): the server is probably of another \
                 version than this dps, {}; use the dps of its version",
                self.base,
                url.path(),
                env!("CARGO_PKG_VERSION")
            )
        })
    }

    async fn body(&self, mut response: Response) -> anyhow::Result<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.lost(&error))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                bail!(
                    "the answer of {} is longer than {MAX_ANSWER} bytes",
                    self.base
                );
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// No answer came.
    fn lost(&self, error: &reqwest::Error) -> anyhow::Error {
        let causes = with_causes(error);
        let remedy = if causes.contains("CertificateRequired")
            || causes.contains("HandshakeFailure")
        {
            "the server wants a certificate: give --certificate-file and --key-file of `dps pki`"
        } else if causes.contains("invalid peer certificate") {
            "give the authority of the server's certificate by --ca-file, and in --server a name \
             that the certificate has"
        } else if error.is_timeout() {
            "the server did not answer in time; try again"
        } else {
            "check the URL, http or https, and that the service runs and listens there \
             (Admin:Listen)"
        };
        anyhow!("--server {}: {causes}; {remedy}", self.base)
    }

    /// The server refused the call.
    fn refused(&self, status: StatusCode, url: &Url, body: &[u8]) -> anyhow::Error {
        let problem = serde_json::from_slice::<Problem>(body).ok();
        let Some(problem) = problem.filter(|problem| problem.detail != NO_SUCH_PATH) else {
            return anyhow!(
                "--server {}: the server does not know {} (HTTP {}): it is no admin API of dps, or \
                 older than this dps, {}; check the URL, update the service, or use the dps of its \
                 version",
                self.base,
                url.path(),
                status.as_u16(),
                env!("CARGO_PKG_VERSION")
            );
        };
        let detail = shown(&problem.detail, SHOWN);
        match (status, problem.code.as_str(), problem.field) {
            (StatusCode::UNAUTHORIZED, _, _) => anyhow!(
                "--token-file: {} refuses the token; give the file of a token of its Admin:Tokens",
                self.base
            ),
            (StatusCode::FORBIDDEN, _, _) => {
                anyhow!("--token-file: {detail}; give the file of a token with that role")
            }
            (_, "FIELD_INVALID", Some(field)) => anyhow!("{}: {detail}", shown(&field, SHOWN)),
            _ => anyhow!("{detail}"),
        }
    }
}

/// A builder of a client that trusts and shows what the options name.
fn trusting(access: &Access) -> anyhow::Result<reqwest::ClientBuilder> {
    let builder = Client::builder();
    let (certificate, key) = (&access.certificate, &access.key);
    let Some(authorities) = &access.authorities else {
        if certificate.is_some() || key.is_some() {
            bail!(
                "--ca-file is missing: mutual TLS needs it beside --certificate-file and --key-file"
            );
        }
        return Ok(builder);
    };
    let files = match (certificate, key) {
        (None, None) => {
            let roots = std::fs::read(authorities)
                .with_context(|| format!("--ca-file: cannot read {}", authorities.display()))?;
            let roots = Certificate::from_pem_bundle(&roots).unwrap_or_default();
            if roots.is_empty() {
                bail!(
                    "--ca-file: {} holds no certificate in PEM",
                    authorities.display()
                );
            }
            return Ok(builder.tls_certs_only(roots));
        }
        (Some(certificate), Some(key)) => TlsFiles {
            certificate: certificate.clone(),
            key: key.clone(),
            authorities: authorities.clone(),
        },
        (Some(_), None) => bail!("--key-file is missing: it belongs to --certificate-file"),
        (None, Some(_)) => bail!("--certificate-file is missing: --key-file belongs to it"),
    };
    let tls = ClientTls::open(files).context("--ca-file, --certificate-file and --key-file")?;
    Ok(builder.tls_backend_preconfigured(tls.config()?))
}
