"""How sure an embedder is: what distances of tracklets are worth as evidence.

```python
calibration = load_calibration("default")
distance = tracklet_distance(prototype(left)[None], prototype(right)[None])
calibration.log_likelihood_ratio(distance, len(left), len(right), across=True)  # (1, 1), above 0: rather one person
```
"""

from reid.calibration.calibration import Calibration
from reid.calibration.counts import SIZES, PairCounts
from reid.calibration.files import load_calibration, write_calibration
from reid.tracklets import prototype, tracklet_distance

__all__ = [
    "SIZES",
    "Calibration",
    "PairCounts",
    "load_calibration",
    "prototype",
    "tracklet_distance",
    "write_calibration",
]
