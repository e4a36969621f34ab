//! One connection over a pair of pipes, frame by frame; the sweep passes when the test says so.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::task::LocalSet;

use crate::base::peer::{Peer, PeerAddress};
use crate::server::connection::{Shared, Wire, serve};
use crate::server::drain::{Drain, Stage};
use crate::server::load::Load;
use crate::server::watch::{Seconds, Watch};
use crate::server::{HeadLimit, Limits, Service};
use crate::transport::body::{Body, InUse};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Answers with the path; to `/large` with more than any window; to `/never` not at all.
#[derive(Debug, Default)]
struct Answerer {
    asked: Rc<RefCell<Vec<String>>>,
}

impl Service for Answerer {
    async fn answer(&self, request: Box<Request<Incoming>>, _: Peer) -> Response<Body> {
        let path = request.uri().path().to_owned();
        self.asked.borrow_mut().push(path.clone());
        match path.as_str() {
            "/never" => std::future::pending().await,
            "/large" => Response::new(Body::from(Bytes::from(vec![b'a'; 1024 * 1024]))),
            "/panic" => panic!("as the test asked"),
            _ => Response::new(Body::from(Bytes::from(path))),
        }
    }

    fn too_large(&self, limit: HeadLimit, _: Request<Incoming>, _: Peer) -> Response<Body> {
        Response::new(Body::from(Bytes::from_static(limit.setting().as_bytes())))
    }

    fn panicked(&self) -> Response<Body> {
        Response::new(Body::from(Bytes::from_static(b"panicked")))
    }
}

/// One frame as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Came {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A GET for `path`, in literals.
fn get(stream: u32, path: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x86, 0x01, 4];
    block.extend(b"host");
    block.extend([0x04, u8::try_from(path.len()).unwrap()]);
    block.extend(path.as_bytes());
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &block)
}

/// A client's end of a served connection.
struct Client {
    pipe: DuplexStream,
    watch: Arc<Watch>,
    seconds: Seconds,
    limits: Limits,
    asked: Rc<RefCell<Vec<String>>>,
    drain: Drain,
    served: tokio::task::JoinHandle<()>,
}

impl Client {
    fn connect(wire: Wire, limits: &Limits) -> Self {
        let (pipe, ours) = duplex(1024 * 1024);
        let (seconds, watch) = (Seconds::default(), Arc::<Watch>::default());
        let (drain, drained) = Drain::pair();
        let service = Answerer::default();
        let asked = Rc::clone(&service.asked);
        let shared = Rc::new(Shared {
            service,
            limits: limits.clone(),
            load: Rc::new(Load::new(1_000)),
            seconds: seconds.clone(),
            entrances: Arc::from([]),
            closing: Cell::new(false),
        });
        let served = serve(
            (ours, InUse::new(())),
            (Peer::new(PeerAddress::Unix, 0), wire),
            Arc::clone(&watch),
            shared,
            drained,
        );
        Self {
            pipe,
            watch,
            seconds,
            limits: limits.clone(),
            asked,
            drain,
            served: tokio::task::spawn_local(served),
        }
    }

    /// The same, with the preface and our settings said; `settings` is their payload.
    async fn greet(limits: &Limits, settings: &[u8]) -> Self {
        let mut client = Self::connect(Wire::Http2, limits);
        client.say(PREFACE).await;
        client.say(&frame(SETTINGS, 0, 0, settings)).await;
        client
    }

    async fn say(&mut self, bytes: &[u8]) {
        // It may be over already.
        drop(self.pipe.write_all(bytes).await);
        turns().await;
    }

    /// So many seconds pass, and a sweep after each.
    async fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.seconds.pass_one();
            self.watch.sweep(&self.seconds, &self.limits);
            turns().await;
        }
    }

    fn is_over(&self) -> bool {
        self.served.is_finished()
    }

    /// The frames that have come.
    async fn frames(&mut self) -> Vec<Came> {
        let mut bytes = Vec::new();
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let read = tokio::select! {
                biased;
                read = self.pipe.read(&mut chunk) => read.unwrap(),
                () = turns() => break,
            };
            if read == 0 {
                break;
            }
            bytes.extend(&chunk[..read]);
        }
        let mut frames = Vec::new();
        let mut rest = bytes.as_slice();
        while let Some((head, after)) = rest.split_at_checked(9) {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let (payload, after) = after.split_at(length);
            frames.push(Came {
                kind: head[3],
                flags: head[4],
                stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
                payload: payload.to_vec(),
            });
            rest = after;
        }
        frames
    }

    /// The body of the answer on this stream, as far as it has come.
    async fn body(&mut self, stream: u32) -> String {
        let frames = self.frames().await;
        let data = frames
            .iter()
            .filter(|came| came.kind == DATA && came.stream == stream);
        let body: Vec<u8> = data.flat_map(|came| came.payload.clone()).collect();
        String::from_utf8(body).unwrap()
    }
}

