use std::collections::HashSet;
use std::net::TcpListener;

#[test]
fn a_free_port_can_be_bound_and_is_never_handed_out_twice() {
    let ports: Vec<u16> = (0..50).map(|_| dps_lab::free_port().unwrap()).collect();
    assert_eq!(ports.iter().collect::<HashSet<_>>().len(), ports.len());
    assert!(
        ports
            .iter()
            .any(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
    );
}
