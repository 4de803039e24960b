//! The sentences about failures in Russian, made of the fields that a report has.
//!
//! The records to create are in the table of the page, so no sentence repeats them.

use std::net::IpAddr;

use dps_domain::caa::CaaReason;
use dps_domain::cdn::Cdn;
use dps_domain::{Failure, Timestamp};

const FROM_TABLE: &str = "создайте запись из таблицы ниже";
const PROXY: &str = "Если нужная запись уже есть, отключите для неё прокси (CDN).";
const AUTOMATIC: &str = "Мы попробуем снова автоматически.";
const OUR_SIDE: &str = "Задержка на нашей стороне. Вам ничего делать не нужно.";

/// The sentence about a failure of the name `host`.
pub(super) fn sentence(failure: &Failure, host: &str) -> String {
    match failure {
        Failure::NameInvalid { .. } => {
            format!("Имя {host} нельзя использовать: сертификат на него не выдаётся.")
        }
        Failure::NameBlocked { .. } => format!(
            "{host} нельзя использовать на этой платформе. Если это имя вам нужно, обратитесь в \
             поддержку."
        ),
        Failure::NameAlreadyClaimed { proven } => already_claimed(host, *proven),
        Failure::TargetNotAllowed { .. } => {
            "Адрес назначения этого домена задан неверно на нашей стороне. У вас всё в порядке. \
             Обратитесь в поддержку, чтобы мы его исправили."
                .to_owned()
        }
        Failure::DnsNxdomain {} => {
            format!("Имени {host} нет в DNS. Чтобы исправить это, {FROM_TABLE}.")
        }
        Failure::DnsNoCname {
            addresses, more, ..
        } => no_cname(host, addresses, *more),
        Failure::DnsWrongTarget {
            chain,
            addresses,
            more,
        } => match chain.last() {
            Some(end) => format!(
                "{host} указывает на {end}, а не на нас. Удалите эту запись и {FROM_TABLE}."
            ),
            None => elsewhere(host, addresses, *more),
        },
        Failure::DnsCnameLoop { chain } => format!(
            "Записи CNAME для {host} образуют петлю или слишком длинную цепочку: {host} → {}. Чтобы \
             исправить это, {FROM_TABLE}.",
            chain.join(" → ")
        ),
        Failure::DnsServfail { txt_name, .. } if !txt_name.is_empty() => txt_servers(txt_name),
        Failure::DnsServfail { .. } => format!(
            "Серверы DNS отвечают на запрос о {host} ошибкой (SERVFAIL). Попросите вашего \
             DNS-провайдера проверить зону и её подписи DNSSEC."
        ),
        Failure::DnsDnssecBogus { name, .. } => {
            let name = if name.is_empty() { host } else { name };
            format!(
                "Подписи DNSSEC для {name} недействительны. Попросите DNS-провайдера подписать зону \
                 заново или удалите запись DS у регистратора."
            )
        }
        Failure::DnsTimeout {
            resolver_outage: true,
            ..
        } => format!("Наши серверы DNS сейчас не отвечают. У вас всё в порядке. {AUTOMATIC}"),
        Failure::DnsTimeout { txt_name, .. } if !txt_name.is_empty() => txt_servers(txt_name),
        Failure::DnsTimeout { .. } => format!(
            "Серверы DNS для {host} не отвечают вовремя. Проверьте, что они доступны. Если вы ещё не \
             сделали этого, {FROM_TABLE}."
        ),
        Failure::DnsOwnershipRequired { contested, .. } => ownership(host, *contested),
        Failure::DnsPropagating { until, .. } => {
            let end = until.map_or(String::new(), |at| {
                format!(" Не позднее {} это закончится.", moment(at))
            });
            format!(
                "Изменение в DNS ещё распространяется: одни серверы его видят, другие пока нет.{end} \
                 Ничего делать не нужно, мы проверим {host} снова."
            )
        }
        Failure::DnsStrayAddress { stray, more } => format!(
            "{host} указывает и на чужие адреса: {}. Удалите их: посетители и центр сертификации могут \
             попасть туда.",
            list(stray, *more)
        ),
        Failure::CdnInFront { cdn, answer, .. } => cdn_in_front(host, cdn, answer.is_some()),
        Failure::DnsMoved { cause } => format!(
            "{host} больше не указывает на нас, поэтому новый сертификат получить нельзя. {}",
            sentence(cause, host)
        ),
        Failure::CaaForbids { record, reason, .. } => caa_forbids(host, record, *reason),
        Failure::CaaLookupFailed { .. } => format!(
            "Не удалось получить записи CAA для {host}. Попросите DNS-провайдера исправить зону."
        ),
        Failure::HttpRefused { .. }
        | Failure::HttpTimeout { .. }
        | Failure::HttpWrongResponder { .. }
        | Failure::HttpStatus { .. }
        | Failure::HttpRedirect { .. }
        | Failure::HttpAddressForbidden { .. } => http(failure, host),
        Failure::IssuancePaused {}
        | Failure::AcmeRateLimited { .. }
        | Failure::AcmePaused { .. }
        | Failure::AcmeRejectedIdentifier { .. }
        | Failure::AcmeValidationFailed { .. }
        | Failure::AcmeCaUnavailable { .. } => authority(failure, host),
        Failure::AcmeAccount { .. }
        | Failure::EdgeUnreachable { .. }
        | Failure::EdgeRejected { .. }
        | Failure::EdgeMismatch { .. }
        | Failure::Internal { .. } => OUR_SIDE.to_owned(),
    }
}

