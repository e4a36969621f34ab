//! Where one WebSocket frame ends and the next begins (RFC 6455 section 5.2), without a look at what
//! is in them: the place, and the only one, where a frame of our own may stand between others.

/// Follows the frames of one direction by their lengths.
#[derive(Debug)]
pub(super) struct Frames {
    from: From,
    at: At,
    close: Close,
}

/// Who sends the frames: those of a client are masked, those of a server are not (section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// The browser.
    Client,
    /// The app.
    Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Close {
    NotSeen,
    Begun,
    Seen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// In a head of which `have` bytes have passed; two say how long it is.
    Head { have: [u8; 10], count: usize },
    /// In what follows the part of the head that says the length: the mask, and so many bytes.
    Rest(u64),
    /// These are no frames; nobody knows where we are.
    Lost,
}

const BEGIN: At = At::Head {
    have: [0; 10],
    count: 0,
};

const FINAL: u8 = 0x80;
const OPCODE: u8 = 0x0F;
const CLOSE: u8 = 0x8;
const MASKED: u8 = 0x80;
/// What a control frame carries at most (section 5.5).
const MOST_OF_CONTROL: u8 = 125;

impl Frames {
    /// At the begin of a direction's first frame.
    pub(super) fn new(from: From) -> Self {
        Self {
            from,
            at: BEGIN,
            close: Close::NotSeen,
        }
    }

    /// Follows what has passed.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) {
        while let Some((&first, rest)) = bytes.split_first() {
            match &mut self.at {
                At::Lost => return,
                At::Rest(left) => {
                    let here =
                        usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                    *left -= here as u64;
                    bytes = bytes.get(here..).unwrap_or_default();
                    if *left == 0 {
                        self.end_frame();
                    }
                }
                At::Head { have, count } => {
                    if let Some(place) = have.get_mut(*count) {
                        *place = first;
                    }
                    *count += 1;
                    bytes = rest;
                    let (have, count) = (*have, *count);
                    if count >= length_of_head(have, count) {
                        self.enter(have);
                    }
                }
            }
        }
    }

    /// Whether the next byte begins a frame.
    pub(super) fn between(&self) -> bool {
        matches!(self.at, At::Head { count: 0, .. })
    }

    /// Whether these are no frames at all.
    pub(super) fn lost(&self) -> bool {
        self.at == At::Lost
    }

    /// Whether a close frame has passed whole: nothing may follow it (section 5.5.1).
    pub(super) fn closed(&self) -> bool {
        self.close == Close::Seen
    }

    /// So many bytes may pass without a byte of the next frame among them; at least one.
    pub(super) fn of_this_frame(&self) -> usize {
        match self.at {
            At::Head { have, count } => length_of_head(have, count).saturating_sub(count).max(1),
            At::Rest(left) => usize::try_from(left).unwrap_or(usize::MAX),
            At::Lost => usize::MAX,
        }
    }

    fn enter(&mut self, have: [u8; 10]) {
        let [first, second, ..] = have;
        let (short, masked) = (second & !MASKED, second & MASKED != 0);
        let is_control = first & 0x8 != 0;
        let fits = !is_control || (first & FINAL != 0 && short <= MOST_OF_CONTROL);
        let length = match short {
            126 => u64::from(u16::from_be_bytes([have[2], have[3]])),
            127 => {
                let [_, _, length @ ..] = have;
                u64::from_be_bytes(length)
            }
            short => u64::from(short),
        };
        let mask = if masked { 4 } else { 0 };
        // The highest bit of a length must not be set (section 5.2): then this cannot overflow either.
        if masked != (self.from == From::Client) || !fits || length > u64::MAX >> 1 {
            self.at = At::Lost;
            return;
        }
        if first & OPCODE == CLOSE {
            self.close = Close::Begun;
        }
        self.at = At::Rest(length + mask);
        if length + mask == 0 {
            self.end_frame();
        }
    }

    fn end_frame(&mut self) {
        self.at = BEGIN;
        if self.close == Close::Begun {
            self.close = Close::Seen;
        }
    }
}

/// How long the part of a head that says the length is, as far as `count` bytes of it tell.
fn length_of_head(have: [u8; 10], count: usize) -> usize {
    match (count, have[1] & !MASKED) {
        (0 | 1, _) => 2,
        (_, 126) => 4,
        (_, 127) => 10,
        _ => 2,
    }
}

/// Why a tunnel is closed by us (section 7.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CloseCode {
    /// 1001: the endpoint goes away.
    GoingAway,
    /// 1008: what was allowed is no longer.
    Policy,
}

