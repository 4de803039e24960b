use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use dps_domain::lane::Lane;
use dps_domain::policy::{ProbeMode, ProbePolicy, Vantage};
use dps_host::MASK;
use dps_host::settings::SECTIONS;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::cli::config::SAMPLE;

/// Settings from a file of this text and these variables.
fn load(text: &str, variables: &[(&str, &str)]) -> Result<Settings, String> {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("appsettings.json");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let loader = Loader::new(folder.path())
        .variables(variables.iter().copied())
        .lists(LISTS);
    loader
        .load()
        .map(|loaded| loaded.settings)
        .map_err(|error| error.to_string())
}

/// The settings in the README.
const README: &str = include_str!("../../../../README.md");

/// A file without any certificate.
const NO_PEM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");

/// Settings that `dps run` takes, changed by these variables.
fn usable(variables: &[(&str, &str)]) -> Settings {
    let text = r#"{
        "CabinetApi": {"BaseUrl": "https://cabinet.example", "Token": "token-of-the-tests"},
        "HAProxyAgent": {"BaseUrl": "http://127.0.0.1:9402", "Token": "token-of-the-tests"},
        "LetsEncrypt": {"DirectoryUrl": "https://ca.example/dir", "TermsOfServiceAgreed": true},
        "Workers": {"DomainVerification": {"AllowedTargets": ["edge.platform.example"]}}
    }"#;
    load(text, variables).unwrap()
}

#[test]
fn the_settings_in_the_readme_start_the_service() {
    let (_, text) = README.split_once("```json\n").unwrap();
    let (text, _) = text.split_once("```").unwrap();
    let tokens = [
        ("CabinetApi__Token", "token-of-the-tests"),
        ("HAProxyAgent__Token", "token-of-the-tests"),
    ];
    let report = load(text, &tokens).unwrap().check(Role::Run);
    assert_eq!(report, Report::default());
}

/// The keys of a JSON document that have no keys below them.
fn keys(value: &Value, prefix: &str, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(members) => {
            for (key, below) in members {
                let key = if prefix.is_empty() {
                    key.clone()
                } else {
                    format!("{prefix}:{key}")
                };
                keys(below, &key, found);
            }
        }
        other => found.push((prefix.to_owned(), other.clone())),
    }
}

fn all_keys(value: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    keys(value, "", &mut found);
    found
}

#[test]
fn the_sample_is_read_and_only_lacks_the_secret_files_it_names() {
    let settings = load(SAMPLE, &[]).unwrap();
    let report = settings.check(Role::Run);
    let keys: Vec<_> = report
        .errors
        .iter()
        .map(|finding| finding.key.as_str())
        .collect();
    assert_eq!(
        keys,
        ["CabinetApi:Token", "HAProxyAgent:Token"],
        "{report:?}"
    );
    assert!(
        report
            .errors
            .iter()
            .all(|finding| finding.what.contains("/run/secrets/")),
        "{report:?}"
    );
}

/// The sample without its comment lines.
fn sample() -> Value {
    let lines = SAMPLE
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    serde_json::from_str(&lines.collect::<Vec<_>>().join("\n")).unwrap()
}

#[test]
fn the_sample_has_every_key_with_its_default_and_a_comment() {
    let in_sample = all_keys(&sample());
    let defaults = all_keys(&serde_json::to_value(Settings::default()).unwrap());
    for (key, default) in &defaults {
        let (_, value) = in_sample
            .iter()
            .find(|(known, _)| known == key)
            .unwrap_or_else(|| panic!("{key} is not in the sample"));
        let comment = comment_above(key);
        assert!(!comment.is_empty(), "{key} needs a comment");
        let same = value == default || durations_are_equal(value, default) || default == MASK;
        assert!(
            same || comment.contains("(example"),
            "{key} is {value} in the sample and {default} by default"
        );
    }
    assert_eq!(in_sample.len(), defaults.len());
}

/// The comment lines right above a key of the sample.
fn comment_above(key: &str) -> String {
    let mut rest = SAMPLE;
    for part in key.split(':') {
        let quoted = format!("\"{part}\":");
        rest = &rest[rest
            .find(&quoted)
            .unwrap_or_else(|| panic!("{key} is not in the sample"))..];
    }
    let above = &SAMPLE[..SAMPLE.len() - rest.len()];
    let lines = above.trim_end().lines().rev().map(str::trim);
    lines
        .take_while(|line| line.starts_with("//"))
        .collect::<Vec<_>>()
        .join(" ")
}

fn durations_are_equal(left: &Value, right: &Value) -> bool {
    let duration = |value: &Value| value.as_str()?.parse::<dps_host::HumanDuration>().ok();
    duration(left).is_some() && duration(left) == duration(right)
}

#[test]
fn every_section_is_known_to_the_processes_that_share_the_file() {
    let Value::Object(sections) = serde_json::to_value(Settings::default()).unwrap() else {
        panic!("settings are an object");
    };
    for section in sections.keys() {
        assert!(
            SECTIONS.contains(&section.as_str()),
            "{section} is not in SECTIONS"
        );
    }
}

#[test]
fn every_key_can_be_set_by_an_environment_variable_in_upper_case() {
    for (key, value) in all_keys(&sample()) {
        let name = key.replace(':', "__").to_uppercase();
        let (name, text) = match &value {
            // Its elements have members.
            Value::Array(_) if key == "HAProxyAgent:Agents" => (
                format!("{name}__0__BASEURL"),
                "http://127.0.0.1:1".to_owned(),
            ),
            Value::Array(_) if key == "Admin:Tokens" => {
                (format!("{name}__0__NAME"), "ann".to_owned())
            }
            Value::Array(_) if key == "Webhooks" => (
                format!("{name}__0__URL"),
                "https://hooks.example".to_owned(),
            ),
            Value::Array(_) if key == "Workers:Renewal:Freeze" => (
                format!("{name}__0__FROM"),
                "2026-12-20T18:00:00Z".to_owned(),
            ),
            Value::Array(items) if items.is_empty() => {
                (format!("{name}__0"), "http://127.0.0.1:1".to_owned())
            }
            Value::Array(items) => (format!("{name}__0"), items[0].as_str().unwrap().to_owned()),
            Value::String(text) => (name, text.clone()),
            Value::Null if key == "OpenTelemetry:Endpoint" => {
                (name, "http://127.0.0.1:4318".to_owned())
            }
            Value::Null => (name, "127.0.0.1:1".to_owned()),
            other => (name, other.to_string()),
        };
        load("{}", &[(&name, &text)]).unwrap_or_else(|error| panic!("{name}={text}: {error}"));
    }
}

