//! The app behind: it records the exact bytes of every request and answers with a marker.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    pub(crate) bytes: Vec<u8>,
}

impl Arrived {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub(crate) fn request_line(&self) -> String {
        self.text().lines().next().unwrap_or_default().to_owned()
    }

    /// Every field whose name folds onto `name`: lower case, everything else a dash.
    pub(crate) fn fields(&self, name: &str) -> Vec<String> {
        let fold = |text: &str| {
            text.to_lowercase()
                .replace(|c: char| !c.is_ascii_alphanumeric(), "-")
        };
        let text = self.text();
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        head.lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .filter(|(own, _)| fold(own) == fold(name))
            .map(|(_, value)| value.trim().to_owned())
            .collect()
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        let at = self
            .bytes
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .unwrap_or(0);
        self.bytes[at + 4..].to_vec()
    }
}

/// What the app answers, as bytes, to the request that arrived.
type Answering = dyn Fn(&Arrived) -> Vec<u8> + Send + Sync;

#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

impl Upstream {
    /// An app that greets and closes nothing.
    pub(crate) fn start() -> Self {
        Self::answering(|arrived| {
            let body = format!("the app saw {}", arrived.request_line());
            format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nX-App: marker-of-the-app\r\n\r\n{body}", body.len()).into_bytes()
        })
    }

    /// An app that answers so.
    pub(crate) fn answering(answer: impl Fn(&Arrived) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let (record, answer): (_, Arc<Answering>) = (Arc::clone(&arrived), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (record, answer) = (Arc::clone(&record), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &record, &*answer));
            }
        });
        Self { address, arrived }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that arrived so far.
    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().expect("lock").clone()
    }

    /// The last request.
    pub(crate) fn last(&self) -> Arrived {
        self.arrived().pop().expect("a request reached the app")
    }

    pub(crate) fn forget(&self) {
        self.arrived.lock().expect("lock").clear();
    }
}

fn serve(mut stream: TcpStream, record: &Mutex<Vec<Arrived>>, answer: &Answering) {
    let mut buffer = Vec::new();
    while let Some(bytes) = one_request(&mut stream, &mut buffer) {
        let arrived = Arrived { bytes };
        record.lock().expect("lock").push(arrived.clone());
        let reply = answer(&arrived);
        if reply.is_empty() || stream.write_all(&reply).is_err() {
            return;
        }
    }
}

fn one_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let head_end = read_until(stream, buffer, 0, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&buffer[..head_end]).to_lowercase();
    let length: Option<usize> = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .and_then(|value| value.trim().parse().ok());
    let end = match length {
        Some(length) => {
            while buffer.len() < head_end + length {
                read_more(stream, buffer)?;
            }
            head_end + length
        }
        None if head.contains("transfer-encoding:") => {
            read_until(stream, buffer, head_end, b"0\r\n\r\n")?
        }
        None => head_end,
    };
    let rest = buffer.split_off(end);
    Some(std::mem::replace(buffer, rest))
}

/// Reads until `mark` has come after `start`; gives where it ends. No byte is looked at twice.
fn read_until(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    start: usize,
    mark: &[u8],
) -> Option<usize> {
    let mut looked = start;
    loop {
        let found = buffer[looked..]
            .windows(mark.len())
            .position(|window| window == mark);
        if let Some(at) = found {
            return Some(looked + at + mark.len());
        }
        looked = buffer.len().saturating_sub(mark.len() - 1).max(start);
        read_more(stream, buffer)?;
    }
}

fn read_more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    let mut chunk = [0; 16 * 1024];
    let read = stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
    buffer.extend_from_slice(&chunk[..read]);
    Some(())
}
