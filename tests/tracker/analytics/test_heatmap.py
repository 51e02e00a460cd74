"""The map is warm where people stood, and nowhere else."""

import numpy as np

from tracker.analytics.heatmap import HeatMap


def test_seconds_add_up_where_feet_were():
    heat = HeatMap((160, 80))
    heat.add(np.array([[20.0, 40.0], [20.0, 41.0], [100.0, 8.0]]), 0.5)
    heat.add(np.array([[-3.0, 5.0], [500.0, 5.0], [5.0, 80.0]]), 9.0)  # outside of the picture
    assert heat.seconds.sum() == 1.5
    assert heat.seconds[5, 2] == 1.0
    assert heat.seconds[1, 12] == 0.5


def test_the_picture_is_grey_but_for_warm_places():
    scene = np.random.default_rng(0).integers(0, 255, (80, 160, 3), np.uint8)
    heat = HeatMap((160, 80))
    cold = heat.draw(scene)
    assert (cold.std(axis=2) == 0).all()
    heat.add(np.array([[40.0, 40.0]]), 1.0)
    warm = heat.draw(scene)
    changed = np.abs(warm.astype(int) - cold).sum(2)
    assert changed[36:44, 36:44].min() > 20
    assert changed[:, 100:].max() == 0
    assert warm[40, 40, 2] > warm[40, 40, 0]  # red over blue