#[test]
fn a_token_of_the_admin_api_that_cannot_be_used_is_named_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let (good, same) = (file("a", "0123456789abcdef"), file("b", "0123456789abcdef"));
    let short = file("c", "short");
    let errors = |tokens: Value, listen: &str| {
        let settings = json!({ "Admin": { "Listen": listen, "Tokens": tokens } }).to_string();
        let report = load(&settings, &[]).unwrap().check(Role::Run);
        let errors = report.errors.into_iter();
        let own = errors.filter(|finding| finding.key.starts_with("Admin"));
        own.map(|finding| finding.to_string()).collect::<Vec<_>>()
    };
    let token =
        |name: &str, file: &str| json!({ "Name": name, "Role": "Admin", "TokenFile": file });
    assert_eq!(errors(json!([token("ann", &good)]), "127.0.0.1:0"), [""; 0]);
    for (tokens, listen, key, words) in [
        (
            json!([token("", &good)]),
            "127.0.0.1:0",
            "Admin:Tokens:0:Name",
            "1 to 64 letters",
        ),
        (
            json!([token("a b", &good)]),
            "127.0.0.1:0",
            "Admin:Tokens:0:Name",
            "1 to 64 letters",
        ),
        (
            json!([{ "Name": "ann" }]),
            "127.0.0.1:0",
            "Admin:Tokens:0:TokenFile",
            "is missing",
        ),
        (
            json!([token("ann", &short)]),
            "127.0.0.1:0",
            "Admin:Tokens:0:TokenFile",
            "at least 16",
        ),
        (
            json!([token("ann", &good), token("ann", &good)]),
            "127.0.0.1:0",
            "Admin:Tokens:1:Name",
            "listed twice",
        ),
        (
            json!([token("ann", &good), token("bob", &same)]),
            "127.0.0.1:0",
            "Admin:Tokens:1:TokenFile",
            "another element",
        ),
        (
            json!([token("ann", &good)]),
            "0.0.0.0:0",
            "Admin:Listen",
            "Admin:AllowUnencrypted",
        ),
    ] {
        let errors = errors(tokens, listen);
        let is_named = |error: &String| error.starts_with(key) && error.contains(words);
        assert!(errors.iter().any(is_named), "{key} {words}: {errors:?}");
    }
    // A file that is gone takes the access of its holder, and no more.
    assert_eq!(
        errors(json!([token("ann", "/nowhere")]), "127.0.0.1:0"),
        [""; 0]
    );
    // Without a token the API is off, wherever it would listen.
    assert_eq!(errors(json!([]), "0.0.0.0:0"), [""; 0]);
}

#[test]
fn agents_with_tokens_of_their_own_can_be_set_in_any_case_wherever_they_stand() {
    let text = r#"{"HAProxyAgent": {"agents": [{"baseUrl": "http://127.0.0.1:1", "TOKEN": "from the file"}]}}"#;
    let variables = [
        ("HAPROXYAGENT__AGENTS__0__TOKEN", "from a variable"),
        ("haproxyagent__agents__1__baseurl", "http://127.0.0.1:2"),
        ("HAProxyAgent__Agents__1__tokenfile", "/run/secrets/second"),
    ];
    let agents = load(text, &variables).unwrap().haproxy_agent.agents;
    assert_eq!(agents.len(), 2);
    assert_eq!(agents[0].base_url.as_str(), "http://127.0.0.1:1/");
    assert_eq!(
        agents[0].token.as_ref().unwrap().expose(),
        "from a variable"
    );
    assert_eq!(agents[1].base_url.as_str(), "http://127.0.0.1:2/");
    assert_eq!(
        agents[1].token_file.as_deref(),
        Some(Path::new("/run/secrets/second"))
    );
    let error = load(
        "{}",
        &[("HAProxyAgent__Agents__0__BaseUri", "http://127.0.0.1:1")],
    )
    .unwrap_err();
    assert!(error.contains("BaseUri"), "{error}");
}

#[test]
fn a_cabinet_that_forgets_removals_before_the_service_does_is_warned_of() {
    let quarantine = |days: &str| {
        let variables = [("Workers__Removal__Quarantine", days)];
        let settings = usable(&variables);
        [Role::Standalone, Role::Run, Role::Cabinet].map(|role| settings.check(role).warnings)
    };
    let [standalone, run, cabinet] = quarantine("91d");
    let [warning] = standalone.as_slice() else {
        panic!("{standalone:?}");
    };
    assert_eq!(warning.key, "Cabinet:RemovedRetention");
    assert!(warning.what.contains("91d"), "{warning}");
    assert_eq!(
        (run, cabinet),
        (vec![], vec![]),
        "each knows its own section"
    );
    assert_eq!(quarantine("90d"), [vec![], vec![], vec![]]);
}

