//! One connection over a pair of pipes; the sweep passes when the test says so.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::task::LocalSet;

use super::super::connection::{Shared, Wire, serve};
use super::super::drain::{Drain, Stage};
use super::super::load::Load;
use super::super::watch::{Seconds, Watch};
use super::super::{HeadLimit, Limits, Service};
use crate::base::peer::{Peer, PeerAddress};
use crate::transport::body::{Body, InUse};

/// Answers with the path, and keeps the bodies of requests as they came, unread.
#[derive(Debug, Default)]
struct Keeper {
    asked: Rc<RefCell<Vec<String>>>,
    bodies: RefCell<Vec<Incoming>>,
}

impl Service for Keeper {
    async fn answer(&self, request: Box<Request<Incoming>>, _: Peer) -> Response<Body> {
        let path = request.uri().path().to_owned();
        self.asked.borrow_mut().push(path.clone());
        self.bodies.borrow_mut().push(request.into_body());
        Response::new(Body::from(Bytes::from(path)))
    }

    fn too_large(&self, _: HeadLimit, _: Request<Incoming>, _: Peer) -> Response<Body> {
        Response::default()
    }

    fn panicked(&self) -> Response<Body> {
        Response::default()
    }
}

/// A client's end of a served connection.
struct Client {
    pipe: DuplexStream,
    watch: Arc<Watch>,
    seconds: Seconds,
    limits: Limits,
    asked: Rc<RefCell<Vec<String>>>,
    drain: Drain,
}

impl Client {
    fn connect() -> Self {
        let (pipe, ours) = duplex(64 * 1024);
        let (seconds, limits) = (Seconds::default(), Limits::default());
        let (watch, (drain, drained)) = (Arc::<Watch>::default(), Drain::pair());
        let service = Keeper::default();
        let asked = Rc::clone(&service.asked);
        let shared = Rc::new(Shared {
            service,
            limits: limits.clone(),
            load: Rc::new(Load::new(100)),
            closing: Cell::new(false),
            seconds: seconds.clone(),
            entrances: Arc::new([]),
        });
        let served = serve(
            (ours, InUse::new(())),
            (Peer::new(PeerAddress::Unix, 0), Wire::Http1),
            Arc::clone(&watch),
            shared,
            drained,
        );
        tokio::task::spawn_local(served);
        Self {
            pipe,
            watch,
            seconds,
            limits,
            asked,
            drain,
        }
    }

    async fn say(&mut self, bytes: &str) {
        self.pipe.write_all(bytes.as_bytes()).await.unwrap();
        turns().await;
    }

    /// Reads an answer that ends with `last`.
    async fn hear(&mut self, last: &str) {
        let mut heard = Vec::new();
        while !heard.ends_with(last.as_bytes()) {
            let read = self.pipe.read_buf(&mut heard).await.unwrap();
            assert!(read > 0, "closed before {last}");
        }
        turns().await;
    }

    /// Reads an answer that begins with this status.
    async fn hear_status(&mut self, status: &str) {
        let mut heard = [0; 12];
        self.pipe.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, format!("HTTP/1.1 {status}").as_bytes());
    }

    async fn is_closed(&mut self) -> bool {
        turns().await;
        let mut rest = Vec::new();
        let read = self.pipe.read_to_end(&mut rest);
        tokio::time::timeout(std::time::Duration::ZERO, read)
            .await
            .is_ok()
    }

    /// So many seconds pass, each with its sweep.
    async fn pass(&self, seconds: u64) {
        for _ in 0..seconds {
            self.seconds.pass_one();
            self.watch.sweep(&self.seconds, &self.limits);
            turns().await;
        }
    }
}

/// Lets every task do what it can.
async fn turns() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

fn story(act: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, act);
}

const FIRST: &str = "GET /first HTTP/1.1\r\nHost: a\r\n\r\n";
const SECOND: &str = "GET /second HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_connection_that_rested_answers_as_if_it_had_not() {
    story(async {
        let mut client = Client::connect();
        for _ in 0..3 {
            client.say(FIRST).await;
            client.hear("/first").await;
            assert!(!client.watch.is_resting());
            client.pass(5).await;
            assert!(client.watch.is_resting());
        }
    });
}

#[test]
fn a_head_in_two_pieces_with_a_rest_between_them_is_whole() {
    story(async {
        for at in 1..SECOND.len() {
            let (begin, end) = SECOND.split_at(at);
            let mut client = Client::connect();
            client.say(&format!("{FIRST}{begin}")).await;
            client.hear("/first").await;
            client.pass(5).await;
            client.say(end).await;
            client.hear("/second").await;
            // The same where nothing of it came with the first.
            client.pass(5).await;
            assert!(client.watch.is_resting());
            client.say(begin).await;
            client.say(end).await;
            client.hear("/second").await;
        }
    });
}

