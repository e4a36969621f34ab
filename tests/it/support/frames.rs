//! HTTP/2 frame by frame, and header field by header field: whatever can be written can be sent,
//! illegal or not. What comes back is read by the rules.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::raw::{Answer, Wire};

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const NONE: u8 = 0;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;
/// A head that is whole, and nothing after it.
pub(crate) const WHOLE: u8 = END_STREAM | END_HEADERS;

pub(crate) const PROTOCOL_ERROR: u32 = 1;
pub(crate) const FLOW_CONTROL_ERROR: u32 = 3;
pub(crate) const STREAM_CLOSED: u32 = 5;
pub(crate) const FRAME_SIZE_ERROR: u32 = 6;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const CANCEL: u32 = 8;
pub(crate) const COMPRESSION_ERROR: u32 = 9;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// The bytes of a frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// One setting, as a payload.
pub(crate) fn setting(id: u16, value: u32) -> Vec<u8> {
    [id.to_be_bytes().as_slice(), &value.to_be_bytes()].concat()
}

/// An integer behind a prefix of so many bits (RFC 7541 section 5.1).
pub(crate) fn integer(first: u8, bits: u32, value: usize) -> Vec<u8> {
    let most = (1_usize << bits) - 1;
    if value < most {
        return vec![first | u8::try_from(value).unwrap()];
    }
    let mut bytes = vec![first | u8::try_from(most).unwrap()];
    let mut rest = value - most;
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

/// A field that is spelled out and not remembered (RFC 7541 section 6.2.2).
pub(crate) fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        bytes.extend(integer(0, 7, text.len()));
        bytes.extend(text);
    }
    bytes
}

/// A header block of such fields.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let literals = fields
        .iter()
        .map(|(name, value)| literal(name.as_bytes(), value.as_bytes()));
    literals.collect::<Vec<_>>().concat()
}

/// The pseudo-header fields of a request to the gate's public name.
pub(crate) fn asking<'a>(method: &'a str, path: &'a str) -> Vec<(&'static str, &'a str)> {
    vec![
        (":method", method),
        (":scheme", "https"),
        (":authority", "gate.test"),
        (":path", path),
    ]
}

/// A GET for `path`, with these fields besides.
pub(crate) fn get(stream: u32, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut fields = asking("GET", path);
    fields.extend(more);
    frame(HEADERS, WHOLE, stream, &block(&fields))
}

/// One frame as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Came {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Came {
    fn code_at(&self, at: usize) -> u32 {
        let bytes = self.payload.get(at..at + 4).expect("a code");
        u32::from_be_bytes(bytes.try_into().unwrap())
    }
}

/// What became of a request.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// It was answered whole.
    Answered(Answer),
    /// Its stream was reset, with this code.
    Reset(u32),
    /// The connection ended, with this code, or without one.
    Gone(Option<u32>),
}

impl Outcome {
    pub(crate) fn answer(self) -> Answer {
        match self {
            Self::Answered(answer) => answer,
            other => panic!("not answered: {other:?}"),
        }
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Http2 {
    pub(crate) wire: Wire,
    fields: FieldReader,
    next: u32,
}

impl Http2 {
    /// Connects and says nothing.
    pub(crate) fn silent(address: SocketAddr) -> Self {
        Self {
            wire: Wire::connect(address),
            fields: FieldReader::default(),
            next: 1,
        }
    }

    /// Connects and greets, with windows that never close.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let mut connection = Self::greeting(address, &setting(4, 0x7fff_ffff));
        connection.send(frame(
            WINDOW_UPDATE,
            NONE,
            0,
            &0x7000_0000_u32.to_be_bytes(),
        ));
        connection
    }

    /// Connects and greets with these settings.
    pub(crate) fn greeting(address: SocketAddr, settings: &[u8]) -> Self {
        let mut connection = Self::silent(address);
        connection.send(PREFACE);
        connection.send(frame(SETTINGS, NONE, 0, settings));
        connection
    }

    /// Sends what may meet a connection that is being closed.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.wire.try_send(bytes)
    }

    /// The next frame; nothing at the end.
    pub(crate) fn next(&mut self) -> Option<Came> {
        let head = self.wire.exactly(9);
        let head: [u8; 9] = head.try_into().ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let payload = if length == 0 {
            Vec::new()
        } else {
            self.wire.exactly(length)
        };
        (payload.len() == length).then_some(Came {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            payload,
        })
    }

    /// The next frame that `wanted` likes; settings and pings are acknowledged on the way, and
    /// header blocks read, as far as they stand before it.
    pub(crate) fn await_frame(&mut self, wanted: impl Fn(&Came) -> bool) -> Option<Came> {
        loop {
            let came = self.next()?;
            self.acknowledge(&came);
            if wanted(&came) {
                return Some(came);
            }
            if came.kind == HEADERS {
                self.fields.read(&came.payload);
            }
        }
    }

    fn acknowledge(&mut self, came: &Came) {
        if matches!(came.kind, SETTINGS | PING) && came.flags & ACK == 0 {
            let payload = if came.kind == PING {
                came.payload.as_slice()
            } else {
                &[]
            };
            self.send(frame(came.kind, ACK, 0, payload));
        }
    }

