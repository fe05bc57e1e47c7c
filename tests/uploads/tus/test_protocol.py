"""Headers of the protocol, well and badly formed."""

import base64
import hashlib

import pytest

from uploads.errors import TooLarge
from uploads.tus import errors, protocol


@pytest.mark.parametrize(
    ("header", "length"), [("0", 0), ("1", 1), ("007", 7), (str(2**62), 2**62)]
)
def test_a_length_is_a_number_of_bytes(header, length):
    assert protocol.parse_length(header) == length


@pytest.mark.parametrize(
    "header",
    [None, "", " ", "-1", "+1", "1.0", "1e3", "0x10", "abc", "1 2", "1,1", "\u0661", "1\n"],
)
def test_what_is_no_number_is_no_length(header):
    with pytest.raises(errors.LengthInvalid):
        protocol.parse_length(header)


@pytest.mark.parametrize("header", [str(2**64), "9" * 30, "9" * 10_000])
def test_a_length_beyond_every_limit_is_too_large(header):
    with pytest.raises(TooLarge):
        protocol.parse_length(header)


@pytest.mark.parametrize("header", [None, "", "-1", "+0", "abc", "1.5", "0x0", "9" * 20])
def test_what_is_no_number_is_no_offset(header):
    with pytest.raises(errors.OffsetInvalid):
        protocol.parse_offset(header)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("", ("unnamed", "", None)),
        ("filename bm90ZXM=", ("notes", "", None)),
        ("name bm90ZXM=", ("notes", "", None)),
        ("name YQ==,filename Yg==", ("b", "", None)),
        ("filename", ("", "", None)),
        ("filename ", ("", "", None)),
        ("filename YQ==,filetype dGV4dC9wbGFpbg==", ("a", "text/plain", None)),
        ("filename YQ==,type dGV4dC9wbGFpbg==", ("a", "text/plain", None)),
        ("filename YQ==, pipeline dGV4dA==", ("a", "", "text")),
        ("filename YQ==,pipeline", ("a", "", None)),
        ("tags YSwgYg==,folder aW4=", ("unnamed", "", None, "in", ("a", "b"))),
        ("filename YQ==,is_confidential", ("a", "", None)),
        ("filename 8J+YgC50eHQ=", ("😀.txt", "", None)),
        ("filename 7aCA", ("\ud800", "", None)),
        ("name 7aCA", ("\ud800", "", None)),
    ],
)
def test_metadata_says_name_type_and_pipeline(header, said):
    assert protocol.parse_metadata(header) == protocol.Metadata(*said)


@pytest.mark.parametrize(
    "header",
    [
        "filename !!!",
        "filename YQ",
        "filename YQ== YQ==",
        "filename YQ==,filename Yg==",
        ",filename YQ==",
        "filename YQ==,",
        "filename YQ==,,name Yg==",
        "fil\u00e9name YQ==",
        "filename /w==",
        *(
            f"{key} {raw}"
            for key in ("pipeline", "filetype", "type", "folder", "tags", "x")
            for raw in ("7aCA", "/w==", "AA==")
        ),
    ],
)
def test_malformed_metadata_is_refused(header):
    with pytest.raises(errors.MetadataInvalid):
        protocol.parse_metadata(header)


@pytest.mark.parametrize("algorithm", protocol.ALGORITHMS)
def test_a_checksum_names_an_algorithm_and_a_digest(algorithm):
    digest = hashlib.new(algorithm, b"x").digest()
    header = f"{algorithm} {base64.b64encode(digest).decode()}"
    assert protocol.parse_checksum(header) == protocol.Checksum(algorithm, digest)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "sha1",
        "sha1 ",
        "sha1 !!!",
        "sha1 YQ==",
        "md5 1B2M2Y8AsgTpgAmy7PhCfg==",
        "SHA1 2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
        "sha256 2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
    ],
)
def test_a_malformed_or_unknown_checksum_is_refused(header):
    with pytest.raises(errors.ChecksumInvalid):
        protocol.parse_checksum(header)
