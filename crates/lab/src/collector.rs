//! A collector of OpenTelemetry: takes spans in OTLP over HTTP, and keeps them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, span::SpanKind};
use prost::Message as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::LabError;
use crate::web::{header, read_request};

/// Longest request body read.
const MAX_BODY: usize = 16 * 1024 * 1024;
/// How long a client may take to send its request.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// A span that was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The name of the work.
    pub name: String,
    /// The identifier of the whole trace, in hexadecimal.
    pub trace_id: String,
    /// The identifier of this span, in hexadecimal.
    pub span_id: String,
    /// The span in which it happened, in hexadecimal; empty for the first one of a trace.
    pub parent_id: String,
    /// Whether it is a call of another party.
    pub is_client: bool,
    /// Whether its status is an error.
    pub is_error: bool,
    /// Attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// Attributes of the program that sent it, as text.
    pub resource: BTreeMap<String, String>,
    /// Events and links in it.
    pub additions: usize,
}

impl Span {
    /// An attribute; empty if there is none.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

#[derive(Debug)]
struct State {
    status: u16,
    requests: usize,
    authorization: Option<String>,
    spans: Vec<Span>,
}

/// A running collector. Dropping it closes its connections.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    _task: JoinSet<()>,
}

impl Collector {
    /// Listens on loopback, at a free port.
    ///
    /// # Errors
    /// [`LabError::Io`] when no port can be bound.
    pub async fn start() -> Result<Self, LabError> {
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = bound.map_err(LabError::io("bind a collector".to_owned()))?;
        let address = listener
            .local_addr()
            .map_err(LabError::io("read the port of a socket"))?;
        let state = Arc::new(Mutex::new(State {
            status: 200,
            requests: 0,
            authorization: None,
            spans: Vec::new(),
        }));
        let mut task = JoinSet::new();
        task.spawn(serve(listener, Arc::clone(&state)));
        Ok(Self {
            address,
            state,
            _task: task,
        })
    }

    /// The base URL, for the setting of a program.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers with this status from now on. Only with 200 are spans kept.
    pub fn set_status(&self, status: u16) {
        lock(&self.state).status = status;
    }

    /// Requests read so far.
    pub fn requests(&self) -> usize {
        lock(&self.state).requests
    }

    /// The field `Authorization` of the last request.
    pub fn authorization(&self) -> Option<String> {
        lock(&self.state).authorization.clone()
    }

    /// Every span received so far, in the order of arrival.
    pub fn spans(&self) -> Vec<Span> {
        lock(&self.state).spans.clone()
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut clients = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        let state = Arc::clone(&state);
        clients.spawn(async move {
            // A client that goes away, even in the middle, is no concern of the server.
            let _ = answer(client, &state).await;
        });
        while clients.try_join_next().is_some() {}
    }
}

async fn answer(mut client: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let reading = read_request(&mut client, MAX_BODY);
    let Ok(Some((head, body))) = tokio::time::timeout(READ_TIMEOUT, reading).await else {
        return Ok(());
    };
    let is_ours = head.starts_with("POST /v1/traces ")
        && header(&head, "content-type") == Some("application/x-protobuf");
    let decoded = is_ours.then(|| ExportTraceServiceRequest::decode(body.as_slice()));
    let status = {
        let mut state = lock(state);
        state.requests += 1;
        state.authorization = header(&head, "authorization").map(str::to_owned);
        match decoded {
            Some(Ok(request)) if state.status == 200 => {
                let received = request.resource_spans.into_iter().flat_map(spans);
                state.spans.extend(received);
                200
            }
            Some(Ok(_)) => state.status,
            Some(Err(_)) => 400,
            None => 404,
        }
    };
    let response = format!(
        "HTTP/1.1 {status} Lab\r\nconnection: close\r\ncontent-type: application/x-protobuf\r\n\
         content-length: 0\r\n\r\n"
    );
    client.write_all(response.as_bytes()).await
}

/// The spans of one program in a request.
fn spans(received: ResourceSpans) -> Vec<Span> {
    let resource = attributes(received.resource.unwrap_or_default().attributes);
    let all = received.scope_spans.into_iter();
    all.flat_map(|scope| scope.spans)
        .map(|span| Span {
            is_client: span.kind() == SpanKind::Client,
            is_error: span.status.as_ref().is_some_and(|status| status.code == 2),
            additions: span.events.len() + span.links.len(),
            name: span.name,
            trace_id: hex::encode(span.trace_id),
            span_id: hex::encode(span.span_id),
            parent_id: hex::encode(span.parent_span_id),
            attributes: attributes(span.attributes),
            resource: resource.clone(),
        })
        .collect()
}

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |pair: KeyValue| {
        let value = match pair.value.and_then(|value| value.value)? {
            Value::StringValue(text) => text,
            Value::BoolValue(value) => value.to_string(),
            Value::IntValue(value) => value.to_string(),
            Value::DoubleValue(value) => value.to_string(),
            other => format!("{other:?}"),
        };
        Some((pair.key, value))
    };
    pairs.into_iter().filter_map(text).collect()
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
