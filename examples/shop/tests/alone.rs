//! The services on their own, without the runtime.

use std::process::Command;

#[test]
#[expect(clippy::disallowed_methods, reason = "what is tested is a program")]
fn a_service_started_by_hand_says_what_to_do() {
    for service in [
        env!("CARGO_BIN_EXE_storefront"),
        env!("CARGO_BIN_EXE_catalog"),
        env!("CARGO_BIN_EXE_orders"),
        env!("CARGO_BIN_EXE_inventory"),
        env!("CARGO_BIN_EXE_payments"),
        env!("CARGO_BIN_EXE_shoppers"),
    ] {
        let ended = Command::new(service).env_clear().output().expect("starts");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success(), "{service}");
        assert!(said.contains("`mainstay run`"), "{service}: {said}");
    }
}
