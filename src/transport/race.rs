//! One connection from several addresses: each is given a head start, and none can hold up the others
//! (RFC 8305). A name may lead to an IPv6 address that nothing listens on, or that nothing answers
//! from, beside an IPv4 address that works.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// How long an address is tried alone before the next is tried beside it (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// The first connection that comes about to one of `addresses`, in their order but with the families
/// taking turns. It takes as long as the system takes: the caller bounds it.
///
/// # Errors
/// Of several addresses, what the last to fail said; that there is no address.
pub async fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    match addresses {
        [only] => TcpStream::connect(only).await,
        several => first(taking_turns(several), TcpStream::connect).await,
    }
}

/// The addresses with the families taking turns, the first one's first (RFC 8305, section 4).
fn taking_turns(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (ours, others): (Vec<SocketAddr>, Vec<_>) =
        addresses.iter().partition(|one| one.is_ipv6() == is_v6);
    let (mut ours, mut others) = (ours.into_iter(), others.into_iter());
    let mut all = Vec::with_capacity(addresses.len());
    while all.len() < addresses.len() {
        all.extend(ours.next());
        all.extend(others.next());
    }
    all
}

async fn first<T, F>(addresses: Vec<SocketAddr>, connect: impl Fn(SocketAddr) -> F) -> io::Result<T>
where
    T: Send + 'static,
    F: Future<Output = io::Result<T>> + Send + 'static,
{
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    // Whoever has not won is given up with the set.
    let mut attempts = JoinSet::new();
    let mut waiting = addresses.into_iter();
    loop {
        if let Some(address) = waiting.next() {
            attempts.spawn(connect(address));
        }
        let ended = if waiting.len() == 0 {
            attempts.join_next().await
        } else if let Ok(ended) = tokio::time::timeout(HEAD_START, attempts.join_next()).await {
            ended
        } else {
            continue;
        };
        match ended {
            Some(Ok(Ok(connected))) => return Ok(connected),
            Some(Ok(Err(error))) => last = error,
            Some(Err(broken)) => last = io::Error::other(broken),
            None => return Err(last),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::{Arc, Mutex};

    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|one| one.parse().unwrap()).collect()
    }

    fn runtime() -> tokio::runtime::Runtime {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    }

    #[test]
    fn families_take_turns_and_the_systems_order_stays() {
        let system = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"];
        let ours = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"];
        assert_eq!(taking_turns(&addresses(&system)), addresses(&ours));
        let system = ["1.1.1.1:1", "[::1]:1", "[::2]:1"];
        assert_eq!(taking_turns(&addresses(&system)), addresses(&system));
        assert!(taking_turns(&[]).is_empty());
    }

    // R6: an address that refuses or that never answers keeps nobody from the one that works.
    #[test]
    fn the_address_that_works_is_found_behind_those_that_do_not() {
        let tried = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&tried);
        let connect = move |address: SocketAddr| {
            told.lock().unwrap().push(address);
            async move {
                match address.port() {
                    1 => pending().await,
                    2 => Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
                    _ => Ok(address),
                }
            }
        };
        let list = addresses(&["[::1]:1", "[::1]:2", "127.0.0.1:3", "127.0.0.1:4"]);
        let begin = std::time::Instant::now();
        let found = runtime().block_on(first(list.clone(), &connect)).unwrap();
        assert_eq!(found, list[2]);
        assert!(begin.elapsed() >= HEAD_START);
        // The head start of the one that never answers is waited for once, and nobody is tried twice.
        assert!(begin.elapsed() < 4 * HEAD_START);
        assert_eq!(*tried.lock().unwrap(), list[..3]);
    }

    #[test]
    fn where_no_address_works_the_last_word_is_told() {
        let refuse = |_| async { Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionRefused)) };
        let list = addresses(&["[::1]:1", "127.0.0.1:1"]);
        let error = runtime().block_on(first(list, refuse)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let error = runtime().block_on(connect(&[])).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
