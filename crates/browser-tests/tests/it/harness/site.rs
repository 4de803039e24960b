//! A web server with pages of a test's own.

use axum::Router;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A page with its content security policy.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub(crate) path: &'static str,
    pub(crate) policy: &'static str,
    pub(crate) html: String,
}

/// A running web server. Dropping it stops it.
pub(crate) struct Site {
    /// Its address, such as `http://127.0.0.1:1234`.
    pub(crate) origin: String,
    task: JoinHandle<()>,
}

impl Site {
    pub(crate) async fn start(pages: impl IntoIterator<Item = Page>) -> Self {
        let icon = get(async || [(CONTENT_TYPE, "image/x-icon")]);
        let router = pages.into_iter().fold(
            Router::new().route("/favicon.ico", icon),
            |router, page: Page| {
                let headers = [
                    (CONTENT_TYPE, "text/html; charset=utf-8"),
                    (CONTENT_SECURITY_POLICY, page.policy),
                ];
                router.route(page.path, get(async move || (headers, page.html)))
            },
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { origin, task }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}
