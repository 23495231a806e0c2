//! Who is let in, by every version, and who is not.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use super::{Rig, soon};
use crate::remote::{Options, authentication::response};

fn stream(rig: &Rig) -> UnixStream {
    let (ours, theirs) = UnixStream::pair().unwrap();
    rig.server.attach(ours).unwrap();
    theirs
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    theirs
}

fn read(stream: &mut UnixStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// All that comes until the server hangs up.
fn rest(stream: &mut UnixStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A connection that is cut with bytes unread ends with an error.
    let _ = stream.read_to_end(&mut bytes);
    bytes
}

fn with_password() -> Rig {
    Rig::new(
        64,
        48,
        Options {
            password: Some("secret".into()),
            ..Options::default()
        },
    )
}

fn init(name: &str) -> Vec<u8> {
    let mut init = vec![0, 64, 0, 48];
    init.extend(super::client::RGB);
    init.extend(u32::try_from(name.len()).unwrap().to_be_bytes());
    init.extend(name.bytes());
    init
}

#[test]
fn without_password() {
    let rig = Rig::new(64, 48, Options::default());
    for (version, offer, choice, result) in [
        (b"RFB 003.003\n", &[0, 0, 0, 1][..], &[][..], &[][..]),
        (b"RFB 003.007\n", &[1, 1], &[1], &[]),
        (b"RFB 003.008\n", &[1, 1], &[1], &[0, 0, 0, 0]),
    ] {
        let mut stream = stream(&rig);
        assert_eq!(read(&mut stream, 12), b"RFB 003.008\n");
        stream.write_all(version).unwrap();
        assert_eq!(read(&mut stream, offer.len()), offer);
        stream.write_all(choice).unwrap();
        assert_eq!(read(&mut stream, result.len()), result);
        stream.write_all(&[1]).unwrap();
        let expected = init("A machine");
        assert_eq!(read(&mut stream, expected.len()), expected);
    }
}

#[test]
fn with_the_password_and_with_a_wrong_one() {
    for (version, reason) in [(3, false), (7, false), (8, true)] {
        for right in [true, false] {
            let rig = with_password();
            let mut stream = stream(&rig);
            read(&mut stream, 12);
            stream
                .write_all(format!("RFB 003.00{version}\n").as_bytes())
                .unwrap();
            if version == 3 {
                assert_eq!(read(&mut stream, 4), [0, 0, 0, 2]);
            } else {
                assert_eq!(read(&mut stream, 2), [1, 2]);
                stream.write_all(&[2]).unwrap();
            }
            let challenge = read(&mut stream, 16).try_into().unwrap();
            let password = if right { "secret" } else { "Secret" };
            stream.write_all(&response(password, challenge)).unwrap();
            if right {
                assert_eq!(read(&mut stream, 4), [0; 4]);
                stream.write_all(&[0]).unwrap();
                let expected = init("A machine");
                assert_eq!(read(&mut stream, expected.len()), expected);
                soon(|| rig.server.viewers().len() == 1);
            } else {
                let all = rest(&mut stream);
                assert_eq!(all[..4], [0, 0, 0, 1]);
                let expected = "The password is wrong.";
                assert_eq!(
                    all[4..],
                    if reason {
                        [&[0, 0, 0, 22], expected.as_bytes()].concat()
                    } else {
                        vec![]
                    }
                );
                assert!(rig.server.viewers().is_empty());
            }
        }
    }
}

#[test]
fn a_type_that_was_not_offered_lets_nobody_in() {
    for chosen in [0, 1, 3, 5, 16, 18, 19, 30, 255] {
        let rig = with_password();
        let mut stream = stream(&rig);
        read(&mut stream, 12);
        stream.write_all(b"RFB 003.008\n").unwrap();
        assert_eq!(read(&mut stream, 2), [1, 2]);
        // What a client says that believes it is in: shared, encodings, an update.
        stream
            .write_all(&[chosen, 1, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 64, 0, 48])
            .unwrap();
        let all = rest(&mut stream);
        assert!(
            all.is_empty() || all.starts_with(&[0, 0, 0, 1]),
            "{chosen}: {all:?}"
        );
        let told = String::from_utf8_lossy(&all).contains("A machine");
        assert!(!told && all.len() < 60, "{chosen}");
        assert!(rig.server.viewers().is_empty());
    }
}

#[test]
fn a_client_that_says_more_than_asked_gets_no_more() {
    let rig = with_password();
    let mut stream = stream(&rig);
    // Everything at once, with a response to a challenge that it cannot know.
    let mut all = b"RFB 003.008\n\x02".to_vec();
    all.extend([0; 16]);
    all.extend([1, 3, 0, 0, 0, 0, 0, 0, 64, 0, 48]);
    stream.write_all(&all).unwrap();
    let answer = rest(&mut stream);
    assert!(answer.len() <= 12 + 2 + 16 + 4 + 4 + 22, "{answer:?}");
    assert!(!String::from_utf8_lossy(&answer).contains("A machine"));
}

#[test]
fn the_window_needs_no_password() {
    let rig = with_password();
    let client = super::client::Client::new(rig.server.connect().unwrap());
    assert_eq!(client.name, "A machine");
}

#[test]
fn what_is_not_this_protocol_is_hung_up_on() {
    let rig = Rig::new(64, 48, Options::default());
    for greeting in [b"GET / HTTP/1.".as_slice(), b"RFB 003.008\r\n"] {
        let mut stream = stream(&rig);
        stream.write_all(greeting).unwrap();
        let all = rest(&mut stream);
        assert!(b"RFB 003.008\n".starts_with(&all), "{all:?}");
    }
}
