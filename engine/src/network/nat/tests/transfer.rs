//! Connections: much data each way, many at once, ends and breaks.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use smoltcp::socket::tcp;

use super::*;

const MUCH: usize = 24 << 20;

fn server(serve: impl FnOnce(TcpStream) + Send + 'static) -> (SocketAddr, thread::JoinHandle<()>) {
    let listener = TcpListener::bind(loopback(0)).unwrap();
    let target = gateway(listener.local_addr().unwrap().port());
    (
        target,
        thread::spawn(move || serve(listener.accept().unwrap().0)),
    )
}

#[test]
fn much_is_received_whole() {
    let (switch, _nat) = network(open_options());
    let mut guest = Guest::with_lease(&switch, 1);
    let (target, server) = server(|mut stream| {
        for from in (0..MUCH).step_by(1 << 20) {
            stream.write_all(&pattern(from, 1 << 20)).unwrap();
        }
    });
    let handle = guest.connect(target, 1 << 20);
    let mut received = 0;
    guest.until("the last byte", |guest| {
        let socket = guest.tcp(handle);
        while socket.can_recv() {
            let length = socket.recv(|data| (data.len(), data.to_vec())).unwrap();
            assert!(length == pattern(received, length.len()), "at {received}");
            received += length.len();
        }
        (!socket.may_recv() && received > 0).then_some(())
    });
    assert_eq!(received, MUCH);
    server.join().unwrap();
    assert_eq!(guest.tcp(handle).state(), tcp::State::CloseWait);
}

#[test]
fn much_is_sent_whole_and_the_end_is_heard_before_the_answer() {
    let (switch, _nat) = network(open_options());
    let mut guest = Guest::with_lease(&switch, 1);
    let (target, server) = server(|mut stream| {
        let mut data = Vec::new();
        // Until the guest ends its half.
        stream.read_to_end(&mut data).unwrap();
        assert!(data == pattern(0, MUCH));
        stream.write_all(b"all heard").unwrap();
    });
    let handle = guest.connect(target, 1 << 20);
    let mut sent = 0;
    let mut answer = Vec::new();
    guest.until("the answer", |guest| {
        let socket = guest.tcp(handle);
        while sent < MUCH && socket.can_send() {
            sent += socket
                .send_slice(&pattern(sent, (MUCH - sent).min(1 << 16)))
                .unwrap();
        }
        if sent == MUCH && socket.send_queue() == 0 {
            socket.close();
        }
        while socket.can_recv() {
            answer.extend(socket.recv(|data| (data.len(), data.to_vec())).unwrap());
        }
        (answer == b"all heard").then_some(())
    });
    server.join().unwrap();
    guest.until("the end", |guest| {
        matches!(
            guest.tcp(handle).state(),
            tcp::State::TimeWait | tcp::State::Closed
        )
        .then_some(())
    });
}

#[test]
fn a_guest_that_does_not_read_holds_the_sender_up_and_loses_nothing() {
    let (switch, _nat) = network(open_options());
    let mut guest = Guest::with_lease(&switch, 1);
    let (target, server) = server(|mut stream| {
        stream.write_all(&pattern(0, 8 << 20)).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
    });
    let handle = guest.connect(target, 4096);
    guest.until("a full buffer", |guest| {
        (guest.tcp(handle).recv_queue() == 4096).then_some(())
    });
    // Several probes of the closed window later it reads on.
    let begin = Instant::now();
    guest.until("a pause", |_| {
        (begin.elapsed() > Duration::from_secs(2)).then_some(())
    });
    let mut received = 0;
    let mut closed = false;
    guest.until("the end", |guest| {
        let socket = guest.tcp(handle);
        while socket.can_recv() {
            let data = socket.recv(|data| (data.len(), data.to_vec())).unwrap();
            assert_eq!(data, pattern(received, data.len()), "at {received}");
            received += data.len();
        }
        if !socket.may_recv() && !closed {
            closed = true;
            socket.close();
        }
        closed.then_some(())
    });
    assert_eq!(received, 8 << 20);
    guest.until("the server's end", |_| server.is_finished().then_some(()));
    server.join().unwrap();
}

