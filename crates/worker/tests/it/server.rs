//! `dps --server`: the commands through the admin API, without a database.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dps_lab::wait;
use serde_json::{Value, json};

use crate::admin::{ADMIN, Api, VIEWER, world, write_private};
use crate::world::{Database, Options, TIMEOUT, World, dps, npgsql_database};

const HOST: &str = "shop.bakery.test";
const WAITS: &str = "www.nowhere.test";

/// A machine with nothing but a token.
struct Desk {
    folder: tempfile::TempDir,
    url: String,
}

impl Desk {
    fn at(url: String, token: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_private(&folder.path().join("token"), token);
        Self { folder, url }
    }

    fn of(api: &Api, token: &str) -> Self {
        Self::at(format!("http://{}", api.at), token)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command with these options before it.
    fn run_with(&self, options: &[&str], arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_dps"))
            .args(options)
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .output()
            .unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let options = ["--server", &self.url, "--token-file", "token"];
        self.run_with(&options, arguments)
    }

    /// The document that a command prints.
    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Exit code and words of a command that fails.
    fn fails(&self, arguments: &[&str]) -> (i32, String) {
        reported(&self.run(arguments))
    }
}

fn reported(output: &Output) -> (i32, String) {
    let words = String::from_utf8(output.stderr.clone()).unwrap();
    (output.status.code().unwrap(), words)
}

/// The text with every time replaced, as moments differ from call to call.
fn timeless(text: &[u8]) -> String {
    let text = String::from_utf8(text.to_vec()).unwrap();
    let mut made = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_digit() || "TZ:.-".contains(c) {
            word.push(c);
            continue;
        }
        let is_time = word.len() >= 20 && word.as_bytes()[10] == b'T' && word.contains('Z');
        made.push_str(if is_time { "<time>" } else { &word });
        word.clear();
        made.push(c);
    }
    // Times have up to six digits of a second, so the widths of columns differ as well.
    let words: Vec<&str> = made
        .split(&[' ', '─', '═'][..])
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ")
}

async fn prints_the_same(database: Database) {
    let options = Options {
        database,
        ..Options::quick()
    };
    let (world, api) = world(options).await;
    let id = world.add(HOST).await;
    world.wait_for_status(&id, "Active").await;
    let waiting = world.customer.add(WAITS).await;
    world.wait_for_code(&waiting, "DNS_NXDOMAIN").await;
    let desk = Desk::of(&api, ADMIN);
    let edge = world_edge(&desk);
    // Something to list.
    assert_eq!(
        desk.json(&["issuance", "pause", "--domain", WAITS])["pauses"][0]["subject"],
        WAITS
    );
    let commands: &[&[&str]] = &[
        &["domains", "list"],
        &["domains", "list", "bakery"],
        &[
            "domains",
            "list",
            "--status",
            "Active",
            "--expires-within",
            "3650d",
        ],
        &["domains", "list", "--edge", &edge],
        &["domains", "list", "--limit", "1"],
        &["domains", "count", "--by", "status"],
        &["domains", "count", "--suffix", "bakery.test"],
        &["domains", "show", HOST],
        &["domains", "show", HOST, "--events", "2"],
        &["explain", HOST],
        &["fleet"],
        &["edges"],
        &["removals", "show"],
        &["limits", "show"],
        &["issuance", "status"],
        &["jobs", "list"],
        &["activity"],
        &["activity", "--limit", "1"],
        &["tenants", "list"],
        &["webhooks", "list"],
    ];
    for command in commands {
        for form in [&[][..], &["--json"]] {
            let arguments = [command, form].concat();
            let (here, there) = same(&world, &desk, &arguments);
            assert_eq!(here, there, "{arguments:?}");
            assert!(
                !here.is_empty()
                    || *command == ["jobs", "list"]
                    || *command == ["webhooks", "list"]
            );
        }
    }
    let account = desk.json(&["account"]);
    assert_eq!(account["termsOfServiceAgreed"], true, "{account}");
    let tenant = desk.json(&["domains", "show", HOST])["tenantId"].clone();
    let tenant = desk.json(&["tenants", "show", tenant.as_str().unwrap()]);
    assert_eq!(tenant["domains"], 2, "{tenant}");
    let rows = desk.json(&["diagnose", HOST])["rows"].clone();
    assert!(rows.as_array().unwrap().len() > 5, "{rows}");
    // Refusals have the same words.
    for command in [
        &["domains", "show", "nobody.test"][..],
        &["domains", "renew", WAITS],
        &["edges", "compare", "http://127.0.0.1:1"],
        &["jobs", "show", "00000000-0000-0000-0000-000000000000"],
        &["domains", "list", "--edge", "http://127.0.0.1:1"],
        &["tenants", "show", "nobody"],
        &["webhooks", "redeliver", "no-such-event"],
    ] {
        let (here, there) = (reported(&dps(world.home(), command)), desk.fails(command));
        assert_eq!((here.0, there.0), (1, 1), "{command:?}");
        let cause = there
            .1
            .trim_start_matches("error: ")
            .split(';')
            .next()
            .unwrap();
        let cause = cause.trim_start_matches("edge: ");
        let cause = if command[0] == "jobs" {
            "no job"
        } else {
            cause.trim()
        };
        assert!(here.1.contains(cause), "{command:?}: {here:?} {there:?}");
    }
}

