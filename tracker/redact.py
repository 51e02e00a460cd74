"""Text that may be shown: passwords in addresses are masked.

What is shown may be long and may be somebody else's, so the time that this takes grows with the text's length and no
faster: no pattern here looks for its end from many beginnings.
"""

from __future__ import annotations

import re
from collections.abc import Callable

MASK = "***"
_SECRET = (
    r"pass(?:word|wd|phrase|code)?|pwd?|psw|psk|session(?:_?id)?|token|secret|api_?key|key"
    r"|auth|signature|sig|credentials?|user(?:name|id)?|usr|login|loginuse|loginpas|jwt"
)
_LINE, _PARAMETER, _WORD = re.compile(r"[^\r\n]+"), re.compile(r"[^\s&]+"), re.compile(r"\S+")
_NAMES, _BEGIN = re.compile(r"[^\s/:@\"'*]+"), re.compile(r"(?<![\w%*./]).")
_RULES = tuple(
    (re.compile(pattern, re.IGNORECASE), rf"\1{MASK}")
    for pattern in (
        # user=…&password=…, in a query or, as some cameras have it, in the path; a sign may stand before it, or a word
        # (accessToken, streamkey).
        rf"((?<![^\W_])[a-z]{{0,16}}(?:{_SECRET})=)[^\s&#;\"']+",
        # The same in one letter.
        r"([?&][up]=)[^\s&#;\"']+",
        r"(authorization:\s*(?:\w+\s+)?)[^\s\"']+",
    )
)


def redact(text: str) -> str:
    """`text` with users, passwords and tokens of the addresses in it masked; rather too much than too little."""
    text = _LINE.sub(_IN_ADDRESS, text)
    text = _PARAMETER.sub(_IN_ENCODED_ADDRESS, text)
    for pattern, shown in _RULES:
        text = pattern.sub(shown, text)
    return _WORD.sub(_without_scheme, text)


def _between(begin: str, end: str) -> Callable[[re.Match[str]], str]:
    """Masks what stands in a piece of text after the first `begin`, up to the last `end`."""
    first, last = re.compile(begin, re.IGNORECASE), re.compile(end, re.IGNORECASE)

    def masked(piece: re.Match[str]) -> str:
        text, stop = piece[0], -1
        for found in last.finditer(text):
            stop = found.start()
        start = first.search(text, 0, stop) if stop >= 0 else None
        return text if start is None else f"{text[: start.end()]}{MASK}{text[stop:]}"

    return masked


# Up to the last @ of the line: passwords hold @, /, : and spaces where people forget to encode them.
_IN_ADDRESS = _between(r"[a-z0-9+.-]://", "@")
# An address inside another one's query, encoded once or more often.
_IN_ENCODED_ADDRESS = _between(r"%(?:25)*3a(?:%(?:25)*2f){2}", r"%(?:25)*40")


def _without_scheme(word: re.Match[str]) -> str:
    """Mask `user:password` before each @ that a host follows."""
    first, *others = word[0].split("@")
    shown = [first]
    for part in others:
        if part[:1] == "[" or re.match(r"\w", part):
            shown[-1] = _user_masked(shown[-1])
        shown.append(part)
    return "@".join(shown)


def _user_masked(text: str) -> str:
    """`text` from the first name on that a colon and a password follow."""
    for name in _NAMES.finditer(text):
        colon = name.end()
        if text[colon : colon + 1] != ":" or text[colon + 1 : colon + 3] in ("", "//"):
            continue
        begin = _BEGIN.search(text, name.start(), colon)
        if begin is not None:
            return text[: begin.start()] + MASK
    return text