#[test]
fn two_hundred_connections_at_once_echo() {
    let (switch, _nat) = network(open_options());
    let mut guest = Guest::with_lease(&switch, 1);
    let listener = TcpListener::bind(loopback(0)).unwrap();
    let target = gateway(listener.local_addr().unwrap().port());
    let server = thread::spawn(move || {
        let mut streams: Vec<TcpStream> = (0..200).map(|_| listener.accept().unwrap().0).collect();
        for stream in &mut streams {
            let mut data = [0; 1000];
            stream.read_exact(&mut data).unwrap();
            stream.write_all(&data).unwrap();
        }
    });
    let handles: Vec<_> = (0..200).map(|_| guest.connect(target, 4096)).collect();
    let mut sent = vec![false; handles.len()];
    let mut echoed = vec![Vec::new(); handles.len()];
    guest.until("every echo", |guest| {
        for (number, handle) in handles.iter().enumerate() {
            let socket = guest.tcp(*handle);
            if !sent[number] && socket.can_send() {
                sent[number] = true;
                assert_eq!(socket.send_slice(&pattern(number, 1000)).unwrap(), 1000);
            }
            if socket.can_recv() {
                echoed[number].extend(socket.recv(|data| (data.len(), data.to_vec())).unwrap());
            }
        }
        echoed.iter().all(|data| data.len() == 1000).then_some(())
    });
    for (number, data) in echoed.iter().enumerate() {
        assert_eq!(*data, pattern(number, 1000));
    }
    server.join().unwrap();
}

#[test]
fn refusals_and_breaks_are_passed_on() {
    let (switch, _nat) = network(open_options());
    let mut guest = Guest::with_lease(&switch, 1);
    let nobody = TcpListener::bind(loopback(0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let handle = guest.connect(gateway(nobody), 4096);
    assert!(!guest.connected(handle));

    // The server breaks off: what it did not read makes its end a reset.
    let (target, first) = server(|mut stream| {
        let mut one = [0];
        stream.read_exact(&mut one).unwrap();
    });
    let handle = guest.connect(target, 4096);
    assert!(guest.connected(handle));
    guest.tcp(handle).send_slice(&[7; 2000]).unwrap();
    guest.until("the reset", |guest| {
        (guest.tcp(handle).state() == tcp::State::Closed).then_some(())
    });
    first.join().unwrap();

    // The guest breaks off.
    let (target, second) = server(|mut stream| {
        let error = stream.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    });
    let handle = guest.connect(target, 4096);
    assert!(guest.connected(handle));
    guest.tcp(handle).abort();
    guest.until("the server's end", |_| second.is_finished().then_some(()));
    second.join().unwrap();
}

#[test]
fn connections_of_a_machine_that_goes_are_broken_off() {
    let (switch, _nat) = network(open_options());
    let mut guest = Guest::with_lease(&switch, 1);
    let (target, server) = server(|mut stream| {
        let error = stream.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    });
    let handle = guest.connect(target, 4096);
    assert!(guest.connected(handle));
    drop(guest);
    server.join().unwrap();
}

#[test]
fn connections_are_carried_over_version_6_too() {
    let (switch, _nat) = network(open_options());
    let mut guest = Guest::new(&switch, 1);
    let plan = Plan::new(DEFAULT_NETWORK, true);
    let [a, b, c, d, ..] = plan.prefix6().segments();
    let own = std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0x77);
    guest.set_address(own.into(), 64, Some(plan.gateway6().into()));
    let listener = match TcpListener::bind("[::1]:0") {
        Ok(listener) => listener,
        // A host without IPv6 has no such connections.
        Err(_) => return,
    };
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(&pattern(0, 1 << 20)).unwrap();
    });
    let handle = guest.connect(SocketAddr::new(plan.gateway6().into(), port), 1 << 16);
    let mut received = Vec::new();
    guest.until("the last byte", |guest| {
        let socket = guest.tcp(handle);
        while socket.can_recv() {
            received.extend(socket.recv(|data| (data.len(), data.to_vec())).unwrap());
        }
        (received.len() == 1 << 20).then_some(())
    });
    assert!(received == pattern(0, 1 << 20));
    server.join().unwrap();
}
