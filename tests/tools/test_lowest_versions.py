"""The lowest versions are read from pyproject.toml, and those of the page have none of its packages' known holes."""

import pytest
from packaging.version import Version

SAFE = {
    # A malformed Host made up request.url (CVE-2026-48710), a path without a slash its host (PYSEC-2026-248),
    # and bounds of forms did not hold (PYSEC-2026-249).
    "starlette": "1.3.1",
    # Chunked bodies were read too leniently (CVE-2025-43859).
    "h11": "0.16",
}


def test_the_pages_lowest_versions_are_safe(tools):
    from tools.lowest_versions import lowest_versions

    found = dict(line.split("==") for line in lowest_versions(["live", "pydantic"]))
    assert {"fastapi", "starlette", "uvicorn", "h11", "pydantic"} <= set(found)
    for name, version in SAFE.items():
        assert Version(found[name]) >= Version(version)


def test_extras_and_packages_by_name(tools, tmp_path):
    from tools.lowest_versions import lowest_versions

    path = tmp_path / "pyproject.toml"
    path.write_text(
        '[project]\ndependencies = ["a>=1.2,<3", "b[x]~=2.0; python_version > \'3\'", "c"]\n'
        '[project.optional-dependencies]\nweb = ["d==4", "e>=5.1"]\n'
    )
    assert lowest_versions(["a", "web", "b"], path) == ["a==1.2", "d==4", "e==5.1", "b==2.0"]
    with pytest.raises(SystemExit, match="nothing is neither"):
        lowest_versions(["nothing"], path)
    with pytest.raises(SystemExit, match="c: has no one lowest version"):
        lowest_versions(["c"], path)
