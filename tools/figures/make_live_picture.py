"""Make `docs/images/live.png`: the page over the bundled clip, in headless Chromium, wide and on a phone.

Needs the extras `live` and `dev` and Debian's `chromium`: `python -m tools.figures.make_live_picture [--seconds 25]`.
"""

import argparse
import io
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tracker.live.service import LiveService
from tracker.live.settings import load_live_settings
from tracker.live.web import serve

ROOT = Path(__file__).parents[2]
WIDE, PHONE = {"width": 1440, "height": 1010}, {"width": 390, "height": 844}
GAP, WIDTH, COLOURS = 24, 1280, 232


def cameras(folder: Path) -> dict[str, Any]:
    """The clip with a zone and a line, and a camera that is not there."""
    crossing = {"name": "Crossing", "polygon": [[0.32, 0.36], [0.62, 0.33], [0.68, 0.62], [0.34, 0.68]], "dwell": 4}
    kerb = {"name": "Kerb", "points": [[0.3, 0.96], [0.27, 0.3]]}
    plaza: dict[str, Any] = {
        "name": "plaza",
        "source": str(ROOT / "videos/plaza.mp4"),
        "zones": [crossing],
        "lines": [kerb],
    }
    plaza["target_fps"] = 3
    gate = {"name": "gate", "source": "rtsp://127.0.0.1:9/stream"}
    return {"cameras": [plaza, gate], "folder": str(folder), "web": {"port": 0}}


def shoot(browser: Browser, url: str, size: Any, scheme: Any, seconds: float) -> Image.Image:
    """The page as it looks after a while."""
    page = browser.new_page(viewport=size, color_scheme=scheme)
    page.goto(url)
    page.wait_for_timeout(seconds * 1000)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    page.close()
    return picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=25, help="into the clip")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/images/live.png")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cameras.yaml"
        path.write_text(yaml.safe_dump(cameras(Path(folder) / "out")), encoding="utf-8")
        with LiveService(load_live_settings(path), path) as service, sync_playwright() as playwright:
            server = serve(service, service.settings.web)
            server.start()
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            time.sleep(max(0.0, args.seconds - 5))
            wide = shoot(browser, f"{server.url}#/camera/plaza", WIDE, "light", 5)
            phone = shoot(browser, server.url, PHONE, "dark", 3)
            browser.close()
            server.stop()
    height = max(wide.height, phone.height)
    sheet = Image.new("RGB", (wide.width + GAP + phone.width, height), "white")
    sheet.paste(wide, (0, 0))
    sheet.paste(phone, (wide.width + GAP, (height - phone.height) // 2))
    sheet = sheet.resize((WIDTH, round(height * WIDTH / sheet.width)), Image.Resampling.LANCZOS)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    sheet.quantize(COLOURS, dither=Image.Dither.NONE).save(args.out, optimize=True)
    print(f"{args.out}: {args.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
