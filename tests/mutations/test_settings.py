"""Recipes, pipelines and files of cameras: a damaged one is refused by name, or gives settings that can be."""

import re

import pytest

from tests.mutations.mutate import byte_mutations, check, text_mutations
from tracker.config import config_folder, load_pipeline_settings, load_recipe
from tracker.live.settings import load_live_settings

READERS = {
    "recipe": (load_recipe, "trackers/bytetrack.yaml"),
    "pipeline": (load_pipeline_settings, "default.yaml"),
    "cameras": (lambda path: load_live_settings(path, {}), "cameras.example.yaml"),
}
LEVELS = "\n".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]" for i in range(1, 9))
BOMBS = {
    "laughs": f"l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n{LEVELS}\n",
    "a list in itself": "stages: &a [*a]\n",
    "a mapping in itself": "motion: &a {state: *a}\n",
    "lists in lists": f"stages: {'[' * 3000}{']' * 3000}\n",
    "mappings in mappings": f"stages: {'{a: ' * 500}1{'}' * 500}\n",
    "code": "stages: !!python/object/apply:os.system ['true']\n",
    "a list as a key": "? [a, b]\n: 1\n",
    "a mapping as a key": "{a: 1}: 2\n",
    "a date": "birth: {score: 2024-01-01}\n",
    "a set": "stages: !!set {a, b}\n",
    "bytes": "name: !!binary aGk=\n",
    "digits": f"birth: {{confirm_hits: {'9' * 5000}}}\n",
    "base sixty": "birth: {score: 1:30}\n",
    "half a pair": 'name: "\\ud800"\nxx\\ud800: 1\n',
    "half a pair as a key": '"\\ud800": 1\n',
    "a number as a key": "1: 2\n",
    "nothing as a key": "~: 2\n",
    "empty": "",
    "a word": "x",
    "a list": "- 1\n",
    "two documents": "---\na: 1\n---\nb: 2\n",
    "a merge": "<<: 3\n",
    "not a number": "birth: {score: .nan}\n",
    "infinity": "death: {lost_seconds: .inf}\n",
    "an ordered mapping": "stages: !!omap [a: 1]\n",
    "a date as a key": "2024-01-01: 1\n",
}


@pytest.mark.parametrize("name", READERS)
def test_settings(tmp_path, name):
    read, example = READERS[name]
    text = (config_folder() / example).read_text(encoding="utf-8")
    text = re.sub(r"\$\{\w+\}", "word", text)  # names of the environment
    content = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    mutations = [*text_mutations(content, 250), *byte_mutations(content.encode(), 150)]
    accepted, refused = check(read, tmp_path / "a.yaml", mutations)
    assert refused > 50
    assert accepted > 5


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("name", READERS)
def test_bombs(tmp_path, name, bomb):
    read, _ = READERS[name]
    check(read, tmp_path / "a.yaml", [(bomb, BOMBS[bomb].encode("utf-8", "surrogatepass"))])
