"""Which IP addresses are part of the public internet. Pure.

Decided by tables, not by `ipaddress.is_global`: that calls multicast, site-local addresses and
those that carry a private IPv4 address inside global.
"""

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

# Source: IANA IPv4 Special-Purpose Address Registry (RFC 6890); RFC 5771 for multicast.
_NOT_PUBLIC_V4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private use
            "100.64.0.0/10",  # shared by carriers
            "127.0.0.0/8",  # loopback
            "169.254.0.0/16",  # link-local: metadata of clouds
            "172.16.0.0/12",  # private use
            "192.0.0.0/24",  # protocol assignments
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # AMT
            "192.88.99.0/24",  # 6to4 relays, withdrawn
            "192.168.0.0/16",  # private use
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
# Only this is handed out as global unicast. Source: RFC 4291, section 2.4; IANA registry.
_UNICAST_V6 = IPv6Network("2000::/3")
# Source: IANA IPv6 Special-Purpose Address Registry.
_NOT_PUBLIC_V6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments, Teredo among them
            "2001:db8::/32",  # documentation
            "2620:4f:8000::/48",  # AS112
            "3fff::/20",  # documentation
        ),
    )
)
# Prefixes of addresses that lead to an IPv4 address, and how many bits follow that.
# Source: RFC 4291, section 2.5.5.2; RFC 6052, section 2.1; RFC 3056, section 2.
_CARRIERS = (
    (IPv6Network("::ffff:0:0/96"), 0),  # IPv4-mapped
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64
    (IPv6Network("2002::/16"), 80),  # 6to4
)


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return networks as they are written in settings.

    Raises:
        ValueError: one is no network.
    """
    return tuple(ip_network(text) for text in texts)


def may_be_reached(text: str, *, besides: Iterable[Network] = ()) -> bool:
    """Tell whether an address is public, or in one of the networks `besides`.

    What is no address, or has a zone, is not public. An address that carries another one is
    judged by that.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if getattr(address, "scope_id", None) is not None:
        return False
    address = _unwrapped(address)
    if any(address in network for network in besides):
        return True
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    return address in _UNICAST_V6 and not any(address in network for network in _NOT_PUBLIC_V6)


def _unwrapped(address: Address) -> Address:
    if isinstance(address, IPv6Address):
        for carrier, bits_behind in _CARRIERS:
            if address in carrier:
                return IPv4Address(int(address) >> bits_behind & 0xFFFFFFFF)
    return address
