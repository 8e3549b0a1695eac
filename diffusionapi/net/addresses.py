"""Which addresses a URL of a stranger may lead to: the public internet's, whatever their dress."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

PORTS = frozenset({80, 443, 8080, 8443})
"""Where web servers listen. Others would let a client knock at any service through us."""

_CLOSED_4 = tuple(
    IPv4Network(one)
    for one in (
        "192.0.0.0/24",  # RFC 6890; Python holds parts of it to be global
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "168.63.129.16/32",  # a cloud's own services, at an address that looks public
        "100.100.100.200/32",  # another's; inside RFC 6598, named for the reader
    )
)
_CLOSED_6 = tuple(
    IPv6Network(one)
    for one in (
        "::/96",  # IPv4-compatible, RFC 4291 2.5.5.1
        "64:ff9b:1::/48",  # NAT64 inside a site, RFC 8215
        "100::/64",  # discard, RFC 6666
        "2001::/23",  # Teredo, ORCHID and other protocols, RFC 2928
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, RFC 3056: an IPv4 address inside, reached through relays
        "3fff::/20",  # documentation, RFC 9637
        "5f00::/16",  # segment routing, RFC 9602
        "fec0::/10",  # site-local, RFC 3879
    )
)
_OPEN_6 = IPv6Network("2000::/3")
"""All global unicast there is (RFC 4291 2.4, and IANA's registry)."""
_NAT64 = IPv6Network("64:ff9b::/96")
"""IPv4 addresses as an IPv6-only network shows them, RFC 6052."""


def is_address(host: str) -> bool:
    """Is this an address, and no name?"""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_public(address: str) -> bool:
    """Is this the address of a single machine on the public internet? False for what is no address."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return _is_public_4(found.ipv4_mapped)
        if found in _NAT64:
            return _is_public_4(IPv4Address(found.packed[-4:]))
        return found in _OPEN_6 and found.is_global and not any(found in one for one in _CLOSED_6)
    return _is_public_4(found)


def _is_public_4(address: IPv4Address) -> bool:
    return (
        address.is_global
        and not address.is_multicast  # which Python holds to be global
        and not address.is_reserved
        and not any(address in one for one in _CLOSED_4)
    )