#[test]
fn the_names_of_the_specification_are_the_keys() {
    let settings = usable(&[
        ("CabinetApi__BaseUrl", "https://other.example"),
        ("HAProxyAgent__BaseUrls__0", "http://127.0.0.1:9403"),
        ("HAProxyAgent__BaseUrls__1", "http://127.0.0.1:9402"),
        (
            "CertificateStore__ConnectionString",
            "Host=db;Database=dps;SSL Mode=VerifyFull",
        ),
        ("LetsEncrypt__DirectoryUrl", "https://localhost:14000/dir"),
        ("Workers__DomainVerification__Interval", "00:00:05"),
        (
            "Workers__DomainVerification__EdgeAddresses__0",
            "192.0.2.0/24",
        ),
        ("Workers__HttpProbe__Port", "8080"),
        ("Workers__HttpProbe__AllowPrivateAddresses", "True"),
        ("Dns__Resolvers__0", "127.0.0.1:5353"),
    ]);
    assert_eq!(
        settings.cabinet_api.base_url.as_ref().unwrap().as_str(),
        "https://other.example/"
    );
    let urls: Vec<_> = settings
        .haproxy_agent
        .urls()
        .iter()
        .map(|url| url.as_str())
        .collect();
    assert_eq!(urls, ["http://127.0.0.1:9402/", "http://127.0.0.1:9403/"]);
    assert!(matches!(
        settings.certificate_store.database(),
        Ok(Target::Postgres(_))
    ));
    assert_eq!(
        settings.dns.resolvers,
        [ResolverAddress(SocketAddr::from(([127, 0, 0, 1], 5353)))]
    );
    let policy = settings.policy();
    assert_eq!(policy.verification.interval, Duration::from_secs(5));
    assert_eq!(policy.edge_addresses, ["192.0.2.0/24".parse().unwrap()]);
    assert_eq!(
        (
            settings.workers.http_probe.port,
            settings.workers.http_probe.allow_private_addresses
        ),
        (8080, true)
    );
}

#[test]
fn a_policy_of_which_nothing_is_set_is_the_applications_default() {
    assert_eq!(Settings::default().policy(), Policy::default());
}

#[test]
fn the_default_intervals_are_those_of_the_specification() {
    let policy = Settings::default().policy();
    let seconds = [
        policy.verification,
        policy.http_probe,
        policy.issuance,
        policy.renewal,
    ]
    .map(|lane| lane.interval.as_secs());
    assert_eq!(seconds, [30, 30, 60, 6 * 3600]);
    assert_eq!(policy.give_up_after, Duration::from_secs(7 * 86_400));
}

/// The sample's comment on each `Interval`.
#[test]
fn an_interval_is_the_first_delay_and_no_work_waits_for_it() {
    let settings = usable(&[
        ("Workers__DomainVerification__Interval", "31s"),
        ("Workers__HttpProbe__Interval", "32s"),
        ("Workers__AcmeIssuance__Interval", "33s"),
        ("Workers__Renewal__Interval", "5h"),
        ("Workers__Removal__Interval", "35s"),
    ]);
    let policy = settings.policy();
    for (lane, seconds) in [
        (Lane::Verification, 31),
        (Lane::HttpProbe, 32),
        (Lane::Issuance, 33),
        (Lane::OrderQueue, 33),
        (Lane::Renewal, 33),
        (Lane::Urgent, 33),
        (Lane::Removal, 35),
    ] {
        let backoff = policy.backoff(lane);
        assert_eq!(backoff.initial, Duration::from_secs(seconds), "{lane:?}");
        assert!(backoff.max > backoff.initial, "{lane:?}");
    }
    assert_eq!(policy.renewal.interval, Duration::from_secs(5 * 3600));
    let poll_interval = |variables: &[(&str, &str)]| usable(variables).policy().poll_interval;
    assert_eq!(poll_interval(&[]), Duration::from_secs(2));
    let quick = [("Workers__HttpProbe__Interval", "300ms")];
    assert_eq!(poll_interval(&quick), Duration::from_millis(300));
}

#[test]
fn a_freeze_is_read_from_files_and_variables_and_each_fault_names_its_key_and_remedy() {
    let freeze = |windows: Value| json!({ "Workers": { "Renewal": { "Freeze": windows } } });
    let findings = |windows: Value| {
        let settings = load(&freeze(windows).to_string(), &[]).unwrap();
        let errors = settings.check(Role::Run).errors.into_iter();
        let own = errors.filter(|finding| finding.key.starts_with("Workers:Renewal:Freeze"));
        own.map(|finding| finding.to_string()).collect::<Vec<_>>()
    };
    let window = |from: &str, until: &str| json!({ "From": from, "Until": until });
    let (begins, ends) = ("2026-12-20T18:00:00+01:00", "2027-01-04T08:00:00+01:00");
    assert_eq!(findings(json!([window(begins, ends)])), [""; 0]);
    for (windows, key, remedy) in [
        (
            json!([window(ends, begins)]),
            ":0: ",
            "Until must be after From",
        ),
        (
            json!([window(begins, "2027-02-04T08:00:00Z")]),
            ":0: ",
            "must last 31 days at most",
        ),
        (
            json!([
                window(begins, ends),
                window("2027-01-04T06:59:59Z", "2027-01-05T00:00:00Z")
            ]),
            ":1: ",
            "join them",
        ),
        (json!([{ "From": begins }]), ":0:Until: ", "is missing"),
        (
            json!(vec![window(begins, ends); 53]),
            ": ",
            "must have 52 at most",
        ),
        (
            json!([{ "From": begins, "Until": ends, "Reason": "x".repeat(201) }]),
            ":0: ",
            "shorten it",
        ),
    ] {
        let found = findings(windows);
        assert_eq!(found.len(), 1, "{found:?}");
        let begin = format!("Workers:Renewal:Freeze{key}");
        assert!(
            found[0].starts_with(&begin) && found[0].contains(remedy),
            "{found:?}"
        );
    }
    let unread = freeze(json!([window("2026-12-20", ends)])).to_string();
    let error = load(&unread, &[]).unwrap_err();
    assert!(error.contains("offset from UTC"), "{error}");

    let settings = usable(&[
        ("Workers__Renewal__Freeze__0__From", begins),
        ("Workers__Renewal__Freeze__0__Until", ends),
        ("Workers__Renewal__Freeze__0__Reason", "year's end"),
    ]);
    let policy = settings.policy();
    let window = policy.freeze.at("2026-12-20T17:00:00Z".parse().unwrap());
    let window = window.expect("it begins at its own time of day");
    assert_eq!(window.until, "2027-01-04T07:00:00Z".parse().unwrap());
    assert_eq!(window.reason.as_deref(), Some("year's end"));
}

#[test]
fn usable_settings_have_no_findings() {
    assert_eq!(usable(&[]).check(Role::Run), Report::default());
}

