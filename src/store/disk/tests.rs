//! What is special about a file: who may have it, and what is there after a crash.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};

use redb::StorageBackend;
use tokio::runtime::Runtime;

use super::*;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn clock() -> Clock {
    Clock::settable(UnixTime::from_seconds(1_800_000_000))
}

fn key(number: u8) -> RecordKey {
    RecordKey::from_bytes([number; 32])
}

fn record(turn: u32, text: &str) -> Record {
    Record {
        turn,
        expires_at: UnixTime::from_seconds(1_800_003_600),
        person: GroupKey::from_bytes([200; 32]),
        provider_session: None,
        card: Vec::new(),
        sealed: text.repeat(40).into_bytes(),
    }
}

// U1: nobody else reads or ends sessions.
#[test]
fn the_file_is_made_for_its_owner_alone_and_one_that_others_can_open_is_refused() {
    let (folder, runtime) = (tempfile::TempDir::new().unwrap(), runtime());
    let path = folder.path().join("new/folder/sessions");
    let store = runtime.block_on(DiskStore::open(&path, clock())).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    runtime.block_on(store.close());
    for mode in [0o640, 0o604, 0o660, 0o602] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let refused = runtime.block_on(DiskStore::open(&path, clock()));
        assert!(
            matches!(refused, Err(OpenError::Exposed { .. })),
            "{mode:o}: {refused:?}"
        );
    }
}

// U1: what is not a file of ours is not followed, not waited for, and not written to.
#[test]
fn a_link_a_pipe_and_somebody_elses_file_are_refused_and_stay_as_they_are() {
    let (folder, runtime) = (tempfile::TempDir::new().unwrap(), runtime());
    let other = folder.path().join("notes.txt");
    std::fs::write(&other, "not a store, but of some length: ".repeat(400)).unwrap();
    std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o600)).unwrap();
    let before = std::fs::read(&other).unwrap();
    let link = folder.path().join("link");
    symlink(&other, &link).unwrap();
    let refused = |path: &Path| {
        let refused = runtime.block_on(DiskStore::open(path, clock()));
        refused.unwrap_err()
    };
    assert!(matches!(refused(&link), OpenError::File { .. }));
    assert!(matches!(refused(&other), OpenError::Unknown { .. }));
    assert!(matches!(refused(folder.path()), OpenError::File { .. }));
    assert_eq!(std::fs::read(&other).unwrap(), before);
    let pipe = folder.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    assert!(matches!(refused(&pipe), OpenError::NoFile { .. }));
}

// U2: two gates with one file would each think that they know all sessions.
#[test]
fn a_second_one_does_not_get_the_file_until_the_first_gives_it_up() {
    let (folder, runtime) = (tempfile::TempDir::new().unwrap(), runtime());
    let path = folder.path().join("sessions");
    runtime.block_on(async {
        let first = DiskStore::open(&path, clock()).await.unwrap();
        let taken = DiskStore::open(&path, clock()).await;
        assert!(matches!(taken, Err(OpenError::Taken { .. })), "{taken:?}");
        first.create(key(1), &record(0, "a")).await.unwrap();

        // Who takes over waits for it, and then has all of it.
        let second = DiskStore::open_after(&path, clock()).unwrap();
        first.replace(key(1), &record(0, "b")).await.unwrap();
        first.close().await;
        let found = second.load(key(1)).await.unwrap();
        assert_eq!(found, Some(record(0, "b")), "uses are there, too");
        assert!(matches!(
            first.load(key(1)).await,
            Err(StoreError::Unreachable(_))
        ));
        assert!(matches!(
            first.create(key(2), &record(0, "c")).await,
            Err(StoreError::Unreachable(_))
        ));
    });
}

// U3, F18: a file of a newer version is left to the newer version.
#[test]
fn a_file_of_a_newer_format_is_refused_and_stays_as_it_is() {
    let (folder, runtime) = (tempfile::TempDir::new().unwrap(), runtime());
    let path = folder.path().join("sessions");
    runtime.block_on(async {
        let store = DiskStore::open(&path, clock()).await.unwrap();
        store.create(key(1), &record(0, "a")).await.unwrap();
        store.close().await;
    });
    {
        let database = file::open(&path, Duration::ZERO).unwrap();
        tables::write_format(&database, 9);
    }
    let refused = runtime.block_on(DiskStore::open(&path, clock()));
    let Err(OpenError::Unknown { cause, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert!(cause.contains("format is 9"), "{cause}");
    let database = file::open(&path, Duration::ZERO).unwrap();
    tables::write_format(&database, 1);
    drop(database);
    runtime.block_on(async {
        let store = DiskStore::open(&path, clock()).await.unwrap();
        assert_eq!(store.load(key(1)).await.unwrap(), Some(record(0, "a")));
    });
}

// ---- a disk that loses what was not synced

/// A storage in memory that dies after so many acts, and then has what was synced and any part of what
/// was not.
#[derive(Debug, Clone)]
struct Disk(Arc<Mutex<Platter>>);

#[derive(Debug, Default)]
struct Platter {
    now: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<Change>,
    /// How many acts there are until it dies.
    left: u64,
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Length(length) => bytes.resize(*length, 0),
            Self::Write(at, data) => {
                let end = at + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*at..end].copy_from_slice(data);
            }
        }
    }
}