/// Lets every task run until none can go on.
async fn turns() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

fn locally(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, test);
}

fn limits() -> Limits {
    Limits::default()
}

#[test]
fn a_preface_that_comes_byte_by_byte_is_one() {
    locally(async {
        let mut client = Client::connect(Wire::Either, &limits());
        for byte in PREFACE {
            client.say(&[*byte]).await;
        }
        client.say(&frame(SETTINGS, 0, 0, &[])).await;
        client.say(&get(1, "/a")).await;
        assert_eq!(client.body(1).await, "/a");
    });
}

#[test]
fn what_only_begins_like_a_preface_is_read_whole_as_http1() {
    locally(async {
        for request in [
            "P",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\rX",
            "PUT /b HTTP/1.1\r\n",
        ] {
            let mut client = Client::connect(Wire::Either, &limits());
            for byte in request.as_bytes() {
                client.say(&[*byte]).await;
            }
            let rest = if request == "P" {
                "OST /b HTTP/1.1\r\n"
            } else {
                ""
            };
            client.say(rest.as_bytes()).await;
            client.say(b"Host: a\r\nContent-Length: 0\r\n\r\n").await;
            let mut answer = vec![0; 12];
            client.pipe.read_exact(&mut answer).await.unwrap();
            let expected = if request.contains("PRI") {
                "HTTP/1.1 400"
            } else {
                "HTTP/1.1 200"
            };
            assert_eq!(String::from_utf8(answer).unwrap(), expected, "{request}");
        }
    });
}

// M7: nothing is looked at where HTTP/2 was not asked for.
#[test]
fn a_preface_is_no_request_where_http1_is_spoken_alone() {
    locally(async {
        let mut client = Client::connect(Wire::Http1, &limits());
        client.say(PREFACE).await;
        client.say(&frame(SETTINGS, 0, 0, &[])).await;
        client.say(&get(1, "/a")).await;
        assert!(client.is_over());
        let mut rest = Vec::new();
        client.pipe.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"");
        assert!(client.asked.borrow().is_empty());
    });
}

#[test]
fn whoever_sends_no_preface_has_the_time_of_a_head() {
    locally(async {
        let mut client = Client::connect(Wire::Either, &limits());
        client.say(b"PRI").await;
        client.pass(10).await;
        assert!(!client.is_over());
        client.pass(1).await;
        assert!(client.is_over());
    });
}

#[test]
fn a_panic_costs_one_stream() {
    locally(async {
        let mut client = Client::greet(&limits(), &[]).await;
        client.say(&get(1, "/panic")).await;
        assert_eq!(client.body(1).await, "panicked");
        client.say(&get(3, "/after")).await;
        assert_eq!(client.body(3).await, "/after");
    });
}

// M5: a byte of window now and then, and pings, are no reading.
#[test]
fn an_answer_that_nobody_reads_ends_its_stream_and_no_other() {
    locally(async {
        // SETTINGS_INITIAL_WINDOW_SIZE is 0.
        let mut client = Client::greet(&limits(), &[0, 4, 0, 0, 0, 0]).await;
        client.say(&get(1, "/large")).await;
        for second in 0..=60 {
            let update = frame(WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes());
            client.say(&update).await;
            client.say(&frame(PING, 0, 0, &[0; 8])).await;
            let frames = client.frames().await;
            assert!(
                !frames.iter().any(|came| came.kind == RST_STREAM),
                "{second}"
            );
            client.pass(1).await;
        }
        client.pass(1).await;
        let frames = client.frames().await;
        let reset = |came: &Came| came.kind == RST_STREAM && came.stream == 1;
        assert!(frames.iter().any(reset), "{frames:?}");
        assert!(!client.is_over());
        client.say(&get(3, "/small")).await;
        client
            .say(&frame(WINDOW_UPDATE, 0, 3, &99_u32.to_be_bytes()))
            .await;
        assert_eq!(client.body(3).await, "/small");
    });
}

