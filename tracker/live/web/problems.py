"""Errors as problem JSON (RFC 9457): what is wrong and what to do; never what was sent, never a trace."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from tracker.errors import ConfigError, ReacquireError
from tracker.redact import redact

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS, LONGEST = 20, 200
"""Errors that are told of one request, and characters of each."""
KEY = re.compile(r"[A-Za-z_][\w.-]{0,40}")


def problem(
    status: int, detail: str, *, errors: list[str] | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """The answer."""
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": redact(detail)}
    if errors:
        content["errors"] = [redact(error) for error in errors]
    return JSONResponse(content, status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Let every error of an app be such an answer."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ConfigError, _config)
    app.add_exception_handler(ReacquireError, _failed)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), headers=error.headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [f"{_place(one['loc'])}: {one['msg'][:LONGEST]}" for one in error.errors()[:MOST_ERRORS]]
    return problem(422, "the request does not fit its schema, see /api/openapi.json", errors=found)


async def _config(request: Request, error: Exception) -> Response:
    return problem(422, str(error))


async def _failed(request: Request, error: Exception) -> Response:
    return problem(503, str(error))


def _place(keys: Sequence[object]) -> str:
    """Where in a request something does not fit; of its keys only those are shown that look like keys."""
    shown = (str(key) if isinstance(key, int) or KEY.fullmatch(str(key)) else "…" for key in keys)
    return ".".join(shown)
