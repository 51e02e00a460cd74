"""The page in a real browser: pictures move, a login is asked for, zones and lines are drawn, crossings are counted."""

import os
import re
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

TOKEN = "a-token-of-more-than-twenty"
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}

pytestmark = pytest.mark.skipif(not os.path.exists(CHROMIUM), reason="no chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    with sync_api.sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*flags, "--disable-sync", "--no-first-run"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser):
    """A factory of tabs, each in a profile of its own; whatever the browser complains of fails the test."""
    contexts, complaints = [], []

    def make(url, ignore=(), **options):
        context = browser.new_context(**({"viewport": WIDE} | options))
        context.set_default_timeout(8000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.append(line.text) if line.type in ("error", "warning") else None)
        page.ignored = ignore
        page.goto(url)
        return page

    yield make
    ignored = [words for context in contexts for page in context.pages for words in getattr(page, "ignored", ())]
    for context in contexts:
        context.close()
    assert [text for text in complaints if not any(words in text for words in ignored)] == []


def shown(page, selector):
    """How many pictures a canvas has shown, and what it shows."""
    return page.locator(selector).evaluate("c => [Number(c.dataset.shown ?? 0), c.toDataURL()]")


def wait_for_picture(page, selector, more_than=0):
    page.wait_for_function(
        "([selector, n]) => Number(document.querySelector(selector)?.dataset.shown ?? 0) > n", arg=[selector, more_than]
    )


def place(page, x, y):
    box = page.locator("svg.overlay").bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def overflow(page):
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")


def test_grid_moves_and_says_what_is_lost(make_live, running, open_page):
    live = make_live(door="live", yard="reconnecting", gate="live")
    live.cameras["yard"].tick()
    live.run()
    page = open_page(running(live).url)
    canvas = '[data-camera="gate"] canvas'
    wait_for_picture(page, canvas)
    number, before = shown(page, canvas)
    wait_for_picture(page, canvas, number + 2)
    assert shown(page, canvas)[1] != before
    yard = page.locator('[data-camera="yard"]')
    assert "Reconnecting since" in yard.locator(".badge").inner_text()
    assert page.locator('[data-camera="door"] .badge').inner_text() == "Live"
    assert "person 17" in page.locator('[data-camera="door"] .counts').inner_text()
    live.happen("camera_lost", "yard", reason="connection refused")
    page.locator("#events-list").get_by_text("Camera lost: connection refused").wait_for()
    assert "yard: Camera lost" in page.locator("#announce").inner_text()
    live.service = replace(live.service, overloaded=True)
    page.get_by_text("This machine cannot keep up: every camera is tracked at fewer frames a second.").wait_for()
    live.service = replace(live.service, overloaded=False, troubles={"webhook": "the server answers 500"})
    page.get_by_text("webhook: the server answers 500").wait_for()
    live.service = replace(live.service, troubles={})
    page.wait_for_function("() => document.getElementById('banner').hidden")
    live.stop()


def test_twenty_cameras_move_over_one_connection(make_live, running, open_page):
    live = make_live(**{f"c{i:02}": "live" for i in range(20)})
    live.run(4)
    server = running(live)
    page = open_page(server.url)
    wait_for_picture(page, '[data-camera="c00"] canvas')
    wait_for_picture(page, '[data-camera="c19"] canvas')
    assert server._context.watching.taken == 1
    live.stop()


def test_login_draw_a_zone_and_a_line_and_see_a_crossing_counted(make_live, running, open_page):
    live = make_live(door="live", yard="live")
    live.run()
    page = open_page(running(live, token=TOKEN).url, ignore=("401",))
    page.get_by_label("Password or token").fill("not the token")
    page.get_by_role("button", name="Log in").click()
    assert "not the password" in page.get_by_role("alert").inner_text()
    page.get_by_label("Password or token").fill(TOKEN)
    page.keyboard.press("Enter")
    page.get_by_role("link", name="door, open large").click()
    wait_for_picture(page, ".stage canvas")

    page.get_by_role("button", name="Edit zones and lines").click()
    page.get_by_role("button", name="New zone").click()
    for corner in ((0.1, 0.2), (0.4, 0.2), (0.4, 0.7), (0.1, 0.2)):
        page.mouse.click(*place(page, *corner))
    page.keyboard.type("Garden")
    page.get_by_role("button", name="New line").click()
    page.mouse.move(*place(page, 0.5, 0.05))
    page.mouse.down()
    page.mouse.move(*place(page, 0.5, 0.95), steps=4)
    page.mouse.up()
    page.keyboard.type("Kerb")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved. The zones and lines are in /etc/cameras.yaml").wait_for()

    camera, (zone,), (line,) = live.saved[-1]
    assert (camera, zone["name"], line["name"]) == ("door", "Garden", "Kerb")
    for drawn, wanted in zip(zone["polygon"], ((0.1, 0.2), (0.4, 0.2), (0.4, 0.7)), strict=True):
        assert drawn == pytest.approx(wanted, abs=0.005)
    assert line["points"][1] == pytest.approx((0.5, 0.95), abs=0.005)
    page.locator("#events-list .line_crossed", has_text="crossed Kerb").first.wait_for()

    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login")
    live.stop()


def test_what_was_on_another_day_is_shown_with_the_day(live, running, open_page):
    live.happen("camera_lost", "yard", reason="long ago")
    live.events[-1] = replace(live.events[-1], time=time.time() - 3 * 86400)
    live.happen("camera_back", "yard")
    page = open_page(running(live).url)
    old, new = (page.locator(f"#events-list .{kind} time").inner_text() for kind in ("camera_lost", "camera_back"))
    assert re.fullmatch(r"\d\d:\d\d:\d\d", new)
    assert re.fullmatch(r"\w+ \w+, \d\d:\d\d:\d\d", old)


def test_a_zone_is_moved_changed_and_deleted(live, running, open_page):
    live.set_geometry("door", [{"name": "Old", "polygon": [(0.2, 0.2), (0.6, 0.2), (0.6, 0.6)], "dwell": 3.0}], [])
    page = open_page(f"{running(live).url}#/camera/door")
    page.get_by_role("button", name="Edit zones and lines").click()
    page.get_by_role("button", name="New zone").wait_for()
    page.mouse.move(*place(page, 0.6, 0.6))
    page.mouse.down()
    page.mouse.move(*place(page, 0.8, 0.9), steps=4)
    page.mouse.up()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    moved = live.saved[-1][1][0]
    assert moved["polygon"][2] == pytest.approx((0.8, 0.9), abs=0.005)
    assert (moved["polygon"][0], moved["dwell"]) == ((0.2, 0.2), 3.0)

    page.get_by_role("button", name="Edit zones and lines").click()
    page.get_by_role("button", name="Delete zone Old").click()
    page.get_by_role("button", name="Save").click()
    page.wait_for_function("() => document.querySelectorAll('svg.overlay .shape').length === 0")
    page.get_by_text("Edit zones and lines").wait_for()
    assert live.saved[-1] == ("door", [], [])


def test_what_another_one_saved_is_not_overwritten(live, running, open_page):
    page = open_page(f"{running(live).url}#/camera/door", ignore=("412",))
    page.get_by_role("button", name="Edit zones and lines").click()
    page.get_by_role("button", name="New zone").wait_for()
    live.set_geometry("door", [], [{"name": "theirs", "points": [(0.1, 0.1), (0.9, 0.9)]}])
    page.get_by_role("button", name="Save").click()
    page.get_by_text("changed by somebody else").wait_for()
    assert live.saved[-1][2][0]["name"] == "theirs"


def test_all_of_it_by_keyboard(live, running, open_page):
    page = open_page(f"{running(live).url}#/camera/door")
    edit = page.get_by_role("button", name="Edit zones and lines")
    edit.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.activeElement.textContent === 'New zone'")
    page.keyboard.press("Enter")
    for keys in (("ArrowLeft",) * 10, ("ArrowRight",) * 20, ("ArrowDown",) * 20):
        for key in (*keys, "Enter"):
            page.keyboard.press(key)
    page.keyboard.press("Enter")  # twice at one place: the zone is whole
    page.keyboard.type("Keys")
    corner = page.get_by_role("button", name="Corner 1 of zone Keys, 40 % across, 50 % down")
    corner.focus()
    page.keyboard.press("ArrowUp")
    page.get_by_role("button", name="Corner 1 of zone Keys, 40 % across, 49 % down").wait_for()
    page.get_by_role("button", name="Save").focus()
    page.keyboard.press("Enter")
    page.get_by_text("Saved.").wait_for()
    np_points = live.saved[-1][1][0]["polygon"]
    assert [tuple(round(v, 2) for v in point) for point in np_points] == [(0.4, 0.49), (0.6, 0.5), (0.6, 0.7)]


def test_on_a_phone_by_touch(live, running, open_page):
    live.run()
    page = open_page(f"{running(live).url}", viewport=PHONE, has_touch=True, is_mobile=True, color_scheme="dark")
    wait_for_picture(page, '[data-camera="door"] canvas')
    assert overflow(page) <= 0
    page.get_by_role("link", name="door, open large").tap()
    page.get_by_role("button", name="Edit zones and lines").tap()
    page.get_by_role("button", name="New zone").tap()
    page.locator("svg.overlay").scroll_into_view_if_needed()
    for corner in ((0.2, 0.2), (0.7, 0.3), (0.5, 0.8), (0.2, 0.2)):
        page.touchscreen.tap(*place(page, *corner))
    page.get_by_role("button", name="Save").tap()
    page.get_by_text("Saved.").wait_for()
    assert [len(zone["polygon"]) for zone in live.saved[-1][1]] == [3]
    assert overflow(page) <= 0
    live.stop()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_and_controls_have_names(live, running, open_page, scheme):
    """Contrast of 4.5 and more (WCAG 2.2, 1.4.3), names on all controls, and a ring around what has the focus."""
    live.happen("camera_lost", "yard", reason="connection refused")
    live.happen("line_crossed", "door", 1, line="kerb", direction="a_to_b")
    page = open_page(running(live).url, color_scheme=scheme, reduced_motion="reduce")
    page.locator(".event").first.wait_for()
    poor = page.evaluate((Path(__file__).parent / "contrast.js").read_text(encoding="utf-8"))
    assert poor == []
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    running_animations = page.evaluate("document.getAnimations().filter(a => a.playState === 'running').length")
    assert running_animations == 0


def test_a_service_that_goes_away_is_said_and_found_again(live, running, open_page):
    live.run()
    server = running(live)
    page = open_page(server.url, ignore=("ERR_CONNECTION", "ERR_INCOMPLETE", "ERR_EMPTY"))
    wait_for_picture(page, '[data-camera="door"] canvas')
    port = server.port
    server.stop()
    page.get_by_text("The service does not answer").wait_for()
    from tracker.live.web import serve
    from tracker.live.web.settings import WebSettings

    again = serve(live, WebSettings(port=port))
    again.start()
    try:
        page.wait_for_function("() => document.getElementById('banner').hidden", timeout=15_000)
        wait_for_picture(page, '[data-camera="door"] canvas', shown(page, '[data-camera="door"] canvas')[0] + 1)
    finally:
        again.stop()
        live.stop()


@pytest.mark.parametrize("path", ["", "#/camera/door"])
def test_a_page_that_is_left_open_does_not_grow(live, running, open_page, path):
    live.run()
    page = open_page(running(live).url + path)
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable")

    def used():
        devtools.send("HeapProfiler.collectGarbage")
        found = {one["name"]: one["value"] for one in devtools.send("Performance.getMetrics")["metrics"]}
        return found["JSHeapUsedSize"] / 1e6, found["Nodes"], found["JSEventListeners"]

    def happen(count):
        for i in range(count):
            live.happen("entered", "door", i)
            page.wait_for_timeout(2)
        last = live.events[-1].track
        page.locator("#events-list .event", has_text=f"person #{last} entered").first.wait_for()

    happen(700)  # more than it keeps
    before = used()
    happen(1500)
    after = used()
    print(f"MB of scripts, nodes, listeners: {before}, {after}")  # noqa: T201
    assert after[0] < before[0] + 0.3
    assert after[1] < before[1] + 200
    assert after[2] <= before[2] + 2
    live.stop()


def test_names_never_become_markup(make_live, running, open_page):
    name = '<img src=x onerror="document.title=1">'
    live = make_live(**{name: "live"})
    live.happen("zone_entered", name, 1, zone="<script>document.title=2</script>")
    live.set_geometry(name, [{"name": name, "polygon": [(0, 0), (1, 0), (1, 1)]}], [])
    page = open_page(running(live).url)
    page.get_by_role("heading", name=name).wait_for()
    page.get_by_role("link", name=f"{name}, open large").click()
    page.locator("svg text", has_text="onerror").wait_for()
    assert page.title() == f"{name} · Reacquire live"
    assert page.locator("main img[src=x]").count() == 0
