"""Identities: the same object after a gap, after an hour, and on another camera.

```python
memory = IdentityMemory.open("site.sqlite")
answer = memory.observe(Tracklet(camera="gate", track=17, begin=3.2, end=9.8, embeddings=vectors, quality=scores))
answer.identity  # int, or None while the evidence does not suffice
memory.review()
memory.identity_of("gate", 17)
```
"""

from tracker.identity.changes import Change
from tracker.identity.decision import Answer, Candidate
from tracker.identity.memory import IdentityMemory
from tracker.identity.settings import MemorySettings, SiteSettings, load_site
from tracker.identity.tracklet import Tracklet

__all__ = [
    "Answer",
    "Candidate",
    "Change",
    "IdentityMemory",
    "MemorySettings",
    "SiteSettings",
    "Tracklet",
    "load_site",
]