#[test]
fn what_a_role_does_not_need_is_not_asked_of_it() {
    let settings = Settings::default();
    let errors = |role| {
        settings
            .check(role)
            .errors
            .into_iter()
            .map(|finding| finding.key)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        errors(Role::Run),
        [
            "LetsEncrypt:TermsOfServiceAgreed",
            "CabinetApi:BaseUrl",
            "CabinetApi:Token",
            "HAProxyAgent:BaseUrl",
            "HAProxyAgent:Token",
            "Workers:DomainVerification:AllowedTargets"
        ]
    );
    assert_eq!(
        errors(Role::Standalone),
        ["LetsEncrypt:TermsOfServiceAgreed"]
    );
    assert_eq!(errors(Role::Agent), ["Agent"]);
    assert_eq!(errors(Role::Cabinet), ["Cabinet", "Cabinet"]);
    let agent = settings.check(Role::Agent).errors.remove(0).to_string();
    assert!(
        agent.starts_with(
            "Agent:Token is missing; set it, Agent:TokenFile or the files of Agent:Tls"
        ),
        "{agent}"
    );
}

#[test]
fn the_sections_of_agent_and_cabinet_are_checked_for_the_roles_that_have_them() {
    let variables = [
        ("Agent__StateDirectory", "relative"),
        ("Cabinet__CnameTarget", "no name"),
    ];
    let report = usable(&variables).check(Role::Standalone);
    let text: Vec<_> = report.errors.iter().map(Finding::to_string).collect();
    assert!(
        text.len() == 2 && text[0].contains("StateDirectory") && text[1].contains("CnameTarget"),
        "{text:?}"
    );
    assert_eq!(usable(&variables).check(Role::Run).errors, []);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of bad values")]
fn each_unusable_value_is_named_with_what_to_do() {
    for (variable, value, words) in [
        (
            "CabinetApi__BaseUrl",
            "ftp://cabinet.example",
            "http:// or https://",
        ),
        (
            "CabinetApi__BaseUrl",
            "https://user:pass@cabinet.example",
            "the token has its own key",
        ),
        ("CabinetApi__BaseUrl", "https://cabinet.example/?a=b", "'?'"),
        ("CabinetApi__Token", "two words", "printable ASCII"),
        ("CabinetApi__TokenFile", "/nowhere", "only one of them"),
        ("CabinetApi__Timeout", "0s", "from 1s to 5m"),
        ("Workers__Recheck__Observations", "0", "from 1 to 100"),
        ("Workers__Recheck__ReleaseAfter", "1h", "from 1d to"),
        ("Workers__HttpProbe__Passes", "6", "from 1 to 5"),
        (
            "CertificateStore__ConnectionString",
            "mysql://db",
            "sqlite://dps.db",
        ),
        (
            "CertificateStore__ConnectionString",
            "postgres://db/dps?sslmode=verify-full",
            "CertificateStore:EncryptionKeyFile",
        ),
        (
            "CertificateStore__ConnectionString",
            "postgres://dps:hunter2@db/dps",
            "CertificateStore:AllowUnverifiedTls",
        ),
        (
            "CertificateStore__EncryptionKey",
            "k:hunter2",
            "base64 of 32 bytes",
        ),
        (
            "CertificateStore__EncryptionKey",
            "hunter2hunter2",
            "of the form <id>:",
        ),
        (
            "CertificateStore__EncryptionKeyFile",
            "/nowhere/kek",
            "/nowhere/kek",
        ),
        ("CertificateStore__MaxConnections", "0", "from 1 to 1000"),
        ("Cabinet__CnameTarget", "{id}.com", "a public suffix"),
        ("Dns__Timeout", "1h", "from 1s to 30s"),
        (
            "HAProxyAgent__BaseUrl",
            "http://edge1.internal:9402",
            "HAProxyAgent:AllowUnencrypted",
        ),
        (
            "LetsEncrypt__DirectoryUrl",
            "http://ca.example/dir",
            "https://",
        ),
        (
            "LetsEncrypt__CaCertificateFile",
            "/nowhere.pem",
            "No such file",
        ),
        ("LetsEncrypt__CaCertificateFile", NO_PEM, "Cargo.toml: "),
        ("LetsEncrypt__RootsFile", NO_PEM, "Cargo.toml: "),
        ("LetsEncrypt__AllowedHosts__0", "*", "hostname"),
        ("LetsEncrypt__AllowedHosts__0", "*.ca.example", "hostname"),
        ("LetsEncrypt__UserAgent", "a\nb", "printable ASCII"),
        ("Logging__Level", "loud", "Information"),
        (
            "Workers__DomainVerification__Interval",
            "1ms",
            "from 100ms to 1d",
        ),
        (
            "Workers__DomainVerification__MaxBackoff",
            "10s",
            "shorter than Workers:DomainVerification:Interval (30s)",
        ),
        (
            "Workers__DomainVerification__AllowedTargets__0",
            "com",
            "a public suffix",
        ),
        (
            "Workers__DomainVerification__GiveUpAfter",
            "0s",
            "from 1s to 365d",
        ),
        ("Workers__HttpProbe__Concurrency", "0", "from 1 to 1024"),
        ("Workers__HttpProbe__Port", "0", "from 1 to 65535"),
        ("Workers__LeaseDuration", "5s", "from 30s to 1h"),
    ] {
        let report = usable(&[(variable, value)]).check(Role::Run);
        let text: Vec<_> = report.errors.iter().map(Finding::to_string).collect();
        assert_eq!(text.len(), 1, "{variable}={value}: {text:?}");
        let section = variable.split("__").next().unwrap();
        assert!(
            text[0].starts_with(section) && text[0].contains(words) && !text[0].contains("hunter2"),
            "{variable}={value}: {text:?}"
        );
    }
    let none = load(r#"{"Dns": {"Resolvers": []}}"#, &[])
        .unwrap()
        .check(Role::Standalone);
    assert!(
        none.errors
            .iter()
            .any(|finding| finding.key == "Dns:Resolvers"),
        "{none:?}"
    );
}

#[test]
fn mutual_tls_needs_all_its_files_and_https_and_then_no_token() {
    let errors = |variables: &[(&str, &str)]| {
        let report = usable(variables).check(Role::Run);
        let text: Vec<_> = report.errors.iter().map(Finding::to_string).collect();
        text.join("\n")
    };
    let half = errors(&[("HAProxyAgent__Tls__KeyFile", "/k.pem")]);
    assert!(
        half.contains("Tls:CertificateFile") && half.contains("Tls:CaFile"),
        "{half}"
    );
    let files = [
        ("HAProxyAgent__Tls__CertificateFile", "/nowhere/c.pem"),
        ("HAProxyAgent__Tls__KeyFile", "/nowhere/k.pem"),
        ("HAProxyAgent__Tls__CaFile", "/nowhere/ca.pem"),
    ];
    let plain = errors(&files);
    assert!(
        plain.contains("/nowhere/c.pem cannot be read") && plain.contains("https://"),
        "{plain}"
    );

    let text = r#"{
        "CabinetApi": {"BaseUrl": "https://cabinet.example", "Token": "token-of-the-tests"},
        "HAProxyAgent": {"BaseUrl": "https://edge1.internal:9403"},
        "LetsEncrypt": {"DirectoryUrl": "https://ca.example/dir", "TermsOfServiceAgreed": true},
        "Workers": {"DomainVerification": {"AllowedTargets": ["edge.platform.example"]}}
    }"#;
    let report = |variables| load(text, variables).unwrap().check(Role::Run);
    let without = report(&[]);
    assert_eq!(without.errors[0].key, "HAProxyAgent:Token");
    let with = report(&files);
    assert_eq!(with.errors.len(), 1, "{with:?}");
    assert_eq!(with.errors[0].key, "HAProxyAgent:Tls");
}

/// The errors of this section `HAProxyAgent`, one per line.
fn agent_errors(section: &str) -> String {
    let text = format!(
        r#"{{
            "CabinetApi": {{"BaseUrl": "https://cabinet.example", "Token": "0123456789abcdef"}},
            "HAProxyAgent": {section},
            "LetsEncrypt": {{"DirectoryUrl": "https://ca.example/dir", "TermsOfServiceAgreed": true}}
        }}"#
    );
    let report = load(&text, &[]).unwrap().check(Role::Run);
    let mut text: Vec<_> = report.errors.iter().map(Finding::to_string).collect();
    text.retain(|line| line.starts_with("HAProxyAgent"));
    text.join("\n")
}

