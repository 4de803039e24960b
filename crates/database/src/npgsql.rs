//! The Npgsql form of a connection string:
//! `Host=db;Port=5432;Database=dps;Username=dps;Password="a;b"`.
//!
//! Keys are matched without regard to case and spaces. A value may be quoted with `'` or `"`,
//! doubled inside to mean itself.

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::target::{ConnectionStringError, PostgresTarget};

/// The keys that hold the password, as [`normal`] gives them.
const PASSWORD_KEYS: [&str; 3] = ["password", "pwd", "psw"];

/// One setting of the text.
struct Setting<'a> {
    /// As it is written.
    key: &'a str,
    /// Without quotes.
    value: String,
}

impl Setting<'_> {
    fn is_password(&self) -> bool {
        PASSWORD_KEYS.contains(&normal(self.key).as_str())
    }
}

/// A key without case and spaces.
fn normal(key: &str) -> String {
    let kept = key.chars().filter(|c| !c.is_whitespace());
    kept.collect::<String>().to_ascii_lowercase()
}

/// Splits off the first setting: key, value and the rest.
fn next_setting(text: &str, position: usize) -> Result<(Setting<'_>, &str), ConnectionStringError> {
    let end = text.find(';').unwrap_or(text.len());
    let Some(equals) = text[..end].find('=') else {
        return Err(ConnectionStringError::NotASetting { position });
    };
    let key = text[..equals].trim();
    let after = text[equals + 1..].trim_start();
    let unterminated = || ConnectionStringError::UnterminatedQuote {
        key: key.to_owned(),
    };
    let (value, rest) = match after.chars().next() {
        Some(quote @ ('\'' | '"')) => quoted(&after[1..], quote).ok_or_else(unterminated)?,
        _ => {
            let end = after.find(';').unwrap_or(after.len());
            (after[..end].trim_end().to_owned(), &after[end..])
        }
    };
    let rest = rest.trim_start();
    match rest.strip_prefix(';') {
        Some(rest) => Ok((Setting { key, value }, rest)),
        None if rest.is_empty() => Ok((Setting { key, value }, rest)),
        None => Err(unterminated()),
    }
}

/// The value up to the closing quote, and what follows it.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != quote {
            value.push(c);
        } else if chars.next_if(|(_, next)| *next == quote).is_some() {
            value.push(quote);
        } else {
            return Some((value, &text[at + 1..]));
        }
    }
    None
}

/// All settings of the text, in order.
fn settings(text: &str) -> Result<Vec<Setting<'_>>, ConnectionStringError> {
    let mut settings: Vec<Setting<'_>> = Vec::new();
    let mut rest = text;
    while !rest.trim().is_empty() {
        let after_password = settings.last().is_some_and(Setting::is_password);
        let (setting, next) = match next_setting(rest, settings.len() + 1) {
            Err(ConnectionStringError::NotASetting { .. }) if after_password => {
                return Err(ConnectionStringError::UnquotedPassword);
            }
            other => other?,
        };
        settings.push(setting);
        rest = next;
    }
    Ok(settings)
}

/// Parses the whole form.
pub(crate) fn parse(text: &str) -> Result<PostgresTarget, ConnectionStringError> {
    let mut target = PostgresTarget {
        options: PgConnectOptions::new(),
        max_connections: None,
    };
    let mut has_host = false;
    let mut after_password = false;
    for setting in settings(text)? {
        let normal = normal(setting.key);
        target = match apply(target, &normal, setting.key, &setting.value) {
            Err(ConnectionStringError::UnknownKey { .. }) if after_password => {
                return Err(ConnectionStringError::UnquotedPassword);
            }
            other => other?,
        };
        has_host |= matches!(normal.as_str(), "host" | "server");
        after_password = setting.is_password();
    }
    if has_host {
        Ok(target)
    } else {
        Err(ConnectionStringError::Missing { key: "Host" })
    }
}

/// Replaces each password by `mask`; `None` if the text cannot be parsed, since any part of it may
/// then be a password.
pub(crate) fn masked(text: &str, mask: &str) -> Option<String> {
    parse(text).ok()?;
    let shown = settings(text).ok()?.into_iter().map(|setting| {
        let value = if setting.is_password() {
            mask
        } else {
            &setting.value
        };
        format!("{}={value}", setting.key)
    });
    Some(shown.collect::<Vec<_>>().join(";"))
}

