//! Settings from real files and variables, read as .NET reads them.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use dps_host::settings::{Loaded, Loader, Origin, Problem, SECTIONS, SettingsError};
use dps_host::{HumanDuration, Secret};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Settings {
    cabinet_api: Cabinet,
    dns: Dns,
    labels: BTreeMap<String, u16>,
    verbose: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Cabinet {
    base_url: String,
    token: Option<Secret>,
    fixed_token: Secret,
    timeout: HumanDuration,
    retries: u32,
    ratio: f64,
    follow: bool,
    proxy: Option<String>,
    port: Option<u16>,
    address: Option<IpAddr>,
    strict: Option<bool>,
}

impl Default for Cabinet {
    fn default() -> Self {
        Self {
            base_url: "http://localhost:8090".to_owned(),
            token: None,
            fixed_token: Secret::from("built in"),
            timeout: HumanDuration::from_secs(10),
            retries: 3,
            ratio: 0.5,
            follow: true,
            proxy: None,
            port: None,
            address: None,
            strict: None,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Dns {
    resolvers: Vec<IpAddr>,
    names: Vec<String>,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            resolvers: vec![[8, 8, 8, 8].into(), [1, 1, 1, 1].into()],
            names: Vec::new(),
        }
    }
}

/// A directory with configuration files.
struct Files(TempDir);

impl Files {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            // Some of them hold secrets.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn loader(&self) -> Loader {
        Loader::new(self.0.path())
    }
}

fn load(loader: &Loader) -> Settings {
    match loader.load() {
        Ok(Loaded { settings, .. }) => settings,
        Err(error) => panic!("{error}"),
    }
}

fn from_file(text: &str) -> Settings {
    load(&Files::with(&[("appsettings.json", text)]).loader())
}

fn from_variables(variables: &[(&str, &str)]) -> Settings {
    load(
        &Files::with(&[])
            .loader()
            .variables(variables.iter().copied()),
    )
}

fn refused(loader: &Loader) -> SettingsError {
    loader
        .load::<Settings>()
        .expect_err("these settings must be refused")
}

fn messages(loader: &Loader) -> Vec<String> {
    refused(loader)
        .problems()
        .iter()
        .map(Problem::to_string)
        .collect()
}

fn messages_for_variables(variables: &[(&str, &str)]) -> Vec<String> {
    messages(
        &Files::with(&[])
            .loader()
            .variables(variables.iter().copied()),
    )
}

#[test]
fn without_any_source_the_defaults_count_even_for_masked_secrets() {
    let settings = from_variables(&[]);
    assert_eq!(settings.cabinet_api.base_url, "http://localhost:8090");
    assert_eq!(settings.cabinet_api.fixed_token.expose(), "built in");
    assert_eq!(settings.cabinet_api.timeout, HumanDuration::from_secs(10));
    assert_eq!(settings.dns.resolvers.len(), 2);
}

#[test]
fn a_nested_file_in_pascal_case_sets_what_it_names_and_leaves_the_rest() {
    let settings = from_file(
        r#"{"CabinetApi": {"BaseUrl": "https://c.example", "Retries": 5}, "Verbose": true}"#,
    );
    assert_eq!(settings.cabinet_api.base_url, "https://c.example");
    assert_eq!(settings.cabinet_api.retries, 5);
    assert_eq!(settings.cabinet_api.timeout, HumanDuration::from_secs(10));
    assert!(settings.verbose);
}

#[test]
fn keys_are_compared_without_regard_to_case_in_files_and_variables() {
    let settings = from_file(r#"{"cabinetapi": {"BASEURL": "a"}}"#);
    assert_eq!(settings.cabinet_api.base_url, "a");
    for name in [
        "CabinetApi__BaseUrl",
        "CABINETAPI__BASEURL",
        "cabinetapi__baseurl",
        "CabinetApi:BaseUrl",
    ] {
        assert_eq!(
            from_variables(&[(name, "b")]).cabinet_api.base_url,
            "b",
            "{name}"
        );
    }
}

#[test]
fn files_are_laid_over_each_other_and_variables_over_all() {
    let files = Files::with(&[
        (
            "appsettings.json",
            r#"{"CabinetApi": {"BaseUrl": "base", "Proxy": "base", "Retries": 1}}"#,
        ),
        (
            "appsettings.Staging.json",
            r#"{"cabinetApi": {"Proxy": "staging", "Retries": 2}}"#,
        ),
        (
            "appsettings.Production.json",
            r#"{"CabinetApi": {"Proxy": "production"}}"#,
        ),
    ]);
    let loaded: Loaded<Settings> = files
        .loader()
        .variables([
            ("DOTNET_ENVIRONMENT", "Staging"),
            ("CABINETAPI__RETRIES", "3"),
        ])
        .load()
        .unwrap();
    let cabinet = loaded.settings.cabinet_api;
    assert_eq!(
        (cabinet.base_url.as_str(), cabinet.proxy.as_deref()),
        ("base", Some("staging"))
    );
    assert_eq!(cabinet.retries, 3);
    assert_eq!(loaded.environment, "Staging");
    assert_eq!(
        loaded.files,
        [
            files.path("appsettings.json"),
            files.path("appsettings.Staging.json")
        ]
    );
    let origin = |key: &str| loaded.origins[key].clone();
    assert_eq!(
        origin("CabinetApi:Retries"),
        Origin::Variable("CABINETAPI__RETRIES".into())
    );
    let staging = files.path("appsettings.Staging.json");
    assert_eq!(
        origin("CabinetApi:Proxy"),
        Origin::File(staging.as_path().into())
    );
}

#[test]
fn the_environment_is_production_unless_a_variable_names_another() {
    let name = |variables: &[(&str, &str)]| {
        let loader = Files::with(&[])
            .loader()
            .variables(variables.iter().copied());
        loader.load::<Settings>().unwrap().environment
    };
    assert_eq!(name(&[]), "Production");
    assert_eq!(name(&[("DPS_ENVIRONMENT", "")]), "Production");
    assert_eq!(name(&[("ASPNETCORE_ENVIRONMENT", "C")]), "C");
    assert_eq!(
        name(&[("ASPNETCORE_ENVIRONMENT", "C"), ("DOTNET_ENVIRONMENT", "B")]),
        "B"
    );
    assert_eq!(
        name(&[("DOTNET_ENVIRONMENT", "B"), ("DPS_ENVIRONMENT", "A")]),
        "A"
    );
    let messages = messages_for_variables(&[("DPS_ENVIRONMENT", "../../etc/x")]);
    assert!(
        messages[0].contains("environment name \"../../etc/x\""),
        "{messages:?}"
    );
}

#[test]
fn secrets_and_texts_in_the_form_of_something_else_stay_texts() {
    for text in ["0123456", "{x=1}", "true", "1e5", "[1]", "null", " padded "] {
        let settings = from_variables(&[
            ("CabinetApi__Token", text),
            ("CabinetApi__FixedToken", text),
            ("CabinetApi__BaseUrl", text),
            ("CabinetApi__Proxy", text),
        ]);
        let cabinet = settings.cabinet_api;
        assert_eq!(cabinet.token.unwrap().expose(), text);
        assert_eq!(cabinet.fixed_token.expose(), text);
        assert_eq!(cabinet.base_url, text);
        assert_eq!(cabinet.proxy.as_deref(), Some(text));
    }
}

#[test]
fn numbers_and_truth_values_come_from_texts_too() {
    let settings = from_variables(&[
        ("CabinetApi__Retries", " 7 "),
        ("CabinetApi__Ratio", "0.25"),
        ("CabinetApi__Follow", "False"),
        ("CabinetApi__Timeout", "00:01:30"),
        ("Verbose", "True"),
    ]);
    let cabinet = settings.cabinet_api;
    assert_eq!(
        (cabinet.retries, cabinet.follow, settings.verbose),
        (7, false, true)
    );
    assert!((cabinet.ratio - 0.25).abs() < f64::EPSILON);
    assert_eq!(cabinet.timeout, HumanDuration::from_secs(90));
    let settings = from_file(
        r#"{"CabinetApi": {"Retries": "7", "Follow": "FALSE", "Ratio": 2, "BaseUrl": 12}}"#,
    );
    assert_eq!(
        (settings.cabinet_api.retries, settings.cabinet_api.follow),
        (7, false)
    );
    assert_eq!(settings.cabinet_api.base_url, "12");
}

#[test]
fn optional_values_become_what_their_type_wants() {
    let settings = from_variables(&[
        ("CabinetApi__Port", "8443"),
        ("CabinetApi__Strict", "True"),
        ("CabinetApi__Proxy", "8443"),
        ("CabinetApi__Address", "::1"),
    ]);
    let cabinet = settings.cabinet_api;
    assert_eq!((cabinet.port, cabinet.strict), (Some(8443), Some(true)));
    assert_eq!(
        (cabinet.proxy.as_deref(), cabinet.address),
        (Some("8443"), Some("::1".parse().unwrap()))
    );
    let settings = from_file(r#"{"CabinetApi": {"Proxy": 8443, "Port": "8443", "Token": 4711}}"#);
    assert_eq!(
        (
            settings.cabinet_api.proxy.as_deref(),
            settings.cabinet_api.port
        ),
        (Some("8443"), Some(8443))
    );
    assert_eq!(settings.cabinet_api.token.unwrap().expose(), "4711");
}

#[test]
fn an_empty_variable_or_a_null_leaves_an_optional_value_unset() {
    let files = Files::with(&[(
        "appsettings.json",
        r#"{"CabinetApi": {"Proxy": "x", "Port": 1, "Token": "y"}}"#,
    )]);
    let variables = [
        ("CabinetApi__Proxy", ""),
        ("CabinetApi__Port", ""),
        ("CabinetApi__Token", ""),
    ];
    let cabinet = load(&files.loader().variables(variables)).cabinet_api;
    assert!(cabinet.proxy.is_none() && cabinet.port.is_none() && cabinet.token.is_none());
    assert!(
        from_file(r#"{"CabinetApi": {"Proxy": null}}"#)
            .cabinet_api
            .proxy
            .is_none()
    );
}

#[test]
fn list_elements_are_replaced_one_by_one() {
    let files = Files::with(&[
        ("appsettings.json", r#"{"Dns": {"Names": ["a", "b", "c"]}}"#),
        (
            "appsettings.Production.json",
            r#"{"Dns": {"Names": ["A"]}}"#,
        ),
    ]);
    let names = |variables: &[(&str, &str)]| {
        load(&files.loader().variables(variables.iter().copied()))
            .dns
            .names
    };
    assert_eq!(names(&[]), ["A", "b", "c"]);
    assert_eq!(names(&[("Dns__Names__1", "B")]), ["A", "B", "c"]);
    assert_eq!(names(&[("DNS__NAMES__3", "d")]), ["A", "b", "c", "d"]);
    assert_eq!(
        names(&[("Dns__Names__10", "k"), ("Dns__Names__9", "j")]),
        ["A", "b", "c", "j", "k"]
    );
}

#[test]
fn a_list_that_is_set_replaces_the_default_list_and_an_empty_one_empties_it() {
    let resolvers = from_variables(&[("Dns__Resolvers__0", "9.9.9.9")])
        .dns
        .resolvers;
    assert_eq!(resolvers, ["9.9.9.9".parse::<IpAddr>().unwrap()]);
    assert!(
        from_file(r#"{"Dns": {"Resolvers": []}}"#)
            .dns
            .resolvers
            .is_empty()
    );
    let files = Files::with(&[
        ("appsettings.json", r#"{"Dns": {"Names": ["a"]}}"#),
        ("appsettings.Production.json", r#"{"Dns": {"Names": []}}"#),
    ]);
    assert!(load(&files.loader()).dns.names.is_empty());
}

#[test]
fn a_map_takes_any_key_and_keeps_its_spelling() {
    let files = Files::with(&[(
        "appsettings.json",
        r#"{"Labels": {"edgeOne": 1, "edgeTwo": "2"}}"#,
    )]);
    let labels = load(
        &files
            .loader()
            .variables([("LABELS__edgeTwo", "3"), ("Labels__Third", "4")]),
    )
    .labels;
    assert_eq!(
        labels.into_iter().collect::<Vec<_>>(),
        [
            ("Third".to_owned(), 4),
            ("edgeOne".to_owned(), 1),
            ("edgeTwo".to_owned(), 3)
        ]
    );
}

#[test]
fn files_may_have_comments_last_commas_a_byte_order_mark_and_flat_keys() {
    let settings = from_file(
        "\u{feff}// our settings\n{\n  /* the Cabinet */ \"CabinetApi:BaseUrl\": \"http://c//d\", // not a comment: //\n  \
         \"CabinetApi\": {\"Retries\": 9,},\n}\n",
    );
    assert_eq!(
        (
            settings.cabinet_api.base_url.as_str(),
            settings.cabinet_api.retries
        ),
        ("http://c//d", 9)
    );
}

#[test]
fn an_unknown_key_names_its_path_its_source_and_the_key_that_was_meant() {
    let files = Files::with(&[(
        "appsettings.json",
        r#"{"CabinetApi": {"BaseUri": "x"}, "Dms": {"Resolvers": []}}"#,
    )]);
    let path = files.path("appsettings.json").display().to_string();
    let loader = files.loader().variables([("CABINETAPI__TIMEOUTS", "5s")]);
    assert_eq!(messages(&loader), [
        format!("CabinetApi:BaseUri ({path}): unknown key; did you mean CabinetApi:BaseUrl?"),
        "CabinetApi:TIMEOUTS (environment variable CABINETAPI__TIMEOUTS): unknown key; did you mean CabinetApi:Timeout?"
            .to_owned(),
        format!("Dms ({path}): unknown key; did you mean Dns?"),
    ]);
    let files = Files::with(&[(
        "appsettings.json",
        r#"{"Serilog": {"MinimumLevel": "Debug"}}"#,
    )]);
    assert!(
        messages(&files.loader())[0].contains("Serilog"),
        "the message names the key"
    );
    assert!(
        messages(&files.loader())[0].contains("the nearest known key is"),
        "the message names a known key"
    );
}

#[test]
fn variables_of_others_are_ignored() {
    from_variables(&[
        ("PATH", "/bin"),
        ("OTHER__BaseUrl", "x"),
        ("CabinetApi", "tcp://10.0.0.1"),
        ("DNS", "x"),
        ("CABINETAPI_BASEURL", "x"),
        ("__", "x"),
        ("", "x"),
    ]);
}

#[test]
fn a_bad_value_names_key_source_what_was_found_and_what_is_expected() {
    let messages = messages_for_variables(&[
        ("CabinetApi__Follow", "yes"),
        ("CabinetApi__Port", "70000"),
        ("CabinetApi__Ratio", "nan"),
        ("CabinetApi__Retries", "many"),
        ("CabinetApi__Timeout", "30"),
        ("Dns__Names", "a,b"),
    ]);
    let problem_contains = |key: &str, words: &[&str]| {
        let name = key.replace(':', "__");
        let start = format!("{key} (environment variable {name}): ");
        let message = messages.iter().find(|message| message.starts_with(&start));
        let message = message.unwrap_or_else(|| panic!("nothing about {key} in {messages:#?}"));
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    };
    problem_contains(
        "CabinetApi:Follow",
        &["found \"yes\"", "expected true or false"],
    );
    problem_contains("CabinetApi:Port", &["70000", "expected u16"]);
    problem_contains("CabinetApi:Ratio", &["found \"nan\"", "expected a number"]);
    problem_contains(
        "CabinetApi:Retries",
        &["found \"many\"", "expected a whole number"],
    );
    problem_contains(
        "CabinetApi:Timeout",
        &["\"30\" is not a duration", "a unit is missing"],
    );
    problem_contains("Dns:Names", &["found \"a,b\"", "Dns__Names__0"]);
    assert_eq!(messages.len(), 6, "{messages:#?}");
}

#[test]
fn values_of_the_wrong_shape_are_distinguished() {
    let files = Files::with(&[(
        "appsettings.json",
        r#"{"CabinetApi": [1], "Dns": {"Names": {"a": "b"}, "Resolvers": "8.8.8.8"}, "Verbose": {"x": 1}, "Labels": 3}"#,
    )]);
    let all = messages(&files.loader()).join("\n");
    for words in [
        "found a list, expected a section",
        "found a section, expected a list",
        "found \"8.8.8.8\", expected a list",
        "found a section, expected true or false",
        "found 3, expected a section",
    ] {
        assert!(all.contains(words), "{words} in {all}");
    }
}

#[test]
fn every_bad_list_element_is_reported_under_its_own_index() {
    let files = Files::with(&[(
        "appsettings.json",
        r#"{"Dns": {"Resolvers": ["a", "9.9.9.9", "b", "c"]}}"#,
    )]);
    let keys: Vec<String> = messages(&files.loader())
        .iter()
        .map(|message| message.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(
        keys,
        ["Dns:Resolvers:0", "Dns:Resolvers:2", "Dns:Resolvers:3"]
    );
}

#[test]
fn all_problems_of_all_sources_are_reported_at_once() {
    let files = Files::with(&[
        (
            "appsettings.json",
            r#"{"CabinetApi": {"Retries": "x"}, "Nonsense": 1}"#,
        ),
        ("appsettings.Production.json", "{ \"Dns\": }"),
    ]);
    let error = refused(
        &files
            .loader()
            .variables([("CabinetApi__Timeout", "soon"), ("Dns__Resolver", "x")]),
    );
    assert_eq!(error.problems().len(), 5, "{error}");
    let text = error.to_string();
    assert!(
        text.starts_with("the configuration cannot be used:\n  "),
        "{text}"
    );
    assert!(
        text.contains("appsettings.Production.json: expected value at line 1 column 10"),
        "{text}"
    );
}

#[test]
fn no_message_holds_a_secret() {
    let files = Files::with(&[(
        "appsettings.json",
        r#"{"CabinetApi": {"Token": ["hunter2"], "FixedToken": {"a": "hunter2"}}}"#,
    )]);
    let error = refused(&files.loader());
    assert!(
        !format!("{error} {error:?}").contains("hunter2"),
        "{error:?}"
    );
    assert_eq!(error.problems().len(), 2, "{error}");
}

#[test]
fn two_variables_that_differ_in_case_only_must_agree() {
    let same = [("CabinetApi__BaseUrl", "a"), ("CABINETAPI__BASEURL", "a")];
    assert_eq!(from_variables(&same).cabinet_api.base_url, "a");
    let messages =
        messages_for_variables(&[("CabinetApi__BaseUrl", "a"), ("CABINETAPI__BASEURL", "b")]);
    assert_eq!(
        messages,
        [
            "CabinetApi:BaseUrl: the environment variables CABINETAPI__BASEURL and CabinetApi__BaseUrl set \
         different values; remove one"
        ]
    );
}

#[test]
fn another_base_file_brings_its_own_sibling_and_must_exist() {
    let files = Files::with(&[
        ("appsettings.json", r#"{"Verbose": true}"#),
        ("edge.json", r#"{"CabinetApi": {"BaseUrl": "edge"}}"#),
        ("edge.Production.json", r#"{"CabinetApi": {"Retries": 8}}"#),
    ]);
    let settings = load(&files.loader().config(&files.path("edge.json")));
    assert_eq!(
        (
            settings.cabinet_api.base_url.as_str(),
            settings.cabinet_api.retries
        ),
        ("edge", 8)
    );
    assert!(!settings.verbose);
    let messages = messages(&files.loader().config(Path::new("/nowhere/x.json")));
    assert!(
        messages[0].starts_with("/nowhere/x.json: cannot be read"),
        "{messages:?}"
    );
}

#[test]
fn broken_files_are_refused_with_the_place_of_the_fault() {
    for (text, words) in [
        ("[]", "one JSON object"),
        ("{\n  \"Verbose\": ?\n}", "line 2 column 14"),
        ("{\"Verbose\": true, \"VERBOSE\": false}", "given twice"),
        ("{} {}", "trailing characters"),
        ("", "EOF"),
    ] {
        let files = Files::with(&[("appsettings.json", text)]);
        let messages = messages(&files.loader());
        assert!(messages[0].contains("appsettings.json: "), "{messages:?}");
        assert!(messages[0].contains(words), "{messages:?}");
    }
    let files = Files::with(&[]);
    fs::write(files.path("appsettings.json"), vec![b' '; 1024 * 1024 + 1]).unwrap();
    assert!(messages(&files.loader())[0].contains("larger than 1 MiB"));
    let deep = format!("{}1{}", "{\"a\":".repeat(5000), "}".repeat(5000));
    fs::write(files.path("appsettings.json"), deep).unwrap();
    assert!(messages(&files.loader())[0].contains("recursion limit"));
}

#[test]
fn a_process_with_fewer_sections_can_share_the_file() {
    let text = r#"{"$schema": "x", "Workers": {"anything": 1}, "letsencrypt": {}, "Dns": {"Names": ["a"]}}"#;
    let files = Files::with(&[("appsettings.json", text)]);
    let loader = files
        .loader()
        .variables([("WORKERS__RENEWAL__INTERVAL", "6h")]);
    assert_eq!(refused(&loader).problems().len(), 2);
    assert_eq!(load(&loader.ignoring_other_sections()).dns.names, ["a"]);
    let files = Files::with(&[("appsettings.json", r#"{"Worker": {}}"#)]);
    assert!(messages(&files.loader().ignoring_other_sections())[0].starts_with("Worker "));
    assert!(SECTIONS.is_sorted());
}

#[test]
fn a_file_with_a_secret_that_others_may_read_is_refused_and_one_without_is_not() {
    let (secret, open) = (
        r#"{"CabinetApi": {"Token": "hunter2"}}"#,
        r#"{"CabinetApi": {"Retries": 4}}"#,
    );
    for (text, mode, is_refused) in [
        (secret, 0o644, true),
        (secret, 0o640, false),
        (open, 0o644, false),
    ] {
        let files = Files::with(&[("appsettings.json", text)]);
        let path = files.path("appsettings.json");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        match files.loader().load::<Settings>() {
            Ok(_) => assert!(!is_refused, "{mode:o} {text}"),
            Err(error) => {
                let error = error.to_string();
                assert!(is_refused && error.contains("CabinetApi:Token"), "{error}");
                assert!(
                    error.contains("chmod 600") && !error.contains("hunter2"),
                    "{error}"
                );
            }
        }
    }
    // By a variable, the file's mode says nothing.
    let files = Files::with(&[("appsettings.json", open)]);
    let path = files.path("appsettings.json");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    load(&files.loader().variables([("CabinetApi__Token", "hunter2")]));
}
