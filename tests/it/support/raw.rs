//! A blocking HTTP/1.1 client that sends exactly the bytes it is told and reads one answer.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// How long a test waits for bytes before it fails: a bound, not a pause.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The first field of this name.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let found = self
            .fields
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// All fields of this name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields
            .iter()
            .filter(move |(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn location(&self) -> &str {
        self.field("location")
            .unwrap_or_else(|| panic!("no Location in {self:?}"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Whether it gives the browser a session: a cookie that is not a login's and not taken away.
    pub(crate) fn sets_session(&self) -> bool {
        self.all("set-cookie").any(|line| {
            let name = line.split('=').next().unwrap_or_default();
            !name.contains("-l-") && !line.contains("Max-Age=0")
        })
    }

    /// Status, fields and body as they could be seen on the wire, to be searched.
    pub(crate) fn everything(&self) -> String {
        let fields: Vec<_> = self
            .fields
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        format!("{}\n{}\n\n{}", self.status, fields.join("\n"), self.text())
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Wire {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).expect("connect"))
    }

    /// Over a connection that is there.
    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
        stream.set_nodelay(true).expect("nodelay");
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    /// The same connection once more, for another thread.
    pub(crate) fn another(&self) -> Self {
        Self {
            stream: self.stream.try_clone().expect("another handle"),
            unread: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("send");
    }

    /// Sends what may meet a connection that is being closed.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    pub(crate) fn finish_sending(&mut self) {
        drop(self.stream.shutdown(Shutdown::Write));
    }

    /// The next bytes; empty at the end.
    pub(crate) fn some(&mut self) -> Vec<u8> {
        if !self.unread.is_empty() {
            return std::mem::take(&mut self.unread);
        }
        let mut buffer = vec![0; 64 * 1024];
        let read = match self.stream.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("neither bytes nor an end within {PATIENCE:?}")
            }
            Err(_) => 0, // reset: an end, too
        };
        buffer.truncate(read);
        buffer
    }

    /// Whether the other side has closed, once everything was read.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.some().is_empty()
    }

    /// Reads until `length` bytes are there or the other side has closed.
    pub(crate) fn exactly(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let more = self.some();
            if more.is_empty() {
                break;
            }
            bytes.extend(more);
        }
        self.unread = bytes.split_off(length.min(bytes.len()));
        bytes
    }

    fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            if let Some(at) = bytes.windows(end.len()).position(|window| window == end) {
                self.unread = bytes.split_off(at + end.len());
                return Some(bytes);
            }
            let more = self.some();
            if more.is_empty() {
                return None;
            }
            bytes.extend(more);
        }
    }

    /// Reads status line and fields only.
    pub(crate) fn head(&mut self) -> Option<Answer> {
        let head = String::from_utf8_lossy(&self.until(b"\r\n\r\n")?).into_owned();
        let mut lines = head.split("\r\n").filter(|line| !line.is_empty());
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let fields = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        Some(Answer {
            status,
            fields,
            body: Vec::new(),
        })
    }

    /// Reads one answer to a request with `method`; nothing when the connection ends before it.
    pub(crate) fn answer_to(&mut self, method: &str) -> Option<Answer> {
        let mut answer = self.head()?;
        if method == "HEAD" || matches!(answer.status, 101 | 204 | 304) {
            return Some(answer);
        }
        if answer
            .field("transfer-encoding")
            .is_some_and(|coding| coding.contains("chunked"))
        {
            loop {
                let size = String::from_utf8_lossy(&self.until(b"\r\n")?)
                    .trim()
                    .to_owned();
                let size = usize::from_str_radix(size.split(';').next()?, 16).ok()?;
                let chunk = self.exactly(size + 2);
                if size == 0 {
                    return Some(answer);
                }
                answer.body.extend(chunk.get(..size)?);
            }
        }
        match answer
            .field("content-length")
            .and_then(|length| length.parse().ok())
        {
            Some(length) => answer.body = self.exactly(length),
            None => loop {
                let more = self.some();
                if more.is_empty() {
                    break;
                }
                answer.body.extend(more);
            },
        }
        Some(answer)
    }
}

/// Sends `request` on a connection of its own and reads the answer.
pub(crate) fn exchange(address: SocketAddr, request: impl AsRef<[u8]>) -> Answer {
    try_exchange(address, request).expect("an answer")
}

/// The same where the other side may close without one.
pub(crate) fn try_exchange(address: SocketAddr, request: impl AsRef<[u8]>) -> Option<Answer> {
    let mut wire = Wire::connect(address);
    wire.try_send(request.as_ref());
    let head = request.as_ref().starts_with(b"HEAD ");
    wire.answer_to(if head { "HEAD" } else { "GET" })
}
