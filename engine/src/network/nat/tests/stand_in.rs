//! What a guest's thread does while the network's own waits.

use std::net::TcpListener;

use super::*;

#[test]
fn who_waits_without_end_is_woken_only_for_what_needs_time() {
    let switch = Switch::new();
    let bell = Arc::new(Bell::new().unwrap());
    let mut options = open_options();
    options.version6 = Some(false);
    let (_commands, receiver) = unbounded();
    let outlet = Outlet::new(switch.connect(Arc::clone(&bell)), options.plan);
    let engine = Engine::new(outlet, options, Arc::clone(&bell), receiver).unwrap();
    let engine = Arc::new(Mutex::new(engine));
    bell.appoint(&engine, |engine| engine.stand_in(Instant::now()));
    let is_rung = || bell.wait(Some(Duration::ZERO));
    let cable = Cable::new().unwrap();
    cable.plug(&switch);
    let echo = || guest_packet(ICMP, &[8, 0, 0xf7, 0xfd, 0, 1, 0, 1]);

    // Until the switch knows where the gateway is, all are told.
    assert!(matches!(cable.send(echo()), Sent::Taken));
    assert!(is_rung());
    engine.lock().turn(&[], Instant::now()).unwrap();
    assert!(cable.receive().is_some());

    // What is done at once wakes nobody.
    assert!(matches!(cable.send(echo()), Sent::Taken));
    assert!(cable.receive().is_some());
    assert!(!is_rung());

    // A connection has timers: whoever waits without end, or longer than they need, is to look at them.
    let listener = TcpListener::bind(loopback(0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    for (number, waits) in [None, Some(EXPIRE), Some(TICK)].into_iter().enumerate() {
        engine.lock().waits = waits;
        let from = 1000 + u16::try_from(number).unwrap();
        assert!(matches!(cable.send(beginning(from, port)), Sent::Taken));
        listener.accept().unwrap();
        assert_eq!(is_rung(), waits != Some(TICK), "{waits:?}");
    }
}
