"""Passwords are kept as scrypt hashes: slow and hungry on purpose, salted, checked in constant time (RFC 7914)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

from tracker.errors import ConfigError

# OWASP's password storage cheat sheet: N = 2^15, r = 8, p = 3 (32 MiB, some 0.2 s).
COST, BLOCK, PARALLEL = 2**15, 8, 3
SHORTEST, LONGEST = 8, 1024
_MOST_MEMORY = 256 * 1024 * 1024


def hash_password(password: str) -> str:
    """`scrypt$N$r$p$salt$key`, fit for a YAML file or an environment variable.

    Raises:
        ConfigError: shorter than 8 characters, or longer than 1024.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise ConfigError(f"a password has {SHORTEST} to {LONGEST} characters, this one has {len(password)}")
    salt = secrets.token_bytes(16)
    key = _scrypt(password, salt, COST, BLOCK, PARALLEL)
    return "$".join(["scrypt", str(COST), str(BLOCK), str(PARALLEL), _encode(salt), _encode(key)])


def verify_password(password: str, hashed: str) -> bool:
    """Whether it is the password that `hashed` was made of."""
    cost, block, parallel, salt, key = check_hash(hashed)
    return hmac.compare_digest(_scrypt(password[: LONGEST + 1], salt, cost, block, parallel), key)


def check_hash(hashed: str) -> tuple[int, int, int, bytes, bytes]:
    """The parts of a hash.

    Raises:
        ConfigError: not one of ours, or one that would take more memory than a login may.
    """
    try:
        scheme, *numbers, salt, key = hashed.split("$")
        cost, block, parallel = (int(number) for number in numbers)
        parts = cost, block, parallel, base64.b64decode(salt, validate=True), base64.b64decode(key, validate=True)
    except (ValueError, binascii.Error):
        scheme, parts = "", (0, 0, 0, b"", b"")
    cost, block, parallel, salt_bytes, key_bytes = parts
    sound = scheme == "scrypt" and cost > 1 and cost & (cost - 1) == 0 and block > 0 and 0 < parallel <= 16
    if not sound or 128 * cost * block > _MOST_MEMORY // 2 or len(salt_bytes) < 8 or len(key_bytes) != 32:
        raise ConfigError("web.password_hash: not a hash of ours; make one with: reacquire live --hash-password")
    return parts


def _scrypt(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    text = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(text, salt=salt, n=cost, r=block, p=parallel, maxmem=_MOST_MEMORY, dklen=32)


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
