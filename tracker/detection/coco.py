"""Names of COCO's classes (Lin et al., ECCV 2014), which most public detectors tell apart and many do not name."""

from __future__ import annotations

COCO_NAMES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
    "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone",
    "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear",
    "hair drier", "toothbrush",
)  # fmt: skip
UNUSED = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
"""Numbers of categories between 1 and 90 that COCO never used."""
COCO_BY_CATEGORY = dict(zip((number for number in range(1, 91) if number not in UNUSED), COCO_NAMES, strict=True))
"""By the number that COCO's own annotations give them."""
COCO_CATEGORIES = 91
"""Numbers that networks count by category tell apart: 0 to 90."""
