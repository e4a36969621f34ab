//! Names become addresses, by the system's own rules: its hosts file, its name servers, its caches.
//!
//! The system's look-up takes a thread for as long as it likes. A name server that never answers must
//! cost nobody else anything (security requirement R6): there is one look-up a name, however many
//! wait for it, on a thread of its own that neither a runtime's pool nor its end waits for, and so
//! there are never more threads than names in the configuration and in the providers' metadata.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tokio::sync::watch;

/// The most look-ups at a time; a configuration of more names waits for nobody, it is told.
const MOST_FLIGHTS: usize = 128;

/// What a look-up said. An error of the system's cannot be copied, so it is its kind and its words.
type Found = Result<Vec<IpAddr>, (io::ErrorKind, String)>;
type LookUp = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// The look-ups under way.
struct Resolver {
    flights: Arc<Mutex<HashMap<String, watch::Receiver<Option<Found>>>>>,
    look_up: Arc<LookUp>,
}

/// Every address of `host`, a name or an address, with `port`, in the system's order. It takes as
/// long as the system takes: the caller gives up when it has to, which disturbs nobody who waits too.
///
/// # Errors
/// What the system said, or that there are too many names to look up.
pub async fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    static SYSTEM: LazyLock<Resolver> = LazyLock::new(|| Resolver::new(ask_the_system));
    let found = match host.parse() {
        Ok(address) => vec![address],
        Err(_) => SYSTEM.addresses(host).await?,
    };
    let with_port = |address| SocketAddr::new(address, port);
    Ok(found.into_iter().map(with_port).collect())
}

fn ask_the_system(host: &str) -> io::Result<Vec<IpAddr>> {
    let found = (host, 0).to_socket_addrs()?;
    Ok(found.map(|address| address.ip()).collect())
}

impl Resolver {
    fn new(look_up: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static) -> Self {
        Self {
            flights: Arc::default(),
            look_up: Arc::new(look_up),
        }
    }

    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let mut flight = self.join(host)?;
        let gone = |_| io::Error::other("the look-up broke off");
        let found = flight.wait_for(Option::is_some).await.map_err(gone)?;
        match found.as_ref() {
            Some(Ok(addresses)) => Ok(addresses.clone()),
            Some(Err((kind, words))) => Err(io::Error::new(*kind, words.clone())),
            None => Err(io::Error::other("the look-up said nothing")),
        }
    }

    /// The look-up of `host` that is under way, or a new one.
    fn join(&self, host: &str) -> io::Result<watch::Receiver<Option<Found>>> {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(host) {
            return Ok(flight.clone());
        }
        if flights.len() >= MOST_FLIGHTS {
            return Err(io::Error::other("too many names are being looked up"));
        }
        let (tell, told) = watch::channel(None);
        let (landing_at, name) = (Arc::clone(&self.flights), host.to_owned());
        let look_up = Arc::clone(&self.look_up);
        std::thread::Builder::new()
            .name("look-up".to_owned())
            .spawn(move || {
                let landing = Landing {
                    flights: landing_at,
                    host: name,
                };
                let found = look_up(&landing.host);
                // Whoever comes from now on asks anew: only those who waited get this answer.
                drop(landing);
                let found = found.map_err(|error| (error.kind(), error.to_string()));
                drop(tell.send(Some(found)));
            })?;
        flights.insert(host.to_owned(), told.clone());
        Ok(told)
    }
}

/// Takes a look-up off the list when it ends, however it ends.
struct Landing {
    flights: Arc<Mutex<HashMap<String, watch::Receiver<Option<Found>>>>>,
    host: String,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        flights.remove(&self.host);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn runtime() -> tokio::runtime::Runtime {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    }

    // R6: a name server that does not answer holds one thread a name, and nobody who asks for another.
    #[test]
    fn fifty_who_ask_for_a_name_that_hangs_are_one_look_up_and_keep_nobody_waiting() {
        let (answer, answered) = mpsc::channel::<()>();
        let (answered, begun) = (Mutex::new(answered), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&begun);
        let resolver = Resolver::new(move |host| {
            if host == "hangs.test" {
                counted.fetch_add(1, Ordering::SeqCst);
                answered.lock().unwrap().recv().unwrap();
            }
            Ok(vec![HERE])
        });
        runtime().block_on(async {
            let fifty: Vec<_> = (0..50)
                .map(|_| resolver.join("hangs.test").unwrap())
                .collect();
            assert_eq!(
                resolver.addresses("answers.test").await.unwrap(),
                vec![HERE]
            );
            answer.send(()).unwrap();
            for mut one in fifty {
                let found = one.wait_for(Option::is_some).await.unwrap();
                assert_eq!(*found, Some(Ok(vec![HERE])));
            }
            assert_eq!(begun.load(Ordering::SeqCst), 1);
            // What was found is for those who waited; the next one asks anew.
            answer.send(()).unwrap();
            resolver.addresses("hangs.test").await.unwrap();
            assert_eq!(begun.load(Ordering::SeqCst), 2);
        });
        assert!(resolver.flights.lock().unwrap().is_empty());
    }

    // R6: giving up is the caller's, and whoever waits as well goes on waiting.
    #[test]
    fn who_gives_up_a_look_up_takes_it_from_nobody() {
        let (answer, answered) = mpsc::channel::<()>();
        let answered = Mutex::new(answered);
        let resolver = Resolver::new(move |_| {
            answered.lock().unwrap().recv().unwrap();
            Err(io::Error::new(io::ErrorKind::NotFound, "no such name"))
        });
        runtime().block_on(async {
            let mut other = resolver.join("slow.test").unwrap();
            let given_up =
                tokio::time::timeout(Duration::from_millis(1), resolver.addresses("slow.test"));
            assert!(given_up.await.is_err());
            answer.send(()).unwrap();
            let found = other.wait_for(Option::is_some).await.unwrap().clone();
            let words = "no such name".to_owned();
            assert_eq!(found, Some(Err((io::ErrorKind::NotFound, words))));
        });
    }

    // R6: and a look-up that panics is over like any other.
    #[test]
    fn look_ups_are_bounded_and_one_that_panics_is_over() {
        let resolver = Resolver::new(|_| panic!("on purpose"));
        runtime().block_on(async {
            assert!(resolver.addresses("panics.test").await.is_err());
        });
        assert!(resolver.flights.lock().unwrap().is_empty());
        let (keep, waiting) = mpsc::channel::<()>();
        let waiting = Mutex::new(waiting);
        let resolver = Resolver::new(move |_| {
            // Until the test is over, for all of them.
            waiting.lock().unwrap().recv().unwrap_err();
            Ok(Vec::new())
        });
        for number in 0..MOST_FLIGHTS {
            resolver.join(&format!("{number}.test")).unwrap();
        }
        assert!(resolver.join("one-more.test").is_err());
        assert!(resolver.join("0.test").is_ok());
        drop(keep);
    }
}
