//! What goes on between the greeting and the end, in both directions.

use std::{
    io::Read,
    net::{TcpStream, UdpSocket},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use parking_lot::Mutex;

use super::{Rig, client::Client, soon};
use crate::{
    input::{Buttons, InputEvent, Lights, ScanCode},
    remote::{Address, Options, RemoteError},
};

fn key(code: u8, down: bool) -> InputEvent {
    InputEvent::Key {
        code: ScanCode(code),
        down,
    }
}

fn send_key(client: &mut Client, keysym: u32, down: bool) {
    let mut message = vec![4, u8::from(down), 0, 0];
    message.extend(keysym.to_be_bytes());
    client.send(&message);
}

fn send_position(client: &mut Client, keysym: u32, code: u32, down: bool) {
    let mut message = vec![255, 0, 0, u8::from(down)];
    message.extend(keysym.to_be_bytes());
    message.extend(code.to_be_bytes());
    client.send(&message);
}

#[test]
fn a_viewer_that_looks_at_the_surface_is_told_where_it_changed() {
    let rig = Rig::new(300, 200, Options::default());
    let screen = rig.server.connect_looker().unwrap();
    assert!(Arc::ptr_eq(&screen.surface, &rig.surface));
    let mut client = Client::new(screen.stream);
    client.set_encodings(&[1, 0, -223]);
    client.refresh();
    assert_eq!(client.places, [[0, 0, 300, 200]]);
    rig.surface.draw(|frame| {
        frame.draw_row(70, 10, &[7; 3]);
        frame.draw_row(150, 70, &[7; 3]);
    });
    client.refresh();
    assert_eq!(client.encodings, [1]);
    assert_eq!(client.places, [[64, 0, 128, 128]]);
    rig.surface.draw(|frame| frame.resize(100, 80));
    client.refresh();
    assert_eq!(client.encodings, [-223]);
    client.refresh();
    assert_eq!(client.places, [[0, 0, 100, 80]]);
    assert_eq!(client.encodings, [1]);
}

#[test]
fn keys_by_meaning_and_by_position() {
    let rig = Rig::new(64, 64, Options::default());
    let mut client = Client::new(rig.server.connect().unwrap());
    client.set_encodings(&[-258]);
    client.refresh();
    assert!(client.extended_keys);
    // Enter, held so that it repeats.
    for down in [true, true, false] {
        send_key(&mut client, 0xff0d, down);
    }
    // A character without its Shift, and one with it.
    send_key(&mut client, u32::from('A'), true);
    send_key(&mut client, u32::from('A'), false);
    send_key(&mut client, 0xffe2, true);
    send_key(&mut client, u32::from('!'), true);
    send_key(&mut client, u32::from('!'), false);
    send_key(&mut client, 0xffe2, false);
    // By position: German Z is where the US have Y. Without a position the keysym counts.
    send_position(&mut client, u32::from('z'), 0x15, true);
    send_position(&mut client, u32::from('z'), 0x15, false);
    send_position(&mut client, 0xff52, 0, true);
    send_position(&mut client, 0xff52, 0xc8, false);
    // Never pressed, unknown, and beyond a byte without keysym.
    send_key(&mut client, u32::from('q'), false);
    send_key(&mut client, 0x0100_20ac, true);
    send_position(&mut client, 0, 0x1_0000, true);
    send_key(&mut client, 0xff1b, true);
    let expected = [
        key(0x1c, true),
        key(0x1c, true),
        key(0x1c, false),
        key(0x2a, true),
        key(0x1e, true),
        key(0x2a, false),
        key(0x1e, false),
        key(0x36, true),
        key(0x02, true),
        key(0x02, false),
        key(0x36, false),
        key(0x15, true),
        key(0x15, false),
        key(0xc8, true),
        key(0xc8, false),
        key(0x01, true),
    ];
    assert_eq!(rig.input.events(expected.len()), expected);
    // With Caps Lock on, a capital needs no Shift; other characters do.
    rig.server.set_lights(Lights {
        caps_lock: true,
        ..Lights::default()
    });
    for character in ['A', '!'] {
        send_key(&mut client, u32::from(character), true);
    }
    assert_eq!(
        rig.input.events(4),
        [
            key(0x1e, true),
            key(0x2a, true),
            key(0x02, true),
            key(0x2a, false)
        ]
    );
    // What is held when the viewer goes is let go of.
    drop(client);
    assert_eq!(
        rig.input.events(3),
        [key(0x01, false), key(0x02, false), key(0x1e, false)]
    );
}

#[test]
fn the_pointer_by_places_and_by_motions() {
    let rig = Rig::new(640, 480, Options::default());
    let mut client = Client::new(rig.server.connect().unwrap());
    let none = Buttons::default();
    let left = Buttons { left: true, ..none };
    client.send(&[5, 0, 0, 0, 0, 0]);
    client.send(&[
        5,
        1,
        639_u16.to_be_bytes()[0],
        639_u16.to_be_bytes()[1],
        0,
        240,
    ]);
    client.send(&[5, 0x08, 0xff, 0xff, 0xff, 0xff]);
    client.send(&[5, 0x10, 0, 0, 0, 0]);
    let place = |x, y, buttons| InputEvent::Position { x, y, buttons };
    assert_eq!(
        rig.input.events(6),
        [
            place(51, 68, none),
            place(65_484, 32_836, left),
            place(u16::MAX, u16::MAX, none),
            InputEvent::Wheel { notches: -1 },
            place(51, 68, none),
            InputEvent::Wheel { notches: 1 },
        ]
    );
    client.set_encodings(&[-257]);
    client.refresh();
    assert_eq!(client.pointer, Some(1));
    rig.server.set_relative(true);
    client.refresh();
    assert_eq!(client.pointer, Some(0));
    client.send(&[5, 7, 0x80, 0x09, 0x7f, 0xfe]);
    let buttons = Buttons {
        left: true,
        middle: true,
        right: true,
    };
    assert_eq!(
        rig.input.events(1),
        [InputEvent::Motion {
            x: 10,
            y: -1,
            buttons
        }]
    );
    drop(client);
    assert_eq!(
        rig.input.events(1),
        [InputEvent::Motion {
            x: 0,
            y: 0,
            buttons: none
        }]
    );
}

#[test]
fn lights_bell_text_and_name() {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let texts = Arc::clone(&taken);
    let rig = Rig::new(
        64,
        64,
        Options {
            take_text: Some(Arc::new(move |text| texts.lock().push(text))),
            ..Options::default()
        },
    );
    let mut client = Client::new(rig.server.connect().unwrap());
    client.set_encodings(&[-261, -307]);
    client.refresh();
    assert_eq!(client.lights, None);
    rig.server.set_lights(Lights {
        scroll_lock: true,
        num_lock: false,
        caps_lock: true,
    });
    client.refresh();
    assert_eq!(client.lights, Some(0b101));
    rig.server.set_name("Another name, ümläut");
    client.refresh();
    assert_eq!(client.name, "Another name, ümläut");
    rig.server.ring();
    assert_eq!(client.message(), 2);
    rig.server.set_text("grüß € dich");
    assert_eq!(client.message(), 3);
    assert_eq!(
        client.text.as_deref(),
        Some(b"gr\xfc\xdf ? dich".as_slice())
    );
    client.send(&[6, 0, 0, 0, 0, 0, 0, 3, b'a', 0xe4, b'c']);
    soon(|| *taken.lock() == ["aäc"]);
}

#[test]
fn a_new_size_is_told_before_the_picture() {
    for encoding in [-223, -308] {
        let rig = Rig::new(64, 64, Options::default());
        let mut client = Client::new(rig.server.connect().unwrap());
        client.set_encodings(&[encoding]);
        client.refresh();
        if encoding == -308 {
            assert_eq!(client.encodings, [encoding]);
            client.refresh();
        }
        assert_eq!(client.encodings, [0]);
        rig.surface.draw(|frame| {
            frame.resize(100, 80);
            frame.draw_row(99, 79, &[0x0012_3456]);
        });
        client.refresh();
        assert_eq!((client.width, client.height), (100, 80));
        assert_eq!(client.encodings, [encoding]);
        client.refresh();
        assert_eq!(client.picture.last(), Some(&0x0012_3456));
    }
    // Who does not know of sizes keeps the one it was told, and sees what is there of it.
    let rig = Rig::new(64, 64, Options::default());
    let mut client = Client::new(rig.server.connect().unwrap());
    client.refresh();
    rig.surface.draw(|frame| {
        frame.resize(32, 100);
        frame.draw_row(0, 63, &[7; 100]);
    });
    client.refresh();
    assert_eq!((client.width, client.height), (64, 64));
    assert_eq!(client.picture[63 * 64..], [[7; 32], [0; 32]].concat());
}

#[test]
fn a_client_may_ask_for_a_size() {
    let asked = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&asked);
    let ask: super::super::AskForSize = Arc::new(move |width, height| {
        seen.store(width << 16 | height, Ordering::SeqCst);
        true
    });
    for (ask_for_size, outcome) in [(None, 1), (Some(ask), 4)] {
        let rig = Rig::new(
            64,
            64,
            Options {
                ask_for_size,
                ..Options::default()
            },
        );
        let mut client = Client::new(rig.server.connect().unwrap());
        client.set_encodings(&[-308]);
        client.refresh();
        assert_eq!(client.sizes, [(0, 0, 64, 64)]);
        client.send(&[251, 0, 4, 0, 3, 0, 1, 0]);
        client.send(&[0; 16]);
        client.refresh();
        assert_eq!(client.sizes[1..], [(1, outcome, 64, 64)]);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0x0400_0300);
}

