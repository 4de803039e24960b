//! Something else than HAProxy on the socket: whatever it answers, the client comes to an end with
//! a value or an error of its own.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dps_agent_api::AgentError;
use dps_host::randomness;
use haproxy_domain_agent::runtime_api::{
    Endpoint, Installation, ListName, Payload, RuntimeApi, RuntimeError, RuntimeLimits, StoreName,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

use crate::authority::Authority;
use crate::hostile::{Random, change};
use crate::world::World;

/// Real answers, which the mutations begin with.
const ANSWERS: [&str; 12] = [
    "Name: HAProxy\nVersion: 2.6.12-1+deb12u4\nPid: 24275\nUptime_sec: 0\nStopping: 0\nStart_time_sec: 1795470259\n\n",
    "Filename: /s/a.pem\nStatus: Used\nSerial: 75BA\nSHA1 FingerPrint: BEDE0D4B93708B0DBD23B7FAFBA070B923224E52\nChain Subject: /CN=x\n\n",
    "Filename: /s/b.pem\nStatus: Empty\nOCSP Response Key: \n\n",
    "Can't display the certificate: Not found or the certificate is a bundle!\n\n",
    "# transaction\n*/s/a.pem\n# filename\n/s/a.pem\n/s/b.pem\n\n",
    "# /s/list.txt\n/s/a.pem:2\n/s/b.pem:3 [alpn h2] b.test !x.b.test\n\n",
    "Transaction created for certificate /s/a.pem!\n\n",
    "Transaction updated for certificate /s/b.pem!\n\n",
    "Committing /s/a.pem..\nSuccess!\n\n",
    "New empty certificate store '/s/a.pem'!\n\n",
    "The ongoing transaction is about '/s/b.pem' but you are trying to set '/s/a.pem'\nCan't update /s/a.pem!\n\n",
    "Unknown command: 'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgabcdefgh', but maybe one of the following ones is better\n\n",
];

/// Answers every connection with what `next` gives, whatever it is asked.
fn imposter(path: &Path, mut next: impl FnMut() -> Vec<u8> + Send + 'static) {
    let listener = UnixListener::bind(path).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = next();
            tokio::spawn(async move {
                let mut asked = vec![0; 64 * 1024];
                if stream.read(&mut asked).await.is_ok_and(|asked| asked > 0) {
                    stream.write_all(&answer).await.ok();
                }
            });
        }
    });
}

fn client(path: &Path, deadline: Duration) -> RuntimeApi {
    let limits = RuntimeLimits {
        deadline,
        lock_timeout: deadline,
        max_request_bytes: 15_872,
    };
    RuntimeApi::new(Endpoint::Unix(path.to_owned()), limits)
}

#[tokio::test]
async fn answers_mutated_at_random_end_in_a_value_or_an_error_that_repeats_no_key() {
    let seed = match std::env::var("DPS_FUZZ_SEED") {
        Ok(text) => text.parse().unwrap(),
        Err(_) => u64::from_str_radix(&randomness::hex(7), 16).unwrap(),
    };
    println!("DPS_FUZZ_SEED={seed}");
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("socket");
    let random = Arc::new(Mutex::new(Random(seed)));
    imposter(&path, move || {
        let mut random = random.lock().unwrap();
        let mut answer = ANSWERS[random.below(ANSWERS.len())].as_bytes().to_vec();
        // As HAProxy answers many commands on one connection.
        if random.below(2) == 0 {
            for _ in 0..random.below(30) {
                answer.extend_from_slice(b"\n> ");
                answer.extend_from_slice(ANSWERS[random.below(ANSWERS.len())].as_bytes());
            }
            answer.extend_from_slice(b"\n> ");
        }
        for _ in 0..random.below(4) {
            change(&mut answer, &[], &mut random);
        }
        answer
    });
    let api = client(&path, Duration::from_millis(500));
    let issued = Authority::new().issue("shop.example.com");
    let payload = Payload::new(&issued.chain, &issued.key);
    let (name, list) = (
        StoreName::parse("/s/a.pem").unwrap(),
        ListName::parse("/s/list.txt").unwrap(),
    );
    for _ in 0..150 {
        let errors = [
            api.process().await.err(),
            api.inspect(&name).await.err(),
            api.inspect_all(&[name.clone(), name.clone()]).await.err(),
            api.stores().await.err(),
            api.list_entries(&list).await.err(),
            api.create(&name).await.err(),
            api.stage(&name, &payload).await.err(),
            api.commit(&name).await.err(),
            api.list_add(&list, &name, &issued.hostname).await.err(),
            api.delete(&name).await.err(),
        ];
        let installation = Installation {
            name: &name,
            payload: &payload,
            sni: &issued.hostname,
            is_new: true,
            is_listed: false,
        };
        let mut refusals = Vec::new();
        let note_result = |_, result: Result<_, RuntimeError>| refusals.extend(result.err());
        let ended = api
            .install_all(&list, &[installation; 3], note_result)
            .await
            .err();
        for error in errors.into_iter().flatten().chain(refusals).chain(ended) {
            let text = format!("{error} {error:?}");
            assert!(
                text.len() < 2000
                    && !text.contains("MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgabcdefgh"),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn beside_something_that_is_no_haproxy_nothing_is_acknowledged_or_kept() {
    let folder = tempfile::tempdir().unwrap();
    for (round, answer) in [
        &b""[..],
        b"\n\n",
        b"Success!\n\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        &[0xff; 4096],
    ]
    .into_iter()
    .enumerate()
    {
        let path = folder.path().join(format!("socket{round}"));
        let answer = answer.to_vec();
        imposter(&path, move || answer.clone());
        let world =
            World::with_settings(|settings| settings.haproxy_socket = path.display().to_string())
                .await;
        let before = world.files();
        let verdict = world
            .client()
            .apply(&world.authority.issue("shop.example.com").request(1))
            .await;
        assert!(
            matches!(verdict, Err(AgentError::Unreachable { .. })),
            "{verdict:?}"
        );
        assert_eq!(world.files(), before);
        assert!(
            world
                .client()
                .inventory(None, 1)
                .await
                .unwrap()
                .items
                .is_empty()
        );
    }
}