fn already_claimed(host: &str, proven: bool) -> String {
    if proven {
        return format!(
            "Другой аккаунт на этой платформе доказал, что {host} принадлежит ему. Если имя ваше, \
             запустите проверку: вы получите запись, которой сможете это доказать."
        );
    }
    format!(
        "{host} уже используется другим аккаунтом на этой платформе. Удалите его там или обратитесь \
         в поддержку."
    )
}

fn no_cname(host: &str, addresses: &[IpAddr], more: usize) -> String {
    if addresses.is_empty() {
        return format!(
            "У {host} нет записи, которая указывает на нас. Чтобы исправить это, {FROM_TABLE}."
        );
    }
    elsewhere(host, addresses, more)
}

fn elsewhere(host: &str, addresses: &[IpAddr], more: usize) -> String {
    format!(
        "{host} указывает на {}, а не на нас. Удалите эти записи и {FROM_TABLE}. {PROXY}",
        list(addresses, more)
    )
}

fn txt_servers(name: &str) -> String {
    format!(
        "Серверы DNS не отвечают на запрос записей TXT для {name}, хотя на другие запросы \
         отвечают. Попросите DNS-провайдера сделать так, чтобы серверы отвечали и на этот запрос, \
         даже если такой записи нет."
    )
}

fn ownership(host: &str, contested: bool) -> String {
    let why = if contested {
        format!("На имя {host} претендует или недавно претендовал другой аккаунт платформы.")
    } else {
        format!("{host} указывает на нас, но мы пока не знаем, что имя принадлежит вам.")
    };
    format!("{why} Чтобы доказать, что оно ваше, создайте запись TXT из таблицы ниже.")
}

fn cdn_in_front(host: &str, cdn: &str, is_answered: bool) -> String {
    let how = Cdn::by_name(cdn).map_or(String::new(), |cdn| {
        format!(" Как это сделать: {}", cdn.instructions)
    });
    if is_answered {
        return format!(
            "На запросы к http://{host}/.well-known/acme-challenge/ отвечает {cdn}, а не мы. \
             Настройте {cdn} так, чтобы этот путь передавался нам без изменений, или отключите \
             прокси.{how}"
        );
    }
    format!(
        "{host} находится за {cdn}. Отключите прокси для этой записи. Если записи нет, \
         {FROM_TABLE}.{how}"
    )
}

fn caa_forbids(host: &str, record: &str, reason: CaaReason) -> String {
    match reason {
        CaaReason::OtherAuthority => format!(
            "Запись CAA {record} не разрешает нашему центру сертификации выдать сертификат для \
             {host}. Разрешите его или удалите эту запись; точная запись — в сообщении ниже."
        ),
        CaaReason::OtherAccount => format!(
            "Запись CAA {record} разрешает сертификат для {host} только другой учётной записи. \
             Исправьте её; точная запись — в сообщении ниже."
        ),
        CaaReason::OtherMethod => format!(
            "Запись CAA {record} разрешает сертификат для {host} только при другом способе \
             проверки. Исправьте её; точная запись — в сообщении ниже."
        ),
        CaaReason::UnknownCriticalTag => format!(
            "Запись CAA {record} отмечена как обязательная, но центры сертификации её не понимают. \
             Удалите её, чтобы получить сертификат для {host}."
        ),
    }
}

