use std::process::Command;
use std::time::Duration;

use dps_lab::postgres::{self, Postgres};
use dps_lab::wait;

async fn sql(cluster: &Postgres, url: &str, statement: &str) -> String {
    let mut psql = tokio::process::Command::new(cluster.program("psql"));
    let output = psql
        .args(["-X", "-A", "-t", "-c", statement, "-d", url])
        .output()
        .await
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn fresh_databases_of_the_shared_cluster_are_empty_and_apart() {
    let cluster = postgres::shared().await.unwrap();
    let first = postgres::fresh_database().await.unwrap();
    let second = postgres::fresh_database().await.unwrap();
    sql(cluster, &first, "CREATE TABLE here (id int)").await;
    let count = "SELECT count(*) FROM pg_tables WHERE tablename = 'here'";
    assert_eq!(sql(cluster, &first, count).await, "1");
    assert_eq!(sql(cluster, &second, count).await, "0");
}

#[tokio::test]
async fn a_killed_server_comes_back_on_the_same_port_and_dropping_it_leaves_nothing() {
    let mut cluster = Postgres::start().await.unwrap();
    let url = cluster.create_database().await.unwrap();
    cluster.server().kill().unwrap();
    cluster.restart().await.unwrap();
    assert_eq!(sql(&cluster, &url, "SELECT 1").await, "1");

    let (address, log) = (
        cluster.address(),
        cluster.server().spec().log_path().to_owned(),
    );
    drop(cluster);
    assert!(std::net::TcpStream::connect(address).is_err());
    assert!(!log.parent().unwrap().exists());
}

/// Not a test of its own: the story below runs it in a second process, which ends without dropping
/// statics.
#[tokio::test]
#[ignore = "run by the_shared_cluster_ends_with_its_process_and_is_swept_later"]
async fn use_the_shared_cluster_and_end() {
    let url = postgres::fresh_database().await.unwrap();
    println!("url={url}=");
    println!("pid={}=", std::process::id());
}

#[tokio::test]
async fn the_shared_cluster_ends_with_its_process_and_is_swept_later() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "postgres::use_the_shared_cluster_and_end",
            "--ignored",
            "--nocapture",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let value = |key: &str| {
        text.split(key)
            .nth(1)
            .unwrap()
            .split('=')
            .next()
            .unwrap()
            .to_owned()
    };
    let address = value("url=").split(['@', '/']).nth(3).unwrap().to_owned();
    wait::until("the server is gone", Duration::from_secs(20), || {
        std::future::ready(
            std::net::TcpStream::connect(&address)
                .is_err()
                .then_some(()),
        )
    })
    .await
    .unwrap();

    let left = std::env::temp_dir().join(format!("dps-lab-postgres-{}-0", value("pid=")));
    drop(Postgres::start().await.unwrap());
    assert!(!left.exists(), "{} was not swept", left.display());
}
