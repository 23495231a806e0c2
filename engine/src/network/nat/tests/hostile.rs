//! Frames that no decent guest sends. Whatever comes, the network goes on, and what is kept stays bounded.

use std::net::TcpListener;

use super::*;

#[test]
fn beginnings_without_end_are_bounded() {
    let (switch, _nat) = network(open_options());
    let listener = TcpListener::bind(loopback(0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let cable = Cable::new().unwrap();
    cable.plug(&switch);
    for number in 0..20_000_u16 {
        let _ = cable.send(beginning(number + 1, port));
        while cable.receive().is_some() {}
    }
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count();
    assert!(open < 3000, "{open} file descriptors");
    // Another guest is served all the same.
    let mut guest = Guest::with_lease(&switch, 1);
    assert!(
        guest
            .ping(gateway(0).ip(), b"still here")
            .ends_with(b"still here")
    );
}