impl Disk {
    fn with(bytes: Vec<u8>, left: u64) -> Self {
        Self(Arc::new(Mutex::new(Platter {
            now: bytes.clone(),
            synced: bytes,
            unsynced: Vec::new(),
            left,
        })))
    }

    fn act<T>(&self, act: impl FnOnce(&mut Platter) -> T) -> io::Result<T> {
        let mut platter = self.0.lock().unwrap();
        platter.left = platter
            .left
            .checked_sub(1)
            .ok_or_else(|| io::Error::other("dead"))?;
        Ok(act(&mut platter))
    }

    /// What is found after the power came back.
    fn found(&self, chance: &mut Chance) -> Vec<u8> {
        let platter = self.0.lock().unwrap();
        let mut bytes = platter.synced.clone();
        let lost = chance.below(3); // none, some, all
        for change in &platter.unsynced {
            if lost == 0 || (lost == 1 && chance.below(2) == 0) {
                change.apply(&mut bytes);
            }
        }
        bytes
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        let platter = self.0.lock().unwrap();
        Ok(platter.now.len().try_into().unwrap())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let platter = self.0.lock().unwrap();
        let at = usize::try_from(offset).unwrap();
        let found = platter.now.get(at..at + out.len());
        let found = found.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.change(Change::Length(length.try_into().unwrap()))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.act(|platter| {
            platter.synced = platter.now.clone();
            platter.unsynced.clear();
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Write(offset.try_into().unwrap(), data.to_vec()))
    }
}

impl Disk {
    fn change(&self, change: Change) -> io::Result<()> {
        self.act(|platter| {
            change.apply(&mut platter.now);
            platter.unsynced.push(change);
        })
    }
}

/// Numbers that are the same for the same seed (xorshift64*, Vigna 2016).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % end
    }
}

fn database_on(disk: Disk) -> Result<Database, String> {
    let database = Database::builder()
        .set_cache_size(1024 * 1024)
        .set_check_integrity_on_open(true)
        .create_with_backend(disk)
        .map_err(|error| error.to_string())?;
    tables::prepare(&database)?;
    Ok(database)
}

fn store_on(disk: Disk, clock: Clock) -> Result<DiskStore, String> {
    let database = database_on(disk)?;
    let again = |_| Err(file::unknown(Path::new("dead"), "dead".to_owned()));
    DiskStore::over(State::Open(Arc::new(database)), clock, again)
        .map_err(|error| error.to_string())
}

/// What may be found of each key: the last that was acknowledged to last, or whatever was tried since.
type Possible = BTreeMap<u8, Vec<Option<Record>>>;

async fn act(
    store: &DiskStore,
    possible: &mut Possible,
    chance: &mut Chance,
) -> Result<(), StoreError> {
    let number = u8::try_from(chance.below(8)).unwrap();
    let states = possible.entry(number).or_insert_with(|| vec![None]);
    let text = format!("{number} {} ", chance.below(1 << 40));
    let last = states.last().cloned().flatten();
    match (chance.below(4), last) {
        (0, _) => {
            let new = record(0, &text);
            states.push(Some(new.clone()));
            store.create(key(number), &new).await?;
            *states = vec![Some(new)];
        }
        (1, _) => {
            states.push(None);
            store.remove(key(number)).await?;
            *states = vec![None];
        }
        (2, Some(last)) => {
            let later = record(last.turn + 1, &text);
            states.push(Some(later.clone()));
            store.replace(key(number), &later).await?;
            *states = vec![Some(later)];
        }
        (_, Some(last)) => {
            // That it was used may be lost.
            let used = record(last.turn, &text);
            states.push(Some(used.clone()));
            store.replace(key(number), &used).await?;
        }
        (_, None) => {
            assert_eq!(
                store.replace(key(number), &record(0, &text)).await?,
                Replaced::Gone
            );
        }
    }
    Ok(())
}

