//! Ports: choosing free ones for replicas, and saying who holds one that is not.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};

use crate::failure::Failure;
use crate::run::holder;

/// Tries before choosing a port is given up.
const MAX_TRIES: u32 = 1_000;

/// Chooses ports that are free now and that the kernel does not give to outgoing connections, so that a replica finds
/// its port free again after a restart. No port is given twice in the life of one book.
#[derive(Debug)]
pub(crate) struct PortBook {
    range: RangeInclusive<u16>,
    given: Mutex<HashSet<u16>>,
}

impl PortBook {
    /// A book that never gives out the ports in `reserved`.
    pub(crate) fn new(reserved: impl IntoIterator<Item = u16>) -> Self {
        let ephemeral = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
        Self {
            range: outside(&ephemeral),
            given: Mutex::new(reserved.into_iter().collect()),
        }
    }

    /// A port on the loopback address that nobody listens on and that was never given before.
    pub(crate) fn choose(&self) -> io::Result<u16> {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let (low, high) = (*self.range.start(), *self.range.end());
        for _ in 0..MAX_TRIES {
            let port =
                u16::try_from(u32::from(low) + random_below(u32::from(high - low) + 1)?).unwrap_or(high);
            if !given.contains(&port) && is_free(port) {
                given.insert(port);
                return Ok(port);
            }
        }
        Err(io::Error::other(format!("no free port between {low} and {high}")))
    }
}

/// Whether nobody listens on `port` of the loopback address or of all addresses.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Listens on `address`; a taken port is an error that names its holder and the way out, `flag`.
pub(crate) fn listen(address: SocketAddr, what: &str, flag: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).map_err(|error| {
        if error.kind() == io::ErrorKind::AddrInUse {
            Failure::refused(format!(
                "{what} cannot listen on {address}: {}; stop it, or choose another address with {flag} (port 0 takes \
                 a free one)",
                taken(address.port())
            ))
        } else {
            Failure::refused(format!("{what} cannot listen on {address}: {error}"))
        }
    })
}

/// Who holds `port`, in words.
pub(crate) fn taken(port: u16) -> String {
    match holder::of_port(port) {
        Some(holder) => format!("port {port} is taken by {holder}"),
        None => format!("port {port} is taken by another process (of another user or container)"),
    }
}

/// The ports to choose from: a wide range beside the one of outgoing connections (`low high`, as the kernel writes it).
fn outside(ephemeral: &str) -> RangeInclusive<u16> {
    const LOWEST: u16 = 10_000;
    const ENOUGH: u16 = 2_000;
    let mut bounds = ephemeral.split_whitespace().map(str::parse::<u16>);
    let (low, high) = match (bounds.next(), bounds.next()) {
        (Some(Ok(low)), Some(Ok(high))) if low <= high => (low, high),
        _ => (32_768, 60_999),
    };
    if low > LOWEST + ENOUGH {
        LOWEST..=low - 1
    } else if high < u16::MAX - ENOUGH {
        high + 1..=u16::MAX
    } else {
        // Everything is given to outgoing connections: any port may then meet one, rarely.
        LOWEST..=u16::MAX
    }
}

fn random_below(bound: u32) -> io::Result<u32> {
    let random = getrandom::u32().map_err(io::Error::other)?;
    Ok(((u64::from(random) * u64::from(bound)) >> 32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_lie_beside_those_of_outgoing_connections() {
        for (ephemeral, expected) in [
            ("32768\t60999\n", 10_000..=32_767),
            ("1024 50000", 50_001..=65_535),
            ("1024 65535", 10_000..=65_535),
            ("", 10_000..=32_767),
            ("what", 10_000..=32_767),
        ] {
            assert_eq!(outside(ephemeral), expected, "{ephemeral}");
        }
    }

    #[test]
    fn a_port_is_given_once_and_never_while_taken() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = taken.local_addr().expect("an address").port();
        let book = PortBook {
            range: port..=port.saturating_add(2),
            given: Mutex::new(HashSet::from([port.saturating_add(1)])),
        };
        // Of three ports one is taken, one reserved; the third may or may not be free on this machine.
        if let Ok(chosen) = book.choose() {
            assert_eq!(chosen, port + 2);
            assert!(book.choose().is_err());
        }
    }

    #[test]
    fn a_taken_port_names_its_holder() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = taken.local_addr().expect("an address");
        let failure = listen(address, "the control API", "--control-addr").expect_err("taken");
        let text = failure.to_string();
        assert!(text.contains(&format!("(pid {})", std::process::id())), "{text}");
        assert!(text.contains("--control-addr"), "{text}");
    }
}
