//! Headers whole, torn and broken.

use super::*;

const LINE: &[u8] = b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n";

/// Version 2 with this command, family, and body.
fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family][..], &length, body].concat()
}

/// The body of a connection from 203.0.113.9:4711 to 192.0.2.1:443.
fn body4() -> Vec<u8> {
    let mut body = vec![203, 0, 113, 9, 192, 0, 2, 1];
    body.extend(4711_u16.to_be_bytes());
    body.extend(443_u16.to_be_bytes());
    body
}

fn body6(source: &str) -> Vec<u8> {
    let mut body = source.parse::<Ipv6Addr>().unwrap().octets().to_vec();
    body.extend("2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
    body.extend(4711_u16.to_be_bytes());
    body.extend(443_u16.to_be_bytes());
    body
}

fn from(text: &str) -> Source {
    Source::Address(text.parse().unwrap())
}

/// Reads `header` at every length: more is wanted until it is whole, and what follows changes nothing.
fn is_read_as(header: &[u8], source: Source) {
    for torn in 0..header.len() {
        assert_eq!(
            read(&header[..torn]),
            Ok(Progress::More),
            "{torn} {header:?}"
        );
    }
    let length = header.len();
    for after in [&b""[..], b"GET / HTTP/1.1\r\n", LINE, b"\r\n"] {
        let bytes = [header, after].concat();
        let whole = Progress::Read { length, source };
        assert_eq!(read(&bytes), Ok(whole), "{header:?}");
    }
}

// K7: the source that the proxy names, in either version, torn at every byte.
#[test]
fn a_header_is_read_in_whatever_pieces_it_comes() {
    is_read_as(LINE, from("203.0.113.9:4711"));
    is_read_as(
        b"PROXY TCP6 2001:db8::9 2001:db8::1 1 65535\r\n",
        from("[2001:db8::9]:1"),
    );
    is_read_as(&v2(0x21, 0x11, &body4()), from("203.0.113.9:4711"));
    is_read_as(
        &v2(0x21, 0x21, &body6("2001:db8::9")),
        from("[2001:db8::9]:4711"),
    );
    // With additions, which are passed over whatever is in them.
    let with = |more: &[u8]| v2(0x21, 0x11, &[&body4(), more].concat());
    is_read_as(&with(&[4, 0, 1, 0]), from("203.0.113.9:4711"));
    is_read_as(&with(&[0xff; 700]), from("203.0.113.9:4711"));
    is_read_as(&with(&vec![0; MOST - 28]), from("203.0.113.9:4711"));
}

#[test]
fn a_proxy_that_asks_for_itself_or_does_not_know_names_nobody() {
    is_read_as(b"PROXY UNKNOWN\r\n", Source::Untold);
    is_read_as(b"PROXY UNKNOWN 6.6.6.6 6.6.6.6 1 2\r\n", Source::Untold);
    is_read_as(&v2(0x20, 0x00, b""), Source::Untold);
    // A LOCAL command counts whatever addresses stand beside it.
    is_read_as(&v2(0x20, 0x11, &body4()), Source::Untold);
    is_read_as(&v2(0x21, 0x00, &[1, 2, 3]), Source::Untold);
    is_read_as(&v2(0x21, 0x31, &[7; 216]), Source::Untold);
}

#[test]
fn what_is_no_header_is_refused() {
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
    assert_eq!(long.len(), LONGEST_LINE + 1);
    is_read_as(&[&long.as_bytes()[..105], b"\r\n"].concat(), Source::Untold);
    let lines: [&[u8]; 22] = [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01\x00\x05",
        b"proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
        b"PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n",
        b"PROXY TCP4 1.1.1.1  2.2.2.2 1 2\r\n",
        b"PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n",
        b"PROXY TCP4 1.1.1 2.2.2.2 1 2\r\n",
        b"PROXY TCP4 ::1 ::1 1 2\r\n",
        b"PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n",
        b"PROXY TCP6 [::1] ::1 1 2\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1 -2\r\n",
        b"PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n",
        b"PROXY UNKNOWNS\r\n",
        b"PROXY \r\n",
        long.as_bytes(),
    ];
    for line in lines {
        assert_eq!(read(line), Err(NoHeader), "{}", line.escape_ascii());
    }
    for header in [
        v2(0x11, 0x11, &body4()),
        v2(0x31, 0x11, &body4()),
        v2(0x22, 0x11, &body4()),
        v2(0x21, 0x12, &body4()),
        v2(0x21, 0x41, &body4()),
        v2(0x21, 0x10, &body4()),
        v2(0x21, 0x11, &body4()[..11]),
        v2(0x21, 0x21, &body6("::1")[..35]),
        v2(0x21, 0x11, &vec![0; MOST - 15]),
        v2(0x21, 0x11, &vec![0; 65535]),
    ] {
        assert_eq!(read(&header), Err(NoHeader), "{:?}", &header[12..16]);
    }
}
