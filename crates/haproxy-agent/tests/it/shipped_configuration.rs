//! The configuration that we ship. All other tests run HAProxy with it, too.

const README: &str = include_str!("../../../../deploy/haproxy/README.md");
const CONFIGURATION: &str = include_str!("../../../../deploy/haproxy/haproxy.cfg");

#[test]
fn the_guide_names_only_lines_of_the_complete_configuration() {
    let mut inside = false;
    let mut lines = 0;
    for line in README.lines() {
        if line.starts_with("```") {
            inside = line == "```haproxy";
        } else if inside {
            lines += 1;
            assert!(
                CONFIGURATION.lines().any(|other| other == line),
                "not in haproxy.cfg: {line}"
            );
        }
    }
    assert!(lines > 10, "the guide's blocks were not found");
}

#[test]
fn the_paths_are_the_agents_defaults() {
    let defaults = haproxy_domain_agent::Settings::default();
    for default in [
        format!("stats socket {} ", defaults.haproxy_socket),
        format!(
            "crt-list {}/crt-list.txt ",
            defaults.state_directory.display()
        ),
        format!("server agent {} ", defaults.listen),
        format!("{},", defaults.tls_address.port()),
    ] {
        assert!(CONFIGURATION.contains(&default), "{default}");
    }
}
