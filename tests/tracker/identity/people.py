"""People whose looks and ways are drawn, as tracklets."""

import numpy as np

from tracker.identity import IdentityMemory, Tracklet
from tracker.identity.embedder import KnownEmbedder

SIZE = 32


class Line:
    """Evidence that falls in a line with distance: 0 at 0.4, as random vectors are 1 apart."""

    def log_likelihood_ratio(self, distance, n_left, n_right, *, across):
        empty = np.minimum(n_left, n_right) < 1
        return np.where(empty, 0.0, np.clip(20 * (0.4 - np.asarray(distance, float)), -12, 12))


def unit(vectors):
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


def looks(seed, count=3, noise=0.06):
    """Vectors of a person, whose number is the seed."""
    person = unit(np.random.default_rng([7, seed]).normal(size=SIZE))
    return unit(person + noise * np.random.default_rng([8, seed, count]).normal(size=(count, SIZE)))


def seen(person, camera, track, begin, end=None, **more):
    more = {"embeddings": looks(person)} | more
    return Tracklet(camera=camera, track=track, begin=begin, end=begin + 5 if end is None else end, **more)


def memory(store=None, **more):
    return IdentityMemory(store, embedder=KnownEmbedder(Line(), "weights"), **more)


def crowd(random, people=8, tracklets=40, cameras=3, noise=0.06):
    """Tracklets of some people at random times, in the order of their ends, none of a person in two places at once;
    and who they are."""
    until, found = np.zeros(people), []
    for track in range(tracklets):
        person = int(random.integers(people))
        begin = until[person] + random.uniform(1, 200)
        end = begin + random.uniform(0, 30)
        until[person] = end
        vectors = unit(looks(person, 2) + noise * random.normal(size=(2, SIZE)))
        found.append(
            (
                Tracklet(camera=f"c{random.integers(cameras)}", track=track, begin=begin, end=end, embeddings=vectors),
                person,
            )
        )
    return sorted(found, key=lambda item: item[0].end)


def violations(memory, exclusive=lambda a, b: a.camera == b.camera):
    """Pairs of tracklets of one identity that were seen at one instant where one object cannot be."""
    found = []
    for keys in memory.identities().values():
        tracklets = [table.tracklet(row) for table, row in map(memory._find, keys)]
        found += [
            (a.key, b.key)
            for i, a in enumerate(tracklets)
            for b in tracklets[:i]
            if exclusive(a, b) and a.begin <= b.end and b.begin <= a.end
        ]
    return found