#[test]
fn agents_that_are_found_by_dns_need_mutual_tls() {
    let discovery = |more: &str| {
        agent_errors(&format!(
            r#"{{"Token": "0123456789abcdef", "AllowUnencrypted": true, "Discovery": {{"Name": "_agent._tcp.edges.internal"{more}}}}}"#
        ))
    };
    let without = discovery("");
    assert!(
        without.contains("Discovery:Name") && without.contains("HAProxyAgent:Tls"),
        "{without}"
    );
    let plain = discovery(r#", "Scheme": "http""#);
    assert!(plain.contains("Discovery:Scheme"), "{plain}");
    let suffix = discovery(r#", "AllowedSuffixes": ["edges.internal", "not a name"]"#);
    assert!(suffix.contains("AllowedSuffixes:1"), "{suffix}");
    assert!(!suffix.contains("AllowedSuffixes:0"), "{suffix}");
    let with = agent_errors(
        r#"{
            "Tls": {"CertificateFile": "/nowhere/c.pem", "KeyFile": "/nowhere/k.pem", "CaFile": "/nowhere/ca.pem"},
            "Discovery": {"Name": "_agent._tcp.edges.internal"}
        }"#,
    );
    assert!(!with.contains("Discovery"), "{with}");
}

#[test]
fn no_token_is_shown_to_two_agents_on_other_machines_unless_that_is_wanted() {
    let (one, two) = ("https://edge1.internal:9403", "https://edge2.internal:9403");
    let shared = |more: &str| {
        agent_errors(&format!(
            r#"{{"BaseUrls": ["{one}", "{two}"], "Token": "0123456789abcdef"{more}}}"#
        ))
    };
    assert!(shared("").contains(two), "{}", shared(""));
    assert_eq!(shared(r#", "SharedToken": true"#), "");
    let own = |second: &str| {
        agent_errors(&format!(
            r#"{{"Agents": [
                {{"BaseUrl": "{one}", "Token": "0123456789abcdef"}},
                {{"BaseUrl": "{two}", "Token": "{second}"}}
            ]}}"#
        ))
    };
    assert_eq!(own("fedcba9876543210"), "");
    assert!(own("0123456789abcdef").contains(two));
    assert_eq!(
        agent_errors(
            r#"{"BaseUrls": ["http://127.0.0.1:9402", "http://127.0.0.2:9402"], "Token": "0123456789abcdef"}"#
        ),
        "",
        "one machine"
    );
    let missing = agent_errors(&format!(r#"{{"Agents": [{{"BaseUrl": "{one}"}}]}}"#));
    assert!(missing.contains("HAProxyAgent:Agents:0:Token"), "{missing}");
}

#[test]
fn an_agent_is_shown_its_own_token_and_one_that_was_found_not_that_of_others() {
    let settings = load(
        r#"{"HAProxyAgent": {
            "BaseUrls": ["https://edge1.internal:9403"],
            "Token": "shared",
            "Agents": [{"BaseUrl": "https://edge2.internal:9403", "Token": "own"}]
        }}"#,
        &[],
    )
    .unwrap();
    let url = |text: &str| text.parse::<url::Url>().unwrap();
    let [first, second] = [1, 2].map(|n| url(&format!("https://edge{n}.internal:9403")));
    let tokens = settings.haproxy_agent.tokens().unwrap();
    let shown = |token: Option<Secret>| token.map(|token| token.expose().to_owned());
    assert_eq!(settings.haproxy_agent.urls(), [&first, &second]);
    assert_eq!(
        shown(tokens.of_configured(&first)).as_deref(),
        Some("shared")
    );
    assert_eq!(shown(tokens.of_configured(&second)).as_deref(), Some("own"));
    assert_eq!(shown(tokens.of_found(&first)), None);
    assert_eq!(shown(tokens.of_found(&second)).as_deref(), Some("own"));
}

