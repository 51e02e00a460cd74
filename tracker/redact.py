"""Text that may be shown: passwords in addresses are masked."""

from __future__ import annotations

import re

MASK = "***"
_SCHEME = r"[a-z][a-z0-9+.-]*://"
_SECRET = (
    r"pass(?:word|wd|phrase)?|pwd|psw|token|secret|api_?key|key|auth|signature|sig|credentials?"
    r"|user(?:name|id)?|usr|login|loginuse|loginpas|jwt"
)
_RULES = tuple(
    (re.compile(pattern, re.IGNORECASE), shown)
    for pattern, shown in (
        # Up to the last @ of the line: passwords hold @, /, : and spaces where people forget to encode them.
        (rf"({_SCHEME})[^\r\n]*@", rf"\1{MASK}@"),
        # An address inside another one's query, encoded once or more often.
        (r"(%(?:25)*3a(?:%(?:25)*2f){2})[^\s&]*%(?:25)*40", rf"\1{MASK}%40"),
        # user=…&password=…, in a query or, as some cameras have it, in the path.
        (rf"((?:\b|_)(?:\w*[_-])?(?:{_SECRET})=)[^\s&#;\"']+", rf"\1{MASK}"),
        # The same in one letter.
        (r"([?&][up]=)[^\s&#;\"']+", rf"\1{MASK}"),
        (r"(authorization:\s*(?:\w+\s+)?)[^\s\"']+", rf"\1{MASK}"),
        # Without a scheme.
        (r"(?<![\w%*./])[^\s/:@\"'*]+:(?!//)[^\s@]+@(?=[\w\[])", f"{MASK}@"),
    )
)


def redact(text: str) -> str:
    """`text` with users, passwords and tokens of the addresses in it masked; rather too much than too little."""
    for pattern, shown in _RULES:
        text = pattern.sub(shown, text)
    return text
