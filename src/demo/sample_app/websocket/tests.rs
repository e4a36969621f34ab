use super::*;

/// A client's frame: masked, with any first byte.
fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(0x80 | u8::try_from(length).unwrap()),
        length => {
            if let Ok(length) = u16::try_from(length) {
                bytes.push(0xFE);
                bytes.extend(length.to_be_bytes());
            } else {
                bytes.push(0xFF);
                bytes.extend(u64::try_from(length).unwrap().to_be_bytes());
            }
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, k)| b ^ k));
    bytes
}

fn parse(bytes: &[u8]) -> Result<Option<Frame>, Malformed> {
    frame::parse(&mut BytesMut::from(bytes), MESSAGE_LIMIT)
}

/// Runs the echo over `bytes` and gives everything it sent.
async fn echoed(bytes: Vec<u8>) -> Vec<u8> {
    let (client, server) = tokio::io::duplex(4 * MESSAGE_LIMIT);
    let (_stop, closing) = Closing::pair();
    let echo = tokio::spawn(echo(server, closing));
    let (mut reader, mut writer) = tokio::io::split(client);
    writer.write_all(&bytes).await.unwrap();
    writer.shutdown().await.unwrap();
    let mut sent = Vec::new();
    reader.read_to_end(&mut sent).await.unwrap();
    echo.await.unwrap().unwrap();
    sent
}

// The example of RFC 6455 section 1.3.
#[test]
fn the_accept_value_is_that_of_the_specification() {
    let mut headers = HeaderMap::new();
    headers.insert(UPGRADE, HeaderValue::from_static("WebSocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("keep-alive, Upgrade"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
    headers.insert(SEC_WEBSOCKET_KEY, key);
    assert_eq!(accept(&headers).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    for (name, value, refusal) in [
        (SEC_WEBSOCKET_KEY, "c2hvcnQ=", NoHandshake::Key),
        (SEC_WEBSOCKET_VERSION, "8", NoHandshake::Version),
        (CONNECTION, "keep-alive", NoHandshake::NotAsked),
        (UPGRADE, "h2c", NoHandshake::NotAsked),
    ] {
        let mut headers = headers.clone();
        headers.insert(name, HeaderValue::from_static(value));
        assert_eq!(accept(&headers), Err(refusal), "{value}");
    }
}

// The examples of RFC 6455 section 5.7.
#[test]
fn frames_read_and_written_are_those_of_the_specification() {
    let hello = [
        0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
    ];
    let frame = parse(&hello).unwrap().unwrap();
    assert_eq!(
        frame,
        Frame::whole(Opcode::Text, Bytes::from_static(b"Hello"))
    );
    assert_eq!(
        frame.encode().as_ref(),
        [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]
    );
    let long = Frame::whole(Opcode::Binary, Bytes::from(vec![7; 256])).encode();
    assert_eq!(long[..4], [0x82, 0x7E, 0x01, 0x00]);
    let longer = Frame::whole(Opcode::Binary, Bytes::from(vec![7; 65_536])).encode();
    assert_eq!(longer[..10], [0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0]);
}

#[test]
fn a_frame_is_awaited_until_its_last_byte() {
    for length in [4, 200, 70_000] {
        let whole = client_frame(0x82, &vec![9; length]);
        for cut in [0, 1, 2, 3, 5, 9, whole.len() - 1] {
            assert_eq!(parse(&whole[..cut]), Ok(None), "{length} cut at {cut}");
        }
        assert_eq!(parse(&whole).unwrap().unwrap().payload.len(), length);
    }
}

#[test]
fn a_frame_against_the_rules_is_refused() {
    let unmasked = [0x81, 0x01, b'x'];
    let not_shortest = [0x82, 0xFE, 0, 5, 0, 0, 0, 0];
    let not_shortest_either = [0x82, 0xFF, 0, 0, 0, 0, 0, 0, 1, 0];
    for (bytes, code) in [
        (unmasked.to_vec(), CloseCode::ProtocolError),
        (not_shortest.to_vec(), CloseCode::ProtocolError),
        (not_shortest_either.to_vec(), CloseCode::ProtocolError),
        (client_frame(0xC1, b"x"), CloseCode::ProtocolError),
        (client_frame(0x83, b"x"), CloseCode::ProtocolError),
        (client_frame(0x09, b"x"), CloseCode::ProtocolError),
        (client_frame(0x89, &[0; 126]), CloseCode::ProtocolError),
        (
            vec![0x82, 0xFF, 0, 0, 0, 0, 0, 0x10, 0, 1],
            CloseCode::TooBig,
        ),
        (
            vec![0x82, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0],
            CloseCode::TooBig,
        ),
    ] {
        assert_eq!(parse(&bytes), Err(Malformed(code)), "{bytes:02x?}");
    }
}

#[tokio::test]
async fn messages_come_back_whole_with_pings_answered_in_between() {
    let mut bytes = client_frame(0x01, "h\u{e9}".as_bytes());
    bytes.extend(client_frame(0x89, b"are you there"));
    bytes.extend(client_frame(0x00, b"llo "));
    bytes.extend(client_frame(0x8A, b"unasked"));
    bytes.extend(client_frame(0x80, b"you"));
    bytes.extend(client_frame(0x82, &[0xFF, 0xFE]));
    bytes.extend(client_frame(0x88, &[0x03, 0xE8]));
    let mut expected = Frame::whole(Opcode::Pong, Bytes::from_static(b"are you there"))
        .encode()
        .to_vec();
    let text = Bytes::from("h\u{e9}llo you");
    expected.extend(Frame::whole(Opcode::Text, text).encode());
    expected.extend(Frame::whole(Opcode::Binary, Bytes::from_static(&[0xFF, 0xFE])).encode());
    expected.extend([0x88, 2, 0x03, 0xE8]);
    assert_eq!(echoed(bytes).await, expected);
}

#[tokio::test]
async fn a_broken_conversation_is_closed_with_its_reason() {
    let half = vec![0; MESSAGE_LIMIT / 2 + 1];
    let two_halves = [client_frame(0x02, &half), client_frame(0x80, &half)].concat();
    let interrupted = [client_frame(0x01, b"a"), client_frame(0x81, b"b")].concat();
    for (bytes, code) in [
        (
            client_frame(0x80, b"out of nowhere"),
            CloseCode::ProtocolError,
        ),
        (interrupted, CloseCode::ProtocolError),
        (client_frame(0x81, &[0xFF]), CloseCode::NotText),
        (two_halves, CloseCode::TooBig),
        (client_frame(0x88, &[1]), CloseCode::ProtocolError),
        (client_frame(0x88, &[0x03, 0xED]), CloseCode::ProtocolError),
        (client_frame(0x88, &[0x03, 0xE8, 0xFF]), CloseCode::NotText),
    ] {
        assert_eq!(echoed(bytes).await, Frame::close(code).encode(), "{code:?}");
    }
    let silent = echoed(client_frame(0x88, b"")).await;
    assert_eq!(silent, [0x88, 0]);
}

#[tokio::test]
async fn a_server_that_closes_says_so() {
    let (mut client, server) = tokio::io::duplex(64);
    let (stop, closing) = Closing::pair();
    let echo = tokio::spawn(echo(server, closing));
    stop.send_replace(true);
    let mut sent = Vec::new();
    client.read_to_end(&mut sent).await.unwrap();
    assert_eq!(sent, Frame::close(CloseCode::GoingAway).encode());
    drop(client);
    echo.await.unwrap().unwrap();
}
