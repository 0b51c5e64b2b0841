"""Certificates: every member makes the same authority, and strangers make none."""

from __future__ import annotations

import ssl
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from p2pslinger.errors import PeerError
from p2pslinger.net import certificates
from p2pslinger.net.certificates import (
    PURPOSE,
    SERVER_NAME,
    authority_certificate,
    contexts,
    leaf_certificate,
    public_key,
)
from p2pslinger.wire import authkey
from p2pslinger.wire.authkey import Authkey
from p2pslinger.wire.identity import Identity

GRID = authkey.from_random(bytes(range(40)))
OTHER_GRID = authkey.from_random(bytes(40))
ANN, BOB = Identity(b"a" * 32), Identity(b"b" * 32)


def authority(grid: Authkey) -> tuple[Ed25519PrivateKey, x509.Certificate]:
    key = Ed25519PrivateKey.from_private_bytes(grid.key_for(PURPOSE))
    return key, authority_certificate(key)


def shake(client: ssl.SSLContext, server: ssl.SSLContext) -> tuple[bytes, bytes]:
    """Do a handshake in memory; return the keys that the ends saw of each other."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=SERVER_NAME),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    waiting = list(ends)
    for _ in range(10):
        for end in list(waiting):
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                pass
    assert not waiting
    seen = [end.getpeercert(binary_form=True) for end in ends]
    return public_key(seen[0] or b""), public_key(seen[1] or b"")


def test_the_authority_is_the_same_bytes_wherever_it_is_made() -> None:
    first, second = (authority(GRID)[1] for _ in range(2))
    assert first.public_bytes(Encoding.DER) == second.public_bytes(Encoding.DER)
    other = authority(OTHER_GRID)[1]
    assert other.public_bytes(Encoding.DER) != first.public_bytes(Encoding.DER)


def test_members_recognise_each_other_by_their_keys() -> None:
    server, _ = contexts(ANN, GRID)
    _, client = contexts(BOB, GRID)

    assert shake(client, server) == (ANN.public, BOB.public)


def test_only_tls_1_3_with_strict_checks_on_both_sides() -> None:
    for context in contexts(ANN, GRID):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_3
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert context.verify_flags & ssl.VERIFY_X509_STRICT
    assert contexts(ANN, GRID)[0].num_tickets == 0
    assert contexts(ANN, GRID)[1].check_hostname


def test_members_of_different_grids_fail_the_handshake() -> None:
    server, _ = contexts(ANN, GRID)
    _, client = contexts(BOB, OTHER_GRID)

    with pytest.raises(ssl.SSLCertVerificationError):
        shake(client, server)


def test_a_client_that_trusts_us_is_refused_if_we_do_not_trust_it() -> None:
    server, _ = contexts(ANN, GRID)
    _, client = contexts(BOB, OTHER_GRID)
    root = authority(GRID)[1].public_bytes(Encoding.DER)
    client.load_verify_locations(cadata=root)

    with pytest.raises(ssl.SSLError):
        shake(client, server)


def test_a_client_without_a_certificate_is_refused() -> None:
    server, _ = contexts(ANN, GRID)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cadata=authority(GRID)[1].public_bytes(Encoding.DER))

    with pytest.raises(ssl.SSLError):
        shake(client, server)


def test_a_member_cannot_issue_certificates_for_others() -> None:
    key, root = authority(GRID)
    leaf = leaf_certificate(ANN, key, root)

    constraints = leaf.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage)
    assert not constraints.value.ca
    assert not usage.value.key_cert_sign


def test_certificates_outlive_every_clock() -> None:
    key, root = authority(GRID)
    for certificate in (root, leaf_certificate(ANN, key, root)):
        assert certificate.not_valid_before_utc.year == 2000
        assert certificate.not_valid_after_utc.year == 9999


def test_the_private_key_is_never_left_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delattr("os.memfd_create", raising=False)

    modes: list[int] = []
    load = ssl.SSLContext.load_cert_chain

    def watch(context: ssl.SSLContext, path: str) -> None:
        modes.append(Path(path).stat().st_mode & 0o777)
        load(context, path)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", watch)
    contexts(ANN, GRID)

    assert modes == [0o600] * 2
    assert not list(tmp_path.iterdir())


def test_contexts_are_made_within_10_ms() -> None:
    contexts(ANN, GRID)
    times = []
    for _ in range(10):
        start = time.perf_counter()
        contexts(ANN, GRID)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.010


def test_what_is_no_peer_certificate_is_a_breach() -> None:
    with pytest.raises(PeerError, match="can't be read"):
        public_key(b"no certificate")

    key = generate_private_key(SECP256R1())
    name = x509.Name([])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(certificates.FROM)
        .not_valid_after(certificates.UNTIL)
        .sign(authority(GRID)[0], None)
    )
    with pytest.raises(PeerError, match="not Ed25519"):
        public_key(made.public_bytes(Encoding.DER))


# --- two authkeys at once -----------------------------------------------------------

NEXT = authkey.from_random(bytes(range(8)) + b"n" * 32)  # of the same grid
LAST = authkey.from_random(bytes(range(8)) + b"l" * 32)
OLD_ONLY, NEW_ONLY = (GRID, ()), (NEXT, ())
BOTH = (NEXT, (GRID,))
Held = tuple[Authkey, tuple[Authkey, ...]]


def meet(ann: Held, bob: Held) -> bool:
    """Tell whether two peers with these authkeys accept each other, either dialling."""
    outcomes = set()
    for mine, theirs in ((ann, bob), (bob, ann)):
        server, _ = contexts(ANN, *mine)
        _, client = contexts(BOB, *theirs)
        try:
            outcomes.add(shake(client, server) == (ANN.public, BOB.public))
        except ssl.SSLError:
            outcomes.add(False)
    assert len(outcomes) == 1
    return outcomes.pop()


def test_who_holds_both_authkeys_meets_who_holds_either() -> None:
    assert meet(BOTH, BOTH)
    assert meet(BOTH, OLD_ONLY)
    assert meet(BOTH, NEW_ONLY)
    assert meet((LAST, (NEXT, GRID)), OLD_ONLY)
    assert meet((LAST, (NEXT, GRID)), NEW_ONLY)
    assert meet((LAST, (NEXT, GRID)), BOTH)


def test_an_authkey_that_has_ended_opens_nothing() -> None:
    assert not meet(NEW_ONLY, OLD_ONLY)
    assert not meet((LAST, (NEXT,)), OLD_ONLY)


def test_who_has_the_older_authkey_alone_cannot_vouch_for_itself() -> None:
    # The other way round: a chain that leads from the older authority to the newer one.
    old = Ed25519PrivateKey.from_private_bytes(GRID.key_for(PURPOSE))
    new = Ed25519PrivateKey.from_private_bytes(NEXT.key_for(PURPOSE))
    word = certificates.vouch(new, old)

    assert not meet((GRID, (LAST,)), NEW_ONLY)
    with pytest.raises(InvalidSignature):
        new.public_key().verify(word.signature, word.tbs_certificate_bytes)
    old.public_key().verify(word.signature, word.tbs_certificate_bytes)