// L6: the rest of a body is never read as a request, however late it comes.
#[test]
fn a_connection_in_the_middle_of_a_body_does_not_rest() {
    story(async {
        for field in ["Content-Length: 34", "Transfer-Encoding: chunked"] {
            let mut client = Client::connect();
            let head = format!("POST /first HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
            client.say(&head).await;
            client.hear("/first").await;
            client.pass(5).await;
            assert!(!client.watch.is_resting(), "{field}");
            client.say(SECOND).await;
            client.pass(5).await;
            assert_eq!(*client.asked.borrow(), ["/first"], "{field}");
        }
    });
}

// Q1: who sends a head drop by drop holds no more than who sends nothing.
#[test]
fn a_head_that_comes_drop_by_drop_holds_no_buffers_and_is_answered() {
    story(async {
        for before in ["", FIRST] {
            let mut client = Client::connect();
            if !before.is_empty() {
                client.say(before).await;
                client.hear("/first").await;
            }
            let (last, drops) = SECOND.as_bytes().split_last().unwrap();
            for (at, drop) in drops.iter().enumerate() {
                client.say(&char::from(*drop).to_string()).await;
                assert!(client.watch.is_resting(), "after {at} of {before:?}");
            }
            client.say(&char::from(*last).to_string()).await;
            client.hear("/second").await;
            assert!(!client.watch.is_resting());
        }
    });
}

#[test]
fn lines_are_found_in_whatever_pieces_and_with_whatever_ends() {
    story(async {
        for head in [
            "GET /second HTTP/1.1\nHost: a\n\n",
            "GET /second HTTP/1.1\nHost: a\n\r\n",
            "GET /second HTTP/1.1\r\nHost: a\r\n\n",
            "\r\n\r\nGET /second HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            for first in 1..head.len() - 1 {
                for second in [first + 1, head.len() - 1] {
                    let mut client = Client::connect();
                    client.say(head.get(..first).unwrap()).await;
                    client.say(head.get(first..second).unwrap()).await;
                    client.say(head.get(second..).unwrap()).await;
                    client.hear("/second").await;
                }
            }
        }
    });
}

#[test]
fn what_follows_a_head_that_came_in_pieces_is_the_next_request() {
    story(async {
        let (begin, end) = SECOND.split_at(20);
        let mut client = Client::connect();
        client.say(begin).await;
        client.say(&format!("{end}{FIRST}{begin}")).await;
        client.hear("/first").await;
        assert_eq!(*client.asked.borrow(), ["/second", "/first"]);
        client.say(end).await;
        client.hear("/second").await;
    });
}

#[test]
fn what_is_no_head_is_told_so_at_once() {
    story(async {
        for broken in [
            "\u{1}",
            "GET / HTTP/1.1\r\nHost a\r\n",
            "GET / HTTP/3.1\r\n",
        ] {
            let mut client = Client::connect();
            client.say(broken).await;
            client.hear_status("400").await;
        }
    });
}

// Q4: a head in pieces may be as large as one that comes whole, and no larger.
#[test]
fn a_head_that_grows_too_large_in_pieces_is_refused() {
    story(async {
        let mut client = Client::connect();
        client.say("GET / HTTP/1.1\r\nHost: a\r\nX-Large: ").await;
        let most = client.limits.header_block + 8 * 1024;
        for _ in 0..most / 1024 - 1 {
            client.say(&"x".repeat(1024)).await;
            assert!(client.watch.is_resting());
        }
        client.say(&"x".repeat(1024)).await;
        client.hear_status("431").await;
    });
}

// Q9: a request that has begun when the stop comes is served.
#[test]
fn a_drain_waits_for_the_rest_of_a_head() {
    story(async {
        let (begin, end) = SECOND.split_at(20);
        let mut client = Client::connect();
        client.say(begin).await;
        client.drain.move_on(Stage::Draining);
        tokio::time::sleep(super::LULL * 2).await;
        client.say(end).await;
        client.hear("/second").await;
    });
}

// Q1: who rests has no more time than who waits.
#[test]
fn a_rest_ends_with_the_time_between_requests() {
    story(async {
        let mut client = Client::connect();
        client.say(FIRST).await;
        client.hear("/first").await;
        client.pass(client.limits.keep_alive_idle.as_secs()).await;
        assert!(client.watch.is_resting() && !client.is_closed().await);
        client.pass(1).await;
        assert!(client.is_closed().await);
    });
}

// Q1: the first byte after a rest begins a head, which has a head's time.
#[test]
fn a_head_after_a_rest_has_the_time_of_a_head() {
    story(async {
        let mut client = Client::connect();
        client.say(FIRST).await;
        client.hear("/first").await;
        client.pass(5).await;
        client.say("G").await;
        client.pass(client.limits.header_timeout.as_secs()).await;
        assert!(!client.is_closed().await);
        client.pass(1).await;
        assert!(client.is_closed().await);
    });
}

// Q9: nobody waits for those who rest.
#[test]
fn a_drain_ends_a_rest() {
    story(async {
        let mut client = Client::connect();
        client.say(FIRST).await;
        client.hear("/first").await;
        client.pass(5).await;
        client.drain.move_on(Stage::Draining);
        // Not at once: a request may be on its way.
        assert!(!client.is_closed().await);
        assert_eq!(client.pipe.read(&mut [0]).await.unwrap(), 0);
    });
}
