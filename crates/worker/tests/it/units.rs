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
        // Where systemd looks for the documents that a unit names is no matter of the unit.
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

/// systemd's figure for what a unit could still do, from 0 (nothing) to 10. What remains is what the processes are for: the network
/// and UNIX sockets.
#[test]
fn the_shipped_units_are_confined_to_what_they_need() {
    let analyze = find_program("systemd-analyze", "systemd", &[]).unwrap();
    let home = tempfile::tempdir().unwrap();
    for ((name, text, _), tenths) in UNITS.into_iter().zip(["14", "11"]) {
        let unit = home.path().join(name);
        std::fs::write(&unit, text).unwrap();
        let output = Command::new(&analyze)
            .args(["security", "--offline=true", "--no-pager", "--threshold", tenths])
            .arg(&unit)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{name}: {said}");
    }
}
