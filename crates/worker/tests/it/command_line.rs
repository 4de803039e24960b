//! The command line by itself: configuration, samples, help.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// Runs `dps` in an empty directory with this `appsettings.json` and these variables only.
fn dps(appsettings: Option<&str>, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let folder = TempDir::new().unwrap();
    if let Some(text) = appsettings {
        let file = folder.path().join("appsettings.json");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    Command::new(env!("CARGO_BIN_EXE_dps"))
        .args(arguments)
        .current_dir(folder.path())
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

const USABLE: &str = r#"{
    "CabinetApi": {"BaseUrl": "https://cabinet.example", "Token": "hunter2-hunter2-hunter2"},
    "HAProxyAgent": {"BaseUrl": "http://127.0.0.1:9402", "Token": "hunter2-hunter2-hunter2"},
    "CertificateStore": {"ConnectionString": "postgres://dps:hunter2@db/dps?sslmode=verify-full", "EncryptionKey": "a:hunter2hunter2hunter2hunter2hunter2hunter2A="},
    "LetsEncrypt": {"TermsOfServiceAgreed": true},
    "Workers": {"DomainVerification": {"AllowedTargets": ["edge.platform.example"]}},
}"#;

#[test]
fn a_check_shows_what_is_effective_from_where_and_no_secret() {
    for extra in [&[][..], &["--json"]] {
        let arguments = [&["config", "check"], extra].concat();
        let output = dps(Some(USABLE), &[("DNS__TIMEOUT", "5s")], &arguments);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{out}{err}");
        assert!(!format!("{out}{err}").contains("hunter2"), "{out}{err}");
        assert!(
            out.contains("postgres://dps:***@db/dps") && out.contains("Production"),
            "{out}"
        );
    }
    let output = dps(
        Some(USABLE),
        &[("DNS__TIMEOUT", "5s")],
        &["config", "check"],
    );
    let out = text(&output.stdout);
    let line = |start: &str| out.lines().find(|line| line.starts_with(start)).unwrap();
    assert!(
        line("Dns:Timeout = \"5s\"").ends_with("(environment variable DNS__TIMEOUT)"),
        "{out}"
    );
    assert!(
        line("CabinetApi:Token = \"***\"").ends_with("(appsettings.json)"),
        "{out}"
    );
    assert!(
        line("Http:Listen = \"127.0.0.1:8080\"").ends_with("(default)"),
        "{out}"
    );
    assert!(text(&output.stderr).starts_with("warning: LetsEncrypt:DirectoryUrl: "));
}

#[test]
fn a_check_of_bad_settings_names_all_problems_and_exits_with_2() {
    let output = dps(
        Some(r#"{"CabinetApi": {"BaseUri": "x"}}"#),
        &[("Workers__Renewal__Interval", "6")],
        &["config", "check"],
    );
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(
        err.contains("did you mean CabinetApi:BaseUrl?")
            && err.contains("Workers:Renewal:Interval"),
        "{err}"
    );
    let output = dps(None, &[], &["config", "check"]);
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("error: CabinetApi:Token: is missing"), "{err}");
    let output = dps(None, &[], &["config", "check", "--config", "nowhere.json"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_printed_sample_is_a_configuration() {
    let sample = text(&dps(None, &[], &["config", "sample"]).stdout);
    let output = dps(
        Some(&sample),
        &[],
        &["config", "check", "--role", "standalone"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn help_names_every_command_and_a_wrong_one_is_answered_with_the_right_one() {
    let output = dps(None, &[], &["--help"]);
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("dps config sample"));
    let output = dps(None, &[], &["cabinett"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("'cabinet'"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_closed_pipe_ends_a_command_quietly() {
    let folder = TempDir::new().unwrap();
    let run = |arguments: &[&str]| {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Command::new(env!("CARGO_BIN_EXE_dps"))
            .args(arguments)
            .current_dir(folder.path())
            .env_clear()
            .stdout(Stdio::from(writer))
            .output()
            .unwrap()
    };
    for arguments in [
        &["migrate"][..],
        &["config", "sample"],
        &["domains", "list"],
        &["edges"],
        &["limits", "show"],
        &["removals", "show"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
    }
    // The errors are still printed.
    let output = run(&["config", "check"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("CabinetApi:Token"),
        "{output:?}"
    );
}

#[test]
fn an_edge_of_the_configuration_needs_no_approval() {
    let folder = TempDir::new().unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_dps"))
            .args(arguments)
            .current_dir(folder.path())
            .env_clear()
            .env("HAProxyAgent__BaseUrl", "http://127.0.0.1:9402")
            .output()
            .unwrap();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    assert_eq!(run(&["migrate"]).0, Some(0));
    let (code, said, _) = run(&["edges", "approve", "http://127.0.0.1:9402/"]);
    assert_eq!(code, Some(0));
    assert!(said.contains("needs no approval"), "{said}");
    let (code, _, said) = run(&["edges", "approve", "http://127.0.0.1:9403"]);
    assert!(code == Some(1) && said.contains("is not known"), "{said}");
}

#[test]
fn shells_are_told_the_commands_and_every_command_has_a_manual_page() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = text(&dps(None, &[], &["completions", shell]).stdout);
        assert!(script.contains("expires-within"), "{shell}");
    }
    // bash completes with the script: `dps dom` becomes `dps domains`.
    let script = text(&dps(None, &[], &["completions", "bash"]).stdout);
    let folder = TempDir::new().unwrap();
    let sourced = folder.path().join("dps.bash");
    fs::write(&sourced, script).unwrap();
    let complete = "COMP_WORDS=(dps dom); COMP_CWORD=1; _dps dps dom dps; echo \"${COMPREPLY[@]}\"";
    let bash = Command::new("bash")
        .args(["-c", &format!("source {}\n{complete}", sourced.display())])
        .output()
        .unwrap();
    assert_eq!(text(&bash.stdout), "domains\n", "{bash:?}");

    let pages = folder.path().join("new/man1");
    let written = dps(None, &[], &["man", pages.to_str().unwrap()]);
    assert!(written.status.success(), "{}", text(&written.stderr));
    let page = |name: &str| fs::read_to_string(pages.join(name)).unwrap();
    assert!(page("dps.1").contains(".TH dps 1"));
    assert!(page("dps-domains-list.1").contains("expires"));

    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = dps(None, &[], &["man", file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).starts_with("error: cannot write pages to "));
}