/// A close frame with `code` and `reason`, of which no more than fits is said. `mask` is there
/// towards a server, and only then.
pub(super) fn close_frame(code: CloseCode, reason: &'static str, mask: Option<[u8; 4]>) -> Vec<u8> {
    let code: u16 = match code {
        CloseCode::GoingAway => 1001,
        CloseCode::Policy => 1008,
    };
    let reason = reason.bytes().take(usize::from(MOST_OF_CONTROL) - 2);
    let payload: Vec<u8> = code.to_be_bytes().into_iter().chain(reason).collect();
    // It is 125 at most.
    let length = u8::try_from(payload.len()).unwrap_or(MOST_OF_CONTROL);
    let mut frame = vec![FINAL | CLOSE];
    match mask {
        None => {
            frame.push(length);
            frame.extend(payload);
        }
        Some(mask) => {
            frame.push(MASKED | length);
            frame.extend(mask);
            let key = mask.iter().cycle();
            frame.extend(payload.iter().zip(key).map(|(byte, key)| byte ^ key));
        }
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame whose payload is `length` zeros.
    fn frame(first: u8, length: usize, masked: bool) -> Vec<u8> {
        let bit = if masked { MASKED } else { 0 };
        let mut frame = vec![first];
        match length {
            0..=125 => frame.push(bit | u8::try_from(length).unwrap()),
            126..=0xFFFF => {
                frame.push(bit | 0x7E);
                frame.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(bit | 0x7F);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        if masked {
            frame.extend([1, 2, 3, 4]);
        }
        frame.extend(vec![0; length]);
        frame
    }

    // N5: our own frame stands between others, never inside one, whatever the pieces are.
    #[test]
    fn the_ends_of_frames_are_found_in_pieces_of_any_size() {
        for (from, masked) in [(From::Client, true), (From::Server, false)] {
            let frames: Vec<_> = [0, 1, 125, 126, 127, 65_535, 65_536]
                .map(|length| frame(0x82, length, masked))
                .to_vec();
            let all = frames.concat();
            let mut ends = vec![0];
            for frame in &frames {
                ends.push(ends.last().unwrap() + frame.len());
            }
            for piece in [1, 2, 3, 7, 4096, all.len()] {
                let (mut follower, mut at) = (Frames::new(from), 0);
                assert!(follower.between());
                for bytes in all.chunks(piece) {
                    follower.follow(bytes);
                    at += bytes.len();
                    assert_eq!(follower.between(), ends.contains(&at), "{piece} {at}");
                    assert!(!follower.lost() && !follower.closed());
                }
            }
        }
    }

    #[test]
    fn reading_no_more_than_this_frame_stops_at_its_end() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            for (from, masked) in [(From::Client, true), (From::Server, false)] {
                let (one, mut follower) = (frame(0x02, length, masked), Frames::new(from));
                let all = [one.clone(), one.clone()].concat();
                let mut at = 0;
                loop {
                    let piece = follower.of_this_frame();
                    assert!(piece > 0);
                    follower.follow(&all[at..at + piece]);
                    at += piece;
                    if follower.between() {
                        break;
                    }
                }
                assert_eq!(at, one.len());
            }
        }
    }

    #[test]
    fn a_close_frame_is_seen_once_it_is_whole() {
        let mut follower = Frames::new(From::Server);
        let close = close_frame(CloseCode::GoingAway, "why", None);
        assert_eq!(close, b"\x88\x05\x03\xe9why");
        let (last, begin) = close.split_last().unwrap();
        follower.follow(&frame(0x81, 300, false));
        follower.follow(begin);
        assert!(!follower.closed());
        follower.follow(&[*last]);
        assert!(follower.closed() && follower.between());

        let mut follower = Frames::new(From::Client);
        let masked = close_frame(CloseCode::Policy, "why", Some([1, 2, 3, 4]));
        assert_eq!(masked, b"\x88\x85\x01\x02\x03\x04\x02\xf2tlx");
        follower.follow(&masked);
        assert!(follower.closed());
    }

    #[test]
    fn what_are_no_frames_is_known_as_such() {
        let huge = [0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0];
        for (from, bytes) in [
            (From::Server, &frame(0x81, 5, true)[..]),
            (From::Client, &frame(0x81, 5, false)[..]),
            (From::Server, &frame(0x08, 5, false)[..]), // a control frame in parts
            (From::Server, &frame(0x89, 126, false)[..]), // a long one
            (From::Server, &huge[..]),
            (From::Server, b"hello"),
        ] {
            let mut follower = Frames::new(from);
            follower.follow(bytes);
            assert!(follower.lost(), "{bytes:?}");
            assert!(!follower.between());
        }
    }

    #[test]
    fn a_reason_is_never_longer_than_a_control_frame_carries() {
        let long = "0123456789".repeat(20).leak();
        let close = close_frame(CloseCode::GoingAway, long, None);
        assert_eq!((close.len(), close[1]), (127, 125));
    }
}
