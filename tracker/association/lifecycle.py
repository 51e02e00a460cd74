"""How tracks live: learn from what was matched, get their ids, end, begin. Compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracker.association import overlap as ov
from tracker.association import priors as pr
from tracker.association import records as rc
from tracker.association.buffers import Buffers
from tracker.association.filtering import update_filter
from tracker.association.grid import Grid, box_at, make_grid, touching
from tracker.association.matching.candidates import past_match
from tracker.association.reidentification import is_known
from tracker.association.sorting import sort_rows
from tracker.compiled import Record, compiled, kernel
from tracker.motion import kalman

Float32 = NDArray[np.float32]
Index = NDArray[np.int64]


@kernel
def keep_scores(buffers: Buffers) -> None:
    """For recipes that take scores on the scale of whatever detector gives them."""


@kernel
def scale_scores(buffers: Buffers) -> None:
    """Raise the scores of a detector that is less sure to the scale that the recipe's numbers are of."""
    counters, detections = buffers.counters[0], buffers.detections
    elapsed = counters.now - counters.before
    sure = buffers.rules[0].sure_score
    factor = pr.score_factor(buffers.priors[0], detections, counters.detections, elapsed, sure)
    for j in range(counters.detections):
        detections[j].score = min(factor * detections[j].score, 1.0)


@kernel
def no_boost(buffers: Buffers, grid: Grid) -> None:
    """For recipes that take scores as they are."""


@kernel
def boost_scores(buffers: Buffers, grid: Grid) -> None:
    """Raise scores where a track is expected (BoostTrack's DLO; Stanojevic and Todorovic, MVA 2024, section 3.1)."""
    detections, rules, found = buffers.detections, buffers.rules[0], buffers.found
    for row in range(buffers.counters[0].tracks):
        track = buffers.tracks[row]
        if track.status == rc.TENTATIVE or track.status == rc.REMEMBERED:
            continue
        box = kalman.corners(rules.motion.state, track.state)
        for k in range(touching(grid, box, found)):
            j = found[k]
            expected = rules.boost * ov.pair_iou(box, box_at(grid.boxes, j))
            detections[j].score = max(detections[j].score, expected)


@kernel
def remember(buffers: Buffers, track: Record, box: ov.Box, parts: Any) -> None:
    """Add a matched box to a track's history, and renew its heading."""
    now = buffers.counters[0].now
    if not math.isnan(track.history_time[0]):
        parts.set_heading(track, box, now, buffers.rules[0])
    for k in range(rc.HISTORY - 1, 0, -1):
        track.history_time[k] = track.history_time[k - 1]
        for i in range(4):
            track.history_box[k, i] = track.history_box[k - 1, i]
    track.history_time[0] = now
    for i in range(4):
        track.history_box[0, i] = track.box[i] = box[i]


@kernel
def set_no_heading(track: Record, box: ov.Box, now: float, rules: Record) -> None:
    """For recipes in which no stage asks for directions."""


