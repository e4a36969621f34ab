//! `sidegate healthcheck`: asks a running gate whether it is ready.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::{Exit, Start, Streams};
use crate::config::environment::Environment;
use crate::config::probes_address;

/// How long each step may take. Orchestrators kill slow probes sooner than they believe them.
const PATIENCE: Duration = Duration::from_secs(3);
/// The status line is all that is read.
const LONGEST_STATUS_LINE: u64 = 256;

/// Asks the probes listener of the configuration for `/readyz`.
///
/// # Errors
/// The answer cannot be written.
pub fn run(
    start: &Start,
    environment: &Environment,
    streams: &mut Streams<'_>,
) -> io::Result<Exit> {
    let file = match start {
        Start::File(path) => Some(path.as_path()),
        Start::Flags(_) => None,
    };
    let address = match probes_address(file, environment) {
        Ok(address) => reachable(address),
        Err(error) => {
            writeln!(streams.err, "error: {error}")?;
            return Ok(Exit::Configuration);
        }
    };
    match ask(address) {
        Ok(200) => {
            writeln!(streams.out, "ready")?;
            Ok(Exit::Done)
        }
        Ok(status) => {
            writeln!(streams.err, "not ready: {address} answers {status}")?;
            Ok(Exit::Failure)
        }
        Err(error) => {
            writeln!(
                streams.err,
                "not ready: {address} does not answer ({})",
                error.kind()
            )?;
            Ok(Exit::Failure)
        }
    }
}

/// What listens on all addresses listens on loopback too.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn ask(address: SocketAddr) -> io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut line = Vec::new();
    BufReader::new(stream.take(LONGEST_STATUS_LINE)).read_until(b'\n', &mut line)?;
    status(&line).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The code of `HTTP/1.1 200 OK` (RFC 9112 section 4).
fn status(line: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(line).ok()?;
    let (version, rest) = line.split_once(' ')?;
    let code = rest
        .get(..3)
        .filter(|code| code.bytes().all(|b| b.is_ascii_digit()))?;
    version.starts_with("HTTP/1.").then(|| code.parse().ok())?
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use socket2::{Domain, Socket, Type};

    use super::*;
    use crate::cli::Paint;

    fn healthcheck(yaml: &str) -> (Exit, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sidegate.yaml");
        std::fs::write(&path, yaml).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut streams = Streams {
            out: &mut out,
            err: &mut err,
            paint_out: Paint::Plain,
            paint_err: Paint::Plain,
        };
        let exit = run(&Start::File(path), &Environment::default(), &mut streams).unwrap();
        out.extend(err);
        (exit, String::from_utf8(out).unwrap())
    }

    /// Answers one connection with `answer`; gives the request that it got.
    fn against(answer: &'static str) -> (Exit, String, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(request).unwrap()
        });
        // Other faults of the file are none of its business: the process that runs was started with
        // another.
        let (exit, said) = healthcheck(&format!(
            "colour: red\nprobes: {{ address: \"0.0.0.0:{port}\" }}\n"
        ));
        (exit, said, server.join().unwrap())
    }

    #[test]
    fn a_gate_that_is_ready_is_healthy_and_one_that_is_not_is_not() {
        let (exit, said, request) = against("HTTP/1.1 200 OK\r\n\r\n");
        assert_eq!((exit, said.as_str()), (Exit::Done, "ready\n"));
        assert!(
            request.starts_with("GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:"),
            "{request}"
        );
        for answer in [
            "HTTP/1.1 503 Service Unavailable\r\n\r\n",
            "SSH-2.0-x\r\n",
            "",
            "HTTP/1.1 2\u{fc}0\n",
        ] {
            assert_eq!(against(answer).0, Exit::Failure, "{answer}");
        }
    }

    #[test]
    fn where_nobody_listens_nothing_is_healthy() {
        // A socket that does not listen keeps its port from everybody else.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        socket.bind(&any.into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let (exit, said) = healthcheck(&format!("probes: {{ address: \"{address}\" }}\n"));
        assert_eq!(exit, Exit::Failure);
        assert!(said.contains("not ready"), "{said}");
    }

    #[test]
    fn a_configuration_without_an_address_to_ask_is_a_fault_of_its_own() {
        assert_eq!(
            healthcheck("probes: { address: somewhere }\n").0,
            Exit::Configuration
        );
        assert_eq!(healthcheck("probes: [\n").0, Exit::Configuration);
    }
}
