"""Who may connect: certificates that only members of the grid can make.

Every member derives the same certificate authority from the authkey and issues its own
certificate for its own identity key. OpenSSL checks both ends' chains; the peer id is
read from the key in the leaf. So a stranger fails in the handshake, and a member can
prove to be itself but nobody else.

The authority's certificate is the same bytes at every member, and nothing expires:
a grid must not stop because a clock is wrong. Who must go, goes by re-keying.

While a grid goes over to another authkey, there is an authority for each. The newest
one signs the leaves, and the older ones vouch for it:

    leaf <- newest                            for who holds the newest
    leaf <- newest, by older <- older         for who has an older one only

With more than two, each vouches for the next newer. So one chain is accepted by all, no
name in the handshake says which is wanted, and who holds the newest alone accepts
nobody who lacks it.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import ssl
import tempfile
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from p2pslinger.errors import PeerError
from p2pslinger.wire.authkey import Authkey
from p2pslinger.wire.identity import Identity

#: The name that every leaf carries and every client asks for: who a peer is, its key
#: says, so a name per peer would only be one more thing to get wrong.
SERVER_NAME = "peer.grid"

#: Years 2000 to 9999: the widest span that X.509 can say without "no date".
FROM = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
UNTIL = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)

#: Bytes of a serial number: at most 20, and positive.
SERIAL_BYTES = 16

PURPOSE = "certificate authority"


def contexts(
    identity: Identity, authkey: Authkey, older: Iterable[Authkey] = ()
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the contexts of this peer's server and client sockets (about 2 ms).

    Args:
        identity: Who it is.
        authkey: The grid's newest.
        older: Others that count.
    """
    authority, *before = (
        Ed25519PrivateKey.from_private_bytes(one.key_for(PURPOSE))
        for one in (authkey, *older)
    )
    root = authority_certificate(authority)
    leaf = leaf_certificate(identity, authority, root)
    key = Ed25519PrivateKey.from_private_bytes(identity.secret)
    vouched = [vouch(*two) for two in pairwise((authority, *before))]
    chain = b"".join(one.public_bytes(Encoding.PEM) for one in (leaf, *vouched))
    chain += key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    roots = [root, *map(authority_certificate, before)]
    accepted = b"".join(one.public_bytes(Encoding.DER) for one in roots)
    with _as_file(chain) as path:
        return (
            _context(ssl.PROTOCOL_TLS_SERVER, accepted, path),
            _context(ssl.PROTOCOL_TLS_CLIENT, accepted, path),
        )


def public_key(certificate: bytes) -> bytes:
    """Return the raw public key of a leaf (DER) that OpenSSL has accepted.

    Raises:
        PeerError: it is no Ed25519 key.
    """
    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
    except ValueError as error:
        raise PeerError(f"sent a certificate that can't be read: {error}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise PeerError("has a certificate for a key that is not Ed25519")
    return key.public_bytes_raw()


def authority_certificate(key: Ed25519PrivateKey) -> x509.Certificate:
    """Return the grid's own certificate: the same bytes wherever it is made."""
    usage = _key_usage(signs_certificates=True)
    return (
        _builder("p2pslinger grid", "p2pslinger grid", key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        )
        .sign(key, None)
    )


def vouch(newer: Ed25519PrivateKey, older: Ed25519PrivateKey) -> x509.Certificate:
    """Return the older authority's word that the newer one is the grid's as well."""
    key_id = x509.SubjectKeyIdentifier.from_public_key
    return (
        _builder("p2pslinger grid", "p2pslinger grid", newer.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(key_id(newer.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                key_id(older.public_key())
            ),
            critical=False,
        )
        .sign(older, None)
    )


def leaf_certificate(
    identity: Identity, authority: Ed25519PrivateKey, root: x509.Certificate
) -> x509.Certificate:
    """Return the certificate of one peer."""
    key = Ed25519PublicKey.from_public_bytes(identity.public)
    root_id = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_key_usage(signs_certificates=False), True),
        (x509.ExtendedKeyUsage(both), False),
        (x509.SubjectAlternativeName([x509.DNSName(SERVER_NAME)]), False),
        (x509.SubjectKeyIdentifier.from_public_key(key), False),
        (
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(root_id),
            False,
        ),
    )
    builder = _builder("p2pslinger peer", "p2pslinger grid", key)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(authority, None)


def _builder(
    subject: str, issuer: str, key: Ed25519PublicKey
) -> x509.CertificateBuilder:
    digest = hashlib.sha256(key.public_bytes_raw()).digest()
    serial = int.from_bytes(digest[:SERIAL_BYTES]) >> 1 | 1
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(FROM)
        .not_valid_after(UNTIL)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _context(protocol: int, root: bytes, chain: str) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # Python 3.13's default, everywhere
    context.load_verify_locations(cadata=root)
    context.load_cert_chain(chain)
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0  # nobody resumes: a session would outlive a re-keying
    return context


@contextlib.contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    """Lend `data` a path, since `load_cert_chain` reads nothing else.

    In memory where there is memfd; else a file that only its owner can read, gone at
    once.
    """
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        with open(os.memfd_create("chain"), "wb", buffering=0) as file:  # noqa: PTH123
            file.write(data)
            yield f"/proc/self/fd/{file.fileno()}"
        return
    descriptor, path = tempfile.mkstemp()  # mode 0600
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123  # it is open already
            file.write(data)
        yield path
    finally:
        Path(path).unlink()
