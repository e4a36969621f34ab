//! Each number of `limits` does what it says. Those that are about time or connections are shown
//! where what they protect is: `serving`, `overload`, `draining`, `tunnels`.

use std::net::TcpListener;

use socket2::{Domain, Socket, Type};

use crate::support::instance::World;
use crate::support::own_process::OwnProcess;
use crate::support::provider::TestProvider;
use crate::support::raw::{Wire, exchange};
use crate::support::upstream::Upstream;

fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n{fields}\r\n")
}

// Q4: to the byte: what is as large as it may be passes, and what is larger by one does not.
#[test]
fn the_limits_of_a_head_hold_to_the_byte() {
    let world = World::with(
        "routes: [{ access: public }]\nlimits: { target: 1KiB, header_fields: 16, header_block: 8KiB }",
    );
    let ask = |request: String| {
        let answer = exchange(world.gate.address, request);
        let code = match answer.status {
            200 => String::new(),
            _ => answer.json()["code"].as_str().unwrap().to_owned(),
        };
        (answer.status, code)
    };
    let served = (200, String::new());
    let target = |length: usize| get(&format!("/{}", "x".repeat(length - 1)), "");
    assert_eq!(ask(target(1024)), served);
    assert_eq!(ask(target(1025)), (414, "target_too_long".to_owned()));

    // Two fields are there already.
    let fields = |count: usize| get("/x", &"X: y\r\n".repeat(count - 2));
    assert_eq!(ask(fields(16)), served);
    assert_eq!(ask(fields(17)), (431, "header_too_large".to_owned()));

    // Each field counts with its name, its value, and four bytes; the target counts too.
    let fixed = "/x".len() + "hostgate.test".len() + 4 + "connectionclose".len() + 4 + 1 + 4;
    let block = |size: usize| get("/x", &format!("X: {}\r\n", "y".repeat(size - fixed)));
    assert_eq!(ask(block(8 * 1024)), served);
    assert_eq!(
        ask(block(8 * 1024 + 1)),
        (431, "header_too_large".to_owned())
    );
}

// The time for connecting to an app whose machine does not answer.
#[test]
fn an_app_whose_machine_does_not_answer_is_given_up_in_time() {
    // A queue with no room: the kernel lets further connections wait for ever.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let full = TcpListener::from(socket);
    let address = full.local_addr().unwrap();
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let one = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            one.set_nonblocking(true).unwrap();
            drop(one.connect(&address.into()));
            one
        })
        .collect();
    let gate = OwnProcess::before(
        &format!("http://{address}"),
        "limits: { upstream_connect: 1s, upstream_first_byte: 1h }",
    );
    let answer = exchange(gate.address, get("/x", ""));
    assert_eq!(answer.status, 502);
    assert_eq!(answer.json()["code"], "upstream_connect");
    assert_eq!(answer.field("retry-after"), Some("5"));
    drop(waiting);
}

// Q6: logins that anybody begins and nobody ends cost the gate nothing: what it must remember is in
// the browser's cookie.
#[test]
fn logins_that_are_begun_and_never_ended_hold_no_memory() {
    let (provider, app) = (TestProvider::start(), Upstream::start());
    let gate = OwnProcess::for_people_of(provider.issuer(), &app.url());
    let navigate = "GET /page HTTP/1.1\r\nHost: gate.test\r\nAccept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\r\n";
    let begin = |count: usize| {
        let mut wire = Wire::connect(gate.address);
        for _ in 0..count {
            wire.send(navigate);
            let answer = wire.answer_to("GET").unwrap();
            // The first may come before the provider is known.
            assert!(matches!(answer.status, 302 | 503), "{}", answer.status);
        }
        wire.send(navigate);
        assert_eq!(wire.answer_to("GET").unwrap().status, 302);
    };
    begin(2000);
    let before = gate.resident();
    begin(4000);
    let grown = gate.resident().saturating_sub(before);
    assert!(
        grown < 1024,
        "{grown} KiB after 4000 logins that nobody ended"
    );
}