#[test]
fn a_limit_of_the_ca_is_as_published_unless_it_is_set_and_a_bad_one_names_its_key() {
    let production = (
        "LetsEncrypt__DirectoryUrl",
        "https://acme-v02.api.letsencrypt.org/directory",
    );
    let orders = |variables: &[(&str, &str)]| {
        let limits = usable(variables).lets_encrypt.effective_limits();
        let limit = limits.get(dps_domain::limits::LimitKind::NewOrders);
        (limit.burst, limit.count, limit.period.as_secs())
    };
    assert_eq!(orders(&[production]), (300, 300, 3 * 3600));
    let set = |text| orders(&[production, ("LetsEncrypt__Limits__NewOrders", text)]);
    assert_eq!(set("10000 per 3h"), (10_000, 10_000, 3 * 3600));
    assert_eq!(set("1 per 1d, burst 1152"), (1_152, 1, 24 * 3600));
    assert_eq!(set("None"), (0, 0, 0));
    for bad in [
        "300",
        "0 per 3h",
        "300 per 0s",
        "5 per 800d",
        "5 per 1h, burst 0",
        "x per 3h",
        "1 per 1h, 5",
    ] {
        let report = usable(&[production, ("LETSENCRYPT__LIMITS__EXACTSET", bad)]).check(Role::Run);
        assert_eq!(report.errors.len(), 1, "{bad}: {report:?}");
        assert_eq!(report.errors[0].key, "LetsEncrypt:Limits:ExactSet", "{bad}");
    }
    let shown = usable(&[production]).lets_encrypt.effective_limits_shown();
    assert_eq!(shown["ConsecutiveFailures"], "1 per 1d, burst 1152");
    assert_eq!(shown["NewOrders"], "300 per 3h");
    let unproven = |variables: &[(&str, &str)]| {
        let limits = usable(variables).lets_encrypt.effective_limits();
        limits
            .get(dps_domain::limits::LimitKind::UnprovenOrders)
            .burst
    };
    assert_eq!(unproven(&[production]), 75);
    let more = ("LetsEncrypt__Limits__NewOrders", "10000 per 3h");
    assert_eq!(unproven(&[production, more]), 2_500);
    let set = |text| {
        unproven(&[
            production,
            more,
            ("LetsEncrypt__Limits__UnprovenOrders", text),
        ])
    };
    assert_eq!((set("7 per 1h"), set("none")), (7, 0));
}

#[test]
fn a_cabinet_on_another_machine_is_called_by_https_or_by_the_operators_word() {
    let url = ("CabinetApi__BaseUrl", "http://cabinet.example");
    let report = usable(&[url]).check(Role::Run);
    assert_eq!(report.errors.len(), 1, "{report:?}");
    assert!(
        report.errors[0]
            .what
            .contains("CabinetApi:AllowUnencrypted"),
        "{report:?}"
    );
    let report = usable(&[url, ("CabinetApi__AllowUnencrypted", "true")]).check(Role::Run);
    assert!(report.errors.is_empty(), "{report:?}");
}

#[test]
fn a_token_that_can_be_guessed_is_refused_everywhere() {
    for key in ["CabinetApi__Token", "HAProxyAgent__Token"] {
        let report = usable(&[(key, "fifteen-letters")]).check(Role::Run);
        assert_eq!(report.errors.len(), 1, "{report:?}");
        assert!(report.errors[0].what.contains("16"), "{report:?}");
    }
}

#[test]
fn what_is_risky_is_a_warning_and_starts() {
    for (variable, value, words) in [
        (
            "LetsEncrypt__DirectoryUrl",
            "https://acme-staging-v02.api.letsencrypt.org/directory",
            "no browser trusts",
        ),
        (
            "Workers__HttpProbe__AllowPrivateAddresses",
            "true",
            "internal addresses",
        ),
        ("Workers__HttpProbe__Port", "8080", "not 80"),
        ("Workers__HttpProbe__Mode", "off", "failed validations"),
    ] {
        let report = usable(&[(variable, value)]).check(Role::Run);
        assert!(report.errors.is_empty(), "{report:?}");
        assert!(
            report.warnings.len() == 1 && report.warnings[0].what.contains(words),
            "{report:?}"
        );
    }
}

#[test]
fn the_probe_and_the_end_of_a_name_are_what_the_settings_say() {
    let set = usable(&[
        ("Workers__HttpProbe__Mode", "Warn"),
        ("Workers__HttpProbe__Passes", "3"),
        ("Workers__HttpProbe__Vantage", "edges"),
        ("Workers__Recheck__ReleaseAfter", "0s"),
        ("Workers__Recheck__MovedAfter", "2h"),
    ]);
    let report = set.check(Role::Run);
    assert!(report.errors.is_empty(), "{report:?}");
    let policy = set.policy();
    let probe = ProbePolicy {
        mode: ProbeMode::Warn,
        passes: 3,
        vantage: Vantage::Edges,
    };
    assert_eq!(policy.probe, probe);
    assert_eq!(policy.release_after, None, "never");
    assert_eq!(policy.moved.after, Duration::from_secs(7200));
    // Five probes of half a minute would outlast the lease of the step.
    for (setting, value) in [("Passes", "5"), ("AcceptProxied", "true")] {
        let variable = format!("Workers__HttpProbe__{setting}");
        let variables = [
            (variable.as_str(), value),
            ("Workers__HttpProbe__Timeout", "30s"),
            ("Workers__HttpProbe__Mode", "Warn"),
        ];
        let report = usable(&variables).check(Role::Run);
        assert_eq!(report.errors.len(), 1, "{setting}: {report:?}");
    }
}

#[test]
fn a_service_that_would_take_any_target_does_not_start() {
    let mut settings = usable(&[]);
    settings.workers.domain_verification.allowed_targets.clear();
    let errors = |settings: &Settings| settings.check(Role::Run).errors;
    let found = errors(&settings);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].key, "Workers:DomainVerification:AllowedTargets");
    let said = &found[0].what;
    assert!(said.contains("such as") && !said.contains("  "), "{said}");
    settings.cabinet.cname_target = Some("{id}.edge.platform.example".to_owned());
    assert_eq!(errors(&settings), []);
}

