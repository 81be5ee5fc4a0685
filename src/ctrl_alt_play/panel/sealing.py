"""Secrets that the panel has to know as they are: encrypted in the database, by a key that is not in it."""

import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nacl.secret import Aead


def derived_key(secret: bytes, purpose: bytes) -> bytes:
    """HKDF with SHA-256 (RFC 5869), of the one block that a key of 32 bytes takes."""
    extracted = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(extracted, purpose + b"\x01", "sha256")


class Seal:
    """XChaCha20-Poly1305. What was sealed opens only as what it was sealed as, so nobody can pass one secret off as another's."""

    def __init__(self, signing_key: str) -> None:
        self._key = derived_key(signing_key.encode(), b"ctrl-alt-play: passwords of registries")

    def close(self, secret: str, sealed_as: str) -> bytes:
        return bytes(self._box().encrypt(secret.encode(), sealed_as.encode()))

    def open(self, sealed: bytes, sealed_as: str) -> str | None:
        """None: it was sealed by another key, or as something else."""
        from nacl.exceptions import CryptoError  # noqa: PLC0415 - as below

        try:
            return self._box().decrypt(sealed, sealed_as.encode()).decode()
        except CryptoError:
            return None

    def _box(self) -> "Aead":
        from nacl.secret import Aead  # noqa: PLC0415 - few panels have a registry, and it is some MiB

        return Aead(self._key)
