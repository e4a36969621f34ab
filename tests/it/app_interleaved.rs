//! Ten thousand requests of fifty people at once, at an app that breaks every rule: whatever happens to
//! one of them, nobody ever sees what is another's.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use sidegate::base::secret::Secret;
use sidegate::demo::provider::{EmailStatus, User};

use crate::support::browser::Browser;
use crate::support::instance::{Instance, PUBLIC, World, register, yaml};
use crate::support::provider::TestProvider;
use crate::support::raw::{Answer, Wire};
use crate::support::upstream::Upstream;

const USERS: usize = 50;
const EACH: usize = 200;
const SEED: u64 = 0x5eed_51de;

/// What the app does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Chunked,
    Slow,
    Post,
    /// An answer before the body was read.
    Early,
    /// Fifty interim answers first.
    Flood,
    /// An answer, and then the end, without a word of it.
    Closing,
    /// Another whole answer behind the answer.
    Garbage,
    /// Bodies where none may be.
    Head,
    NoContent,
    NotModified,
    /// The end in the middle of the answer, or before it.
    Broken,
    Nothing,
}

const KINDS: [Kind; 13] = [
    Kind::Plain,
    Kind::Chunked,
    Kind::Slow,
    Kind::Post,
    Kind::Early,
    Kind::Flood,
    Kind::Closing,
    Kind::Garbage,
    Kind::Head,
    Kind::NoContent,
    Kind::NotModified,
    Kind::Broken,
    Kind::Nothing,
];

/// Numbers that look random, the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(sides).unwrap()).unwrap()
    }
}

/// What a request's answer says to whom, of a length of its own.
fn told(path: &str, user: &str) -> String {
    let length = path.bytes().map(usize::from).sum::<usize>() % 40 + 1;
    format!("{path} of {user};").repeat(length)
}

const POISON: &str = "HTTP/1.1 200 OK\r\nX-Marker: poison\r\nContent-Length: 6\r\n\r\npoison";

/// One connection of the app. The kind is the last segment of the path.
fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    let mut unread = Vec::new();
    loop {
        let head = head_of(&mut stream, &mut unread)?;
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let field = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            let found = lines.find(|(own, _)| own.eq_ignore_ascii_case(name));
            found.map_or("", |(_, value)| value)
        };
        let text = told(&path, field("x-forwarded-user"));
        let kind = path.rsplit('/').next().unwrap_or_default().to_owned();
        let fields = format!("X-Marker: {path}\r\n");
        let whole = format!(
            "HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n{text}",
            text.len()
        );
        let answer = match kind.as_str() {
            "Plain" | "Closing" => whole,
            "Post" => {
                let length: usize = field("content-length").parse().unwrap_or(0);
                while unread.len() < length {
                    read_more(&mut stream, &mut unread)?;
                }
                let body: Vec<u8> = unread.drain(..length).collect();
                // What came is what this very request brought.
                assert_eq!(String::from_utf8_lossy(&body), told(&path, "a body"));
                whole
            }
            "Chunked" => format!(
                "HTTP/1.1 200 OK\r\n{fields}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{text}\r\n0\r\n\r\n",
                text.len()
            ),
            "Slow" => {
                let (first, rest) = whole.split_at(whole.len() / 2);
                stream.write_all(first.as_bytes())?;
                std::thread::yield_now();
                rest.to_owned()
            }
            "Flood" => format!("{}{whole}", "HTTP/1.1 100 Continue\r\n\r\n".repeat(50)),
            "Garbage" => format!("{whole}{POISON}"),
            "Head" => whole,
            "NoContent" => format!("HTTP/1.1 204 No Content\r\n{fields}\r\n{POISON}"),
            "NotModified" => format!("HTTP/1.1 304 Not Modified\r\n{fields}\r\n{POISON}"),
            "Early" => {
                stream.write_all(whole.replace("200 OK", "413 Too Large").as_bytes())?;
                let length: usize = field("content-length").parse().unwrap_or(0);
                while unread.len() < length {
                    read_more(&mut stream, &mut unread)?;
                }
                unread.drain(..length);
                continue;
            }
            "Broken" => {
                let end = whole.len() - text.len() / 2;
                return stream.write_all(whole.as_bytes().get(..end).unwrap_or_default());
            }
            _ => return Ok(()),
        };
        stream.write_all(answer.as_bytes())?;
        if kind == "Closing" {
            return Ok(());
        }
    }
}

fn head_of(stream: &mut TcpStream, unread: &mut Vec<u8>) -> std::io::Result<String> {
    loop {
        let end = unread.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            let head = unread.drain(..end + 4).collect();
            return Ok(String::from_utf8(head).unwrap());
        }
        read_more(stream, unread)?;
    }
}

fn read_more(stream: &mut TcpStream, unread: &mut Vec<u8>) -> std::io::Result<()> {
    let mut chunk = [0; 8192];
    match stream.read(&mut chunk)? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        read => {
            unread.extend_from_slice(&chunk[..read]);
            Ok(())
        }
    }
}

fn app() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || drop(serve(stream)));
        }
    });
    address
}