// U4: whatever was acknowledged is there after the power failed at any moment, and nothing is torn.
// `SIDEGATE_TEST_CRASHES` says how many times; each number is another moment.
#[test]
fn what_was_acknowledged_is_there_after_the_power_failed() {
    let rounds = std::env::var("SIDEGATE_TEST_CRASHES").ok();
    let rounds: u64 = rounds.map_or(300, |rounds| rounds.parse().unwrap());
    let runtime = runtime();
    let (mut crashed, mut lost) = (0, 0);
    for seed in 1..=rounds {
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let left = 1 + chance.below(600);
        let disk = Disk::with(Vec::new(), left);
        let mut possible = Possible::new();
        let acknowledged_words = runtime.block_on(async {
            let mut words = Vec::new();
            let Ok(store) = store_on(disk.clone(), clock()) else {
                return None; // a file gets its name when it is whole
            };
            for step in 0..60_u8 {
                if act(&store, &mut possible, &mut chance).await.is_err() {
                    break;
                }
                let until = UnixTime::from_seconds(1_800_009_999);
                if step % 5 == 0 && store.announce(&[step], until).await.is_ok() {
                    words.push(vec![step]);
                }
            }
            Some(words)
        });
        let Some(acknowledged_words) = acknowledged_words else {
            continue;
        };
        // Its thread closes the database; whatever that still writes comes too late.
        let found = disk.found(&mut chance);
        if disk.0.lock().unwrap().left == 0 {
            crashed += 1;
        }
        let again = Disk::with(found, u64::MAX);
        runtime.block_on(async {
            let store = store_on(again, clock()).unwrap_or_else(|error| panic!("{seed}: {error}"));
            for (number, states) in &possible {
                let found = store.load(key(*number)).await.unwrap();
                assert!(states.contains(&found), "{seed}: {number}: {found:?}");
                lost += usize::from(states.len() > 1 && *states.last().unwrap() != found);
            }
            let announced = store.announced().await.unwrap();
            for words in &acknowledged_words {
                assert!(announced.contains(words), "{seed}: {words:?}");
            }
        });
    }
    // The test is about something: most rounds ended in a crash, and some acts were lost in it.
    assert!(crashed > rounds / 2, "{crashed} of {rounds}");
    assert!(lost > 0 || rounds < 100);
}

// ---- a process that is killed

/// The file that the process which is to be killed writes to.
const WRITER: &str = "SIDEGATE_TEST_STORE_WRITER";

/// Writes record after record and says of each that it was acknowledged, until it is killed.
fn write_until_killed(path: &str) {
    runtime().block_on(async {
        let store = DiskStore::open(Path::new(path), clock()).await.unwrap();
        let known = store.all(100_000).await.unwrap().len();
        for number in known.. {
            let mut name = [0; 32];
            name[..8].copy_from_slice(&number.to_be_bytes());
            let key = RecordKey::from_bytes(name);
            store.create(key, &record(0, "first ")).await.unwrap();
            store.replace(key, &record(1, "second ")).await.unwrap();
            let mut said = io::stdout().lock();
            said.write_all(format!("acknowledged {number}\n").as_bytes())
                .unwrap();
            said.flush().unwrap();
        }
    });
}

// U4: the same for a process that is killed, at moments that nobody chose. `SIDEGATE_TEST_KILLS` says
// how many times.
#[test]
fn what_was_acknowledged_is_there_after_the_process_was_killed() {
    use std::io::{BufRead as _, BufReader};

    if let Ok(path) = std::env::var(WRITER) {
        write_until_killed(&path);
    }
    let kills = std::env::var("SIDEGATE_TEST_KILLS").ok();
    let kills: u64 = kills.map_or(200, |kills| kills.parse().unwrap());
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("sessions");
    let runtime = runtime();
    let (mut chance, mut acknowledged) = (Chance(0x5151_2323), Vec::new());
    for round in 0..kills {
        let mut writer = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture"])
            .arg("store::disk::tests::what_was_acknowledged_is_there_after_the_process_was_killed")
            .env(WRITER, &path)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let said = BufReader::new(writer.stdout.take().unwrap()).lines();
        let after = 1 + chance.below(12);
        let mut heard = 0;
        for line in said {
            let line = line.unwrap();
            let Some((_, number)) = line.split_once("acknowledged ") else {
                continue;
            };
            acknowledged.push(number.parse::<usize>().unwrap());
            heard += 1;
            if heard == after {
                // What it says from here on until it is dead counts, too.
                writer.kill().unwrap();
            }
        }
        writer.wait().unwrap();
        assert!(heard >= after, "round {round}: the writer ended by itself");
        runtime.block_on(async {
            let store = DiskStore::open(&path, clock()).await.unwrap();
            for number in acknowledged.iter().rev().take(40) {
                let mut name = [0; 32];
                name[..8].copy_from_slice(&number.to_be_bytes());
                let found = store.load(RecordKey::from_bytes(name)).await.unwrap();
                assert_eq!(found, Some(record(1, "second ")), "round {round}: {number}");
            }
            store.close().await;
        });
    }
    assert!(acknowledged.len() as u64 >= kills);
}