fn http(failure: &Failure, host: &str) -> String {
    let fault = match failure {
        Failure::HttpRefused { address } => {
            format!("по адресу {address} на порту 80 никто не принимает соединений")
        }
        Failure::HttpTimeout { address } => {
            format!("по адресу {address} на порту 80 нет ответа")
        }
        Failure::HttpWrongResponder { address, .. } => {
            format!("по адресу {address} отвечает другой сервер")
        }
        Failure::HttpStatus { address, status } => {
            format!("по адресу {address} отвечает не наш сервер (код {status})")
        }
        Failure::HttpRedirect { address, .. } => {
            format!("по адресу {address} запросы перенаправляются")
        }
        Failure::HttpAddressForbidden { address, .. } => {
            return format!(
                "{host} указывает на {address}, до которого нельзя добраться из Интернета. Удалите \
                 эту запись."
            );
        }
        _ => return OUR_SIDE.to_owned(),
    };
    format!(
        "Запросы к {host} до нас не доходят: {fault}. Направьте имя только на нас и уберите прокси, \
         CDN или межсетевой экран перед ним."
    )
}

fn authority(failure: &Failure, host: &str) -> String {
    match failure {
        Failure::IssuancePaused {} => {
            "Оператор платформы приостановил выдачу сертификатов. Мы продолжим, как только пауза \
             закончится. Ничего делать не нужно."
                .to_owned()
        }
        Failure::AcmeRateLimited { until, .. } => {
            let when = until.map_or(
                "как только это станет возможно".to_owned(),
                |at| format!("не раньше {}", moment(at)),
            );
            format!(
                "Центр сертификации ограничивает число сертификатов. Мы продолжим {when}. Ничего \
                 делать не нужно."
            )
        }
        Failure::AcmePaused { .. } => format!(
            "Центр сертификации приостановил выдачу для {host} после многих неудач. Снять паузу \
             может только оператор платформы."
        ),
        Failure::AcmeRejectedIdentifier { .. } => {
            format!("Центр сертификации не выдаёт сертификатов для {host}.")
        }
        Failure::AcmeValidationFailed { .. } if failure.is_about_caa() => format!(
            "Запись CAA не разрешает нашему центру сертификации выдать сертификат для {host}. Точная \
             запись — в сообщении ниже."
        ),
        Failure::AcmeValidationFailed { .. } => format!(
            "Центр сертификации не смог проверить {host}. Убедитесь, что имя указывает на нас из \
             любой сети и что межсетевой экран его не блокирует. {AUTOMATIC}"
        ),
        _ => format!("Центр сертификации сейчас недоступен. {AUTOMATIC}"),
    }
}

/// A moment for people, in UTC and rounded up to the minute.
fn moment(at: Timestamp) -> String {
    let minutes = at
        .unix_micros()
        .saturating_add(59_999_999)
        .div_euclid(60_000_000);
    let text = Timestamp::from_unix_seconds(minutes.saturating_mul(60)).to_string();
    let parts: Vec<&str> = text.split(['-', 'T', ':']).collect();
    match parts.as_slice() {
        [year, month, day, hours, minutes, ..] => {
            format!("{day}.{month}.{year} {hours}:{minutes} UTC")
        }
        _ => text,
    }
}

fn list(addresses: &[IpAddr], more: usize) -> String {
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let shown = texts.join(", ");
    match more {
        0 => shown,
        more => format!("{shown} и ещё {more}"),
    }
}

#[cfg(test)]
mod tests {
    use dps_domain::FailureCode;
    use serde_json::json;

    use super::*;

