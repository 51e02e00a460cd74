"""Who may import whom, and what the front door costs."""

import ast
import re
import subprocess
import sys

import pytest

HEAVY = ("torch", "cv2", "ultralytics", "onnxruntime", "supervision", "numba", "pyarrow", "av")


def imports_of(path):
    """Absolute names that a module imports, anywhere in it, outside of TYPE_CHECKING."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            skipped |= {id(inner) for inner in ast.walk(node)}
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module)
    return found


def modules(root, folder):
    return sorted((root / folder).rglob("*.py"))


def ours(names):
    return {name for name in names if name.split(".")[0] in ("tracker", "reid")}


def test_types_and_errors_import_nothing_of_ours(root):
    assert ours(imports_of(root / "tracker/types.py")) == {"tracker.errors"}
    assert ours(imports_of(root / "tracker/errors.py")) == {"reid.errors"}
    assert not ours(imports_of(root / "reid/errors.py"))


@pytest.mark.parametrize("folder", ["tracker/motion", "tracker/association"])
def test_motion_and_association_know_arrays_only(root, folder):
    allowed = ("tracker.types", "tracker.errors", "tracker.compiled", "tracker.motion", "tracker.association")
    for path in modules(root, folder):
        names = imports_of(path)
        assert not [n for n in ours(names) if not n.startswith(allowed)], path
        forbidden = {"torch", "cv2", "pathlib", "os", "io", "yaml"} - ({"cv2"} if path.name == "camera.py" else set())
        assert not {n.split(".")[0] for n in names} & forbidden, path


def test_reid_never_imports_tracker(root):
    for path in modules(root, "reid"):
        assert not [n for n in imports_of(path) if n.split(".")[0] == "tracker"], path


def test_pipeline_knows_protocols_only(root):
    tree = ast.parse((root / "tracker/pipeline.py").read_text(encoding="utf-8"))
    at_top = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert ours(at_top) == {"tracker.types", "tracker.prefetch"}


def test_only_the_command_line_prints(root):
    for path in [*modules(root, "tracker"), *modules(root, "reid")]:
        if "cli" in path.parts:
            continue
        calls = [n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)]
        assert not [c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"], path


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("package", ["tracker", "reid"])
def test_importing_a_package_is_light(package):
    loaded = run_python(f"import sys, {package}; print(*sys.modules)").split()
    assert not set(HEAVY) & set(loaded)


def test_help_does_not_load_the_networks():
    code = """
import sys
from typer.testing import CliRunner
from tracker.cli.app import app
result = CliRunner().invoke(app, ["--help"])
assert result.exit_code == 0 and "track" in result.output and "demo" in result.output, result.output
print(*sys.modules)
"""
    assert not set(HEAVY) & set(run_python(code).split())


def test_modules_stay_readable(root):
    for path in [*modules(root, "tracker"), *modules(root, "reid"), *modules(root, "tools")]:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 500, path


def test_no_large_file_is_carried(root):
    for folder in ("tracker", "reid", "videos", "configs", "docs"):
        for path in (root / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert path.stat().st_size < 8_000_000, path


def test_commands_of_tools_name_tools_that_there_are(root):
    texts = [path for folder in ("docs", "configs", "tools", "videos") for path in (root / folder).rglob("*")]
    texts += [root / name for name in ("README.md", "CONTRIBUTING.md", "Makefile", ".ci/run")]
    named = {}
    for path in texts:
        if path.suffix in (".md", ".yaml", ".py", "") and path.is_file():
            text = path.read_text(encoding="utf-8")
            named |= dict.fromkeys(re.findall(r"-m (tools(?:\.\w+)+)", text), path)
            named |= dict.fromkeys((m.replace("/", ".") for m in re.findall(r"(tools/[\w/]+)\.py", text)), path)
    assert len(named) > 20
    for name, path in named.items():
        assert (root / name.replace(".", "/")).with_suffix(".py").is_file(), f"{path} names {name}"
