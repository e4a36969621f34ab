use std::pin::Pin;

use http_body::Body as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

use super::*;
use crate::proxy::UpstreamAddress;
use crate::transport::body::BodyError;

const LONG: Duration = Duration::from_secs(60);

/// An address with nobody's requests in flight.
fn place() -> Rc<Place> {
    let address = UpstreamAddress::Tcp {
        host: "127.0.0.1".to_owned(),
        port: 1,
    };
    Rc::new(Place::new(&address, None))
}

/// A line, and the app at its other end.
async fn line() -> (DirectLine, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).await;
    let (theirs, _) = listener.accept().await.unwrap();
    (DirectLine::new(Stream::Tcp(ours.unwrap())), theirs)
}

fn request() -> Request<Body> {
    let request = Request::get("/x?y").header("host", "app.test");
    request.body(Body::empty()).unwrap()
}

/// Asks over `line`, and the app says `answer`.
async fn ask(
    line: DirectLine,
    place: &Rc<Place>,
    (app, answer): (&mut TcpStream, &str),
) -> Result<Response<Body>, DirectError> {
    let lease = DirectLease::new(line, Origin::Fresh, place);
    let (request, moved) = (request(), Cell::new(Instant::now()));
    let app = async {
        let mut asked = vec![0; 1024];
        let length = app.read(&mut asked).await.unwrap();
        assert_eq!(
            &asked[..length],
            b"GET /x?y HTTP/1.1\r\nhost: app.test\r\n\r\n"
        );
        app.write_all(answer.as_bytes()).await.unwrap();
    };
    let (asked, ()) = tokio::join!(lease.ask(&request, (&moved, LONG), LONG), app);
    asked.expect("in time")
}

async fn piece(body: &mut Body) -> Option<Result<Bytes, BodyError>> {
    let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
    frame.map(|frame| frame.map(|frame| frame.into_data().unwrap()))
}

fn idle(place: &Place) -> usize {
    place.direct.lines.borrow().len()
}

async fn is_closed(mut app: TcpStream) -> bool {
    app.read(&mut [0]).await.map_or(true, |read| read == 0)
}

#[tokio::test]
async fn an_answer_that_was_read_whole_gives_its_line_back() {
    let run = async {
        let place = place();
        let (line, mut app) = line().await;
        let answer =
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwords";
        let mut response = ask(line, &place, (&mut app, answer)).await.unwrap();
        assert_eq!((idle(&place), place.busy.get()), (1, 0));
        assert_eq!(
            &piece(response.body_mut()).await.unwrap().unwrap()[..],
            b"words"
        );
        let line = place.direct.take().unwrap();
        let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
        let mut response = ask(line, &place, (&mut app, answer)).await.unwrap();
        assert_eq!((idle(&place), place.busy.get()), (0, 1), "not read yet");
        assert_eq!(
            &piece(response.body_mut()).await.unwrap().unwrap()[..],
            b"x"
        );
        assert!(piece(response.body_mut()).await.is_none());
        assert_eq!((idle(&place), place.busy.get()), (1, 0));
    };
    LocalSet::new().run_until(run).await;
}

// L12, M3: a line on which something came that nobody asked for carries nobody's request.
#[tokio::test]
async fn what_came_behind_an_answer_is_nobodys_answer() {
    let run = async {
        let poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
        ] {
            let place = place();
            // With the answer, and after it.
            let (first, mut app) = line().await;
            let both = format!("{answer}{poison}");
            let mut response = ask(first, &place, (&mut app, &both)).await.unwrap();
            while piece(response.body_mut()).await.is_some() {}
            assert_eq!(idle(&place), 0, "{answer}");
            assert!(is_closed(app).await);
            let (second, mut app) = line().await;
            let mut response = ask(second, &place, (&mut app, answer)).await.unwrap();
            while piece(response.body_mut()).await.is_some() {}
            assert_eq!(idle(&place), 1, "{answer}");
            app.write_all(poison.as_bytes()).await.unwrap();
            // As the system tells that something is there.
            let lines = place.direct.lines.take();
            for (line, _) in &lines {
                let Stream::Tcp(stream) = &line.stream else {
                    panic!("no TCP");
                };
                stream.readable().await.unwrap();
            }
            *place.direct.lines.borrow_mut() = lines;
            assert!(place.direct.take().is_none(), "{answer}");
            assert!(is_closed(app).await);
        }
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn an_answer_that_is_left_in_the_middle_closes_its_line() {
    let run = async {
        let place = place();
        let (line, mut app) = line().await;
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nwords";
        let response = ask(line, &place, (&mut app, answer)).await.unwrap();
        drop(response);
        assert_eq!((idle(&place), place.busy.get()), (0, 0));
        assert!(is_closed(app).await);
    };
    LocalSet::new().run_until(run).await;
}

// L13: that a line is gone is said only where nothing of an answer came.
#[tokio::test]
async fn a_line_that_is_gone_is_told_from_an_answer_that_breaks_off() {
    let run = async {
        for (answer, is_gone) in [("", true), ("HTTP/1.1 200", false)] {
            let (line, mut app) = line().await;
            let (place, request) = (place(), request());
            let lease = DirectLease::new(line, Origin::Reused, &place);
            let moved = Cell::new(Instant::now());
            let app = async {
                app.read_exact(&mut [0; 10]).await.unwrap();
                app.write_all(answer.as_bytes()).await.unwrap();
                app.shutdown().await.unwrap();
            };
            let (asked, ()) = tokio::join!(lease.ask(&request, (&moved, LONG), LONG), app);
            let error = asked.expect("in time").unwrap_err();
            assert_eq!(matches!(error, DirectError::Gone), is_gone, "{error}");
            assert_eq!(idle(&place), 0);
        }
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn what_nobody_needs_any_more_closes() {
    let run = async {
        let place = place();
        place.direct.is_watched.set(true);
        let (line, app) = line().await;
        place.direct.put(line, &place);
        let aged = tokio::task::spawn_local(let_age(Rc::downgrade(&place), Duration::ZERO));
        assert!(is_closed(app).await);
        aged.await.unwrap();
        assert_eq!(idle(&place), 0);
        assert!(!place.direct.is_watched.get());
    };
    LocalSet::new().run_until(run).await;
}
