"""Settings of the page: where it listens, who may see it, how big and how often its pictures are."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr

from tracker.config import Settings
from tracker.errors import ConfigError
from tracker.live.web.passwords import check_hash

SHORTEST_TOKEN = 20
TOKEN_VARIABLE, HASH_VARIABLE = "REACQUIRE_TOKEN", "REACQUIRE_PASSWORD_HASH"
HOST_NAME = r"\[([0-9a-f:.]{2,45})\]|([a-z0-9_](?:[a-z0-9_.-]{0,252}[a-z0-9_])?)"
"""A host in small letters: a name, or an address of IPv6 in brackets."""
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def _is_a_host(value: str) -> str:
    if re.fullmatch(HOST_NAME, value.lower()) is None:
        raise ValueError("expected a name such as cameras.example.org, without https://, port and path")
    return value


class PictureSettings(Settings):
    """How big and how often pictures are sent."""

    width: int = Field(ge=64, le=3840, description="at most so many pixels wide; never enlarged")
    fps: float = Field(gt=0, le=60, description="at most so many a second")
    quality: int = Field(80, ge=10, le=100, description="of the JPEG")


class WebSettings(Settings):
    """The section `web` of a cameras' file."""

    host: str = Field("127.0.0.1", min_length=1, description="address to listen on; 0.0.0.0 is every one")
    port: int = Field(8080, ge=0, le=65535, description="0 takes any free one")
    token: SecretStr | None = Field(None, description=f"for programs; better in the environment: {TOKEN_VARIABLE}")
    password_hash: SecretStr | None = Field(
        None, description=f"of `reacquire live --hash-password`; or in the environment: {HASH_VARIABLE}"
    )
    session_hours: float = Field(12, gt=0, le=24 * 90, description="a login lasts so long")
    secure_cookie: bool | Literal["auto"] = Field(
        "auto", description="send the cookie over TLS only; auto: if there is TLS"
    )
    allowed_hosts: tuple[Annotated[str, AfterValidator(_is_a_host)], ...] = Field(
        (), description="names the page is reached by, as behind a reverse proxy"
    )
    trusted_proxies: tuple[str, ...] = Field((), description="addresses whose X-Forwarded-For and -Proto are believed")
    max_viewers: int = Field(100, ge=1, le=10_000, description="streams of pictures or of events at a time, each")
    allow_sources: bool = Field(False, description="let the API add cameras by their address")
    grid: PictureSettings = PictureSettings(width=640, fps=5, quality=75)
    large: PictureSettings = PictureSettings(width=1280, fps=12, quality=80)
    login_failures: Annotated[int, Field(ge=1, le=1000)] = Field(
        5, description="in a row from one address, then a wait"
    )

    @property
    def locked(self) -> bool:
        """Whether a token or a password is asked for."""
        return self.token is not None or self.password_hash is not None

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    def with_environment(self, environment: Mapping[str, str] = os.environ) -> Self:
        """With the secrets that the environment holds; they win over the file's."""
        found = {"token": environment.get(TOKEN_VARIABLE), "password_hash": environment.get(HASH_VARIABLE)}
        return self.model_copy(update={key: SecretStr(value) for key, value in found.items() if value})

    def check(self) -> None:
        """Refuse what would not be safe.

        Raises:
            ConfigError: reachable from elsewhere with neither token nor password; a short token; no hash of ours.
        """
        if self.token is not None and len(self.token.get_secret_value()) < SHORTEST_TOKEN:
            raise ConfigError(
                f"web.token: shorter than {SHORTEST_TOKEN} characters and could be guessed; make one with: "
                'python -c "import secrets; print(secrets.token_urlsafe(32))"'
            )
        if self.password_hash is not None:
            check_hash(self.password_hash.get_secret_value())
        if self.locked:
            return
        how = (
            f"set web.password_hash (made by: reacquire live --hash-password) or web.token, "
            f"or {HASH_VARIABLE} or {TOKEN_VARIABLE} in the environment"
        )
        if not self.loopback:
            raise ConfigError(f"web.host: other machines could see the cameras without a login; {how}")
        foreign = [name for name in self.allowed_hosts if not is_loopback(name)]
        if foreign:
            raise ConfigError(
                f"web.allowed_hosts {foreign[0]}: the page would be open behind a proxy without a login; {how}"
            )


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