// M4: rapid reset, as slow as it takes for each request to be begun with.
#[test]
fn whoever_gives_up_every_request_is_hung_up_on() {
    locally(async {
        let mut client = Client::greet(&limits(), &[]).await;
        let mut stream = 1;
        while !client.is_over() && stream < 20_000 {
            client.say(&get(stream, "/never")).await;
            let cancel = 8_u32.to_be_bytes();
            client.say(&frame(RST_STREAM, 0, stream, &cancel)).await;
            stream += 2;
        }
        assert!(client.is_over());
        let asked = client.asked.borrow().len();
        assert!(asked <= 101, "the service was asked {asked} times");
    });
}

#[test]
fn whoever_changes_their_mind_now_and_then_is_not() {
    locally(async {
        let mut client = Client::greet(&limits(), &[]).await;
        for round in 0..200 {
            let stream = round * 4 + 1;
            client.say(&get(stream, "/never")).await;
            let cancel = 8_u32.to_be_bytes();
            client.say(&frame(RST_STREAM, 0, stream, &cancel)).await;
            client.say(&get(stream + 2, "/small")).await;
        }
        for round in 200..220 {
            for one in 0..10 {
                let stream = round * 40 + one * 2 + 1;
                client.say(&get(stream, "/never")).await;
                let cancel = 8_u32.to_be_bytes();
                client.say(&frame(RST_STREAM, 0, stream, &cancel)).await;
            }
            client.pass(1).await;
        }
        assert!(!client.is_over());
    });
}

// M6: after its requests, after its time, and when nothing happens, a connection is told to end.
#[test]
fn a_connection_that_has_had_its_share_is_told_to_go() {
    locally(async {
        let few = Limits {
            http2_requests: 3,
            ..limits()
        };
        let mut client = Client::greet(&few, &[]).await;
        for stream in [1, 3] {
            client.say(&get(stream, "/small")).await;
        }
        client.pass(2).await;
        let told = |frames: &[Came]| frames.iter().any(|came| came.kind == GOAWAY);
        assert!(!told(&client.frames().await));
        client.say(&get(5, "/never")).await;
        client.pass(1).await;
        assert!(told(&client.frames().await), "after its requests");
        assert!(!client.is_over(), "one is under way");

        let mut client = Client::greet(&limits(), &[]).await;
        client.say(&get(1, "/small")).await;
        client.pass(75).await;
        assert!(!told(&client.frames().await));
        client.pass(1).await;
        assert!(told(&client.frames().await), "idle");
        // Whoever does not answer the PING that goes with it is not waited for.
        client.pass(10).await;
        assert!(!client.is_over());
        client.pass(2).await;
        assert!(client.is_over());

        // Nor is one that goes on asking.
        let mut client = Client::greet(&few, &[]).await;
        for stream in [1, 3, 5] {
            client.say(&get(stream, "/never")).await;
        }
        client.pass(5).await;
        client.say(&get(7, "/late")).await;
        assert!(!client.is_over(), "it may not have heard yet");
        client.pass(10).await;
        client.say(&get(9, "/later")).await;
        assert!(client.is_over());

        let young = Limits {
            http2_age: std::time::Duration::from_secs(20),
            ..limits()
        };
        let mut client = Client::greet(&young, &[]).await;
        client.say(&get(1, "/never")).await;
        client.pass(20).await;
        assert!(!told(&client.frames().await));
        client.pass(60).await;
        assert!(told(&client.frames().await), "after its time");
        assert!(!client.is_over(), "one is under way");
    });
}

#[test]
fn a_drain_finishes_what_has_begun_and_takes_no_more() {
    locally(async {
        let mut client = Client::greet(&limits(), &[0, 4, 0, 0, 0, 0]).await;
        client.say(&get(1, "/small")).await;
        client.drain.move_on(Stage::Draining);
        turns().await;
        let frames = client.frames().await;
        assert!(frames.iter().any(|came| came.kind == GOAWAY), "{frames:?}");
        let ping = frames
            .iter()
            .find(|came| came.kind == PING && came.flags == 0);
        client.say(&frame(PING, 1, 0, &ping.unwrap().payload)).await;
        assert!(!client.is_over());
        client
            .say(&frame(WINDOW_UPDATE, 0, 1, &99_u32.to_be_bytes()))
            .await;
        assert_eq!(client.body(1).await, "/small");
        // Our side is closed; the peer has a moment to close its own.
        client.pass(3).await;
        assert!(client.is_over());
    });
}
