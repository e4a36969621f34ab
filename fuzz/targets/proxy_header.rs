//! The header by which a proxy says whose a connection is: the same in whatever pieces it comes, and
//! nothing that follows it has a say.

use sidegate::base::proxy_header::{MOST, Progress, read};

use super::Outcome;

/// Any bytes as the first of a connection.
pub fn run(data: &[u8]) -> Outcome {
    let whole = read(data);
    let Ok(Progress::Read { length, .. }) = whole else {
        if whole == Ok(Progress::More) {
            assert!(data.len() < MOST, "more is wanted without an end");
        }
        return Outcome::Refused;
    };
    assert!(length <= MOST && length <= data.len());
    for torn in 0..length {
        assert_eq!(read(&data[..torn]), Ok(Progress::More), "torn at {torn}");
    }
    assert_eq!(read(&data[..length]), whole);
    let followed = [&data[..length], b"PROXY TCP4 6.6.6.6 6.6.6.6 6 6\r\n"].concat();
    assert_eq!(read(&followed), whole);
    Outcome::Accepted
}