#[test]
fn the_key_encryption_key_is_made_beside_a_sqlite_file_and_nowhere_else() {
    let source = |variables: &[(&str, &str)]| usable(variables).certificate_store.key_source();
    let made = |path: &str| {
        matches!(
            source(&[("CertificateStore__ConnectionString", path)]),
            Ok(KeySource::FileMadeOnFirstStart(_))
        )
    };
    assert!(
        made("sqlite:///var/lib/dps/dps.db")
            && !made("sqlite::memory:")
            && !made("postgres://db/dps")
    );
    let Ok(KeySource::FileMadeOnFirstStart(path)) = source(&[(
        "CertificateStore__ConnectionString",
        "sqlite:///var/lib/dps/a.db",
    )]) else {
        panic!("a file beside the database");
    };
    assert_eq!(path, Path::new("/var/lib/dps/dps.kek"));
    let file = ("CertificateStore__EncryptionKeyFile", "/etc/dps/kek");
    assert!(matches!(source(&[file]), Ok(KeySource::File(_))));
    let key = ("CertificateStore__EncryptionKey", "a:b");
    assert!(matches!(source(&[key]), Ok(KeySource::Value(_))));
    assert!(source(&[file, key]).is_err());
}

#[test]
fn a_file_of_keys_is_read_before_the_start_with_its_mode() {
    let folder = TempDir::new().unwrap();
    let errors = |key: &str, path: &Path| {
        let report = usable(&[(key, path.to_str().unwrap())]).check(Role::Run);
        let text = report.errors.iter().map(Finding::to_string);
        text.collect::<Vec<_>>().join("\n")
    };
    let named = folder.path().join("keys");
    fs::write(&named, "one:CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=\n").unwrap();
    for (mode, is_usable) in [(0o600, true), (0o644, false)] {
        fs::set_permissions(&named, fs::Permissions::from_mode(mode)).unwrap();
        let found = errors("CertificateStore__EncryptionKeyFile", &named);
        assert_eq!(found.is_empty(), is_usable, "{found}");
    }
    // The one beside the database, once it was made.
    let made = folder.path().join("dps.kek");
    let database = PathBuf::from(format!(
        "sqlite://{}",
        folder.path().join("dps.db").display()
    ));
    assert_eq!(errors("CertificateStore__ConnectionString", &database), "");
    fs::write(&made, "cut off").unwrap();
    fs::set_permissions(&made, fs::Permissions::from_mode(0o600)).unwrap();
    let found = errors("CertificateStore__ConnectionString", &database);
    assert!(
        found.starts_with("CertificateStore:EncryptionKey"),
        "{found}"
    );
}

#[test]
fn an_agent_is_given_one_token() {
    let settings = usable(&[
        (
            "HAProxyAgent__Agents__0__BaseUrl",
            "https://edge1.internal:9403",
        ),
        ("HAProxyAgent__Agents__0__Token", "token-of-the-first-one"),
        (
            "HAProxyAgent__Agents__1__BaseUrl",
            "https://edge1.internal:9403/",
        ),
        ("HAProxyAgent__Agents__1__Token", "token-of-another-one"),
    ]);
    let report = settings.check(Role::Run);
    let keys: Vec<_> = report
        .errors
        .iter()
        .map(|finding| finding.key.as_str())
        .collect();
    assert_eq!(keys, ["HAProxyAgent:Agents:1:BaseUrl"], "{report:?}");
}

#[test]
fn the_platforms_own_names_and_targets_follow_from_the_settings() {
    let host = |text| dps_domain::Hostname::parse(text).unwrap();
    let mut settings = Settings::default();
    settings.cabinet.cname_target = Some("{id}.edge.platform.example".to_owned());
    settings.haproxy_agent.base_url = Some("https://edge-1.machines.example:9403".parse().unwrap());
    let names = settings.policy().names;
    assert!(names.allows_target(&host("a.edge.platform.example")));
    assert!(!names.allows_target(&host("www.platform.example")));
    let target = host("a.edge.platform.example");
    for own in [
        "www.platform.example",
        "b.edge.platform.example",
        "www.machines.example",
    ] {
        assert!(names.refusal(&host(own), &target).is_some(), "{own}");
    }
    assert_eq!(names.refusal(&host("shop.example.com"), &target), None);
    settings.workers.domain_verification.allow_platform_names = true;
    settings.workers.domain_verification.allowed_targets =
        vec![NameSuffix::parse("other.example").unwrap()];
    let names = settings.policy().names;
    assert!(names.allows_target(&host("x.other.example")) && !names.allows_target(&target));
    assert_eq!(
        names.refusal(&host("www.other.example"), &host("x.other.example")),
        None
    );
}

#[test]
fn a_receiver_of_events_that_cannot_be_used_is_named_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode: u32| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    let good = file("good", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", 0o600);
    let (short, open) = (
        file("short", "too short", 0o600),
        file("open", &"x".repeat(32), 0o644),
    );
    let errors = |element: Value| {
        let settings = json!({ "Webhooks": [element] }).to_string();
        let report = load(&settings, &[]).unwrap().check(Role::Run);
        let errors = report.errors.into_iter();
        let own = errors.filter(|finding| finding.key.starts_with("Webhooks"));
        own.map(|finding| finding.to_string()).collect::<Vec<_>>()
    };
    let url = "https://hooks.example/dps";
    let events = ["domain.active", "certificate.issued"];
    let usable = json!({ "Url": url, "SecretFile": good, "Events": events, "Tenants": ["acme"] });
    assert_eq!(errors(usable.clone()), [""; 0]);
    let with = |key: &str, value: Value| {
        let mut element = usable.clone();
        element[key] = value;
        element
    };
    for (element, key, words) in [
        (json!({ "SecretFile": good }), "Url", "is missing"),
        (json!({ "Url": url }), "SecretFile", "is missing"),
        (
            with("SecretFile", json!(short)),
            "SecretFile",
            "fewer than 24",
        ),
        (with("SecretFile", json!(open)), "SecretFile", "mode"),
        (
            with("Url", json!("http://hooks.example")),
            "Url",
            "AllowUnencrypted",
        ),
        (
            with("Url", json!("https://10.0.0.1/")),
            "Url",
            "AllowPrivateAddresses",
        ),
        (
            with("Url", json!("https://a:b@hooks.example/")),
            "Url",
            "password",
        ),
        (
            with("Url", json!("ftp://hooks.example/")),
            "Url",
            "https://",
        ),
        (
            with("Events", json!(["domain.gone"])),
            "Events:0",
            "domain.moved_away",
        ),
    ] {
        let errors = errors(element);
        let key = format!("Webhooks:0:{key}");
        let is_named = |error: &String| error.starts_with(&key) && error.contains(words);
        assert!(errors.iter().any(is_named), "{key} {words}: {errors:?}");
    }
    let mut allowed = with("Url", json!("http://10.0.0.1/"));
    allowed["AllowUnencrypted"] = json!(true);
    allowed["AllowPrivateAddresses"] = json!(true);
    assert_eq!(errors(allowed), [""; 0]);
    let twice = json!({ "Webhooks": [usable, usable] }).to_string();
    let report = load(&twice, &[]).unwrap().check(Role::Run);
    let mut found = report.errors.iter().map(ToString::to_string);
    assert!(found.any(|error| error.starts_with("Webhooks:1:Url") && error.contains("twice")));
}

