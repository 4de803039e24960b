//! The transport of the ACME client that puts Pebble to the test.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};

pub(crate) struct Http(reqwest::Client);

impl Http {
    /// A client that trusts servers certified by `ca_pem` and no others.
    pub(crate) fn trusting(ca_pem: &str) -> Self {
        dps_lab::tls::install_crypto_provider();
        let ca = reqwest::Certificate::from_pem(ca_pem.as_bytes()).unwrap();
        let builder = reqwest::Client::builder().tls_certs_only([ca]).no_proxy();
        Self(builder.timeout(Duration::from_secs(20)).build().unwrap())
    }
}

impl HttpClient for Http {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let client = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let request = reqwest::Request::try_from(Request::from_parts(parts, body)).unwrap();
            let reply = client
                .execute(request)
                .await
                .map_err(|error| Error::Other(Box::new(error)))?;
            Ok(BytesResponse::from(Response::<reqwest::Body>::from(reply)))
        })
    }
}