fn apply(
    target: PostgresTarget,
    normal: &str,
    key: &str,
    value: &str,
) -> Result<PostgresTarget, ConnectionStringError> {
    let bad = |expected| ConnectionStringError::BadValue {
        key: key.to_owned(),
        expected,
    };
    let PostgresTarget {
        options,
        mut max_connections,
    } = target;
    let options = match normal {
        "host" | "server" => options.host(value),
        "port" => options.port(value.parse().map_err(|_| bad("a port number"))?),
        "database" | "db" => options.database(value),
        "username" | "userid" | "user" | "uid" => options.username(value),
        key if PASSWORD_KEYS.contains(&key) => options.password(value),
        "sslmode" => options.ssl_mode(
            ssl_mode(value)
                .ok_or_else(|| bad("Disable, Allow, Prefer, Require, VerifyCA or VerifyFull"))?,
        ),
        "rootcertificate" => options.ssl_root_cert(value),
        "sslcertificate" => options.ssl_client_cert(value),
        "sslkey" => options.ssl_client_key(value),
        "applicationname" => options.application_name(value),
        "maximumpoolsize" | "maxpoolsize" => {
            let size = value.parse().ok().filter(|size| *size > 0);
            max_connections = Some(size.ok_or_else(|| bad("a number above zero"))?);
            options
        }
        _ => {
            return Err(ConnectionStringError::UnknownKey {
                key: key.to_owned(),
            });
        }
    };
    Ok(PostgresTarget {
        options,
        max_connections,
    })
}

fn ssl_mode(value: &str) -> Option<PgSslMode> {
    let modes = [
        ("disable", PgSslMode::Disable),
        ("allow", PgSslMode::Allow),
        ("prefer", PgSslMode::Prefer),
        ("require", PgSslMode::Require),
        ("verifyca", PgSslMode::VerifyCa),
        ("verifyfull", PgSslMode::VerifyFull),
    ];
    let normal = value.replace(['-', ' '], "").to_ascii_lowercase();
    modes
        .into_iter()
        .find_map(|(name, mode)| (name == normal).then_some(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(options: &PgConnectOptions) -> String {
        use sqlx::ConnectOptions;
        options.to_url_lossy().to_string()
    }

    #[test]
    fn keys_are_matched_without_case_and_spaces() {
        let text = "host=db.example; PORT = 6432;Database=store;User Id=dps;Password=secret;SSL Mode=VerifyFull;\
                    Maximum Pool Size=7;";
        let target = parse(text).unwrap();
        assert_eq!(
            url(&target.options),
            "postgres://dps:secret@db.example:6432/store?sslmode=verify-full&statement-cache-capacity=100"
        );
        assert_eq!(target.max_connections, Some(7));
    }

    #[test]
    fn a_quoted_password_may_hold_anything() {
        let target = parse(r#"Host=db;Password="a;b=""c"" ' ";Username=dps"#).unwrap();
        assert!(
            url(&target.options).contains(":a%3Bb%3D%22c%22%20%27%20@"),
            "{}",
            url(&target.options)
        );
        let target = parse("Host=db;Password='it''s';Username=dps").unwrap();
        assert!(url(&target.options).contains(":it%27s@"));
    }

    #[test]
    fn an_unknown_key_is_named_unless_it_may_be_part_of_a_password() {
        let unknown = |key: &str| ConnectionStringError::UnknownKey {
            key: key.to_owned(),
        };
        assert_eq!(parse("Host=db;Databse=x").err(), Some(unknown("Databse")));
        assert_eq!(
            parse("Password=a;b=c;Host=db").err(),
            Some(ConnectionStringError::UnquotedPassword)
        );
        assert_eq!(
            parse("Password=a;b;Host=db").err(),
            Some(ConnectionStringError::UnquotedPassword)
        );
        assert_eq!(
            parse("Database=x").err(),
            Some(ConnectionStringError::Missing { key: "Host" })
        );
    }
}