#[test]
fn the_path_of_a_receiver_which_may_be_a_token_is_printed_nowhere() {
    let text = |url: &str| json!({ "Webhooks": [{ "Url": url }] }).to_string();
    let url = "https://hooks.example:8443/services/t0ken?key=t0ken";
    let settings = load(&text(url), &[]).unwrap();
    let printed = serde_json::to_value(&settings).unwrap();
    assert_eq!(
        printed["Webhooks"][0]["Url"],
        "https://hooks.example:8443/***"
    );
    let names = settings.webhook_receivers();
    assert!(names[0].name.starts_with("hooks.example:8443/"));
    let report = settings.check(Role::Run);
    let findings = report.errors.iter().chain(&report.warnings);
    let findings: Vec<String> = findings.map(ToString::to_string).collect();
    let unreadable = load(&text("hooks.example/services/t0ken"), &[]).unwrap_err();
    for printed in [format!("{names:?} {findings:?}"), unreadable.clone()] {
        assert!(!printed.contains("t0ken"), "{printed}");
    }
    let bare = load(&text("https://hooks.example"), &[]).unwrap();
    let printed = serde_json::to_value(&bare).unwrap();
    assert_eq!(printed["Webhooks"][0]["Url"], "https://hooks.example/");
}

#[test]
fn a_target_that_all_domains_share_is_a_warning_where_proofs_are_asked_for() {
    let warned = |target: Option<&str>, variables: &[(&str, &str)]| {
        let mut settings = usable(variables);
        settings.cabinet.cname_target = target.map(str::to_owned);
        let warnings = settings.check(Role::Standalone).warnings;
        let mut warnings = warnings.into_iter();
        warnings.find(|warning| warning.key == "Cabinet:CnameTarget")
    };
    let said = warned(Some("edge.platform.example"), &[]).unwrap().what;
    assert!(said.contains("{random}.edge.platform.example"), "{said}");
    for target in [
        None,
        Some("{random}.edge.platform.example"),
        Some("{id}.edge.platform.example"),
    ] {
        assert_eq!(warned(target, &[]), None, "{target:?}");
    }
    let never = ("Workers__DomainVerification__RequireProof", "Never");
    assert_eq!(warned(Some("edge.platform.example"), &[never]), None);
}

#[test]
fn the_collector_of_spans_is_off_until_it_is_named_and_its_settings_are_checked() {
    let findings = |section: Value| {
        let text = json!({ "OpenTelemetry": section }).to_string();
        let report = load(&text, &[]).unwrap().check(Role::Run);
        let of = |all: Vec<Finding>| -> Vec<String> {
            let own = all.into_iter();
            own.filter(|finding| finding.key.starts_with("OpenTelemetry"))
                .map(|finding| finding.to_string())
                .collect()
        };
        (of(report.errors), of(report.warnings))
    };
    assert!(OpenTelemetry::default().export("dps-1").unwrap().is_none());
    let token = "token-of-the-collector";
    let usable = json!({ "Endpoint": "https://traces.example:4318/otlp", "Token": token });
    assert_eq!(findings(usable.clone()), (vec![], vec![]));
    let settings = load(&json!({ "OpenTelemetry": usable }).to_string(), &[]).unwrap();
    let export = settings.open_telemetry.export("dps-1").unwrap().unwrap();
    assert_eq!(export.endpoint.path(), "/otlp");
    assert!(export.token.is_some() && export.sample_ratio >= 1.0);
    assert!(!format!("{settings:?} {export:?}").contains(token));
    assert!(!serde_json::to_string(&settings).unwrap().contains(token));
    for (section, key, words) in [
        (
            json!({ "Endpoint": "grpc://127.0.0.1:4317" }),
            "Endpoint",
            "http:// or https://",
        ),
        (
            json!({ "Endpoint": "http://a:b@127.0.0.1" }),
            "Endpoint",
            "password",
        ),
        (
            json!({ "Endpoint": "http://127.0.0.1/?a" }),
            "Endpoint",
            "query",
        ),
        (json!({ "SampleRatio": 1.5 }), "SampleRatio", "from 0 to 1"),
        (json!({ "Token": "short" }), "Token", "at least 16"),
        (
            json!({ "TokenFile": "/nowhere/token" }),
            "Token",
            "cannot read",
        ),
    ] {
        let (errors, _) = findings(section.clone());
        let key = format!("OpenTelemetry:{key}");
        let right = |error: &String| error.starts_with(&key) && error.contains(words);
        assert!(errors.iter().any(right), "{section}: {errors:?}");
    }
    for (section, key, words) in [
        (
            json!({ "Endpoint": "http://traces.example", "Token": token }),
            "Endpoint",
            "not encrypted",
        ),
        (json!({ "Token": token }), "Token", "not used"),
    ] {
        let (errors, warnings) = findings(section);
        assert_eq!(errors, [""; 0]);
        assert!(warnings[0].starts_with(&format!("OpenTelemetry:{key}")));
        assert!(warnings[0].contains(words), "{warnings:?}");
    }
}
