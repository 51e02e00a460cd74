"""COCO-VID JSON: `videos`, `images` with `video_id` and `frame_id` (from 0), `annotations` with `instance_id`.

Ids are read from `instance_id` (MMTracking) or `track_id` (TAO, BDD100K); both are written.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from tracker.errors import DataError
from tracker.formats.table import UNKNOWN, Notes, Table, make_table, write_text

CARRIES = frozenset({"score", "label", "visibility", "truncated", "occluded", "regions", "length", "size", "rate"})
IDS = ("instance_id", "track_id")
FRAMES = ("frame_id", "frame_index")
LARGEST = 2**53
MOST_IMAGES = 2_000_000
EXTRAS = {"score": 1.0, "visibility": UNKNOWN, "truncated": UNKNOWN, "occluded": UNKNOWN}


def read(path: Path, notes: Notes) -> list[Table]:
    """All videos of a file.

    Raises:
        DataError: no JSON, or something missing or of the wrong kind; names it.
    """
    document = _load(path)
    names = {_id(path, "category", c): str(_get(path, "category", c, "name", str)) for c in document["categories"]}
    videos = {_id(path, "video", v): v for v in document["videos"]}
    images: dict[int, tuple[int, int, Any]] = {}
    lengths: dict[int, int] = defaultdict(int)
    for image in document["images"]:
        key = _id(path, "image", image)
        video = _get(path, f"image {key}", image, "video_id", int)
        frame = _first(path, f"image {key}", image, FRAMES)
        if video not in videos:
            raise DataError(f"{path}, image {key}: there is no video {video}")
        images[key] = (video, frame, image)
        lengths[video] = max(lengths[video], frame + 1)
    columns: dict[int, list[tuple[Any, ...]]] = {key: [] for key in videos}
    for annotation in document["annotations"]:
        row = _annotation(path, annotation, images, names)
        columns[row[0]].append(row[1:])
    first = {video: image for video, _, image in reversed(list(images.values()))}
    return [
        _table(path, videos[key], first.get(key, {}), rows, tuple(names.values()), lengths[key])
        for key, rows in columns.items()
    ]


def _annotation(path: Path, a: Any, images: dict[int, Any], names: dict[int, str]) -> tuple[Any, ...]:
    """The video of an annotation, its words for messages, and its columns."""
    key = _id(path, "annotation", a)
    what = f"annotation {key}"
    image, category = _get(path, what, a, "image_id", int), _get(path, what, a, "category_id", int)
    if image not in images:
        raise DataError(f"{path}, {what}: there is no image {image}")
    if category not in names:
        raise DataError(f"{path}, {what}: there is no category {category}")
    box = _get(path, what, a, "bbox", list)
    if len(box) != 4 or not all(map(_is_number, box)):
        raise DataError(f"{path}, {what}: bbox must be 4 numbers, got {str(box)[:60]}")
    x, y, w, h = map(float, box)
    extras = [a.get(name, default) for name, default in EXTRAS.items()]
    if not all(map(_is_number, extras)):
        raise DataError(f"{path}, {what}: {', '.join(EXTRAS)} must be numbers")
    video, frame, _ = images[image]
    identity = _first(path, what, a, IDS)
    return video, what, frame, identity, (x, y, x + w, y + h), names[category], *extras


def _table(
    path: Path, video: Any, image: Any, rows: list[tuple[Any, ...]], labels: tuple[str, ...], length: int
) -> Table:
    where, frame, identity, xyxy, label, *extras = zip(*rows, strict=True) if rows else ((),) * (5 + len(EXTRAS))
    size = tuple(video.get(side) or image.get(side) or 0 for side in ("width", "height"))
    rate = video.get("fps") or 0
    if not all(_is_number(v) and 0 <= v < 1e6 for v in (*size, rate)):
        raise DataError(f"{path}, video {video['id']}: width, height or fps is no number that it can be")
    name = Path(str(video.get("name", video["id"])))
    return make_table(
        path,
        name.name if name.suffix in (".mp4", ".avi") else str(name),
        frame=frame,
        id=identity,
        xyxy=xyxy,
        label=list(label),
        labels=labels,
        where=list(where),
        length=length,
        size=(int(size[0]), int(size[1])),
        rate=float(rate),
        columns=dict(zip(EXTRAS, extras, strict=True)),
    )


def _load(path: Path) -> dict[str, list[Any]]:
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: no JSON: {str(error)[:200]}") from None
    parts = ("videos", "images", "annotations", "categories")
    missing = [p for p in parts if not isinstance(document, dict) or not isinstance(document.get(p), list)]
    if missing:
        raise DataError(f"{path}: COCO-VID has the lists {', '.join(parts)}; missing: {', '.join(missing)}")
    return {part: document[part] for part in parts}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and abs(value) < LARGEST


def _get(path: Path, what: str, item: Any, key: str, kind: type) -> Any:
    got = item.get(key) if isinstance(item, dict) else item
    if kind is int and isinstance(got, float) and got.is_integer():
        got = int(got)
    fits = isinstance(item, dict) and isinstance(got, kind) and not isinstance(got, bool)
    if not fits or (kind is int and not _is_number(got)):
        raise DataError(f"{path}, {what}: expected {key} ({kind.__name__}), got {repr(got)[:60]}")
    return got


def _id(path: Path, what: str, item: Any) -> int:
    return int(_get(path, what, item, "id", int))


def _first(path: Path, what: str, item: Any, keys: tuple[str, ...]) -> int:
    """The first of several keys that is there."""
    return int(_get(path, what, item, next((k for k in keys if k in item), keys[0]), int))


def write(path: Path, tables: list[Table], notes: Notes) -> None:
    """One file for all sequences. Frames without boxes are written too, up to the sequence's length."""
    labels = list(dict.fromkeys(label for table in tables for label in table.labels))
    document: dict[str, list[Any]] = {"videos": [], "images": [], "annotations": [], "categories": []}
    document["categories"] = [{"id": i, "name": name} for i, name in enumerate(labels, 1)]
    for number, table in enumerate(tables, 1):
        sides = {"width": table.size[0], "height": table.size[1]}
        video = {"id": number, "name": table.name, **sides}
        document["videos"].append(video | ({"fps": table.rate} if table.rate else {}))
        before = len(document["images"]) + 1
        frames = range(table.frames)
        if len(frames) > MOST_IMAGES:
            raise DataError(f"{path}: {len(frames):,} frames are more than a JSON file should list ({MOST_IMAGES:,})")
        document["images"] += [
            {
                "id": before + frame,
                "video_id": number,
                "frame_id": frame,
                "file_name": f"{table.name}/img1/{frame + 1:06d}.jpg",
                **sides,
            }
            for frame in frames
        ]
        category = [labels.index(label) + 1 for label in table.labels]
        document["annotations"] += _annotations(
            table, video=number, image=before, category=category, first=len(document["annotations"]) + 1
        )
    write_text(path, json.dumps(document))


def _annotations(table: Table, *, video: int, image: int, category: list[int], first: int) -> list[dict[str, Any]]:
    columns = (table.frame, table.id, table.label, table.ltwh, table.score)
    known = {n: getattr(table, n) for n in ("visibility", "truncated", "occluded")}
    rest = {n: values.tolist() for n, values in known.items() if values is not None}
    return [
        {
            "id": first + row,
            "image_id": image + frame,
            "video_id": video,
            "category_id": category[label],
            "instance_id": identity,
            "track_id": identity,
            "bbox": [float(f"{v:.10g}") for v in box],
            "area": float(f"{box[2] * box[3]:.10g}"),
            "iscrowd": int(identity < 0),
            "score": score,
            **{n: values[row] for n, values in rest.items() if values[row] != UNKNOWN},
        }
        for row, (frame, identity, label, box, score) in enumerate(zip(*(c.tolist() for c in columns), strict=True))
    ]