/// A gate before `url` with fifty people who are signed in, as their cookies say.
fn crowd(url: &str) -> (World, Vec<String>) {
    let people = (0..USERS).map(|at| User {
        subject: format!("subject-{at}"),
        username: format!("user-{at}"),
        password: Secret::new("sidegate".to_owned()),
        name: format!("User {at}"),
        email: format!("user-{at}@example.com"),
        email_status: EmailStatus::Verified,
        groups: Vec::new(),
        claims: serde_json::Map::new(),
    });
    let provider = TestProvider::start_with(|options| options.users.extend(people));
    register(&provider, "dashboards", "/oauth2/callback");
    let landing = Upstream::start();
    let text = yaml(provider.issuer(), &landing.url(), "");
    let world = World {
        gate: Instance::start(&text, provider.clock()),
        app: landing,
        provider,
    };
    world.await_provider();
    let cookies = (0..USERS).map(|at| cookie(&world.signed_in(&format!("user-{at}"))));
    let cookies = cookies.collect();
    let text = yaml(world.provider.issuer(), url, "");
    world.gate.reload(&text).unwrap();
    (world, cookies)
}

fn cookie(browser: &Browser) -> String {
    let of_the_gate = browser.jar.iter().filter(|one| PUBLIC.ends_with(&one.host));
    let pairs: Vec<_> = of_the_gate
        .map(|one| format!("{}={}", one.name, one.value))
        .collect();
    pairs.join("; ")
}

/// How the requests of one person ended.
#[derive(Debug, Default)]
struct Tally {
    whole: usize,
    broken: usize,
    left: usize,
}

/// Whether `answer` to `path` of `user` is what it should be.
fn judge(kind: Kind, answer: Option<&Answer>, path: &str, user: &str) -> Result<bool, String> {
    let Some(answer) = answer else {
        let may_break = matches!(kind, Kind::Broken | Kind::Nothing);
        return if may_break {
            Ok(false)
        } else {
            Err("no answer".to_owned())
        };
    };
    let (wanted, text) = (told(path, user), answer.text());
    let wanted_status = match kind {
        Kind::NoContent => 204,
        Kind::NotModified => 304,
        Kind::Early => 413,
        Kind::Nothing => 502,
        _ => 200,
    };
    // A body is not sent twice, so a connection that an app closed silently costs it; and where an
    // app closes at once, the close may overtake the answer.
    let may_fail = matches!(
        kind,
        Kind::Post | Kind::Early | Kind::Broken | Kind::Nothing
    );
    if answer.status == 502 && may_fail {
        return Ok(false);
    }
    if answer.status != wanted_status || answer.field("x-marker") != Some(path) {
        return Err(format!("{answer:?}"));
    }
    let right = match kind {
        Kind::Head | Kind::NoContent | Kind::NotModified => text.is_empty(),
        Kind::Broken => wanted.starts_with(&text),
        _ => wanted == text,
    };
    if right {
        Ok(kind != Kind::Broken)
    } else {
        Err(format!("{text:?} is not {wanted:?}"))
    }
}

/// The requests of one person, one after the other.
fn person(gate: SocketAddr, at: usize, cookie: &str, kinds: &[Kind]) -> Tally {
    let mut dice = Dice(SEED + u64::try_from(at).unwrap() * 7919);
    let user = format!("subject-{at}");
    let mut tally = Tally::default();
    let mut wire = Wire::connect(gate);
    for turn in 0..EACH {
        let kind = kinds[dice.roll(kinds.len())];
        let path = format!("/u/{at}/{turn}/{kind:?}");
        let (method, body) = match kind {
            Kind::Post | Kind::Early => ("POST", told(&path, "a body")),
            Kind::Head => ("HEAD", String::new()),
            _ => ("GET", String::new()),
        };
        let length = match method {
            "POST" => format!("Content-Length: {}\r\n", body.len()),
            _ => String::new(),
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: gate.test\r\nCookie: {cookie}\r\n{length}\r\n{body}"
        );
        // One in eight leaves: in the middle of what it says, or of what it hears.
        let leaves = dice.roll(8) == 0;
        let says = if leaves && dice.roll(2) == 0 {
            dice.roll(request.len())
        } else {
            request.len()
        };
        wire.send(&request.as_bytes()[..says]);
        if leaves {
            tally.left += 1;
            wire = Wire::connect(gate);
            continue;
        }
        let answer = wire.answer_to(method);
        match judge(kind, answer.as_ref(), &path, &user) {
            Ok(true) => tally.whole += 1,
            Ok(false) => tally.broken += 1,
            Err(why) => panic!("{method} {path} of {user}: {why}"),
        }
        if matches!(kind, Kind::Early | Kind::Broken | Kind::Nothing) {
            wire = Wire::connect(gate);
        }
    }
    tally
}

fn interleave(url: &str, kinds: &'static [Kind]) -> Vec<Tally> {
    let (world, cookies) = crowd(url);
    let gate = world.gate.address;
    let cookies = Arc::new(cookies);
    let people: Vec<_> = (0..USERS)
        .map(|at| {
            let cookies = Arc::clone(&cookies);
            std::thread::spawn(move || person(gate, at, &cookies[at], kinds))
        })
        .collect();
    let tallies = people.into_iter().map(|one| one.join().unwrap());
    tallies.collect()
}

// L11: no answer, no identity and no body is ever taken for another's.
#[test]
fn nobody_sees_what_is_anothers_whatever_breaks() {
    let tallies = interleave(&format!("http://{}", app()), &KINDS);
    let (whole, left): (usize, usize) = tallies.iter().fold((0, 0), |(whole, left), one| {
        (whole + one.whole, left + one.left)
    });
    assert!(whole > USERS * EACH / 2, "{whole}: {tallies:?}");
    assert!(left > USERS * EACH / 16, "{left}");
}
