//! Which addresses the hub dials on behalf of somebody else: of a plugin, or of a webhook.
//!
//! Names are resolved here and the addresses are checked at every dial, so the address that was
//! checked is the one that is dialled: a name whose address changes between two looks gains nothing.
//! It knows neither plugins nor subscriptions, and does not dial by itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

/// Which addresses may be dialled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Targets {
    /// Addresses of the public internet.
    #[default]
    Public,
    /// Those, and these networks.
    PublicAnd(Vec<IpNet>),
    Any,
}

/// An address that may not be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a public address")]
pub struct Denied(pub IpAddr);

/// A name without an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} has no address: {reason}")]
pub struct Unresolved {
    pub name: String,
    pub reason: String,
}

/// Why there is nothing to dial.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Unresolved(#[from] Unresolved),
}

impl Targets {
    /// # Errors
    /// When the address may not be dialled.
    pub fn check(&self, address: IpAddr) -> Result<(), Denied> {
        let allowed = match self {
            Self::Any => true,
            Self::Public => is_public(address),
            Self::PublicAnd(networks) => {
                // ::ffff:10.0.0.1 is dialled as 10.0.0.1.
                let plain = address.to_canonical();
                is_public(address) || networks.iter().any(|network| network.contains(&plain))
            }
        };
        if allowed {
            Ok(())
        } else {
            Err(Denied(address))
        }
    }

    /// The addresses of a host, all of which may be dialled. `host` is a name, or an address with or
    /// without brackets.
    ///
    /// # Errors
    /// When there is none, or one of them may not be dialled: a name that mixes them is up to
    /// something.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Refused> {
        if let Some(address) = literal(host) {
            self.check(address)?;
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let unresolved = |reason: String| Unresolved {
            name: host.to_owned(),
            reason,
        };
        let found = tokio::net::lookup_host((host, port)).await;
        let found: Vec<_> = found
            .map_err(|error| unresolved(error.to_string()))?
            .collect();
        if found.is_empty() {
            return Err(unresolved("the answer is empty".to_owned()).into());
        }
        for address in &found {
            self.check(address.ip())?;
        }
        Ok(found)
    }
}

/// The address that a host of a URL is, if it is one.
#[must_use]
pub fn literal(host: &str) -> Option<IpAddr> {
    host.trim_matches(['[', ']']).parse().ok()
}

/// Networks as `--allow-private-targets` takes them: `10.0.0.0/8`, or a single address.
///
/// # Errors
/// In words.
pub fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.into());
    }
    let network: IpNet = text
        .parse()
        .map_err(|_| format!("{text:?} is no network such as 10.0.0.0/8 or fd00::/8"))?;
    Ok(network.trunc())
}

/// Whether an address is one of the public internet (IANA's special-purpose registries).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        // Reserved, and broadcast.
        || a >= 240
        // Shared by carriers.
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        // Benchmarks.
        || (a == 198 && (18..20).contains(&b)))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // Unspecified, loopback, IPv4-compatible and IPv4-mapped.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => embedded(high, low),
        // NAT64.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x64, 0xff9b, ..] => false,
        // 6to4.
        [0x2002, high, low, ..] => embedded(high, low),
        // Teredo, benchmarks, ORCHID and the like.
        [0x2001, second, ..] if second < 0x200 => false,
        // Documentation.
        [0x2001, 0xdb8, ..] | [0x3fff, ..] => false,
        // Global unicast; what is left is discard-only, unique local, link-local, site-local,
        // multicast, or not given out.
        [first, ..] => (first & 0xe000) == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for public in [
            "1.1.1.1",
            "100.63.0.1",
            "172.32.0.1",
            "198.20.0.1",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert!(is_public(public.parse().expect(public)), "{public}");
        }
        for other in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.8",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::1",
            "2001::1",
            "2001:db8::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "100::1",
        ] {
            assert!(!is_public(other.parse().expect(other)), "{other}");
        }
    }

    #[test]
    fn networks_are_allowed_on_top() {
        let networks = ["10.1.0.0/16", "127.0.0.1", "fd00::/8"];
        let networks = networks.map(|text| network(text).expect(text)).to_vec();
        let targets = Targets::PublicAnd(networks);
        for allowed in [
            "1.1.1.1",
            "10.1.2.3",
            "127.0.0.1",
            "::ffff:10.1.2.3",
            "fd12::1",
        ] {
            assert_eq!(targets.check(allowed.parse().expect(allowed)), Ok(()));
        }
        for denied in ["10.2.0.1", "127.0.0.2", "::1", "::ffff:10.2.0.1", "fe80::1"] {
            let address = denied.parse().expect(denied);
            assert_eq!(targets.check(address), Err(Denied(address)));
        }
        for wrong in ["10.0.0.0/33", "somewhere", ""] {
            assert!(network(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn what_is_resolved_is_checked() {
        let one = "[::1]";
        let denied = Targets::Public.resolve(one, 80).await;
        assert_eq!(denied, Err(Denied(literal(one).expect(one)).into()));
        let denied = Targets::Public.resolve("localhost", 80).await;
        assert!(matches!(denied, Err(Refused::Denied(_))), "{denied:?}");
        let found = Targets::Any
            .resolve("localhost", 80)
            .await
            .expect("localhost");
        assert!(
            found
                .iter()
                .all(|address| address.ip().is_loopback() && address.port() == 80)
        );
        let none = Targets::Any.resolve("nowhere.invalid", 80).await;
        assert!(matches!(none, Err(Refused::Unresolved(_))), "{none:?}");
    }
}
