"""What a memory lets go, so that it stays bounded however long it runs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracker.identity.table import NONE, Table

Int64 = NDArray[np.int64]


def redundant(table: Table, budget: int) -> Int64:
    """Rows of identities with more tracklets than a budget allows, which say least that others do not say.

    Of the two most alike tracklets of an identity, the earlier is the one to go, until there are no more than allowed.

    Args:
        table: of all tracklets.
        budget: tracklets of one identity, at least 1.
    """
    identity = table.rows["identity"]
    known, count = np.unique(identity, return_counts=True)
    gone: list[int] = []
    for person in known[(count > budget) & (known != NONE)].tolist():
        rows = np.flatnonzero(identity == person)
        rows = rows[np.argsort(table.rows["end"][rows], kind="stable")]
        alike = table.prototypes[rows] @ table.prototypes[rows].T
        np.fill_diagonal(alike, -np.inf)
        for _ in range(len(rows) - budget):
            i = int(min(divmod(int(alike.argmax()), len(rows))))
            gone.append(int(rows[i]))
            alike[i], alike[:, i] = -np.inf, -np.inf
    return np.array(gone, np.int64)
