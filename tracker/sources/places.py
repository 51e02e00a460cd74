"""Where a source lies, by what a person writes: a path, a `file://` address, an address of the network."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote
from urllib.request import url2pathname

from tracker.errors import SourceError

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.IGNORECASE | re.DOTALL)
_NAME = r"(?:\[[0-9a-f:.%]+\]|[^\s/?#@:\[\]%]+)"
_HOST = re.compile(rf"(?:{_NAME}(?::\d{{1,5}})?|:\d{{1,5}})$", re.IGNORECASE)
_SURE = re.compile(rf"(?:localhost|\[.*\]|[^:]*\.[^:]*|{_NAME}:\d+)", re.IGNORECASE)
"""A host that hardly anything else is: with a dot or a port."""
_USER_SAFE = "!$&'()*+,;=:-._~%"
"""What may stand in the user and password of an address as it is (RFC 3986, 3.2.1)."""
RULE = "in a user or password write @ as %40, : as %3A, / as %2F, ? as %3F, # as %23, % as %25 and a space as %20"


def local_path(spec: str) -> Path | None:
    """The file or folder that `spec` names; None where it is an address of the network.

    A `file://` address is one of this machine, percent-encoded. A colon in a name makes no address.

    Raises:
        SourceError: a `file://` address of another machine.
    """
    found = _ADDRESS.match(spec)
    if found is None or os.path.exists(spec):
        return Path(spec)
    scheme, rest = found.groups()
    if scheme.lower() != "file":
        return None
    host, slash, path = rest.partition("/")
    if host.lower() not in ("", "localhost"):
        raise SourceError(
            f"{spec}: files of another machine ({host}) are not opened; copy it, or give its http:// address"
        )
    return Path(url2pathname(slash + path))


def media_name(path: Path) -> str:
    """What FFmpeg is to open for a file: with a protocol, since it takes what stands before a colon for one."""
    return f"file:{path}"


def local_name(name: str) -> Path | None:
    """The path that `media_name` made a name of; None for other names."""
    return Path(name.removeprefix("file:")) if name.startswith("file:") else None


def network_address(address: str) -> str:
    """An address as FFmpeg reads it right: what people forget to encode in users and passwords is encoded.

    An address that is right stays as it is. One that cannot be read as it stands, since its password holds `/`, `?`
    or `#`, is read as user and password up to the `@` that a host follows.

    Raises:
        SourceError: it cannot be right, or be read in two ways; the sentence holds nothing of it but its scheme.
    """
    found = _ADDRESS.match(address)
    if found is None or re.search(r"[\x00-\x1f\x7f]", address):
        raise SourceError("not an address, or one with line breaks in it")
    scheme, rest = found.groups()
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    user, at, host = authority.rpartition("@")
    other, its_host = _user_with_delimiters(rest)
    if not _HOST.match(host) or (not at and "#" in other):  # no camera has a fragment with a host in it
        user, at, host = other, "@", its_host
    if not host:
        raise SourceError(f"no host is in the {scheme} address; {RULE}")
    if not at and ":" in authority and _SURE.match(its_host) and not re.match(r"localhost:|.*[.\]]", authority):
        raise SourceError(
            f"what stands before the @ in the {scheme} address may be a path or a password; {RULE}, an @ in a path too"
        )
    rest = rest[len(user) + len(at) :]
    return f"{scheme}://{_encoded(user)}{at}{rest.replace(' ', '%20')}"


def _user_with_delimiters(rest: str) -> tuple[str, str]:
    """User and password up to the first `@` behind which there is a host and then a path, a query or nothing."""
    for place in (found.start() for found in re.finditer("@", rest)):
        host = re.split(r"[/?#]", rest[place + 1 :], maxsplit=1)[0]
        if _HOST.match(host):
            return rest[:place], host
    return "", ""


def _encoded(user: str) -> str:
    """User and password, with all that may not stand there as it is percent-encoded; what is encoded stays."""
    return quote(re.sub(r"%(?![0-9a-fA-F]{2})", "%25", user), safe=_USER_SAFE)