    /// What becomes of the request on this stream.
    pub(crate) fn outcome(&mut self, stream: u32) -> Outcome {
        let mut answer: Option<Answer> = None;
        loop {
            let Some(came) = self.next() else {
                return Outcome::Gone(None);
            };
            self.acknowledge(&came);
            let mut ended = false;
            match came.kind {
                GOAWAY if came.code_at(4) != 0 => return Outcome::Gone(Some(came.code_at(4))),
                RST_STREAM if came.stream == stream => return Outcome::Reset(came.code_at(0)),
                HEADERS => {
                    assert_ne!(came.flags & END_HEADERS, 0, "a head in several frames");
                    let mut fields = self.fields.read(&came.payload);
                    if came.stream != stream {
                        continue;
                    }
                    ended = came.flags & END_STREAM != 0;
                    if answer.is_none() {
                        let (name, status) = fields.remove(0);
                        assert_eq!(name, ":status");
                        let status = status.parse().unwrap();
                        if (100..200).contains(&status) {
                            continue;
                        }
                        let body = Vec::new();
                        answer = Some(Answer {
                            status,
                            fields,
                            body,
                        });
                    }
                }
                DATA if came.stream == stream => {
                    answer
                        .as_mut()
                        .expect("a head first")
                        .body
                        .extend(&came.payload);
                    ended = came.flags & END_STREAM != 0;
                }
                _ => {}
            }
            if let (true, Some(answer)) = (ended, answer.as_ref()) {
                return Outcome::Answered(answer.clone());
            }
        }
    }

    /// The number of the next request's stream.
    pub(crate) fn open(&mut self) -> u32 {
        self.next += 2;
        self.next - 2
    }

    /// Sends a request without a body, with exactly these fields, and tells what becomes of it.
    pub(crate) fn ask(&mut self, fields: &[(&str, &str)]) -> Outcome {
        self.ask_block(&block(fields))
    }

    /// The same with a block of bytes.
    pub(crate) fn ask_block(&mut self, block: &[u8]) -> Outcome {
        let stream = self.open();
        self.send_block(stream, block, END_STREAM);
        self.outcome(stream)
    }

    /// Sends a block in as many frames as it takes.
    pub(crate) fn send_block(&mut self, stream: u32, block: &[u8], flags: u8) {
        let mut pieces: VecDeque<_> = block.chunks(16_384).collect();
        let first = pieces.pop_front().unwrap_or_default();
        let last = |rest: usize| if rest == 0 { END_HEADERS } else { NONE };
        self.send(frame(HEADERS, flags | last(pieces.len()), stream, first));
        while let Some(piece) = pieces.pop_front() {
            self.send(frame(CONTINUATION, last(pieces.len()), stream, piece));
        }
    }

    /// Sends a request with this body in one frame, and tells what becomes of it.
    pub(crate) fn post(&mut self, fields: &[(&str, &str)], body: &[u8]) -> Outcome {
        let stream = self.open();
        self.send_block(stream, &block(fields), NONE);
        self.send(frame(DATA, END_STREAM, stream, body));
        self.outcome(stream)
    }

    /// A GET for `path`; the answer is read.
    pub(crate) fn visit(&mut self, path: &str) -> Answer {
        self.ask(&asking("GET", path)).answer()
    }
}

/// Reads header blocks (RFC 7541).
#[derive(Debug, Default)]
struct FieldReader {
    /// What was remembered, the newest first.
    dynamic: VecDeque<(String, String)>,
}

impl FieldReader {
    fn read(&mut self, block: &[u8]) -> Vec<(String, String)> {
        let mut rest = block;
        let mut fields = Vec::new();
        while let Some(&first) = rest.first() {
            if first & 0x80 != 0 {
                let index = take_integer(&mut rest, 7);
                fields.push(self.at(index));
            } else if first & 0xe0 == 0x20 {
                take_integer(&mut rest, 5);
            } else {
                let remembered = first & 0x40 != 0;
                let index = take_integer(&mut rest, if remembered { 6 } else { 4 });
                let name = match index {
                    0 => take_text(&mut rest),
                    index => self.at(index).0,
                };
                let field = (name, take_text(&mut rest));
                if remembered {
                    self.dynamic.push_front(field.clone());
                }
                fields.push(field);
            }
        }
        fields
    }

    fn at(&self, index: usize) -> (String, String) {
        match STATIC.get(index - 1) {
            Some((name, value)) => ((*name).to_owned(), (*value).to_owned()),
            None => self.dynamic[index - 1 - STATIC.len()].clone(),
        }
    }
}

fn take_integer(rest: &mut &[u8], bits: u32) -> usize {
    let most = (1_usize << bits) - 1;
    let mut value = usize::from(rest[0]) & most;
    *rest = &rest[1..];
    if value == most {
        for shift in (0..).step_by(7) {
            let byte = usize::from(rest[0]);
            *rest = &rest[1..];
            value += (byte & 127) << shift;
            if byte < 128 {
                break;
            }
        }
    }
    value
}

fn take_text(rest: &mut &[u8]) -> String {
    let coded = rest[0] & 0x80 != 0;
    let length = take_integer(rest, 7);
    let (text, after) = rest.split_at(length);
    *rest = after;
    let bytes = if coded { decoded(text) } else { text.to_vec() };
    String::from_utf8(bytes).unwrap()
}

/// The code is canonical, so the lengths tell it (RFC 7541 appendix B).
fn decoded(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (mut code, mut length) = (0_u32, 0_u8);
    let mut symbols: Vec<usize> = (0..LENGTHS.len()).collect();
    symbols.sort_by_key(|&symbol| LENGTHS[symbol]);
    for bit in text
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1))
    {
        code = code << 1 | u32::from(bit);
        length += 1;
        let (mut next, mut before) = (0_u32, 0_u8);
        for &symbol in &symbols {
            next <<= LENGTHS[symbol] - before;
            before = LENGTHS[symbol];
            if before == length && next == code {
                bytes.push(u8::try_from(symbol).unwrap());
                (code, length) = (0, 0);
                break;
            }
            if before > length {
                break;
            }
            next += 1;
        }
    }
    bytes
}

/// How many bits each byte has in the code of appendix B.
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

/// Appendix A.
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];
