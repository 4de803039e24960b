//! The place of the state: in one file after a clean end, in a backup, and beside the
//! configuration. Commands that only read never create it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use dps_application::rotation;
use dps_infrastructure::secrets::{EnvelopeVault, KeyRing};
use dps_lab::postgres::{self, Postgres};
use dps_lab::wait;
use dps_store::{Store, StoreOptions};
use dps_worker::system::{ProcessClock, SystemRandomness};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, SqliteConnection};
use tempfile::TempDir;

use crate::world::{Database, Options, TIMEOUT, World, dps, npgsql};

const HOST: &str = "shop.bakery.test";

fn both(output: &Output) -> String {
    let texts =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    texts.concat()
}

/// Runs `dps` in a folder, which must succeed; answers what it printed.
fn said(folder: &Path, arguments: &[&str]) -> String {
    let output = dps(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", both(&output));
    both(&output)
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

async fn open(file: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(file);
    options.connect().await.unwrap()
}

/// The hostnames that a Cabinet's database holds.
async fn hosts_of_cabinet(file: &Path) -> Vec<String> {
    let mut database = open(file).await;
    let hosts = sqlx::query_scalar("SELECT canonical_host FROM cabinet_domains");
    let hosts = hosts.fetch_all(&mut database).await.unwrap();
    database.close().await.unwrap();
    hosts
}

/// Copies the main files alone, without logs, and searches for the domain in the copies.
async fn the_files_alone_are_everything(world: &World) {
    let copy = TempDir::new().unwrap();
    for name in ["dps.db", "cabinet.db"] {
        fs::copy(world.home().join(name), copy.path().join(name)).unwrap();
    }
    let listed = said(copy.path(), &["domains", "list"]);
    assert!(listed.contains(HOST), "{listed}");
    assert_eq!(
        hosts_of_cabinet(&copy.path().join("cabinet.db")).await,
        [HOST]
    );
    let logs = names_in(world.home());
    assert!(!logs.iter().any(|name| name.ends_with("-wal")), "{logs:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_clean_end_the_file_alone_is_the_whole_database() {
    let mut world = World::start(Options::default()).await;
    let id = world.add(HOST).await;
    world.wait_for_status(&id, "Active").await;
    // A command that reads meanwhile leaves the log to those who write it, and closes what it
    // opened.
    said(world.home(), &["domains", "list"]);
    assert_eq!(
        world.service.terminate(TIMEOUT).await.unwrap().code(),
        Some(0)
    );
    assert_eq!(
        world.cabinet.terminate(TIMEOUT).await.unwrap().code(),
        Some(0)
    );
    the_files_alone_are_everything(&world).await;

    // The next writer is a command, which makes a log of its own.
    said(world.home(), &["domains", "renew", HOST]);
    the_files_alone_are_everything(&world).await;

    assert_eq!(
        world.agent.terminate(TIMEOUT).await.unwrap().code(),
        Some(0)
    );
    let mut standalone = world.start_standalone().await;
    world.wait_for_status(&id, "Active").await;
    assert_eq!(standalone.terminate(TIMEOUT).await.unwrap().code(), Some(0));
    the_files_alone_are_everything(&world).await;
    let mode = |name: &str| {
        world
            .home()
            .join(name)
            .metadata()
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!((mode("dps.db"), mode("cabinet.db")), (0o600, 0o600));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_running_service_can_be_restored() {
    let mut world = World::start(Options::quick()).await;
    let id = world.add(HOST).await;
    world.wait_for_status(&id, "Active").await;
    let copy = world.home().join("copy");
    let output = said(world.home(), &["backup", "copy"]);
    // The keys of the account, of the order and of the certificate, or what is left of them.
    assert!(output.contains("private keys can be decrypted"), "{output}");
    assert_eq!(names_in(&copy), ["cabinet.db", "dps.db", "dps.kek"]);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&copy), 0o700);
    for name in names_in(&copy) {
        assert_eq!(mode(&copy.join(&name)), 0o600, "{name}");
    }
    assert_eq!(hosts_of_cabinet(&copy.join("cabinet.db")).await, [HOST]);

    let again = dps(world.home(), &["backup", "copy"]);
    assert_eq!(again.status.code(), Some(1), "{}", both(&again));
    assert!(
        both(&again).contains("never overwrites"),
        "{}",
        both(&again)
    );

    // Everything that the service had is lost.
    let before = world.visit(HOST).await;
    let database = format!("sqlite://{}", copy.join("dps.db").display());
    world
        .start_service_again_with(&[("CertificateStore__ConnectionString", &database)])
        .await;
    assert!(said(&copy, &["domains", "list"]).contains(HOST));
    // A renewal needs the account's private key, sealed as it was.
    said(&copy, &["domains", "renew", HOST]);
    let renewed = wait::until("another certificate", TIMEOUT, || async {
        let now = world.visit(HOST).await;
        (now != before).then_some(())
    });
    renewed
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", world.service.log_tail()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_whose_keys_do_not_open_it_is_given_up() {
    let mut world = World::start(Options::default()).await;
    let id = world.add(HOST).await;
    world.wait_for_status(&id, "Active").await;
    let keys = world.home().join("dps.kek");
    fs::write(
        &keys,
        "other:CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=\n",
    )
    .unwrap();
    let output = dps(world.home(), &["backup", "copy"]);
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
    assert!(
        both(&output).contains("some of its private keys cannot be decrypted"),
        "{}",
        both(&output)
    );
    let left = names_in(world.home());
    assert!(!left.iter().any(|name| name.contains("copy")), "{left:?}");

    // A database without its keys gets no new ones: they would open nothing.
    fs::remove_file(&keys).unwrap();
    world.service.kill().unwrap();
    let refused = dps(world.home(), &["run"]);
    assert_eq!(refused.status.code(), Some(1), "{}", both(&refused));
    assert!(
        both(&refused).contains("put it back from the backup"),
        "{}",
        both(&refused)
    );
    assert!(!keys.exists());
}

/// Writes a program of the test.
fn write_script(path: &Path, script: &str) {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Restores a dump into a new database; returns its URL.
async fn restored(server: &Postgres, dump: &Path) -> String {
    let url = server.create_database().await.unwrap();
    let restore = Command::new(server.program("pg_restore"))
        .args(["--no-owner", "--exit-on-error", "--dbname", &url])
        .arg(dump)
        .output()
        .unwrap();
    assert!(restore.status.success(), "{}", both(&restore));
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_running_service_on_postgresql_can_be_restored() {
    const PASSWORD: &str = "the:pass\\word 'of the' test%";
    let server = Postgres::start().await.unwrap();
    let guarded: url::Url = server
        .create_guarded_database("dps", PASSWORD)
        .await
        .unwrap()
        .parse()
        .unwrap();
    let connection = format!(
        "Host=127.0.0.1;Port={};Database=dps;Username=dps;Password=\"{PASSWORD}\"",
        guarded.port().unwrap()
    );
    let cabinet = server.create_database().await.unwrap();
    let cabinet = json!({ "Cabinet": { "ConnectionString": cabinet } });
    let mut world = World::start(Options {
        database: Database::Postgres(connection),
        ..Options::quick().with(&cabinet)
    })
    .await;
    let id = world.add(HOST).await;
    world.wait_for_status(&id, "Active").await;

    // Notes what other users of the machine could see, and continues as the real one.
    let programs = TempDir::new().unwrap();
    let (pg_dump, seen) = (
        programs.path().join("pg_dump"),
        programs.path().join("seen"),
    );
    let real = server.program("pg_dump");
    let script = format!(
        "{{ echo \"$@\"; env; }} >> {}\nexec {} \"$@\"",
        seen.display(),
        real.display()
    );
    write_script(&pg_dump, &script);
    let pg_restore = server.program("pg_restore");
    std::os::unix::fs::symlink(pg_restore, programs.path().join("pg_restore")).unwrap();

    let output = said(
        world.home(),
        &["backup", "copy", "--pg-dump", pg_dump.to_str().unwrap()],
    );
    assert!(
        output.contains("read to its end but not restored"),
        "{output}"
    );
    let copy = world.home().join("copy");
    assert_eq!(names_in(&copy), ["cabinet.dump", "dps.dump", "dps.kek"]);
    for name in names_in(&copy) {
        let mode = copy.join(&name).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
    }
    let seen = fs::read_to_string(seen).unwrap();
    assert!(seen.contains("PGPASSFILE=/dev/stdin"), "{seen}");
    for part in ["the:pass", "word 'of the'", "-token-of-the-tests"] {
        assert!(
            !seen.contains(part) && !output.contains(part),
            "{part}: {seen} {output}"
        );
    }

    // Everything that the service had is lost.
    let before = world.visit(HOST).await;
    let cabinet = restored(&server, &copy.join("cabinet.dump")).await;
    let hosts = server.query(&cabinet, "SELECT canonical_host FROM cabinet_domains");
    assert_eq!(hosts.await.unwrap().trim(), HOST);
    let store = restored(&server, &copy.join("dps.dump")).await;
    let keys = copy.join("dps.kek");
    every_key_opens(&store, &keys).await;
    let environment = [
        ("CertificateStore__ConnectionString", store.as_str()),
        (
            "CertificateStore__EncryptionKeyFile",
            keys.to_str().unwrap(),
        ),
    ];
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dps"));
        command.args(arguments).current_dir(&copy).envs(environment);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", both(&output));
        both(&output)
    };
    let shown = run(&["domains", "show", HOST]);
    assert!(shown.contains("Active"), "{shown}");
    world.start_service_again_with(&environment).await;
    // A renewal needs the account's private key, sealed as it was.
    run(&["domains", "renew", HOST]);
    let renewed = wait::until("another certificate", TIMEOUT, || async {
        let now = world.visit(HOST).await;
        (now != before).then_some(())
    });
    renewed
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", world.service.log_tail()));
}

/// Opens every private key of a database with the keys of a file.
async fn every_key_opens(database: &str, keys: &Path) {
    let options = StoreOptions::new(Arc::new(SystemRandomness), Arc::new(ProcessClock::start()));
    let store = Store::connect(database, options).await.unwrap();
    store.check_schema().await.unwrap();
    let vault = EnvelopeVault::new(KeyRing::from_files(&[keys]).unwrap());
    let opened = rotation::open_all(&store, &vault).await.unwrap();
    // Of the account and the certificate at least.
    assert!(opened >= 2, "{opened}");
    store.close().await;
}

#[tokio::test]
async fn a_dump_that_cannot_be_made_leaves_nothing_and_names_the_remedy() {
    let server = postgres::shared().await.unwrap();
    let database = npgsql(&server.create_database().await.unwrap());
    let folder = TempDir::new().unwrap();
    let keys = folder.path().join("kek");
    fs::write(&keys, "one:CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=\n").unwrap();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).unwrap();
    let run = |arguments: &[&str], path: &Path| {
        Command::new(env!("CARGO_BIN_EXE_dps"))
            .args(arguments)
            .current_dir(folder.path())
            .env("PATH", path)
            .env("CertificateStore__ConnectionString", &database)
            .env("CertificateStore__EncryptionKeyFile", "kek")
            .output()
            .unwrap()
    };
    let migrated = run(&["migrate"], Path::new("/usr/bin"));
    assert!(migrated.status.success(), "{}", both(&migrated));

    let programs = TempDir::new().unwrap();
    let none = programs.path().join("none");
    let with = |name: &str, script: &str| {
        let home = programs.path().join(name);
        fs::create_dir(&home).unwrap();
        write_script(&home.join("pg_dump"), script);
        std::os::unix::fs::symlink(server.program("pg_restore"), home.join("pg_restore")).unwrap();
        home
    };
    let version = "[ \"$1\" != --version ] || { echo 'pg_dump (PostgreSQL) 99.1'; exit; }";
    let old = with("old", "echo 'pg_dump (PostgreSQL) 8.4.22'");
    let broken = with(
        "broken",
        &format!("{version}\n/bin/cat /dev/stdin >&2; exit 1"),
    );
    let empty = with("empty", version);
    for (path, expected) in [
        (
            &none,
            "pg_dump (looked for in PATH) is not there; install PostgreSQL's client",
        ),
        (&old, "has version 8, the server"),
        // The password, if the program says it.
        (&broken, "failed (exit status: 1): *:*:*:*:***"),
        (&empty, "pg_restore failed"),
    ] {
        let output = run(&["backup", "copy"], path);
        assert_eq!(output.status.code(), Some(1), "{}", both(&output));
        assert!(
            both(&output).contains(expected),
            "{expected}: {}",
            both(&output)
        );
        assert!(!both(&output).contains("any; one"), "{}", both(&output));
        assert_eq!(names_in(folder.path()), ["kek"], "{expected}");
    }
}

#[tokio::test]
async fn a_backup_that_is_interrupted_leaves_nothing_and_ends_its_program() {
    let database = npgsql(&postgres::fresh_database().await.unwrap());
    let (folder, programs) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let keys = folder.path().join("kek");
    fs::write(&keys, "one:CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=\n").unwrap();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).unwrap();
    let command = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dps"));
        command
            .args(arguments)
            .current_dir(folder.path())
            .env("CertificateStore__ConnectionString", &database)
            .env("CertificateStore__EncryptionKeyFile", "kek");
        command
    };
    let migrated = command(&["migrate"]).output().unwrap();
    assert!(migrated.status.success(), "{}", both(&migrated));
    let (pg_dump, begun) = (
        programs.path().join("pg_dump"),
        programs.path().join("begun"),
    );
    let script = format!(
        "[ \"$1\" != --version ] || {{ echo 'pg_dump (PostgreSQL) 99.1'; exit; }}\n\
         echo $$ > {0}.new; mv {0}.new {0}; exec sleep 600",
        begun.display()
    );
    write_script(&pg_dump, &script);
    write_script(&programs.path().join("pg_restore"), "exit 1");
    let mut backup = command(&["backup", "copy", "--pg-dump", pg_dump.to_str().unwrap()])
        .spawn()
        .unwrap();
    let pid = wait::until("the dump has begun", TIMEOUT, || async {
        fs::read_to_string(&begun).ok()
    });
    let pid = pid.await.unwrap();
    let dps = Pid::from_raw(i32::try_from(backup.id()).unwrap()).unwrap();
    kill_process(dps, Signal::TERM).unwrap();
    let status = tokio::task::spawn_blocking(move || backup.wait().unwrap());
    assert_eq!(status.await.unwrap().code(), Some(1));
    assert_eq!(names_in(folder.path()), ["kek"]);
    let ended = wait::until("pg_dump has ended", TIMEOUT, || async {
        // A process that has ended has no arguments any more.
        let arguments = fs::read(format!("/proc/{}/cmdline", pid.trim()));
        arguments
            .map_or(true, |arguments| arguments.is_empty())
            .then_some(())
    });
    ended.await.unwrap();
}

#[test]
fn a_command_that_reads_makes_no_database() {
    let folder = TempDir::new().unwrap();
    for command in [
        &["domains", "list"][..],
        &["domains", "show", HOST],
        &["domains", "retry", HOST],
        &["domains", "renew", HOST],
        &["edges"],
        &["keys", "list"],
        &["keys", "rotate"],
        &["backup", "copy"],
    ] {
        let output = dps(folder.path(), command);
        assert_eq!(
            output.status.code(),
            Some(1),
            "{command:?}: {}",
            both(&output)
        );
        assert!(
            both(&output).contains("dps."),
            "{command:?}: {}",
            both(&output)
        );
        assert_eq!(names_in(folder.path()), [""; 0], "{command:?}");
    }
}

#[tokio::test]
async fn a_command_that_reads_changes_no_schema_and_names_the_command_that_does() {
    let folder = TempDir::new().unwrap();
    said(folder.path(), &["migrate"]);
    let file = folder.path().join("dps.db");
    let newest =
        "DELETE FROM _sqlx_migrations WHERE version = (SELECT MAX(version) FROM _sqlx_migrations)";
    let mut database = open(&file).await;
    database.execute(newest).await.unwrap();
    database.close().await.unwrap();
    let before = fs::read(&file).unwrap();
    let output = dps(folder.path(), &["domains", "list"]);
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
    assert!(
        both(&output).contains("run `dps migrate`"),
        "{}",
        both(&output)
    );
    assert_eq!(fs::read(&file).unwrap(), before);
    assert_eq!(names_in(folder.path()), ["dps.db"]);
}

#[test]
fn relative_paths_begin_beside_the_configuration_file() {
    let (folder, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let config = folder.path().join("appsettings.json");
    fs::write(
        &config,
        r#"{"CertificateStore": {"EncryptionKeyFile": "keys"}}"#,
    )
    .unwrap();
    let keys = folder.path().join("keys");
    fs::write(&keys, "one:CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=\n").unwrap();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).unwrap();
    let config = config.to_str().unwrap();
    said(elsewhere.path(), &["--config", config, "migrate"]);
    said(elsewhere.path(), &["--config", config, "domains", "list"]);
    assert!(said(elsewhere.path(), &["--config", config, "keys", "list"]).contains("one"));
    assert_eq!(names_in(elsewhere.path()), [""; 0]);
    assert_eq!(
        names_in(folder.path()),
        ["appsettings.json", "dps.db", "keys"]
    );

    // A database that an earlier version kept in the working directory is not replaced by an empty
    // one.
    fs::rename(
        folder.path().join("dps.db"),
        elsewhere.path().join("dps.db"),
    )
    .unwrap();
    for command in ["migrate", "run"] {
        let output = dps(elsewhere.path(), &["--config", config, command]);
        assert!(!output.status.success(), "{command}: {}", both(&output));
        assert!(
            both(&output).contains("is in the working directory"),
            "{}",
            both(&output)
        );
        assert!(!folder.path().join("dps.db").exists());
    }
}

#[test]
fn a_database_server_on_another_machine_must_be_verified_before_a_password_is_sent() {
    let folder = TempDir::new().unwrap();
    let run = |arguments: &[&str], connection: &str| {
        Command::new(env!("CARGO_BIN_EXE_dps"))
            .args(arguments)
            .current_dir(folder.path())
            .env_clear()
            .env("CertificateStore__ConnectionString", connection)
            .env("Cabinet__ConnectionString", connection)
            .output()
            .unwrap()
    };
    let remote = "Host=db.example;Database=dps;Username=dps;Psw=hunter2";
    for (arguments, code) in [
        (&["run"][..], 2),
        (&["cabinet"], 2),
        (&["config", "check"], 2),
        (&["domains", "list"], 1),
        (&["migrate"], 1),
        (&["config", "check", "--json"], 2),
    ] {
        let output = run(arguments, remote);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {}",
            both(&output)
        );
        assert!(
            both(&output).contains("AllowUnverifiedTls"),
            "{arguments:?}: {}",
            both(&output)
        );
        assert!(
            !both(&output).contains("hunter2"),
            "{arguments:?}: {}",
            both(&output)
        );
    }
}
