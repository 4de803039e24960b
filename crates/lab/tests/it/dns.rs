//! The name server, asked with packets of our own. The file is long because every kind of answer
//! and of fault is one test.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use dps_lab::dns::{DnsServer, Fault, Kind, Zone};
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

const SHOP: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

async fn udp_within(server: &DnsServer, query: &Message, bound: Duration) -> Option<Message> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket
        .send_to(&query.to_vec().unwrap(), server.address())
        .await
        .unwrap();
    let mut packet = vec![0; 65_535];
    let length = tokio::time::timeout(bound, socket.recv(&mut packet))
        .await
        .ok()?
        .unwrap();
    Some(Message::from_vec(&packet[..length]).unwrap())
}

async fn resolve(server: &DnsServer, name: &str, kind: RecordType) -> Message {
    udp_within(server, &query(name, kind), Duration::from_secs(10))
        .await
        .expect("an answer")
}

async fn resolve_by_tcp(server: &DnsServer, name: &str, kind: RecordType) -> Message {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let packet = query(name, kind).to_vec().unwrap();
    stream
        .write_u16(u16::try_from(packet.len()).unwrap())
        .await
        .unwrap();
    stream.write_all(&packet).await.unwrap();
    let length = stream.read_u16().await.unwrap();
    let mut packet = vec![0; usize::from(length)];
    stream.read_exact(&mut packet).await.unwrap();
    Message::from_vec(&packet).unwrap()
}

fn records(message: &Message) -> Vec<String> {
    message
        .answers
        .iter()
        .map(|record| format!("{} {} {}", record.name, record.record_type(), record.data))
        .collect()
}

#[tokio::test]
async fn an_alias_is_followed_and_the_whole_chain_answered_over_udp_and_tcp() {
    let server = DnsServer::start_local().await.unwrap();
    server
        .zone()
        .set_cname("www.shop.test", "edge.saas.test")
        .unwrap();
    server
        .zone()
        .set_cname("edge.saas.test", "node.saas.test.")
        .unwrap();
    server.zone().set_a("node.saas.test", &[SHOP]);
    let expected = [
        "www.shop.test. CNAME edge.saas.test.",
        "edge.saas.test. CNAME node.saas.test.",
        "node.saas.test. A 127.0.0.9",
    ];
    let answer = resolve(&server, "www.shop.test.", RecordType::A).await;
    assert_eq!(records(&answer), expected);
    assert!(answer.metadata.recursion_available && !answer.metadata.authoritative);
    assert_eq!(answer.metadata.id, 4711);
    assert_eq!(
        records(&resolve_by_tcp(&server, "www.shop.test.", RecordType::A).await),
        expected
    );
    assert_eq!(
        records(&resolve(&server, "www.shop.test.", RecordType::CNAME).await),
        expected[..1]
    );
}

#[tokio::test]
async fn a_name_that_does_not_exist_and_a_type_that_does_not_exist_are_distinguished() {
    let server = DnsServer::start_local().await.unwrap();
    server.zone().set_a("a.shop.test", &[SHOP]);
    let missing = resolve(&server, "b.shop.test.", RecordType::A).await;
    assert_eq!(missing.metadata.response_code, ResponseCode::NXDomain);
    let no_data = resolve(&server, "a.shop.test.", RecordType::AAAA).await;
    assert_eq!(no_data.metadata.response_code, ResponseCode::NoError);
    let non_terminal = resolve(&server, "shop.test.", RecordType::A).await;
    assert_eq!(non_terminal.metadata.response_code, ResponseCode::NoError);
    for negative in [missing, no_data, non_terminal] {
        assert!(negative.answers.is_empty());
        assert_eq!(negative.authorities[0].record_type(), RecordType::SOA);
        assert_eq!(negative.authorities[0].name.to_ascii(), "shop.test.");
    }
}

