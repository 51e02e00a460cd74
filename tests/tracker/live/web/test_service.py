"""The page over the real service on real video: from a line drawn by hand to a person who is counted crossing it."""

import json
import os
import shutil
import urllib.request

import pytest
import yaml

from tracker.live.service import LiveService
from tracker.live.settings import load_live_settings
from tracker.live.web import serve

TOKEN = "a-token-of-more-than-twenty"
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
CAMERAS = """\
# Ours.
cameras:
  - name: plaza
    source: {clip}  # the demo
  - name: gone
    source: rtsp://admin:hunter2@127.0.0.1:9/stream
web:
  port: 0
  token: {token}
folder: {folder}
"""


@pytest.fixture
def service(tmp_path, clip):
    path = tmp_path / "cameras.yaml"
    path.write_text(CAMERAS.format(clip=clip, token=TOKEN, folder=tmp_path / "out"), encoding="utf-8")
    with LiveService(load_live_settings(path), path) as running:
        server = serve(running, running.settings.web)
        server.start()
        yield path, server
        server.stop()


def ask(server, path):
    request = urllib.request.Request(server.url.rstrip("/") + path, headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return answer.read().decode()


@pytest.mark.timeout(600)  # the first engine may be compiled
@pytest.mark.skipif(not os.path.exists(CHROMIUM), reason="no chromium: apt-get install chromium")
def test_a_line_drawn_by_hand_is_saved_and_counts_who_crosses_it(service):
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    path, server = service
    before = path.read_text(encoding="utf-8")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(20_000)
        page.goto(server.url)
        page.get_by_label("Password or token").fill(TOKEN)
        page.keyboard.press("Enter")
        page.get_by_role("link", name="plaza, open large").click()
        page.wait_for_function("() => Number(document.querySelector('.stage canvas')?.dataset.shown ?? 0) > 3")
        page.get_by_role("button", name="Edit zones and lines").click()
        for name, x, low, high in (("Left", 0.35, 0.1, 0.98), ("Right", 0.6, 0.1, 0.98)):
            page.get_by_role("button", name="New line").click()
            box = page.locator("svg.overlay").bounding_box()
            page.mouse.move(box["x"] + x * box["width"], box["y"] + low * box["height"])
            page.mouse.down()
            page.mouse.move(box["x"] + x * box["width"], box["y"] + high * box["height"], steps=3)
            page.mouse.up()
            page.keyboard.type(name)
        page.get_by_role("button", name="Save").click()
        page.get_by_text("Saved.").wait_for()
        page.locator(".lines li", has_text="person 1").first.wait_for(timeout=40_000)
        page.locator("#events-list .line_crossed").first.wait_for()
        page.locator(".people img").first.wait_for()
        text = page.content()
        browser.close()
    saved = yaml.safe_load(path.read_text(encoding="utf-8"))["cameras"][0]
    assert [line["name"] for line in saved["lines"]] == ["Left", "Right"]
    assert saved["lines"][0]["points"][0] == pytest.approx([0.35, 0.1], abs=0.005)
    assert path.read_text(encoding="utf-8").startswith("# Ours.")
    backups = [found for found in path.parent.iterdir() if found.name.endswith(".bak")]
    assert [found.read_text(encoding="utf-8") for found in backups] == [before]

    texts = [text, *(ask(server, where) for where in ("/api/status", "/api/events", "/metrics"))]
    assert not any("hunter2" in found or "admin" in found for found in texts)
    plaza, gone = json.loads(texts[1])["cameras"]
    assert (plaza["state"], gone["state"]) == ("live", "starting")
    assert sum(n for line in plaza["lines"] for n in line["counts"].values()) >= 1
    assert 'reacquire_camera_latency_seconds_count{camera="plaza"}' in texts[3]
