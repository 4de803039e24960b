//! The settings of the three processes: one `appsettings.json`; secrets come by environment
//! variables.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::{
    AGENTS, Addresses, Database, EDGE, MORE_EDGES, Options, STRANGER, TARGET, UNANSWERING,
};

/// 32 bytes in Base64, a key-encryption key of the tests.
pub(super) const FIRST_KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

/// Writes `appsettings.json`, and for PostgreSQL the file with the key-encryption key, to `home`.
pub(super) fn write(
    home: &Path,
    options: &Options,
    at: &Addresses,
    (directory_url, resolvers, agents): (&str, [SocketAddr; 2], &[&Addresses]),
) {
    let url = |edge: &&Addresses| {
        if options.mutual_tls {
            format!("https://{}", edge.agent_tls)
        } else {
            format!("http://{}", edge.agent)
        }
    };
    let agents: Vec<String> = agents.iter().map(url).collect();
    let edges = [EDGE, STRANGER, UNANSWERING].into_iter().chain(MORE_EDGES);
    let pki = options.mutual_tls.then(|| home.join("pki/edge-one"));
    let mut settings = json!({
        "CabinetApi": { "BaseUrl": format!("http://{}", at.cabinet) },
        "HAProxyAgent": { "BaseUrls": agents },
        "CertificateStore": { "ConnectionString": format!("sqlite://{}", home.join("dps.db").display()) },
        "LetsEncrypt": {
            "DirectoryUrl": directory_url,
            "CaCertificateFile": home.join("ca.pem"),
            "RootsFile": home.join("roots.pem"),
            "TermsOfServiceAgreed": true,
        },
        "Dns": { "Resolvers": resolvers },
        "Workers": {
            "DomainVerification": {
                "EdgeAddresses": edges.collect::<Vec<_>>(),
                "AllowedTargets": ["platform.test"],
            },
            "HttpProbe": { "Port": at.http.port(), "AllowPrivateAddresses": true },
        },
        "Http": { "Listen": at.service },
        "Cabinet": {
            "Listen": at.cabinet,
            "ConnectionString": format!("sqlite://{}", home.join("cabinet.db").display()),
            "CnameTarget": TARGET,
            "EdgeAddresses": [EDGE],
            "RetryMinInterval": "0s",
        },
        "Agent": agent(home, at, pki.as_deref()),
    });
    if options.discovery {
        settings["HAProxyAgent"] = json!({
            // These agents ask for certificate and token.
            "SharedToken": true,
            "Discovery": { "Name": AGENTS, "Resolver": resolvers[0], "Interval": "1s" },
        });
    }
    if options.mutual_tls {
        settings["HAProxyAgent"]["Tls"] = tls(&home.join("pki/service-dps1"), "CaFile");
    }
    if let Database::Postgres(connection_string) = &options.database {
        let keys = home.join("kek");
        fs::write(&keys, format!("first:{FIRST_KEY}\n")).unwrap();
        fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).unwrap();
        settings["CertificateStore"] =
            json!({ "ConnectionString": connection_string, "EncryptionKeyFile": keys });
    }
    merge(&mut settings, &options.settings);
    let file = home.join("appsettings.json");
    fs::write(&file, format!("{settings:#}")).unwrap();
    // It may hold the password of a database.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Writes the settings of an agent alone.
pub(super) fn write_agent(home: &Path, at: &Addresses, pki: Option<&Path>) {
    let settings = json!({ "Agent": agent(home, at, pki) });
    fs::write(home.join("appsettings.json"), settings.to_string()).unwrap();
}

fn agent(home: &Path, at: &Addresses, pki: Option<&Path>) -> Value {
    let mut agent = json!({
        "Listen": at.agent,
        "StateDirectory": home.join("agent"),
        "HaproxySocket": home.join("haproxy.sock"),
        "TlsAddress": at.https,
    });
    if let Some(folder) = pki {
        agent["Tls"] = tls(folder, "ClientCaFile");
        agent["Tls"]["Listen"] = json!(at.agent_tls);
    }
    agent
}

/// The files of a machine's folder, as `dps pki init --help` says.
fn tls(folder: &Path, authority: &str) -> Value {
    json!({
        "CertificateFile": folder.join("certificate.pem"),
        "KeyFile": folder.join("key.pem"),
        authority: folder.join("ca.pem"),
    })
}

/// Lays `over` over `under`: objects member by member, everything else replaced.
pub(super) fn merge(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                merge(under.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over.clone(),
    }
}
