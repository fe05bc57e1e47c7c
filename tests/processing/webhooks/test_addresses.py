"""Which addresses and URLs are refused. The list of ASVS V1.3.6, and what resolvers make of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.webhooks.addresses import may_be_reached, networks
from processing.webhooks.errors import AddressRefused, PortRefused, SchemeRefused, UrlMalformed
from processing.webhooks.rules import Rules
from processing.webhooks.targets import addresses_of, target_of

RULES = Rules(http=False, ports=frozenset({443}), besides=(), ca_file="", max_endpoints=10)

NOT_PUBLIC = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1",
    "127.255.255.254", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8",
    "192.0.0.170", "192.0.2.1", "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.168.1.1",
    "192.175.48.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1",
    "2001:0:7f00:1::", "2001:db8::1", "2002:7f00:1::", "2002:a9fe:a9fe::", "2002:c0a8:101::1",
    "2620:4f:8000::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0",
    "2606:4700::1%1", "fec0::1", "ff02::1", "", "nonsense", "127.1", "0177.0.0.1",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1", "8.8.8.8", "93.184.216.34", "172.15.0.1", "172.32.0.1", "100.63.0.1", "192.0.1.1",
    "2606:4700:4700::1111", "2a00:1450:4001:82b::200e", "::ffff:8.8.8.8", "64:ff9b::808:808",
    "2002:808:808::1",
]  # fmt: skip


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_what_is_not_public_is_refused(address):
    assert not may_be_reached(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_is_not(address):
    assert may_be_reached(address)


@given(st.ip_addresses(v=4))
def test_an_address_is_no_better_inside_another(address):
    plain = may_be_reached(str(address))
    number = int(address)
    for carrier in (0xFFFF << 32, 0x64FF9B << 96):
        import ipaddress

        assert may_be_reached(str(ipaddress.IPv6Address(carrier | number))) == plain
    import ipaddress

    assert may_be_reached(str(ipaddress.IPv6Address(0x2002 << 112 | number << 80))) == plain


@given(st.ip_addresses())
def test_nothing_that_the_standard_library_calls_private_is_public(address):
    if address.is_private or address.is_multicast or address.is_reserved:
        unwrapped = getattr(address, "ipv4_mapped", None)
        assert unwrapped or not may_be_reached(str(address)) or str(address).startswith("64:ff9b")


@pytest.mark.parametrize(
    ("address", "besides", "reached"),
    [
        ("10.1.2.3", ["10.1.0.0/16"], True),
        ("10.2.2.3", ["10.1.0.0/16"], False),
        ("::ffff:10.1.2.3", ["10.1.0.0/16"], True),
        ("fd00::1", ["fd00::/64"], True),
        ("fd00::1%1", ["fd00::/64"], False),
        ("127.0.0.1", ["10.1.0.0/16"], False),
    ],
)
def test_operators_may_allow_networks(address, besides, reached):
    assert may_be_reached(address, besides=networks(besides)) is reached


REFUSED_URLS = [
    ("http://example.com/", SchemeRefused),
    ("ftp://example.com/", SchemeRefused),
    ("gopher://example.com/_x", SchemeRefused),
    ("file:///etc/passwd", SchemeRefused),
    ("javascript:alert(1)", SchemeRefused),
    ("//example.com/", SchemeRefused),
    ("example.com", SchemeRefused),
    ("https://example.com:22/", PortRefused),
    ("https://example.com:6379/", PortRefused),
    ("https://example.com:0/", PortRefused),
    ("https://example.com:80/", PortRefused),
    ("", UrlMalformed),
    ("https://", UrlMalformed),
    ("https:///path", UrlMalformed),
    ("https://example.com:99999/", UrlMalformed),
    ("https://example.com:port/", UrlMalformed),
    ("https://user@example.com/", UrlMalformed),
    ("https://user:pass@example.com/", UrlMalformed),
    ("https://example.com@127.0.0.1/", UrlMalformed),
    ("https://@127.0.0.1/", UrlMalformed),
    ("https://example.com#@evil.example/", UrlMalformed),
    ("https://example.com/#fragment", UrlMalformed),
    ("https://example.com\\@evil.example/", UrlMalformed),
    ("https://exa mple.com/", UrlMalformed),
    ("https://example.com/\r\nX-Header: 1", UrlMalformed),
    ("https://example.com/\n", UrlMalformed),
    ("https://example.com/\t", UrlMalformed),
    (" https://example.com/", UrlMalformed),
    ("https://exämple.com/", UrlMalformed),
    ("https://ex%61mple.com/", UrlMalformed),
    ("https://127.1/", UrlMalformed),
    ("https://127.0.1/", UrlMalformed),
    ("https://2130706433/", UrlMalformed),
    ("https://0x7f000001/", UrlMalformed),
    ("https://0x7f.0.0.1/", UrlMalformed),
    ("https://0177.0.0.1/", UrlMalformed),
    ("https://127.0.0.1./", UrlMalformed),
    ("https://localhost./", UrlMalformed),
    ("https://127.0.0.0x1/", UrlMalformed),
    ("https://[fe80::1%25eth0]/", UrlMalformed),
    ("https://[fe80::1%eth0]/", UrlMalformed),
    ("https://[::1", UrlMalformed),
    ("https://[v1.x]/", UrlMalformed),
    ("https://[127.0.0.1]/", UrlMalformed),
    ("https://.example.com/", UrlMalformed),
    ("https://exa..mple.com/", UrlMalformed),
    ("https://-example.com/", UrlMalformed),
    ("https://" + "a" * 64 + ".example/", UrlMalformed),
    ("https://" + "a." * 130 + "example/", UrlMalformed),
    ("https://example.com/" + "a" * 2048, UrlMalformed),
]


@pytest.mark.parametrize(("url", "error"), REFUSED_URLS)
def test_urls_that_are_refused_as_they_are_written(url, error):
    with pytest.raises(error):
        target_of(url, RULES)


@pytest.mark.parametrize("address", [a for a in NOT_PUBLIC if a and "%" not in a and a[0] != "n"])
def test_a_name_that_leads_to_what_is_not_public_is_refused(names, address):
    names["a.example"] = ["93.184.216.34", address]
    target = target_of("https://a.example/", RULES)
    with pytest.raises(AddressRefused):
        addresses_of(target, RULES, within_s=1)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/", "https://[::1]/", "https://[::ffff:127.0.0.1]/",
        "https://169.254.169.254/latest/meta-data/", "https://[64:ff9b::7f00:1]/",
        "https://localhost/", "https://[2002:7f00:1::]/", "https://0.0.0.0/", "https://[::]/",
    ],
)  # fmt: skip
def test_literal_addresses_and_local_names_are_refused(url):
    with pytest.raises(AddressRefused):
        addresses_of(target_of(url, RULES), RULES, within_s=2)


def test_a_name_without_an_address_and_one_inside_are_refused_alike(names):
    names["inside.example"] = ["10.0.0.1"]
    found = []
    for host in ("inside.example", "nowhere.example"):
        with pytest.raises(AddressRefused) as caught:
            addresses_of(target_of(f"https://{host}/", RULES), RULES, within_s=1)
        found.append((caught.value.code, str(caught.value)))
    assert found[0] == found[1]


def test_a_name_server_that_does_not_answer_is_not_waited_for(monkeypatch):
    import time

    from processing.webhooks import targets

    def slow(host: str, port: int) -> list[str]:
        time.sleep(5)
        return ["8.8.8.8"]

    monkeypatch.setattr(targets, "resolve", slow)
    began = time.monotonic()
    with pytest.raises(AddressRefused):
        addresses_of(target_of("https://a.example/", RULES), RULES, within_s=0.1)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "authority"),
    [
        ("https://example.com", "example.com", 443, "/", "example.com"),
        ("https://EXAMPLE.com/a?b=c", "example.com", 443, "/a?b=c", "example.com"),
        ("https://xn--exmple-cua.com/", "xn--exmple-cua.com", 443, "/", "xn--exmple-cua.com"),
        ("https://[2606:4700::1]/x", "2606:4700::1", 443, "/x", "[2606:4700::1]"),
        ("https://1.1.1.1:443/", "1.1.1.1", 443, "/", "1.1.1.1"),
        ("https://a_b.example/", "a_b.example", 443, "/", "a_b.example"),
    ],
)
def test_urls_that_are_accepted(url, host, port, path, authority):
    target = target_of(url, RULES)
    assert (target.host, target.port, target.path, target.authority) == (
        host,
        port,
        path,
        authority,
    )


def test_plain_http_is_for_those_who_ask_for_it():
    rules = Rules(http=True, ports=frozenset({8080}), besides=(), ca_file="", max_endpoints=1)
    assert target_of("http://example.com:8080/", rules).authority == "example.com:8080"
    with pytest.raises(PortRefused):
        target_of("http://example.com/", rules)