    #[test]
    #[expect(clippy::too_many_lines, reason = "a list of all codes")]
    fn every_code_has_a_sentence_in_russian_with_the_values_of_the_report() {
        let address = "203.0.113.9";
        let failures = [
            (
                json!({"code": "NAME_INVALID", "reason": "r"}),
                "shop.example.com",
            ),
            (json!({"code": "NAME_BLOCKED", "rule": "r"}), "поддержку"),
            (json!({"code": "NAME_ALREADY_CLAIMED"}), "другим аккаунтом"),
            (
                json!({"code": "NAME_ALREADY_CLAIMED", "proven": true}),
                "запустите проверку",
            ),
            (
                json!({"code": "TARGET_NOT_ALLOWED", "target": "t", "reason": "r"}),
                "на нашей стороне",
            ),
            (json!({"code": "DNS_NXDOMAIN"}), "нет в DNS"),
            (
                json!({"code": "DNS_NO_CNAME", "addresses": []}),
                "нет записи",
            ),
            (
                json!({"code": "DNS_NO_CNAME", "addresses": [address], "more": 2}),
                "203.0.113.9 и ещё 2",
            ),
            (
                json!({"code": "DNS_WRONG_TARGET", "chain": ["a.example", "b.example"], "addresses": []}),
                "b.example",
            ),
            (
                json!({"code": "DNS_WRONG_TARGET", "chain": [], "addresses": [address]}),
                address,
            ),
            (
                json!({"code": "DNS_CNAME_LOOP", "chain": ["a.example"]}),
                "→ a.example",
            ),
            (json!({"code": "DNS_SERVFAIL", "resolvers": []}), "SERVFAIL"),
            (
                json!({"code": "DNS_SERVFAIL", "resolvers": [], "txtName": "_t.example"}),
                "_t.example",
            ),
            (
                json!({"code": "DNS_DNSSEC_BOGUS", "resolvers": [], "name": "z.example"}),
                "z.example",
            ),
            (
                json!({"code": "DNS_TIMEOUT", "resolvers": [], "resolverOutage": true}),
                "Наши серверы",
            ),
            (
                json!({"code": "DNS_TIMEOUT", "resolvers": [], "resolverOutage": false}),
                "не отвечают вовремя",
            ),
            (
                json!({"code": "DNS_OWNERSHIP_REQUIRED", "name": "n", "contested": false}),
                "запись TXT",
            ),
            (
                json!({"code": "DNS_PROPAGATING", "seenBy": [], "missingAt": []}),
                "распространяется",
            ),
            (
                json!({"code": "DNS_PROPAGATING", "seenBy": [], "missingAt": [], "until": "2027-01-15T08:00:00Z"}),
                "Не позднее 15.01.2027 08:00 UTC",
            ),
            (
                json!({"code": "DNS_STRAY_ADDRESS", "stray": [address]}),
                address,
            ),
            (
                json!({"code": "CDN_IN_FRONT", "cdn": "Cloudflare", "addresses": []}),
                "https://developers.cloudflare.com",
            ),
            (
                json!({"code": "CDN_IN_FRONT", "cdn": "Other", "addresses": [], "answer": "a"}),
                "отвечает Other",
            ),
            (
                json!({"code": "DNS_MOVED", "cause": {"code": "DNS_NXDOMAIN"}}),
                "больше не указывает",
            ),
            (
                json!({"code": "CAA_FORBIDS", "record": "0 issue x", "owner": "o"}),
                "0 issue x",
            ),
            (json!({"code": "CAA_LOOKUP_FAILED", "detail": "d"}), "CAA"),
            (json!({"code": "HTTP_REFUSED", "address": address}), address),
            (json!({"code": "HTTP_TIMEOUT", "address": address}), address),
            (
                json!({"code": "HTTP_WRONG_RESPONDER", "address": address, "server": null}),
                address,
            ),
            (
                json!({"code": "HTTP_STATUS", "address": address, "status": 503}),
                "503",
            ),
            (
                json!({"code": "HTTP_REDIRECT", "address": address, "status": 301, "location": null}),
                "перенаправляются",
            ),
            (
                json!({"code": "HTTP_ADDRESS_FORBIDDEN", "address": address, "kind": "private"}),
                "Удалите",
            ),
            (
                json!({"code": "ACME_RATE_LIMITED", "until": "2027-01-15T07:59:00.5Z", "detail": "d"}),
                "не раньше 15.01.2027 08:00 UTC",
            ),
            (
                json!({"code": "ACME_PAUSED", "unpauseUrl": null, "detail": "d"}),
                "приостановил",
            ),
            (
                json!({"code": "ACME_REJECTED_IDENTIFIER", "detail": "d"}),
                "не выдаёт",
            ),
            (
                json!({"code": "ACME_VALIDATION_FAILED", "subCause": "caa", "detail": "d"}),
                "CAA",
            ),
            (
                json!({"code": "ACME_VALIDATION_FAILED", "subCause": "dns", "detail": "d"}),
                "из любой сети",
            ),
            (json!({"code": "ISSUANCE_PAUSED"}), "приостановил выдачу"),
            (
                json!({"code": "ACME_CA_UNAVAILABLE", "detail": "d"}),
                "недоступен",
            ),
            (json!({"code": "ACME_ACCOUNT", "detail": "d"}), OUR_SIDE),
            (
                json!({"code": "EDGE_UNREACHABLE", "edge": "e", "detail": "d"}),
                OUR_SIDE,
            ),
            (
                json!({"code": "EDGE_REJECTED", "edge": "e", "reason": "r"}),
                OUR_SIDE,
            ),
            (
                json!({"code": "EDGE_MISMATCH", "edge": "e", "detail": "d"}),
                OUR_SIDE,
            ),
            (json!({"code": "INTERNAL", "detail": "d"}), OUR_SIDE),
        ];
        for code in FailureCode::ALL {
            let is_listed = failures
                .iter()
                .any(|(failure, _)| failure["code"] == code.as_str());
            assert!(is_listed, "{code}");
        }
        for (details, words) in failures {
            let failure: Failure = serde_json::from_value(details).unwrap();
            let text = sentence(&failure, "shop.example.com");
            assert!(text.contains(words), "{words} in {text}");
            let is_whole = text.ends_with('.') || text.contains("https://");
            assert!(is_whole, "{text}");
        }
    }
}
