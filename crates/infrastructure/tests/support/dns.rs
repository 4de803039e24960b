//! A name server that answers exactly what a test says, over UDP.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, SOA};
use hickory_resolver::proto::rr::{Name, RData, Record};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// A running server; dropping it closes its socket.
pub(crate) struct ScriptedServer {
    address: SocketAddr,
    spellings: Arc<Mutex<Vec<String>>>,
    _task: JoinSet<()>,
}

/// Response code and answer section; `None` for no answer.
pub(crate) type Script = Option<(ResponseCode, Vec<Record>)>;

impl ScriptedServer {
    /// Answers by name (lower case, no dot at the end) and record type, without any SOA.
    pub(crate) async fn start(script: impl Fn(&str, &str) -> Script + Send + 'static) -> Self {
        let spellings = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&spellings);
        Self::serve(spellings, move |packet| {
            let request = Message::from_vec(packet).ok()?;
            let query = request.queries.first()?;
            let spelled = query.name().to_ascii().trim_end_matches('.').to_owned();
            let (code, records) = script(
                &spelled.to_ascii_lowercase(),
                &query.query_type().to_string(),
            )?;
            seen.lock().unwrap().push(spelled);
            let mut response = Message::new(
                request.metadata.id,
                MessageType::Response,
                request.metadata.op_code,
            );
            response.metadata.recursion_available = true;
            response.metadata.response_code = code;
            response.add_queries(request.queries.iter().cloned());
            response.add_answers(records);
            response.to_vec().ok()
        })
        .await
    }

    /// Makes each response out of the request.
    pub(crate) async fn start_with(answer: impl Fn(&Message) -> Message + Send + 'static) -> Self {
        Self::serve(Arc::default(), move |packet| {
            let request = Message::from_vec(packet).ok()?;
            answer(&request).to_vec().ok()
        })
        .await
    }

    /// Answers each packet with whatever bytes.
    pub(crate) async fn start_raw(answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> Self {
        Self::serve(Arc::default(), move |packet| Some(answer(packet))).await
    }

    async fn serve(
        spellings: Arc<Mutex<Vec<String>>>,
        answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static,
    ) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut packet = [0; 4096];
            while let Ok((length, client)) = socket.recv_from(&mut packet).await {
                if let Some(bytes) = answer(&packet[..length]) {
                    let _ = socket.send_to(&bytes, client).await;
                }
            }
        });
        Self {
            address,
            spellings,
            _task: task,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The names asked for, spelled as they came.
    pub(crate) fn spellings(&self) -> Vec<String> {
        self.spellings.lock().unwrap().clone()
    }
}

/// An empty response to `request`.
pub(crate) fn response_to(request: &Message) -> Message {
    let mut response = Message::new(
        request.metadata.id,
        MessageType::Response,
        request.metadata.op_code,
    );
    response.metadata.recursion_available = true;
    response.add_queries(request.queries.iter().cloned());
    response
}

/// The SOA record of a zone.
pub(crate) fn soa(zone: &str) -> Record {
    let data = SOA::new(
        name("ns.example."),
        name("hostmaster.example."),
        1,
        1,
        1,
        1,
        1,
    );
    Record::from_rdata(name(zone), 1, RData::SOA(data))
}

pub(crate) fn aaaa(owner: &str, address: &str) -> Record {
    Record::from_rdata(name(owner), 1, RData::AAAA(AAAA(address.parse().unwrap())))
}

pub(crate) fn cname(owner: &str, target: &str) -> Record {
    Record::from_rdata(name(owner), 1, RData::CNAME(CNAME(name(target))))
}

pub(crate) fn a(owner: &str, address: [u8; 4]) -> Record {
    let [one, two, three, four] = address;
    Record::from_rdata(name(owner), 1, RData::A(A::new(one, two, three, four)))
}

fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).unwrap();
    name.set_fqdn(true);
    name
}