#[tokio::test]
async fn an_alias_to_nowhere_is_nxdomain_with_the_alias_and_a_loop_is_servfail() {
    let server = DnsServer::start_local().await.unwrap();
    server
        .zone()
        .set_cname("dangling.test", "nowhere.test")
        .unwrap();
    server
        .zone()
        .set_cname("hare.test", "hedgehog.test")
        .unwrap();
    server
        .zone()
        .set_cname("hedgehog.test", "hare.test")
        .unwrap();
    let dangling = resolve(&server, "dangling.test.", RecordType::A).await;
    assert_eq!(dangling.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(records(&dangling), ["dangling.test. CNAME nowhere.test."]);
    let looping = resolve(&server, "hare.test.", RecordType::A).await;
    assert_eq!(looping.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(
        records(&resolve(&server, "hare.test.", RecordType::CNAME).await).len(),
        1
    );
}

#[tokio::test]
async fn the_case_of_the_poll_comes_back() {
    let server = DnsServer::start_local().await.unwrap();
    server.zone().set_a("Shop.TEST", &[SHOP]);
    let answer = resolve(&server, "sHoP.tEsT.", RecordType::A).await;
    assert_eq!(answer.queries[0].name().to_ascii(), "sHoP.tEsT.");
    assert_eq!(records(&answer), ["sHoP.tEsT. A 127.0.0.9"]);
}

#[tokio::test]
async fn a_wildcard_answers_for_names_without_records_of_their_own() {
    let server = DnsServer::start_local().await.unwrap();
    server.zone().set_a("*.saas.test", &[SHOP]);
    server
        .zone()
        .set_aaaa("own.saas.test", &[Ipv6Addr::LOCALHOST]);
    assert_eq!(
        records(&resolve(&server, "x.saas.test.", RecordType::A).await),
        ["x.saas.test. A 127.0.0.9"]
    );
    assert_eq!(
        records(&resolve(&server, "x.y.saas.test.", RecordType::A).await),
        ["x.y.saas.test. A 127.0.0.9"]
    );
    assert!(
        resolve(&server, "own.saas.test.", RecordType::A)
            .await
            .answers
            .is_empty()
    );
    let below_own = resolve(&server, "x.own.saas.test.", RecordType::A).await;
    assert_eq!(below_own.metadata.response_code, ResponseCode::NXDomain);
}

#[tokio::test]
async fn faults_are_answered_as_such_and_end_when_cleared() {
    let server = DnsServer::start_local().await.unwrap();
    let zone = server.zone();
    zone.set_a("shop.test", &[SHOP]);
    zone.set_fault("shop.test", Fault::ServFail);
    assert_eq!(
        resolve(&server, "shop.test.", RecordType::A)
            .await
            .metadata
            .response_code,
        ResponseCode::ServFail
    );
    zone.set_fault("shop.test", Fault::Refused);
    assert_eq!(
        resolve(&server, "shop.test.", RecordType::A)
            .await
            .metadata
            .response_code,
        ResponseCode::Refused
    );
    zone.set_fault("shop.test", Fault::Unanswered);
    let unanswered = udp_within(
        &server,
        &query("shop.test.", RecordType::A),
        Duration::from_millis(100),
    )
    .await;
    assert_eq!(unanswered, None);
    zone.set_fault("shop.test", Fault::Slow(Duration::from_millis(300)));
    let begun = std::time::Instant::now();
    assert_eq!(
        resolve(&server, "shop.test.", RecordType::A)
            .await
            .answers
            .len(),
        1
    );
    assert!(begun.elapsed() >= Duration::from_millis(300));
    zone.set_fault("shop.test", Fault::Truncated);
    let truncated = resolve(&server, "shop.test.", RecordType::A).await;
    assert!(truncated.metadata.truncation && truncated.answers.is_empty());
    assert_eq!(
        resolve_by_tcp(&server, "shop.test.", RecordType::A)
            .await
            .answers
            .len(),
        1
    );
    zone.clear_fault("shop.test");
    zone.set_fault_for_all(Some(Fault::ServFail));
    assert_eq!(
        resolve(&server, "any.test.", RecordType::A)
            .await
            .metadata
            .response_code,
        ResponseCode::ServFail
    );
    zone.set_fault_for_all(None);
    zone.set_fault_of_kind(Kind::Txt, Some(Fault::Refused));
    assert_eq!(
        resolve(&server, "any.test.", RecordType::TXT)
            .await
            .metadata
            .response_code,
        ResponseCode::Refused
    );
    assert_eq!(
        resolve(&server, "shop.test.", RecordType::A)
            .await
            .answers
            .len(),
        1
    );
}

#[tokio::test]
async fn records_change_under_a_running_server_and_are_forgotten_when_cleared() {
    let server = DnsServer::start_local().await.unwrap();
    let zone = server.zone().clone();
    zone.set_txt("shop.test", &["hello world"]);
    zone.set_caa("shop.test", &[(0, "issue", "ca.test"), (128, "issue", ";")]);
    assert_eq!(
        records(&resolve(&server, "shop.test.", RecordType::TXT).await),
        ["shop.test. TXT hello world"]
    );
    let caa = records(&resolve(&server, "shop.test.", RecordType::CAA).await);
    assert!(
        caa.len() == 2 && caa[0].contains("issue \"ca.test"),
        "{caa:?}"
    );
    zone.clear_kind("shop.test", Kind::Txt);
    assert!(
        resolve(&server, "shop.test.", RecordType::TXT)
            .await
            .answers
            .is_empty()
    );
    zone.clear("shop.test");
    let gone = resolve(&server, "shop.test.", RecordType::CAA).await;
    assert_eq!(gone.metadata.response_code, ResponseCode::NXDomain);
}

#[tokio::test]
async fn an_answer_too_long_for_the_datagram_is_truncated_and_whole_by_tcp() {
    let server = DnsServer::start_local().await.unwrap();
    let many: Vec<Ipv4Addr> = (1..=100)
        .map(|host| Ipv4Addr::new(127, 0, 1, host))
        .collect();
    server.zone().set_a("many.test", &many);
    assert!(
        resolve(&server, "many.test.", RecordType::A)
            .await
            .metadata
            .truncation
    );
    assert_eq!(
        resolve_by_tcp(&server, "many.test.", RecordType::A)
            .await
            .answers
            .len(),
        100
    );
}

#[tokio::test]
async fn two_servers_disagree_and_count_their_own_queries() {
    let one = DnsServer::start_local().await.unwrap();
    let other = DnsServer::start("127.0.0.1:0".parse::<SocketAddr>().unwrap(), Zone::new())
        .await
        .unwrap();
    one.zone().set_a("shop.test", &[SHOP]);
    assert_eq!(
        resolve(&one, "shop.test.", RecordType::A)
            .await
            .answers
            .len(),
        1
    );
    assert_eq!(
        resolve(&one, "SHOP.test.", RecordType::AAAA)
            .await
            .answers
            .len(),
        0
    );
    assert_eq!(
        resolve(&other, "shop.test.", RecordType::A)
            .await
            .metadata
            .response_code,
        ResponseCode::NXDomain
    );
    assert_eq!(
        (
            one.zone().queries("shop.test"),
            other.zone().queries("shop.test")
        ),
        (2, 1)
    );
    assert_eq!(one.zone().queries_of("shop.test", Kind::A), 1);
}

#[tokio::test]
async fn an_authoritative_server_answers_for_its_zones_alone_and_leaves_a_chain_where_they_end() {
    let zone = Zone::new();
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = DnsServer::start_authoritative(at, zone.clone()).await;
    let server = server.unwrap();
    zone.set_ns("shop.test", &["ns.dns.test"]).unwrap();
    zone.set_ttl(Duration::from_secs(3600));
    zone.set_cname("www.shop.test", "a.shop.test").unwrap();
    zone.set_cname("a.shop.test", "edge.platform.test").unwrap();
    zone.set_a("edge.platform.test", &[SHOP]);
    let aliases = resolve(&server, "www.shop.test", RecordType::A).await;
    assert!(aliases.metadata.authoritative && !aliases.metadata.recursion_available);
    assert_eq!(aliases.answers.len(), 2, "{:?}", records(&aliases));
    let missing = resolve(&server, "b.shop.test", RecordType::A).await;
    assert_eq!(missing.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(missing.authorities[0].ttl, 3600);
    let servers = resolve(&server, "shop.test", RecordType::NS).await;
    assert_eq!(records(&servers), ["shop.test. NS ns.dns.test."]);
    let foreign = resolve(&server, "edge.platform.test", RecordType::A).await;
    assert_eq!(foreign.metadata.response_code, ResponseCode::Refused);
    assert!(!foreign.metadata.authoritative);
}
