//! `dps pki`: what is made, what is left alone, what is readable by whom.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dps_x509::{CertificateChain, peer_names};

use crate::world::dps;

fn ran(home: &Path, arguments: &[&str]) -> String {
    let output = dps(home, &[["pki"].as_slice(), arguments].concat());
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn refused(home: &Path, arguments: &[&str]) -> String {
    let output: Output = dps(home, &[["pki"].as_slice(), arguments].concat());
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn files(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        if path.is_dir() {
            assert_eq!(mode, 0o700, "{}", path.display());
            found.extend(files(&path));
        } else {
            assert_eq!(mode, 0o600, "{}", path.display());
            found.insert(path.clone(), std::fs::read_to_string(&path).unwrap());
        }
    }
    found
}

#[test]
fn one_command_makes_the_fleet_and_openssl_agrees_with_every_certificate() {
    let home = tempfile::tempdir().unwrap();
    let said = ran(
        home.path(),
        &[
            "init",
            "--out",
            "pki",
            "--service",
            "dps1",
            "--edge",
            "berlin=192.0.2.1,berlin.internal",
            "--edge",
            "paris",
        ],
    );
    let folder = home.path().join("pki");
    let mode = std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700);
    let all = files(&folder);
    assert_eq!(all.len(), 2 + 3 * 3, "{:?}", all.keys());
    assert!(
        said.contains("edge-berlin  for 192.0.2.1, berlin.internal"),
        "{said}"
    );
    for (machine, purpose, other) in [
        ("service-dps1", "sslclient", "sslserver"),
        ("edge-berlin", "sslserver", "sslclient"),
        ("edge-paris", "sslserver", "sslclient"),
    ] {
        let verifies = |purpose: &str| {
            let output = Command::new("openssl")
                .args(["verify", "-x509_strict", "-purpose", purpose, "-CAfile"])
                .arg(folder.join(machine).join("ca.pem"))
                .arg(folder.join(machine).join("certificate.pem"))
                .output()
                .unwrap();
            output.status.success()
        };
        assert!(verifies(purpose), "{machine} as {purpose}");
        assert!(!verifies(other), "{machine} as {other}");
    }
}

#[test]
fn an_edge_is_added_later_to_the_same_authority_and_nothing_is_overwritten() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("pki");
    ran(
        home.path(),
        &["init", "--out", "pki", "--service", "dps1", "--edge", "one"],
    );
    let before = files(&folder);
    ran(
        home.path(),
        &[
            "init",
            "--out",
            "pki",
            "--service",
            "dps1",
            "--edge",
            "one",
            "--edge",
            "two",
        ],
    );
    let after = files(&folder);
    assert!(
        before
            .iter()
            .all(|(path, text)| after.get(path) == Some(text))
    );
    assert_eq!(after.len(), before.len() + 3);
    assert_eq!(
        after[&folder.join("edge-two/ca.pem")],
        after[&folder.join("ca.pem")]
    );

    let conflict = refused(
        home.path(),
        &["init", "--out", "pki", "--edge", "one=192.0.2.9"],
    );
    assert!(
        conflict.contains("edge-one already exists, for one"),
        "{conflict}"
    );
    assert_eq!(files(&folder), after);
}

#[test]
fn renewal_keeps_names_and_authority_and_changes_keys() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("pki");
    ran(
        home.path(),
        &[
            "init",
            "--out",
            "pki",
            "--service",
            "dps1",
            "--edge",
            "one=::1,one",
        ],
    );
    let before = files(&folder);
    ran(home.path(), &["renew", "--out", "pki", "edge-one"]);
    let after = files(&folder);
    let changed: Vec<_> = before
        .keys()
        .filter(|path| before[*path] != after[*path])
        .collect();
    assert_eq!(
        changed,
        [
            &folder.join("edge-one/certificate.pem"),
            &folder.join("edge-one/key.pem")
        ]
    );
    let names = |files: &BTreeMap<PathBuf, String>| {
        let text = &files[&folder.join("edge-one/certificate.pem")];
        peer_names(&CertificateChain::from_pem(text).unwrap())
    };
    assert_eq!(names(&before), names(&after));
    ran(home.path(), &["renew", "--out", "pki"]);
    assert_ne!(
        files(&folder)[&folder.join("service-dps1/key.pem")],
        after[&folder.join("service-dps1/key.pem")]
    );
}

#[test]
fn what_cannot_be_made_is_refused_with_a_reason_and_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    for (arguments, reason) in [
        (
            ["init", "--out", "pki", "--edge", "a b"].as_slice(),
            "neither an IP address nor a host name",
        ),
        (
            &["init", "--out", "pki", "--edge", "a", "--edge", "A"],
            "given twice",
        ),
        (&["init", "--out", "pki"], "--service NAME"),
        (&["renew", "--out", "pki"], "not a folder"),
    ] {
        let said = refused(home.path(), arguments);
        assert!(said.contains(reason), "{said}");
        assert!(!home.path().join("pki").exists());
    }
    ran(home.path(), &["init", "--out", "pki", "--edge", "one"]);
    std::fs::remove_file(home.path().join("pki/ca.key")).unwrap();
    let said = refused(home.path(), &["init", "--out", "pki", "--edge", "two"]);
    assert!(said.contains("ca.key is missing"), "{said}");
}

#[test]
fn an_authority_whose_making_was_interrupted_is_finished_by_the_next_call() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("pki");
    let (certificate, key) = (folder.join("ca.pem"), folder.join("ca.key"));
    let unfinished = folder.join(".ca.pem.new");
    let init = ["init", "--out", "pki", "--edge", "one"];
    ran(home.path(), &init);
    let made = std::fs::read_to_string(&certificate).unwrap();
    // As the folder is after a kill between the key and the certificate's name.
    std::fs::remove_dir_all(folder.join("edge-one")).unwrap();
    std::fs::rename(&certificate, &unfinished).unwrap();
    ran(home.path(), &init);
    assert_eq!(std::fs::read_to_string(&certificate).unwrap(), made);
    assert!(!unfinished.exists());
    // As it is after a kill before the key: nothing was signed for this certificate.
    std::fs::remove_dir_all(folder.join("edge-one")).unwrap();
    std::fs::rename(&certificate, &unfinished).unwrap();
    std::fs::remove_file(&key).unwrap();
    ran(home.path(), &init);
    assert_ne!(std::fs::read_to_string(&certificate).unwrap(), made);
    assert!(!unfinished.exists());
    // A key whose certificate was lost is not replaced.
    std::fs::remove_file(&certificate).unwrap();
    let said = refused(home.path(), &init);
    assert!(said.contains("ca.pem is missing beside ca.key"), "{said}");
}
