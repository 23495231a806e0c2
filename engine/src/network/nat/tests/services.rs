//! What the gateway itself does: addresses, names, echoes, forwards; and who reaches whom.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};

use super::*;

#[test]
fn guests_are_given_addresses_a_gateway_and_a_name_server() {
    let (switch, _nat) = network(Options::new(Plan::new(DEFAULT_NETWORK, true)));
    let mut first = Guest::new(&switch, 1);
    let lease = first.lease();
    assert_eq!(lease.to_string(), "10.0.2.15/24");
    assert_eq!(first.router, Some(Ipv4Addr::new(10, 0, 2, 2)));
    assert_eq!(first.name_servers, [Ipv4Addr::new(10, 0, 2, 3)]);
    let second = Guest::with_lease(&switch, 2);
    assert_eq!(second.address(), Ipv4Addr::new(10, 0, 2, 16));
    // The same card has the same address again.
    assert_eq!(Guest::with_lease(&switch, 1).address(), first.address());
}

#[test]
fn the_gateway_answers_echo_requests_of_both_versions() {
    let (switch, _nat) = network(open_options());
    let mut guest = Guest::with_lease(&switch, 1);
    let payload = pattern(0, 1000);
    let answer = guest.ping(gateway(0).ip(), &payload);
    assert_eq!(answer[8..], payload);
    let plan = Plan::new(DEFAULT_NETWORK, true);
    let [a, b, c, d, ..] = plan.prefix6().segments();
    let own = std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0x77);
    guest.set_address(own.into(), 64, Some(plan.gateway6().into()));
    let answer = guest.ping(plan.gateway6().into(), &payload);
    assert_eq!(answer[8..], payload);
}

/// Answers questions with its `mark` until it is told to stop.
fn name_server(address: &str, mark: u8) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    let answering = socket.try_clone().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = answering.recv_from(&mut buffer) {
            if buffer[0] == 0xff {
                return;
            }
            let answer = [&buffer[..length], &[mark]].concat();
            answering.send_to(&answer, from).unwrap();
        }
    });
    socket
}

#[test]
fn questions_go_to_the_hosts_name_server_and_to_another_when_that_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("resolv.conf");
    let first = name_server("127.0.0.71:0", 1);
    let port = first.local_addr().unwrap().port();
    let _second = name_server(&format!("127.0.0.72:{port}"), 2);
    std::fs::write(&path, "nameserver 127.0.0.71\n").unwrap();
    let options = Options {
        resolver: ResolverFile {
            path: path.clone(),
            port,
        },
        ..Options::new(Plan::new(DEFAULT_NETWORK, true))
    };
    let (switch, _nat) = network(options);
    let mut guest = Guest::with_lease(&switch, 1);
    let server = SocketAddr::new(guest.name_servers[0].into(), 53);
    let socket = guest.udp(None);
    let question = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    guest.send_to(socket, &question, server);
    let (answer, from) = guest.receive_from(socket);
    assert_eq!((answer.last(), from), (Some(&1), server));

    std::fs::write(&path, "# moved\nnameserver 127.0.0.72\n").unwrap();
    let answer = guest.until("the other name server's answer", |guest| {
        guest.send_to(socket, &question, server);
        let (answer, _) = guest.receive_from(socket);
        (answer.last() == Some(&2)).then_some(answer)
    });
    assert_eq!(answer.len(), question.len() + 1);

    std::fs::write(&path, "\n").unwrap();
    guest.until("a failure", |guest| {
        guest.send_to(socket, &question, server);
        let (answer, _) = guest.receive_from(socket);
        (answer[..4] == [0x12, 0x34, 0x81, 0x82]).then_some(())
    });
}

