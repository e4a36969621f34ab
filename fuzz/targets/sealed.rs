//! Nothing opens but what was sealed, for what it was sealed for, to the byte.
//!
//! The first byte says what is done with the others: offered as they are, sealed, or taken as
//! changes to a text that was sealed (two bytes each: where, and what stands there then).

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sidegate::base::clock::UnixTime;
use sidegate::base::entropy::Entropy;
use sidegate::base::keyring::{Keyring, Purpose, SessionKey};
use sidegate::base::origin::PublicUrl;
use sidegate::session::names::CookieNames;
use sidegate::session::state::{LoginState, LogoutState};
use sidegate::session::{CookieKept, CookieSettings, SameSite, SessionId};

use super::Outcome;

const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);
const PLAIN: &[u8] = b"alice is here";
const PURPOSES: [Purpose; 4] = [
    Purpose::Session,
    Purpose::PendingLogin,
    Purpose::State,
    Purpose::LogoutState,
];

struct Sealer {
    keyring: Keyring,
    names: CookieNames,
    sealed: String,
}

static SEALER: LazyLock<Sealer> = LazyLock::new(|| {
    // Drawn anew each time, or an input that holds what was sealed once would open for ever.
    let key = || SessionKey::generate(Entropy::system()).expect("a key");
    let keyring = Keyring::new(&[key(), key()]).expect("a ring");
    let settings = CookieSettings {
        name: "sidegate".to_owned(),
        same_site: SameSite::Lax,
        domain: None,
        kept: CookieKept::default(),
    };
    let public = PublicUrl::parse("https://app.example.test").expect("a URL");
    Sealer {
        sealed: keyring
            .seal(Purpose::Session, b"here", PLAIN)
            .expect("sealed"),
        names: CookieNames::new(&settings, &public, "dashboards").expect("names"),
        keyring,
    }
});

/// Any bytes as a sealed text, as something to seal, or as changes to a sealed text.
pub fn run(data: &[u8]) -> Outcome {
    match data.split_first() {
        Some((b'c', changes)) => changed(changes),
        Some((b's', plaintext)) => sealed(plaintext),
        Some((_, text)) => offered(&String::from_utf8_lossy(text)),
        None => Outcome::Refused,
    }
}

fn offered(text: &str) -> Outcome {
    let Sealer {
        keyring,
        names,
        sealed,
    } = &*SEALER;
    // A fuzzer sees what its input is compared with, and comes upon the sealed text itself.
    if text == sealed {
        return Outcome::Refused;
    }
    for purpose in PURPOSES {
        for context in [&b"here"[..], text.as_bytes()] {
            assert!(keyring.open(purpose, context, text).is_err(), "forged");
        }
    }
    assert!(LoginState::open(text, keyring, names).is_err());
    assert!(LogoutState::open(text, keyring, names, NOW).is_err());
    if let Some(id) = SessionId::parse(text) {
        assert_eq!(id.as_str(), text, "one id has one text");
    }
    if let Ok(keys) = SessionKey::parse_file(text) {
        for key in keys {
            let anew = SessionKey::parse(&key.to_line()).expect("our own line");
            assert_eq!(*anew.to_line(), *key.to_line());
        }
    }
    Outcome::Refused
}

fn sealed(plaintext: &[u8]) -> Outcome {
    let keyring = &SEALER.keyring;
    let (context, plaintext) = plaintext.split_at(plaintext.len().min(4));
    for purpose in PURPOSES {
        let text = keyring.seal(purpose, context, plaintext).expect("sealed");
        for offered_for in PURPOSES {
            let opened = keyring.open(offered_for, context, &text);
            match opened {
                Ok(opened) => assert_eq!((offered_for, &*opened.plaintext), (purpose, plaintext)),
                Err(_) => assert_ne!(offered_for, purpose),
            }
        }
        assert!(
            keyring
                .open(purpose, &[context, b"x"].concat(), &text)
                .is_err()
        );
    }
    Outcome::Accepted
}

fn changed(changes: &[u8]) -> Outcome {
    let Sealer {
        keyring, sealed, ..
    } = &*SEALER;
    let mut frame = URL_SAFE_NO_PAD.decode(sealed).expect("our own text");
    let mut text = sealed.clone().into_bytes();
    for change in changes.chunks_exact(2) {
        let (at, byte) = (usize::from(change[0]), change[1]);
        // Behind the end, it is appended; 255 cuts the text off there.
        match (at, text.len()) {
            (255, len) => text.truncate(len.min(usize::from(byte))),
            (at, len) if at < len => text[at] = byte,
            _ => text.push(byte),
        }
        if let Some(slot) = frame.get_mut(at) {
            *slot = byte;
        }
    }
    let mut opened = false;
    for text in [
        String::from_utf8_lossy(&text).into_owned(),
        URL_SAFE_NO_PAD.encode(&frame),
    ] {
        match keyring.open(Purpose::Session, b"here", &text) {
            Ok(value) => {
                assert_eq!(&text, sealed, "a second spelling of a sealed text");
                assert_eq!(value.plaintext, PLAIN);
                opened = true;
            }
            Err(_) => assert_ne!(&text, sealed),
        }
    }
    Outcome::from(opened)
}
