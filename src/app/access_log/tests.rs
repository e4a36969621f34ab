use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::app::log_line::{Colour, Style};
use crate::app::log_names::UserLogging;
use crate::app::log_sink::tests::written;
use crate::app::respond::samples::{faults, identity, session, upstream_failure};

const ADDRESS: ClientAddress = ClientAddress::Ip(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));

fn record<'a>(path: &'a str, host: &'a str) -> AccessRecord<'a> {
    AccessRecord {
        at: Timestamp::from_millis(1_000_000_000_007),
        reference: None,
        client_address: Some(&ADDRESS),
        version: Version::HTTP_11,
        method: &Method::GET,
        host,
        path,
        status: StatusCode::OK,
        bytes_in: None,
        bytes_out: None,
        duration: Duration::from_micros(1500),
        upstream: None,
        user: None,
        session: None,
        provider: None,
        route: None,
        fault: None,
        user_agent: None,
    }
}

fn line(style: Style, record: &AccessRecord<'_>) -> String {
    written(style, |sink| {
        AccessLog::new(sink.clone(), Level::Info).write(record);
    })
}

#[test]
fn a_line_tells_what_was_asked_and_what_was_answered() {
    let user = UserName::of(&identity("alice"), UserLogging::Subject);
    let name = SessionName::of(&session("x").id);
    let agent = HeaderValue::from_static("curl/8.5.0");
    let full = AccessRecord {
        reference: Some(Reference::from_bytes([0; 5])),
        bytes_in: Some(3),
        bytes_out: Some(5),
        upstream: Some(Duration::from_millis(1)),
        user: user.as_ref(),
        session: Some(&name),
        provider: Some("corp"),
        route: Some("admin"),
        status: StatusCode::BAD_GATEWAY,
        fault: Some(&Fault::UpstreamConnect(upstream_failure("x"))),
        user_agent: Some(&agent),
        ..record("/x", "dash.test")
    };
    assert_eq!(
        line(Style::Json, &full),
        format!(
            "{{\"ts\":\"2001-09-09T01:46:40.007Z\",\"level\":\"warn\",\"event\":\"access\",\
             \"reference\":\"2222-2222\",\"client_address\":\"192.0.2.7\",\"method\":\"GET\",\
             \"host\":\"dash.test\",\"path\":\"/x\",\"status\":502,\"bytes_in\":3,\"bytes_out\":5,\
             \"duration_ms\":1.500,\"upstream_ms\":1.000,\"user\":\"alice\",\"session\":\"{}\",\
             \"provider\":\"corp\",\"route\":\"admin\",\"reason\":\"upstream_connect\",\
             \"detail\":\"no connection to upstream `x` at x: x\",\"user_agent\":\"curl/8.5.0\"}}\n",
            name.as_str()
        )
    );
    assert_eq!(
        line(Style::Human(Colour::Plain), &record("/x", "dash.test")),
        "2001-09-09T01:46:40.007Z info  access client_address=192.0.2.7 method=GET host=dash.test \
         path=/x status=200 duration_ms=1.500\n"
    );
}

// T3: what follows a `?` is never written.
#[test]
fn a_query_is_never_written() {
    for path in ["/x?code=canary", "/x#canary", "/x?canary#canary", "?canary"] {
        assert!(!line(Style::Json, &record(path, "dash.test")).contains("canary"));
    }
}

#[test]
fn whose_fault_it_is_decides_how_important_the_line_is() {
    for fault in faults("x") {
        let told = line(
            Style::Json,
            &AccessRecord {
                fault: Some(&fault),
                ..record("/x", "dash.test")
            },
        );
        let told: Value = serde_json::from_str(&told).unwrap();
        let level = match fault.blame() {
            Blame::UserAgent => "info",
            Blame::Provider | Blame::Upstream => "warn",
            Blame::Ours => "error",
        };
        assert_eq!(told["level"], level, "{fault:?}");
        assert_eq!(told["reason"], fault.code());
        assert_ne!(told["detail"], "");
    }
    let only_errors = written(Style::Json, |sink| {
        let mut log = AccessLog::new(sink.clone(), Level::Error);
        log.write(&record("/dull", "dash.test"));
        log.write(&AccessRecord {
            fault: Some(&Fault::Internal("x".into())),
            ..record("/broken", "dash.test")
        });
    });
    assert!(!only_errors.contains("/dull") && only_errors.contains("/broken"));
}

/// Whether `told` is one line and holds nothing that is not seen.
fn is_one_clean_line(told: &str) -> bool {
    let Some(line) = told.strip_suffix('\n') else {
        return false;
    };
    !line.contains(crate::app::shown::is_invisible)
}

// T2: a megabyte in every field is one line of a few kilobytes.
#[test]
fn a_megabyte_in_every_field_is_one_short_line() {
    for part in [
        "\u{202e}\r\n",
        "\"",
        "\\",
        "\u{1b}[31m",
        "\0",
        "\u{2028}",
        "ä",
    ] {
        let long = part.repeat(1 << 20);
        let user = UserName::of(&identity(&long), UserLogging::Email);
        let agent = HeaderValue::from_bytes(&vec![0xff; 1 << 20]).unwrap();
        let fault = Fault::RedirectMismatch {
            redirect_uri: long.clone(),
        };
        let told = line(
            Style::Json,
            &AccessRecord {
                user: user.as_ref(),
                provider: Some(&long),
                route: Some(&long),
                fault: Some(&fault),
                user_agent: Some(&agent),
                ..record(&long, &long)
            },
        );
        assert!(told.len() < 16 * 1024, "{}", told.len());
        assert!(is_one_clean_line(&told), "{told:.200}");
        serde_json::from_str::<Value>(&told).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // T2: whatever is in the fields, each line is one JSON object that says what went in.
    #[test]
    fn a_line_is_one_json_object_whatever_is_in_it(
        path in any::<String>(),
        host in any::<String>(),
        route in any::<String>(),
        agent in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let agent = HeaderValue::from_bytes(&agent).ok();
        let record = AccessRecord {
            route: Some(&route),
            user_agent: agent.as_ref(),
            ..record(&path, &host)
        };
        let told = line(Style::Json, &record);
        prop_assert!(is_one_clean_line(&told), "{:?}", told);
        let object: Value = serde_json::from_str(&told).unwrap();
        let wanted = path.split(['?', '#']).next().unwrap();
        prop_assert_eq!(object["path"].as_str().unwrap(), wanted);
        if host.len() <= LONGEST_WORD {
            prop_assert_eq!(object["host"].as_str().unwrap(), host.as_str());
        }
        let human = line(Style::Human(Colour::Plain), &record);
        prop_assert!(is_one_clean_line(&human), "{:?}", human);
    }
}