@kernel
def set_heading(track: Record, box: ov.Box, now: float, rules: Record) -> None:
    """Where the track is heading: of the centre, over `direction_steps`; of the corners, the mean over 1 to as many.

    The centre's is OC-SORT's (Cao et al., CVPR 2023, section 4.2); the corners', weighted by 1/steps, is Hybrid-SORT's
    (Yang et al., AAAI 2024, section 3.3) and TrackTrack's.
    """
    nominal, steps, heading = rules.nominal, rules.motion.direction_steps, track.heading
    if rules.headings == 1:
        past = track.history_box[past_match(track, now, steps * nominal, nominal)]
        dx, dy = (box[0] + box[2] - past[0] - past[2]) / 2, (box[1] + box[3] - past[1] - past[3]) / 2
        size = math.hypot(dx, dy) + 1e-6
        heading[0, 0], heading[0, 1] = dx / size, dy / size
        return
    for corner in range(4):
        heading[corner, 0] = heading[corner, 1] = 0.0
    for step in range(1, steps + 1):
        past = track.history_box[past_match(track, now, step * nominal, nominal)]
        for corner in range(4):
            x, y = 2 * (corner // 2), 1 + 2 * (corner % 2)
            dx, dy = box[x] - past[x], box[y] - past[y]
            size = (math.hypot(dx, dy) + 1e-5) * step * steps
            heading[corner, 0] += dx / size
            heading[corner, 1] += dy / size


@kernel
def watch_no_gaps(buffers: Buffers) -> None:
    """For recipes that do not show whom they do not see."""


@kernel
def widen(buffers: Buffers) -> None:
    """Note from where to where anything is seen."""
    pr.widen(buffers.priors[0], buffers.xyxy, buffers.counters[0].detections)


@kernel
def watch_gaps(buffers: Buffers) -> None:
    """Note which gaps lasted and which closed."""
    counters, priors = buffers.counters[0], buffers.priors[0]
    for row in range(counters.tracks):
        track = buffers.tracks[row]
        if track.status == rc.LOST:
            overlap = -1.0
            if track.detection >= 0:
                expected = kalman.corners(buffers.rules[0].motion.state, track.state)
                overlap = ov.pair_iou(expected, box_at(buffers.xyxy, track.detection))
            age, elapsed = counters.before - track.seen, counters.now - counters.before
            pr.watch_gap(priors, track.gap_kind, age, elapsed, overlap)


@kernel
def estimate_survival(buffers: Buffers) -> None:
    """Say of each lost track how probably it is still where it is expected."""
    counters, priors = buffers.counters[0], buffers.priors[0]
    pr.estimate_survival(priors)
    for row in range(counters.tracks):
        track = buffers.tracks[row]
        if track.status == rc.LOST:
            expected = kalman.corners(buffers.rules[0].motion.state, track.state)
            track.gap_kind = pr.gap_kind(priors, track.hits, expected)
            track.survival = priors.survival[track.gap_kind, pr.gap_bin(counters.now - track.seen)]


@kernel
def is_real(track: Record, rules: Record, priors: Record) -> bool:
    """Whether a track that was just matched has shown that it is real."""
    if rules.birth.min_real_probability < np.inf:
        proved = pr.has_proved(track.hits, track.seen - track.born)
        probability = pr.real_probability(priors, track.score_sum, track.hits)
        return bool(proved or probability >= rules.birth.min_real_probability)
    return bool(track.hits >= rules.birth.confirm_hits)


@kernel
def vote(track: Record, class_id: int, which: int) -> None:
    """Renew a track's class where classes may mix: 0 by majority (Boyer and Moore, 1981), 1 the first, 2 the last."""
    if which == 2:
        track.class_id = class_id
    elif which == 0:
        track.class_votes += 1 if class_id == track.class_id else -1
        if track.class_votes < 0:
            track.class_id, track.class_votes = class_id, 1


@kernel
def update_tracks(buffers: Buffers, embedding: Float32, parts: Any) -> None:
    """Update matched tracks, and the status of all."""
    rules, priors, counters = buffers.rules[0], buffers.priors[0], buffers.counters[0]
    correlation = counters.correlation
    correlation[0] = correlation[1] = correlation[2] = correlation[3] = 0.0
    for row in range(counters.tracks):
        track = buffers.tracks[row]
        if track.detection < 0:
            track.streak = 0
            if track.status == rc.CONFIRMED:
                track.status = rc.LOST
            elif track.status == rc.TENTATIVE:
                pr.note_beginning(priors, track.score_sum, track.hits, False)
                track.hits, track.score_sum = 0, 0.0
            continue
        j, proved = track.detection, pr.has_proved(track.hits, track.seen - track.born)
        detection = buffers.detections[j]
        update_filter(buffers, row, j, parts)
        remember(buffers, track, box_at(buffers.xyxy, j), parts)
        track.hits += 1
        track.streak += 1
        track.score_sum += detection.score
        track.seen = counters.now
        track.score_before, track.score = track.score, detection.score
        if rules.class_agnostic:
            vote(track, detection.class_id, rules.class_of_track)
        if rules.embeddings:
            track.evidence += parts.learn_embedding(buffers, row, j, embedding[j])
        if not proved and pr.has_proved(track.hits, counters.now - track.born):
            pr.note_beginning(priors, track.score_sum, track.hits, True)
    if rules.motion.adapt > 0:
        four = (correlation[0], correlation[1], correlation[2], correlation[3])
        pr.tune_filter(priors, four, rules.motion.adapt)


@kernel
def confirm(buffers: Buffers) -> None:
    """Give ids to those that have been seen often enough: now, so that none is spent on a false start."""
    counters = buffers.counters[0]
    for row in range(counters.tracks):
        track = buffers.tracks[row]
        if track.detection < 0:
            continue
        if track.status != rc.TENTATIVE or (is_real(track, buffers.rules[0], buffers.priors[0]) and not track.waits):
            track.status = rc.CONFIRMED
            if track.id == 0:
                track.id = counters.next_id
                counters.next_id += 1


@kernel
def end_tracks(buffers: Buffers, parts: Any) -> None:
    """Mark as dead: tentative tracks that missed, tracks too long out of sight, and lost duplicates of seen ones.

    Tracks with known appearance are kept, and not removed as duplicates.
    """
    rules, counters, lost = buffers.rules[0], buffers.counters[0], False
    for row in range(counters.tracks):
        track = buffers.tracks[row]
        if track.detection >= 0:
            continue
        age = counters.now - track.seen
        # Seen in the last frame: it has at least this one to come back in, however slow the camera.
        had_a_chance = track.seen < counters.before
        if track.status == rc.TENTATIVE:
            allowed = rules.birth.tentative_seconds
            track.dead = age > allowed + 1e-6 if allowed > 0 else True
        else:
            if had_a_chance and age > rules.death.lost_seconds + 1e-6:
                remembered = rules.reidentification.seconds + 1e-6
                track.dead = not is_known(track, rules) or age > remembered
                if track.status == rc.LOST and not pr.has_proved(track.hits, track.seen - track.born):
                    pr.note_beginning(buffers.priors[0], track.score_sum, track.hits, False)
                track.status = rc.REMEMBERED
            lost = lost or track.status == rc.LOST
    if lost:
        parts.end_duplicates(buffers)


@compiled
def end_no_duplicates(buffers: Buffers) -> None:
    """For recipes in which a lost track may stand where another is seen."""


@compiled
def end_duplicates(buffers: Buffers) -> None:
    """Mark as dead the lost tracks that a seen one overlaps (ByteTrack's removal of duplicates)."""
    tracks, rules, boxes, seen = buffers.tracks, buffers.rules[0], buffers.expected, 0
    kind, n = rules.motion.state, buffers.counters[0].tracks
    for row in range(n):
        if tracks[row].detection >= 0:
            boxes[seen, 0], boxes[seen, 1], boxes[seen, 2], boxes[seen, 3] = kalman.corners(kind, tracks[row].state)
            seen += 1
    grid, found = make_grid(boxes[:seen], n - seen), buffers.found
    for row in range(n):
        track = tracks[row]
        if track.detection >= 0 or track.dead or track.status != rc.LOST or is_known(track, rules):
            continue
        box = kalman.corners(kind, track.state)
        for k in range(touching(grid, box, found)):
            if ov.pair_iou(box, box_at(boxes, found[k])) > rules.death.duplicate_overlap:
                track.dead = True
                break


@kernel
def compact(buffers: Buffers) -> None:
    """Close the gaps that the dead leave."""
    tracks, gallery, quality, kept = buffers.tracks, buffers.gallery, buffers.quality, 0
    for row in range(buffers.counters[0].tracks):
        if tracks[row].dead:
            continue
        if kept < row:
            tracks[kept] = tracks[row]
            for k in range(gallery.shape[1]):
                quality[kept, k] = quality[row, k]
                for i in range(gallery.shape[2]):
                    gallery[kept, k, i] = gallery[row, k, i]
        kept += 1
    buffers.counters[0].tracks = kept


@kernel
def choose_births(buffers: Buffers, grid: Grid, parts: Any) -> int:
    """Detections that nobody took and that begin a track, in `rows`: how many. A box without area begins none."""
    counters, detections, rows, born = buffers.counters[0], buffers.detections, buffers.rows, 0
    any_free = False
    for j in range(counters.detections):
        detections[j].taken = False
    for row in range(counters.tracks):
        if buffers.tracks[row].detection >= 0:
            detections[buffers.tracks[row].detection].taken = True
    for j in range(counters.detections):
        box, detection = box_at(grid.boxes, j), detections[j]
        has_area = box[2] > box[0] and box[3] > box[1]
        detection.free = detection.score >= buffers.rules[0].birth.score and not detection.taken and has_area
        any_free |= detection.free
    if any_free:
        parts.spare(buffers, grid)
        for j in range(counters.detections):
            if detections[j].free:
                rows[born] = j
                born += 1
    return born


@kernel
def spare_none(buffers: Buffers, grid: Grid) -> None:
    """For recipes in which tracks may begin on each other."""


@kernel
def spare_overlapping(buffers: Buffers, grid: Grid) -> None:
    """No birth on what overlaps a matched detection, or a surer newborn: it is the same object.

    Track-aware initialisation (Shim et al., CVPR 2025, section 3.3). The surest come first.
    """
    detections, rows, found, free = buffers.detections, buffers.rows, buffers.found, 0
    for j in range(buffers.counters[0].detections):
        buffers.keys[j] = detections[j].score
        if detections[j].free:
            rows[free] = j
            free += 1
    sort_rows(rows, free, buffers.keys, buffers.scratch)
    for i in range(free):
        j = rows[i]
        box = box_at(grid.boxes, j)
        for k in range(touching(grid, box, found)):
            other = found[k]
            overlap = ov.pair_iou(box, box_at(grid.boxes, other))
            if detections[other].taken and overlap > buffers.rules[0].birth.overlap:
                detections[j].free = False
                break
        detections[j].taken = detections[j].free


@kernel
def start_tracks(buffers: Buffers, born: int, embedding: Float32, parts: Any) -> None:
    """Begin a track on each of the first `born` detections of `rows`."""
    counters, rules, n = buffers.counters[0], buffers.rules[0], buffers.counters[0].tracks
    kind = rules.motion.state
    at_once = rules.birth.at_once_in_first_frame and counters.now == counters.first
    for i in range(born):
        track, j = buffers.tracks[n + i], buffers.rows[i]
        detection, box = buffers.detections[j], box_at(buffers.xyxy, j)
        clear(track)
        z, velocity = kalman.measure(kind, box), rules.motion.start_velocity
        kalman.initiate(kind, track.state, z, rules.motion.measurement_noise, velocity)
        kalman.copy_state(track.state, track.state_seen)
        remember(buffers, track, box, parts)
        track.serial, track.hits, track.streak, track.detection = counters.born + i, 1, 1, j
        track.born = track.seen = counters.now
        track.score = track.score_before = track.score_sum = detection.score
        track.class_id, track.class_votes = detection.class_id, 1
        for k in range(buffers.gallery.shape[1]):
            buffers.quality[n + i, k] = -1.0 if k else 0.0
            for d in range(buffers.gallery.shape[2]):
                buffers.gallery[n + i, k, d] = 0
        if rules.embeddings:
            track.evidence = parts.learn_embedding(buffers, n + i, j, embedding[j])
        if at_once:
            track.status, track.id = rc.CONFIRMED, counters.next_id
            counters.next_id += 1
    counters.tracks += born
    counters.born += born


@kernel
def clear(track: Record) -> None:
    """A track of which nothing is known."""
    track.id = track.status = track.gap_kind = 0
    track.evidence = track.survival = 0.0
    track.dead = track.waits = False
    for i in range(4):
        track.innovation[i] = track.heading[i, 0] = track.heading[i, 1] = 0.0
    for k in range(rc.HISTORY):
        track.history_time[k] = np.nan
        for i in range(4):
            track.history_box[k, i] = np.nan