/// The output of a command by the store and by the server, as soon as both are the same: a step
/// may come between.
fn same(world: &World, desk: &Desk, arguments: &[&str]) -> (String, String) {
    let mut last = (String::new(), String::new());
    for _ in 0..5 {
        let here = dps(world.home(), arguments);
        let there = desk.run(arguments);
        assert!(
            here.status.success() && there.status.success(),
            "{arguments:?} {here:?} {there:?}"
        );
        last = (timeless(&here.stdout), timeless(&there.stdout));
        if last.0 == last.1 {
            break;
        }
    }
    last
}

fn world_edge(desk: &Desk) -> String {
    desk.json(&["edges"])["name"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_prints_the_same_by_the_store_and_by_a_server_on_sqlite() {
    prints_the_same(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_prints_the_same_by_the_store_and_by_a_server_on_postgresql() {
    prints_the_same(Database::Postgres(npgsql_database().await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn actions_by_a_server_are_those_of_the_tokens_holder() {
    let (world, api) = world(Options::quick()).await;
    let id = world.add(HOST).await;
    world.wait_for_status(&id, "Active").await;
    let desk = Desk::of(&api, ADMIN);
    let edge = world_edge(&desk);
    let compared = desk.json(&["edges"])["comparedAt"].clone();
    let slash = format!("{edge}/");
    let due = desk.json(&["edges", "compare", &slash, "--reason", "it was repaired"]);
    assert_eq!(
        (&due["name"], due["dueAt"].is_string()),
        (&json!(edge), true),
        "{due}"
    );
    wait::until("another comparison", TIMEOUT, || async {
        (desk.json(&["edges"])["comparedAt"] != compared).then_some(())
    })
    .await
    .unwrap();
    // The same by the store.
    let here = dps(world.home(), &["edges", "compare", &edge]);
    let words = String::from_utf8(here.stdout).unwrap();
    assert!(
        words.contains("the comparison is due now; the last comparison ended at"),
        "{words}"
    );

    let approved = desk.json(&["edges", "approve", &edge]);
    assert_eq!(approved["isNew"], false, "{approved}");
    assert_eq!(desk.json(&["domains", "recheck", HOST])["hostname"], HOST);
    assert_eq!(
        desk.json(&["domains", "pause", HOST])["pauses"][0]["subject"],
        HOST
    );
    assert_eq!(desk.json(&["domains", "resume", HOST])["isComplete"], true);
    assert_eq!(
        desk.json(&["limits", "lift", "NewOrders"])["isComplete"],
        true
    );
    assert!(desk.json(&["removals", "approve"])["approvedUntil"].is_string());
    let revoke = ["domains", "revoke", HOST, "--reason", "superseded"];
    let preview = desk.json(&revoke);
    assert_eq!(
        (&preview["served"], &preview["acted"]),
        (&json!(true), &json!(false))
    );
    let of_store = dps(world.home(), &[&revoke[..], &["--json"]].concat());
    let of_store: Value = serde_json::from_slice(&of_store.stdout).unwrap();
    assert_eq!(of_store, preview);
    let job = desk.run(&[
        "domains",
        "renew",
        "--suffix",
        "bakery.test",
        "--yes",
        "--json",
    ]);
    assert!(job.status.success(), "{job:?}");
    let lines = String::from_utf8(job.stdout).unwrap();
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["state"], &last["acted"]),
        (&json!("done"), &json!(1)),
        "{lines}"
    );
    let id = last["id"].as_str().unwrap();
    assert_eq!(desk.json(&["jobs", "show", id])["who"], "admin:ada");
    let activity = desk.run(&["activity", "--json"]);
    let lines = String::from_utf8(activity.stdout).unwrap();
    let compare = lines
        .lines()
        .find(|line| line.contains("it was repaired"))
        .unwrap();
    assert!(
        compare.contains("\"who\":\"admin:ada\"") && compare.contains("edge.compare"),
        "{compare}"
    );
}

/// Answers one call after another with these bytes.
fn fake(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4_096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    format!("http://{at}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_called_is_named_with_the_option_and_the_remedy() {
    let (_world, api) = world(Options::quick()).await;
    let desk = Desk::of(&api, VIEWER);
    // The command line cannot be used: nothing was sent.
    let url = desk.url.clone();
    for (options, words) in [
        (&["--server", "dps.internal"][..], "Admin:Listen"),
        (
            &["--server", "ftp://dps.internal"],
            "http or https is needed",
        ),
        (
            &["--server", "http://ada:secret@dps.internal"],
            "use --token-file",
        ),
        (&["--server", &url], "--token-file is missing"),
        (
            &["--server", &url, "--token-file", "nowhere"],
            "--token-file: cannot read the secret file nowhere",
        ),
        (
            &[
                "--server",
                &url,
                "--token-file",
                "token",
                "--ca-file",
                "token",
            ],
            "holds no certificate in PEM",
        ),
        (
            &["--server", &url, "--token-file", "token", "--key-file", "k"],
            "--ca-file is missing",
        ),
        (
            &["--server", &url, "--config", "x.json"],
            "cannot be used with",
        ),
    ] {
        let (code, said) = reported(&desk.run_with(options, &["fleet"]));
        assert_eq!(code, 2, "{options:?}: {said}");
        assert!(said.contains(words), "{options:?}: {said}");
    }
    for command in [
        &["run"][..],
        &["config", "check"],
        &["keys", "list"],
        &["store", "size"],
        &["doctor"],
    ] {
        let (code, said) = desk.fails(command);
        assert!(
            code == 2 && said.contains("not through the admin API"),
            "{command:?}: {said}"
        );
    }
    // The server refuses.
    let (code, said) = desk.fails(&["issuance", "pause", "--all"]);
    assert!(
        code == 1 && said.contains("--token-file: the token has the role Viewer"),
        "{said}"
    );
    write_private(&desk.path("token"), "token-of-nobody-00");
    let (code, said) = desk.fails(&["fleet"]);
    assert!(code == 1 && said.contains("refuses the token"), "{said}");
    assert!(!said.contains("token-of-nobody"), "{said}");
}

#[test]
fn no_server_and_an_older_one_are_named_with_the_remedy() {
    // No such server, or an older one.
    let nobody = format!("http://127.0.0.1:{}", dps_lab::free_port().unwrap());
    for (url, words) in [
        (nobody, "check the URL"),
        (
            fake("HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno"),
            "it is no admin API of dps, or older than this dps",
        ),
        (
            fake(
                "HTTP/1.1 404 Not Found\r\ncontent-length: 86\r\nconnection: close\r\n\r\n\
                 {\"code\":\"NOT_FOUND\",\"detail\":\"there is nothing at this path\",\"title\":\"\",\"status\":404}  ",
            ),
            "older than this dps",
        ),
        (
            fake(
                "HTTP/1.1 200 OK\r\ncontent-length: 13\r\nconnection: close\r\n\r\n{\"domains\":1}",
            ),
            "use the dps of its version",
        ),
        (
            fake(
                "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            ),
            "it is no admin API of dps",
        ),
    ] {
        let desk = Desk::at(url, ADMIN);
        let (code, said) = desk.fails(&["fleet"]);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(&desk.url) && said.contains(words), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_environment_names_a_server_and_a_configuration_file_comes_before_it() {
    let (_world, api) = world(Options::quick()).await;
    let desk = Desk::of(&api, VIEWER);
    let by_environment = |more: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_dps"))
            .args(more)
            .args(["fleet", "--json"])
            .current_dir(desk.folder.path())
            .env_clear()
            .env("DPS_SERVER", &desk.url)
            .env("DPS_TOKEN_FILE", "token")
            .output()
            .unwrap()
    };
    let found = by_environment(&[]);
    assert!(found.status.success(), "{found:?}");
    let (_, said) = reported(&by_environment(&["--config", "nowhere.json"]));
    assert!(said.contains("nowhere.json"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_mutual_tls_wants_the_right_authority_and_a_certificate() {
    let tls = |name: &str| format!("pki/edge-one/{name}.pem");
    let section = json!({ "Admin": { "Tls": {
        "CertificateFile": tls("certificate"), "KeyFile": tls("key"), "CaFile": tls("ca"),
    } } });
    let options = Options {
        mutual_tls: true,
        ..Options::quick()
    };
    let (world, api) = world(options.with(&section)).await;
    let desk = Desk::at(format!("https://localhost:{}", api.at.port()), VIEWER);
    let file = |folder: &str, name: &str| {
        let path: &Path = world.home();
        path.join(folder).join(name).display().to_string()
    };
    let ca = file("pki", "ca.pem");
    let (certificate, key) = (
        file("pki/service-dps1", "certificate.pem"),
        file("pki/service-dps1", "key.pem"),
    );
    let base = ["--server", &desk.url, "--token-file", "token", "--ca-file"];
    let whole = ["--certificate-file", &certificate, "--key-file", &key];
    let with =
        |options: &[&str]| desk.run_with(&[&base[..], options].concat(), &["fleet", "--json"]);
    let found = with(&[&[ca.as_str()], &whole[..]].concat());
    assert!(found.status.success(), "{found:?}");
    let (code, said) = reported(&with(&[&ca]));
    assert!(
        code == 1 && said.contains("give --certificate-file and --key-file"),
        "{said}"
    );
    let made = dps(
        world.home(),
        &[
            "pki",
            "init",
            "--out",
            "stranger",
            "--service",
            "dps1",
            "--json",
        ],
    );
    let first = String::from_utf8(made.stdout).unwrap();
    let first: Value = serde_json::from_str(first.lines().next().unwrap()).unwrap();
    assert_eq!(first["path"], "stranger/ca.pem");
    let stranger = file("stranger", "ca.pem");
    let (code, said) = reported(&with(&[&[stranger.as_str()], &whole[..]].concat()));
    assert!(code == 1 && said.contains("by --ca-file"), "{said}");
    let plain = desk.url.replace("https", "http");
    let (code, said) =
        reported(&desk.run_with(&["--server", &plain, "--token-file", "token"], &["fleet"]));
    assert!(code == 1 && said.contains("http or https"), "{said}");
}
