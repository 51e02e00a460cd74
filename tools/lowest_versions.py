"""Print the lowest versions that `pyproject.toml` allows, one a line, fit for pip.

`python -m tools.lowest_versions live pydantic` prints those of the extra `live`, and of the package `pydantic`.
"""

import argparse
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


def lowest_versions(names: list[str], path: Path = ROOT / "pyproject.toml") -> list[str]:
    """`name==version` of each requirement of the extras, and of the project's own requirements, that are named.

    Raises:
        SystemExit: neither an extra nor a requirement, or one without a lowest version.
    """
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    extras = project.get("optional-dependencies", {})
    own = {Requirement(text).name: text for text in project["dependencies"]}
    found: list[str] = []
    for name in names:
        if name not in extras and name not in own:
            raise SystemExit(f"{path}: {name} is neither an extra nor a requirement")
        found += [_lowest(Requirement(text)) for text in extras.get(name) or [own[name]]]
    return found


def _lowest(requirement: Requirement) -> str:
    floors = [floor.version for floor in requirement.specifier if floor.operator in (">=", "==", "~=")]
    if len(floors) != 1:
        raise SystemExit(f"{requirement}: has no one lowest version")
    return f"{requirement.name}=={floors[0]}"


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("names", nargs="+", metavar="EXTRA|PACKAGE")
    print("\n".join(lowest_versions(asked.parse_args().names)))
