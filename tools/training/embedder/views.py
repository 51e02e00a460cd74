"""One person seen in another way: another box, light, colour, sharpness.

The teacher sees what a good camera would show; the student sees the same, and often worse: from far away, blurred,
compressed. So it learns to say of a bad picture what the teacher says of the good one.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.training.embedder.people import Person

TEACHER = (256, 128)
"""Height and width that the teacher takes."""
STUDENT = (128, 64)
"""Those of the student."""

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Chance:
    """How often and how far views are changed.

    Attributes:
        shift: standard deviation of a box's move, as a share of its sides.
        scale: of the logarithm of its sides.
        loose: probability that the box is far off: legs cut off, or much too large.
        colour: largest change of brightness, contrast and saturation, as a share.
        tint: likewise of each of red, green and blue.
        gamma: largest logarithm of the exponent of brightness.
        mixed: probability that somebody else is seen from the hips down, or thereabouts: there are far more clothes in
            the world than in the data, and the teacher says of any what it is like. They are nobody's then.
        hue: probability that all hues are turned, of both parts apart, which gives people other clothes too.
        grey: probability that no colour is left.
        far: probability that the student sees 24 to 100 rows, stretched.
        blur: probability that it sees them out of focus or moved.
        packed: probability that it sees them strongly compressed.
        noise: probability of noise in what it sees.
    """

    shift: float = 0.05
    scale: float = 0.08
    loose: float = 0.2
    colour: float = 0.25
    tint: float = 0.1
    gamma: float = 0.3
    mixed: float = 0.35
    hue: float = 0.25
    grey: float = 0.05
    far: float = 0.35
    blur: float = 0.15
    packed: float = 0.25
    noise: float = 0.15


def render(
    person: Person, other: Person | None, chance: Chance, random: np.random.Generator
) -> tuple[Image, Image, bool]:
    """A view.

    Args:
        person: who is seen.
        other: who is seen below; None where it is all one person.
        chance: of changes.
        random: the source of all chance.

    Returns:
        What the teacher sees, ``(256, 128, 3)``, and the student, ``(128, 64, 3)``, both uint8 BGR; and whether the
        person still wears the clothes of the other views.
    """
    seen, own = dressed(person, chance, random)
    if other is not None:
        seen = joined(seen, dressed(other, chance, random)[0], random)
    seen = coloured(seen, chance, random)
    return seen, worse(seen, chance, random), own and other is None


def dressed(person: Person, chance: Chance, random: np.random.Generator) -> tuple[Image, bool]:
    """As a detector's box shows them, in their own clothes or in others'; and whether they are their own."""
    seen = boxed(person, chance, random)
    own = random.random() >= chance.hue
    return (seen if own else turned(seen, random)), own


def joined(above: Image, below: Image, random: np.random.Generator) -> Image:
    """The upper part of one view and the lower part of another, blended over some rows."""
    rows = np.arange(TEACHER[0], dtype=np.float32)
    middle, soft = TEACHER[0] * random.uniform(0.3, 0.65), random.uniform(2, 10)
    share = np.tile(1 / (1 + np.exp((rows - middle) / soft)), (TEACHER[1], 1)).T.astype(np.float32)
    return np.asarray(cv2.blendLinear(above, below, share, 1 - share), np.uint8)


def boxed(person: Person, chance: Chance, random: np.random.Generator) -> Image:
    """Cut as a detector would, which is now and then far off, and mirrored half of the time."""
    left, top, right, bottom = person.box
    size = np.array([right - left, bottom - top])
    centre = person.box[:2] + size / 2 + chance.shift * random.normal(size=2) * size
    wanted = size * np.exp(chance.scale * random.normal(size=2))
    if random.random() < chance.loose:
        if random.random() < 0.5:  # legs hidden, or below the picture
            hidden = random.uniform(0.1, 0.4) * wanted[1]
            centre[1] -= hidden / 2
            wanted[1] -= hidden
        else:
            wanted *= random.uniform(1.1, 1.5)
    step = wanted / [TEACHER[1], TEACHER[0]]
    begin = centre - wanted / 2 + step / 2 - 0.5
    if random.random() < 0.5:
        begin[0] += wanted[0] - step[0]
        step[0] = -step[0]
    move = np.array([[step[0], 0, begin[0]], [0, step[1], begin[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    view = cv2.warpAffine(person.image, move, TEACHER[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(view, np.uint8)


def turned(image: Image, random: np.random.Generator) -> Image:
    """All hues moved by the same angle."""
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    hsv[:, :, 0] = (hsv[:, :, 0].astype(np.int16) + random.integers(180)) % 180
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR), np.uint8)


def coloured(image: Image, chance: Chance, random: np.random.Generator) -> Image:
    """In another light, by another camera."""
    bright, contrast, saturation = 1 + chance.colour * random.uniform(-1, 1, 3)
    if random.random() < chance.grey:
        saturation = 0.0
    tint = bright * (1 + chance.tint * random.uniform(-1, 1, 3))
    exponent = np.exp(chance.gamma * random.uniform(-1, 1))
    # Saturation and tint are one linear map of colours, contrast and gamma one table of values.
    mix = saturation * np.eye(3) + (1 - saturation) / 3
    mixed = cv2.transform(image, np.asarray(tint[:, None] * mix, np.float32))
    level = np.arange(256) / 255
    middle = float(mixed.mean()) / 255
    curve = np.clip(middle + contrast * (level - middle), 0, 1) ** exponent
    return np.asarray(cv2.LUT(mixed, np.round(255 * curve).astype(np.uint8)), np.uint8)


def worse(image: Image, chance: Chance, random: np.random.Generator) -> Image:
    """At the student's size, and as a poor camera far away would show it."""
    height, width = STUDENT
    if random.random() < chance.blur:
        image = blurred(image, random)
    if random.random() < chance.far:
        rows = int(random.uniform(24, 100))
        image = np.asarray(cv2.resize(image, (max(rows // 2, 1), rows), interpolation=cv2.INTER_AREA), np.uint8)
    method = cv2.INTER_AREA if image.shape[0] > height else cv2.INTER_LINEAR
    if random.random() < chance.noise:
        deviation = random.uniform(2, 12)
        noise = random.normal(0, deviation, image.shape)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if random.random() < chance.packed:
        quality = int(random.integers(15, 75))
        packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        image = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), np.uint8)


def blurred(image: Image, random: np.random.Generator) -> Image:
    """Out of focus, or moved while the shutter was open."""
    if random.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), random.uniform(1, 4)), np.uint8)
    length = int(random.integers(5, 20))
    kernel = np.zeros((length, length), np.float32)
    angle = random.uniform(0, np.pi)
    reach = (length - 1) / 2 * np.array([np.cos(angle), np.sin(angle)])
    middle = np.array([(length - 1) / 2] * 2)
    ends = [tuple(np.round(middle + sign * reach).astype(int).tolist()) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)