#[test]
fn fences_come_back_and_continuous_updates_wait_for_them() {
    let rig = Rig::new(64, 64, Options::default());
    let mut client = Client::new(rig.server.connect().unwrap());
    client.set_encodings(&[-312, -313]);
    assert_eq!((client.message(), client.message()), (248, 150));
    assert_eq!(client.fences, [(1 << 31, vec![])]);
    client.send(&[248, 0, 0, 0, 0x80, 0xff, 0, 7, 3, 1, 2, 3]);
    client.message();
    assert_eq!(client.fences[1], (7, vec![1, 2, 3]));
    client.fences.clear();
    client.send(&[150, 1, 0, 0, 0, 0, 0, 64, 0, 64]);
    client.update();
    assert_eq!(client.message(), 248);
    rig.draw(|x, _| x);
    client.update();
    assert_eq!(client.message(), 248);
    assert_eq!(client.fences, [(1 << 31, vec![1]), (1 << 31, vec![1])]);
    // Two are on their way: the third waits for an answer, and then has the latest picture.
    rig.draw(|x, _| x + 1);
    rig.draw(|x, _| x + 2);
    rig.server.ring();
    assert_eq!(client.message(), 2);
    client.send(&[248, 0, 0, 0, 0, 0, 0, 1, 1, 1]);
    client.update();
    assert_eq!(client.picture[1], 3);
    assert_eq!(client.message(), 248);
    client.send(&[150, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(client.message(), 150);
    rig.draw(|x, _| x + 3);
    rig.server.ring();
    assert_eq!(client.message(), 2);
}

#[test]
fn nothing_is_sent_while_nothing_changes() {
    let rig = Rig::new(64, 64, Options::default());
    let mut client = Client::new(rig.server.connect().unwrap());
    client.refresh();
    client.request(true);
    rig.surface.draw(|frame| {
        frame.draw_row(0, 0, &[0; 64]);
    });
    rig.server.ring();
    assert_eq!(client.message(), 2);
    rig.draw(|_, _| 5);
    assert_eq!(client.message(), 0);
}

#[test]
fn a_viewer_that_does_not_read_is_behind_and_stops_nobody() {
    let rig = Rig::new(1024, 768, Options::default());
    let mut slow = Client::new(rig.server.connect().unwrap());
    let mut quick = Client::new(rig.server.connect().unwrap());
    for step in 0..20 {
        slow.request(true);
        rig.draw(|x, y| x * y + step);
        quick.refresh();
        assert_eq!(quick.picture[1], step);
    }
    send_key(&mut slow, 0xff0d, true);
    assert_eq!(rig.input.events(1), [key(0x1c, true)]);
    // It gets what it was being sent, and then the latest, not twenty.
    while slow.picture[1] != 19 {
        slow.update();
    }
    assert_eq!(slow.picture, quick.picture);
}

#[test]
fn everyone_can_be_sent_away() {
    let rig = Rig::new(
        64,
        64,
        Options {
            most_viewers: 2,
            ..Options::default()
        },
    );
    let mut first = Client::new(rig.server.connect().unwrap());
    let mut second = Client::new(rig.server.connect().unwrap());
    soon(|| rig.server.viewers().len() == 2);
    assert!(matches!(rig.server.connect(), Err(RemoteError::TooMany(2))));
    let identity = rig.server.viewers()[0].identity;
    rig.server.disconnect(identity);
    assert_eq!(first.stream.read(&mut [0; 64]).unwrap(), 0);
    soon(|| rig.server.viewers().len() == 1);
    rig.server.stop();
    assert_eq!(second.stream.read(&mut [0; 64]).unwrap(), 0);
    soon(|| rig.server.viewers().is_empty());
    assert!(matches!(rig.server.connect(), Err(RemoteError::Stopped)));
    let anywhere = Address::Tcp("127.0.0.1:0".parse().unwrap());
    assert!(matches!(
        rig.server.listen(&anywhere),
        Err(RemoteError::Stopped)
    ));
    // Nothing of it stays alive once all have gone.
    soon(|| Arc::strong_count(&rig.surface) <= 2);
}

#[test]
fn viewers_come_by_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("screen");
    let rig = Rig::new(64, 64, Options::default());
    let address = Address::Unix(path.clone());
    assert_eq!(rig.server.listen(&address).unwrap(), address);
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let mut client = Client::new(UnixStream::connect(&path).unwrap());
    client.refresh();
    // In use, or not a socket: not touched.
    let file = folder.path().join("file");
    std::fs::write(&file, "text").unwrap();
    for occupied in [&path, &file] {
        let result = rig.server.listen(&Address::Unix(occupied.clone()));
        assert!(matches!(result, Err(RemoteError::Occupied(_))));
    }
    let loopback = rig
        .server
        .listen(&Address::Tcp("127.0.0.1:0".parse().unwrap()))
        .unwrap();
    let Address::Tcp(loopback) = loopback else {
        panic!("not TCP")
    };
    let mut stream = TcpStream::connect(loopback).unwrap();
    let mut greeting = [0; 12];
    stream.read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"RFB 003.008\n");
    rig.server.stop();
    assert!(!path.exists() && TcpStream::connect(loopback).is_err());
    // Left behind by a process that died.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let rig = Rig::new(64, 64, Options::default());
    rig.server.listen(&address).unwrap();
    Client::new(UnixStream::connect(&path).unwrap()).refresh();
}

#[test]
fn other_computers_need_a_password() {
    let everywhere = Address::Tcp("0.0.0.0:0".parse().unwrap());
    let rig = Rig::new(64, 64, Options::default());
    assert!(matches!(
        rig.server.listen(&everywhere),
        Err(RemoteError::NeedsPassword(_))
    ));
    let all = Address::Tcp("[::]:0".parse().unwrap());
    assert!(matches!(
        rig.server.listen(&all),
        Err(RemoteError::NeedsPassword(_))
    ));
    // An address that is not this computer's is told as such.
    let rig = Rig::new(
        64,
        64,
        Options {
            password: Some("x".into()),
            ..Options::default()
        },
    );
    let nowhere = Address::Tcp("192.0.2.1:0".parse().unwrap());
    assert!(UdpSocket::bind("192.0.2.1:0").is_err());
    assert!(matches!(
        rig.server.listen(&nowhere),
        Err(RemoteError::Listen { .. })
    ));
}
