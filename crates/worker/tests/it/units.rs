//! The shipped systemd units, judged by systemd.

use std::process::Command;

use dps_lab::process::find_program;

const UNITS: [(&str, &str, &str); 2] = [
    (
        "dps.service",
        include_str!("../../../../deploy/systemd/dps.service"),
        "/usr/bin/dps",
    ),
    (
        "haproxy-domain-agent.service",
        include_str!("../../../../deploy/systemd/haproxy-domain-agent.service"),
        "/usr/bin/haproxy-domain-agent",
    ),
];

#[test]
fn systemd_finds_nothing_wrong_with_the_shipped_units() {
    let analyze = find_program("systemd-analyze", "systemd", &[]).unwrap();
    let home = tempfile::tempdir().unwrap();
    for (name, text, program) in UNITS {
        assert_eq!(text.matches(program).count(), 1, "{program} in {name}");
        // Where systemd searches for the documents that a unit names is no matter of the unit.
        let text = text.replace(program, env!("CARGO_BIN_EXE_dps"));
        let unit = home.path().join(name);
        std::fs::write(&unit, text).unwrap();
        let output = Command::new(&analyze)
            .args(["verify", "--man=no", "--recursive-errors=no"])
            .arg(&unit)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && said.is_empty(),
            "{name}: {}\n{said}",
            output.status
        );
    }
}

/// systemd's figure for what a unit could still do, from 0 (nothing) to 10. The network and UNIX
/// sockets remain, which the processes need.
#[test]
fn the_shipped_units_are_confined_to_what_they_need() {
    let analyze = find_program("systemd-analyze", "systemd", &[]).unwrap();
    let home = tempfile::tempdir().unwrap();
    for ((name, text, _), tenths) in UNITS.into_iter().zip(["14", "11"]) {
        let unit = home.path().join(name);
        std::fs::write(&unit, text).unwrap();
        let output = Command::new(&analyze)
            .args([
                "security",
                "--offline=true",
                "--no-pager",
                "--threshold",
                tenths,
            ])
            .arg(&unit)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{name}: {said}");
    }
}

/// The value of a setting in the unit of this name.
fn value(unit: &str, key: &str) -> &'static str {
    let (_, text, _) = UNITS
        .into_iter()
        .find(|(name, _, _)| *name == unit)
        .unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("{key} in {unit}"))
}

#[test]
fn the_shipped_units_bound_what_a_flood_can_take() {
    for (name, _, _) in UNITS {
        assert_eq!(value(name, "LimitNOFILE"), "65536");
        for key in ["TasksMax", "MemoryMax"] {
            assert!(!value(name, key).is_empty());
        }
    }
    let denied = value("dps.service", "IPAddressDeny");
    assert!(
        denied.contains("169.254.0.0/16") && denied.contains("fe80::/10"),
        "{denied}"
    );
}

#[test]
fn the_agent_runs_under_a_user_of_its_own_and_notifies_when_haproxy_can_start() {
    let unit = "haproxy-domain-agent.service";
    let user = value(unit, "User");
    assert_eq!((user, value(unit, "Group")), ("haproxy-domain-agent", user));
    let made = include_str!("../../../../deploy/systemd/haproxy-domain-agent.sysusers.conf");
    assert!(made.contains(&format!("u {user} ")), "{made}");
    let socket = format!(" group {user} mode 660 level admin");
    let haproxy = include_str!("../../../../deploy/haproxy/haproxy.cfg");
    assert!(
        haproxy.contains(&socket),
        "HAProxy's socket is open to {user}"
    );
    assert_eq!(value(unit, "Type"), "notify");
}

#[test]
fn what_holds_secrets_comes_into_no_commit_and_no_image() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let docker = include_str!("../../../../.dockerignore");
    for (file, pattern) in [
        ("dps.kek", "**/*.kek"),
        ("cabinet-api.token", "**/*.token"),
        ("pki/ca.key", "pki"),
        ("appsettings.json", "**/appsettings*.json"),
        ("appsettings.Production.json", "**/appsettings*.json"),
        ("dps.db", "**/*.db"),
        ("dps.db-wal", "**/*.db-*"),
    ] {
        assert!(docker.lines().any(|line| line == pattern), "{pattern}");
        let ignored = Command::new("git")
            .args(["-C", root, "check-ignore", "--quiet", file])
            .status();
        assert!(ignored.unwrap().success(), "{file}");
    }
    let sample = "!docs/configuration/appsettings.sample.json";
    assert!(
        docker.lines().any(|line| line == sample),
        "the build needs the sample"
    );
}