#[test]
fn ports_of_the_host_lead_to_the_guest() {
    let (switch, nat) = network(Options::new(Plan::new(DEFAULT_NETWORK, true)));
    let mut guest = Guest::with_lease(&switch, 1);
    let taken = TcpListener::bind(loopback(0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut forward = Forward::new(Protocol::Tcp, port, 22);
    let error = nat.add_forward(guest.mac, forward).unwrap_err();
    assert!(matches!(error, ForwardError::Taken(_)), "{error}");
    drop(taken);
    forward.host_port = port;
    nat.add_forward(guest.mac, forward).unwrap();
    assert!(matches!(
        nat.add_forward(guest.mac, forward),
        Err(ForwardError::Twice(_))
    ));

    let server = guest.listen(22);
    let host = thread::spawn(move || {
        let mut stream = TcpStream::connect(loopback(port)).unwrap();
        let mut greeting = [0; 5];
        stream.read_exact(&mut greeting).unwrap();
        stream.write_all(b"hello").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        (greeting, rest)
    });
    assert!(guest.connected(server));
    let peer = guest.tcp(server).remote_endpoint().unwrap();
    assert_eq!(
        IpAddr::from(peer.addr),
        gateway(0).ip(),
        "who connects from here is the gateway"
    );
    guest.tcp(server).send_slice(b"guest").unwrap();
    let mut heard = Vec::new();
    guest.until("the end", |guest| {
        let socket = guest.tcp(server);
        if socket.can_recv() {
            let mut data = [0; 64];
            let length = socket.recv_slice(&mut data).unwrap();
            heard.extend_from_slice(&data[..length]);
        }
        (!socket.may_recv()).then_some(())
    });
    assert_eq!(heard, b"hello");
    guest.tcp(server).send_slice(b"bye").unwrap();
    guest.tcp(server).close();
    guest.until("the farewell", |_| host.is_finished().then_some(()));
    assert_eq!(host.join().unwrap(), (*b"guest", b"bye".to_vec()));

    nat.remove_forward(guest.mac, &forward);
    guest.until("the port's end", |_| {
        TcpStream::connect(loopback(port)).is_err().then_some(())
    });
}

#[test]
fn datagrams_come_through_forwards_and_find_back() {
    let (switch, nat) = network(Options::new(Plan::new(DEFAULT_NETWORK, true)));
    let mut guest = Guest::with_lease(&switch, 1);
    let port = UdpSocket::bind(loopback(0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    nat.add_forward(guest.mac, Forward::new(Protocol::Udp, port, 5353))
        .unwrap();
    let server = guest.udp(Some(5353));
    let strangers = [
        UdpSocket::bind(loopback(0)).unwrap(),
        UdpSocket::bind(loopback(0)).unwrap(),
    ];
    for (number, stranger) in strangers.iter().enumerate() {
        stranger
            .send_to(format!("question {number}").as_bytes(), loopback(port))
            .unwrap();
        let (question, from) = guest.receive_from(server);
        assert_eq!(question, format!("question {number}").as_bytes());
        guest.send_to(server, &[question.as_slice(), b" answered"].concat(), from);
    }
    for (number, stranger) in strangers.iter().enumerate() {
        let mut buffer = [0; 100];
        let (length, from) = stranger.recv_from(&mut buffer).unwrap();
        assert_eq!(
            buffer[..length],
            *format!("question {number} answered").as_bytes()
        );
        assert_eq!(from, loopback(port));
    }
}

#[test]
fn large_datagrams_pass_both_ways() {
    let (switch, _nat) = network(open_options());
    let mut guest = Guest::with_lease(&switch, 1);
    let host = UdpSocket::bind(loopback(0)).unwrap();
    let target = gateway(host.local_addr().unwrap().port());
    let socket = guest.udp(None);
    guest.send_to(socket, &pattern(0, 1400), target);
    let mut buffer = [0; 2000];
    let (length, from) = host.recv_from(&mut buffer).unwrap();
    assert_eq!(buffer[..length], pattern(0, 1400));
    host.send_to(&pattern(5, 1472), from).unwrap();
    assert_eq!(guest.receive_from(socket), (pattern(5, 1472), target));
    // In fragments.
    let mut buffer = [0; 16_384];
    let moment = Duration::from_millis(1);
    host.set_read_timeout(Some(moment)).unwrap();
    for length in [1473, 3000, 12_000] {
        guest.send_to(socket, &pattern(length, length), target);
        // It sends a fragment in each turn.
        let (received, from) = guest.until("the datagram", |_| host.recv_from(&mut buffer).ok());
        assert_eq!(buffer[..received], pattern(length, length));
        host.send_to(&pattern(7, length), from).unwrap();
        assert_eq!(guest.receive_from(socket), (pattern(7, length), target));
    }
    // Only whom it wrote to may answer.
    let other = UdpSocket::bind(loopback(0)).unwrap();
    other.send_to(b"stranger", from).unwrap();
    host.send_to(b"friend", from).unwrap();
    assert_eq!(guest.receive_from(socket).0, b"friend");
}

#[test]
fn a_datagram_beyond_the_mtu_goes_to_the_guest_in_fragments() {
    let data = [&[0; 34][..], &pattern(0, 4000)].concat();
    let fragments = packet::fragments(&data, 1500);
    assert_eq!(
        fragments.iter().map(Vec::len).collect::<Vec<_>>(),
        [1514, 1514, 1074]
    );
    let mut body = Vec::new();
    for fragment in &fragments {
        let packet = smoltcp::wire::Ipv4Packet::new_unchecked(&fragment[14..]);
        assert_eq!(usize::from(packet.frag_offset()), body.len());
        body.extend_from_slice(&fragment[34..]);
        assert_eq!(packet.more_frags(), body.len() < 4000);
    }
    assert_eq!(body, pattern(0, 4000));
}

#[test]
fn the_hosts_loopback_network_is_out_of_reach_by_any_name() {
    let (switch, _nat) = network(Options::new(Plan::new(DEFAULT_NETWORK, true)));
    let mut guest = Guest::with_lease(&switch, 1);
    let service = TcpListener::bind(loopback(0)).unwrap();
    service.set_nonblocking(true).unwrap();
    let port = service.local_addr().unwrap().port();
    for address in ["10.0.2.2", "10.0.2.3"] {
        let handle = guest.connect(SocketAddr::new(address.parse().unwrap(), port), 4096);
        assert!(!guest.connected(handle), "{address}");
    }
    assert!(service.accept().is_err());
}

#[test]
fn an_internal_network_has_a_host_but_no_world() {
    let (switch, nat) = network(Options::new(Plan::new(DEFAULT_NETWORK, false)));
    let mut guest = Guest::with_lease(&switch, 1);
    assert_eq!((guest.router, guest.name_servers.len()), (None, 0));
    assert!(guest.ping(gateway(0).ip(), b"here").ends_with(b"here"));
    let port = TcpListener::bind(loopback(0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    nat.add_forward(guest.mac, Forward::new(Protocol::Tcp, port, 80))
        .unwrap();
    let server = guest.listen(80);
    let client = thread::spawn(move || TcpStream::connect(loopback(port)).unwrap());
    assert!(guest.connected(server));
    client.join().unwrap();
    guest.set_address(
        Ipv4Addr::new(192, 0, 2, 7).into(),
        32,
        Some(gateway(0).ip()),
    );
    let handle = guest.connect("192.0.2.1:80".parse().unwrap(), 4096);
    assert!(!guest.connected(handle));
}

#[test]
fn machines_on_a_private_switch_reach_each_other_and_nobody_else() {
    let switch = Switch::new();
    let (mut first, mut second) = (Guest::new(&switch, 1), Guest::new(&switch, 2));
    first.set_address("192.168.7.1".parse().unwrap(), 24, None);
    second.set_address("192.168.7.2".parse().unwrap(), 24, None);
    let server = second.listen(80);
    let client = first.connect("192.168.7.2:80".parse().unwrap(), 4096);
    first.until("the connection", |first| {
        second.poll();
        let connected = first.tcp(client).may_send() && second.tcp(server).may_send();
        connected.then_some(())
    });
    assert_eq!(switch.ports(), 2);
}
