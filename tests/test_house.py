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
    assert ours(at_top) == {"tracker.types", "tracker.prefetch", "tracker.protocols", "tracker.compile_clock"}


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


def test_what_contributing_names_is_there(root):
    text = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    paths = re.findall(r"`((?:tracker|reid|tests|tools|docs|configs)/[\w/.*-]+)`", text)
    assert len(paths) > 15
    for path in paths:
        assert list(root.glob(path.rstrip("/"))), f"CONTRIBUTING.md names {path}"


def imported_modules(path, known):
    """Modules of ours that a module imports, anywhere in it, as they are called; `known` are all of them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield from (name for name in [inner if inner in known else node.module] if name in known)


def imports_by_room(root, packages):
    """For every folder, which of the things in it (files, and folders as one) imports which other, and where.

    Deferred imports and those for types alone count too: they are made for speed, and the reader follows them.
    """
    files = {path: path.relative_to(root).with_suffix("").parts for p in packages for path in modules(root, p)}
    known = {".".join(parts).removesuffix(".__init__"): parts for parts in files.values()}
    rooms = {}
    for path, parts in files.items():
        for name in imported_modules(path, known):
            other = known[name]
            depth = next((i for i, (a, b) in enumerate(zip(parts, other, strict=False)) if a != b), None)
            if depth is not None:
                room = rooms.setdefault("/".join(parts[:depth]), {})
                room.setdefault(parts[depth], {})[other[depth]] = f"{'/'.join(parts)}.py imports {name}"
    return rooms


def circle_in(edges):
    """Names that import each other in a circle, in its order; None where there is none."""
    done, way = set(), []

    def walk(name):
        if name in way:
            return way[way.index(name) :]
        if name in done:
            return None
        way.append(name)
        found = next(filter(None, map(walk, edges.get(name, ()))), None)
        way.pop()
        done.add(name)
        return found

    return next(filter(None, map(walk, list(edges))), None)


def test_no_circle_of_files_or_folders(root):
    """Among the files and folders that lie in one folder, whoever is imported imports nothing back, at any depth."""
    for room, edges in imports_by_room(root, ["tracker", "reid"]).items():
        circle = circle_in(edges)
        why = [] if circle is None else [edges[a][b] for a, b in zip(circle, circle[1:] + circle[:1], strict=True)]
        assert circle is None, f"{room or 'the packages'}: {'; '.join(why)}"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a.py": "import p.b", "b.py": "import p.c", "c.py": ""}, None),
        ({"a.py": "import p.b", "b.py": "def f():\n    from p import a"}, "p"),
        ({"x/a.py": "from p.y.b import f", "y/b.py": "", "y/c.py": "from p.x import a"}, "p"),
        ({"x/a.py": "from p.x.b import f", "x/b.py": "from p.x.c import f", "x/c.py": "import p.x.a"}, "p/x"),
        ({"x/a.py": "from p.types import f", "types.py": "", "top.py": "from p.x.a import f"}, None),
    ],
)
def test_circles_are_found(tmp_path, files, expected):
    for name, text in files.items():
        path = tmp_path / "p" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(text)
    found = [room for room, edges in imports_by_room(tmp_path, ["p"]).items() if circle_in(edges)]
    assert found == ([expected] if expected else [])


def test_the_page_of_the_architecture_names_every_folder(root):
    page = (root / "docs/architecture.md").read_text(encoding="utf-8")
    at_top, *rooms = re.split(r"^## (?=At the top|In )", page, flags=re.M)[1:]
    rooms[-1] = rooms[-1].split("\n## ")[0]
    rows = re.compile(r"^\| `([\w/]+)/` \|", re.M)
    tracked = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=False).stdout.split()
    if not tracked:
        pytest.skip("not a checkout")
    there = {name.split("/")[0] for name in tracked if "/" in name}
    assert set(rows.findall(at_top)) == {name for name in there if not name.startswith(".")}, "docs/architecture.md"
    for room in rooms:
        package = re.search(r"`(\w+)/`", room)[1]
        folders = {path.parent.relative_to(root / package).as_posix() for path in modules(root, package)}
        named = set(rows.findall(room)) - ({"weights"} if package == "reid" else set())
        assert named == folders - {"."}, f"docs/architecture.md, in {package}/"


def test_every_public_name_is_in_the_python_reference(root):
    import reid
    import tracker
    import tracker.identity

    pages = "".join(path.read_text(encoding="utf-8") for path in (root / "docs/api").glob("*.md"))
    documented = {line.rsplit(".", 1)[-1] for line in re.findall(r"^::: ([\w.]+)$", pages, re.M)}
    protocols = ast.parse((root / "tracker/protocols.py").read_text(encoding="utf-8"))
    names = {node.name for node in protocols.body if isinstance(node, ast.ClassDef)}
    assert {*tracker.__all__, *tracker.identity.__all__, *reid.__all__, *names} <= documented
