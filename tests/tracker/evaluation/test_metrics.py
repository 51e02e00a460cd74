"""Our scores beside the official evaluator's, motmetrics' and published numbers."""

from pathlib import Path

import motmetrics
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from trackeval.metrics import CLEAR, HOTA, Count, Identity

from tracker.errors import DataError
from tracker.evaluation import clear, hota, identity
from tracker.evaluation.benchmarks import RULES
from tracker.evaluation.crosscheck import opinion
from tracker.evaluation.evaluate import CLEAR_REST, combine, evaluate_files, score, score_sequence
from tracker.evaluation.matching import assignment
from tracker.evaluation.sequence import Sequence
from tracker.evaluation.summing import sums

SHIPPED = Path(motmetrics.__file__).parent / "data"

# TrackEval, motmetrics and a third tool agree on these, on the files in the motmetrics wheel.
GOLDEN = {
    "TUD-Campus": {
        "MOTA": 0.5264623955431755, "MOTP": 0.7227989153605385, "IDF1": 0.5576592082616179,
        "TP": 209, "FN": 150, "FP": 13, "IDSW": 7, "Frag": 7, "MT": 1, "PT": 6, "ML": 1,
        "HOTA": 0.3913974378451139, "DetA": 0.418047030142763, "AssA": 0.36912068120832836, "LocA": 0.770052227022172,
    },
    "TUD-Stadtmitte": {
        "MOTA": 0.5640138408304498, "MOTP": 0.6540957044559912, "IDF1": 0.6446194225721785,
        "TP": 704, "FN": 452, "FP": 45, "IDSW": 7, "Frag": 6, "MT": 5, "PT": 4, "ML": 1,
        "HOTA": 0.3978490169927877, "DetA": 0.3922675723693166, "AssA": 0.4088407518112996, "LocA": 0.737521177178062,
    },
    "combined": {
        "MOTA": 0.5551155115511551, "MOTP": 0.6698229455064297, "IDF1": 0.6242960579243765,
        "TP": 913, "FN": 602, "FP": 58, "IDSW": 14, "Frag": 13, "MT": 6, "PT": 10, "ML": 2,
        "HOTA": 0.3999570912884786, "DetA": 0.3976832912424188, "AssA": 0.4124495298453543, "LocA": 0.7324802580659768,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def shipped():
    scores = {
        name: evaluate_files(SHIPPED / name / "gt.txt", SHIPPED / name / "test.txt", RULES["mot15"])
        for name in ("TUD-Campus", "TUD-Stadtmitte")
    }
    return scores | {"combined": combine(scores)}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_numbers(shipped, name):
    summary = shipped[name].summary()
    for metric, value in GOLDEN[name].items():
        assert summary[metric] == pytest.approx(value, abs=1e-9), metric


def official(sequence):
    """The same sequence through TrackEval's metrics."""
    frames = list(sequence.frames)
    data = {
        "num_timesteps": len(sequence),
        "num_gt_dets": sequence.num_gt_dets,
        "num_tracker_dets": sequence.num_pred_dets,
        "num_gt_ids": sequence.num_gt_ids,
        "num_tracker_ids": sequence.num_pred_ids,
        "gt_ids": [f.gt for f in frames],
        "tracker_ids": [f.pred for f in frames],
        "similarity_scores": [f.similarity for f in frames],
    }
    quiet = {"PRINT_CONFIG": False}
    return [m.eval_sequence(data) for m in (HOTA(), CLEAR(quiet), Identity(quiet), Count())]


CLEAR_NAMES = {n: "CLR_" + n for n in ("TP", "FP", "FN")} | {"FAF": "FP_per_frame"}


def check_against_official(sequence):
    ours = score_sequence(sequence)
    theirs = dict(zip(("hota", "clear", "identity", "count"), official(sequence), strict=True))
    for name in ("TP", "FP", "FN", "HOTA", "DetA", "AssA", "DetRe", "DetPr", "AssRe", "AssPr", "LocA", "OWTA"):
        expected = theirs["hota"]["HOTA_" + name if len(name) == 2 else name]
        np.testing.assert_allclose(getattr(ours.hota, name), expected, atol=1e-9, err_msg=name)
    full = ours.full()
    for name in ("HOTA(0)", "LocA(0)"):
        assert full[name] == pytest.approx(theirs["hota"][name], abs=1e-9)
    # Of a sequence without true boxes the official evaluator says that all identities are lost, and counts no frames.
    empty = () if sequence.num_gt_dets else ("MLR", "FAF")
    names = ["TP", "FP", "FN", "IDSW", "Frag", "MT", "PT", "ML", "MOTA", "MOTP", *CLEAR_REST]
    for name in [n for n in names if n not in empty]:
        assert full[name] == pytest.approx(theirs["clear"][CLEAR_NAMES.get(name, name)], abs=1e-9), name
    for name in ("IDTP", "IDFP", "IDFN", "IDF1", "IDP", "IDR"):
        assert full[name] == pytest.approx(theirs["identity"][name], abs=1e-9), name
    for name in ("Dets", "GT_Dets", "IDs", "GT_IDs", "Frames"):
        assert full[name] == theirs["count"][name], name


def sequence_of(frames):
    return Sequence.from_frames(*(zip(*frames, strict=True) if frames else ((), (), ())))


@st.composite
def sequences(draw, values=None, copies=False):
    """Gaps, empty frames, no truth, no results.

    Overlaps are all different, so that the best matching is one, or of few values, so that many are as good.
    """
    random = np.random.default_rng(draw(st.integers(0, 2**31)))
    most = 5 if draw(st.integers(0, 4)) else 14
    frames = []
    for _ in range(draw(st.integers(1, 8))):
        truth = random.permutation(most + 1)[: draw(st.integers(0, most))]
        result = random.permutation(most + 2)[: draw(st.integers(0, most))]
        similarity = random.random((len(truth), len(result)))
        if values is not None:
            similarity = random.choice(values, similarity.shape)
        similarity[random.random(similarity.shape) < 0.3] = 0
        if copies:
            similarity[:, 1::2] = similarity[:, : similarity.shape[1] - 1 : 2][:, : similarity[:, 1::2].shape[1]]
        frames.append((truth, result, similarity))
    return sequence_of(frames)


@settings(max_examples=150, deadline=None)
@given(sequences())
def test_equals_the_official_evaluator_on_anything(sequence):
    check_against_official(sequence)


@settings(max_examples=150, deadline=None)
@given(sequences(values=[0, 0.25, 0.5, 0.75, 1]) | sequences(values=[0, 1]) | sequences(values=[0, 0.3, 0.5, 0.6]))
def test_ties_fall_as_the_official_evaluator_has_them(sequence):
    check_against_official(sequence)


@settings(max_examples=60, deadline=None)
@given(sequences(copies=True))
def test_copies_of_boxes(sequence):
    """A tracker that gives the same object twice: every choice between the two is a tie."""
    check_against_official(sequence)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**31), st.sampled_from([1, 2, 5, 12, 30, 150]), st.sampled_from([1, 3, 7, 8, 9, 17, 60, 130, 300])
)
def test_sums_are_numpys_to_the_last_bit(seed, rows, columns):
    random = np.random.default_rng(seed)
    matrix = random.random((rows, columns)) * (random.random((rows, columns)) < 0.6)
    s = Sequence.from_frames([range(rows)], [range(columns)], [matrix])
    of_gt, of_pred = sums(s.gt_first, s.pred_first, s.pair_first, s.pair_pred, s.similarity)
    np.testing.assert_array_equal(of_gt, matrix.sum(1))
    np.testing.assert_array_equal(of_pred, matrix.sum(0))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 9), st.integers(1, 9))
def test_assignment_is_scipys_on_ties(seed, rows, columns):
    cost = -np.random.default_rng(seed).choice([0, 0, 0.1, 0.2, 0.5, 1], (rows, columns))
    expected = np.full(rows, -1)
    chosen, partner = linear_sum_assignment(cost)
    expected[chosen] = partner
    np.testing.assert_array_equal(assignment(cost), expected)


@pytest.mark.parametrize(
    ("gt_ids", "tracker_ids", "similarity", "message"),
    [
        ([[1, 2]], [[5]], [[[0.5]]], r"frame 0: similarity must be \(2, 1\), got \(1, 1\)"),
        ([[1], [2, 2]], [[], [5]], [[], [[0.5], [0.5]]], "frame 1: an id is in gt_ids twice"),
        ([[1]], [[5]], [[[float("nan")]]], "frame 0: a similarity is NaN or outside 0–1"),
        ([[1]], [[5]], [[[1.5]]], "frame 0: a similarity is NaN or outside 0–1"),
        ([[1]], [], [], "one entry a frame each, got 1, 0 and 0"),
    ],
)
def test_what_cannot_be_scored_is_refused(gt_ids, tracker_ids, similarity, message):
    with pytest.raises(DataError, match=message):
        score(gt_ids, tracker_ids, similarity)


def test_ids_may_be_names():
    scores = score([["ann", "bob"]] * 3, [[7, 9]] * 3, [np.eye(2)] * 3).full()
    assert scores["HOTA"] == scores["IDF1"] == scores["MOTA"] == 1
    assert (scores["IDs"], scores["GT_IDs"], scores["Frames"]) == (2, 2, 3)


@settings(max_examples=30, deadline=None)
@given(sequences())
def test_nothing_beats_the_truth(sequence):
    perfect = sequence_of([(f.gt, f.gt, np.eye(len(f.gt))) for f in sequence.frames])
    if perfect.num_gt_dets:
        assert hota.hota(perfect).HOTA.mean() == pytest.approx(1)
        assert clear.clear(perfect).MOTA == 1
        assert identity.identity(perfect).IDF1 == 1


def test_a_swap_by_hand():
    """Two people, ten frames, ids exchanged in the middle: every box is right, half of each life is."""
    frames = [(np.array([0, 1]), np.array([0, 1]) if t < 5 else np.array([1, 0]), np.eye(2)) for t in range(10)]
    sequence = sequence_of(frames)
    c = clear.clear(sequence)
    assert (c.TP, c.FP, c.FN, c.IDSW, c.Frag) == (20, 0, 0, 2, 0)
    assert c.MOTA == pytest.approx(0.9)
    assert identity.identity(sequence).IDF1 == pytest.approx(0.5)
    # Each match shares 5 of the 15 boxes of its identity and its track: AssA = 1/3.
    assert hota.hota(sequence).AssA == pytest.approx(np.full(19, 1 / 3))


@pytest.mark.parametrize("name", ["MOT17-05", "MOT17-09"])
def test_real_tracker_output_by_the_rules_of_mot17(data, name, tmp_path):
    """Distractors, zero-marked rows and other classes, as TrackEval's own MOTChallenge reader treats them."""
    truth = data / "mot17" / name
    result = next((data / "mot17/tracks-LifT").glob(f"{name}*.txt"))
    theirs = trackeval_of(tmp_path, "MOT17", {name: (truth, result)})
    ours = evaluate_files(truth / "gt/gt.txt", result, RULES["mot17"], length=theirs["length"][name]).summary()
    compare(ours, theirs[name])


def compare(ours, theirs):
    for metric in ("HOTA", "DetA", "AssA", "LocA"):
        assert ours[metric] == pytest.approx(theirs["HOTA"][metric].mean(), abs=1e-9), metric
    for metric in ("TP", "FP", "FN", "MOTA", "MOTP", "IDSW", "Frag", "MT", "PT", "ML"):
        assert ours[metric] == pytest.approx(theirs["CLEAR"][CLEAR_NAMES.get(metric, metric)], abs=1e-9), metric
    for metric in ("IDF1", "IDP", "IDR"):
        assert ours[metric] == pytest.approx(theirs["Identity"][metric], abs=1e-9), metric


def trackeval_of(folder, benchmark, sequences):
    """Scores by the whole official evaluator, its folders laid out in `folder`."""
    import shutil

    import trackeval

    root, lengths = folder / "gt", {}
    for name, (truth, result) in sequences.items():
        (root / name / "gt").mkdir(parents=True)
        shutil.copy(truth / "gt/gt.txt", root / name / "gt/gt.txt")
        rows = np.loadtxt(truth / "gt/gt.txt", delimiter=",")
        found = np.loadtxt(result, delimiter=",", ndmin=2)
        lengths[name] = int(max(rows[:, 0].max(), found[:, 0].max()))
        (root / name / "seqinfo.ini").write_text(f"[Sequence]\nname={name}\nseqLength={lengths[name]}\n")
        (folder / "trackers/mine/data").mkdir(parents=True, exist_ok=True)
        shutil.copy(result, folder / f"trackers/mine/data/{name}.txt")
    dataset = trackeval.datasets.MotChallenge2DBox(
        {
            "GT_FOLDER": str(root),
            "TRACKERS_FOLDER": str(folder / "trackers"),
            "BENCHMARK": benchmark,
            "SKIP_SPLIT_FOL": True,
            "SEQ_INFO": dict.fromkeys(sequences),
            "PRINT_CONFIG": False,
            "DO_PREPROC": True,
        }
    )
    quiet = {"PRINT_CONFIG": False}
    out = {"length": lengths}
    for name in sequences:
        data = dataset.get_preprocessed_seq_data(dataset.get_raw_seq_data("mine", name), "pedestrian")
        metrics = {"HOTA": HOTA(), "CLEAR": CLEAR(quiet), "Identity": Identity(quiet)}
        out[name] = {key: metric.eval_sequence(data) for key, metric in metrics.items()}
    return out


@pytest.mark.parametrize("benchmark", ["MOT15", "MOT16", "MOT17", "MOT20", "DanceTrack", "SportsMOT"])
def test_rules_on_a_made_case(tmp_path, benchmark):
    """Twenty frames with pedestrians, people in cars, statics, distractors, occluders and zero-marked rows."""
    random = np.random.default_rng(7)
    rows, found = [], []
    for frame in range(1, 21):
        kinds = [1, 1, 1, 7, 8, 2, 12, 6, 9] if benchmark.startswith("MOT") else [1] * 9
        for i, kind in enumerate(kinds):
            left = 40 + 120 * i + 2 * frame
            flag = 0 if kind != 1 or (i == 2 and frame < 8) else 1
            kind_or_world = kind if benchmark != "MOT15" else -1
            rows.append([frame, i + 1, left, 50, 60, 120, flag, kind_or_world, 1])
            if random.random() < 0.85:
                jitter = random.normal(0, 6, 4)
                found.append(
                    [
                        frame,
                        (i + 1) + (10 if i == 0 and frame > 10 else 0),
                        *(np.array([left, 50, 60, 120]) + jitter),
                        1,
                        -1,
                        -1,
                        -1,
                    ]
                )
    truth = tmp_path / "made"
    (truth / "gt").mkdir(parents=True)
    np.savetxt(truth / "gt/gt.txt", rows, delimiter=",", fmt="%d")
    np.savetxt(tmp_path / "result.txt", found, delimiter=",", fmt="%.6f")
    theirs = trackeval_of(tmp_path / "official", benchmark, {"made": (truth, tmp_path / "result.txt")})
    ours = evaluate_files(truth / "gt/gt.txt", tmp_path / "result.txt", RULES[benchmark.lower()], length=20)
    compare(ours.full(), theirs["made"])
    # Boxes on distractors are forgiven where there are such, and are false boxes where there are not.
    assert (ours.count.Dets < len(found)) == (benchmark in ("MOT16", "MOT17", "MOT20"))


def test_motmetrics_agrees(shipped):
    from tracker.evaluation.read import read_gt, read_predictions
    from tracker.evaluation.sequence import compute_similarity

    folder = SHIPPED / "TUD-Campus"
    true = read_gt(folder / "gt.txt", RULES["mot15"])
    theirs = opinion(compute_similarity(true, read_predictions(folder / "test.txt"), true.frames))
    ours = shipped["TUD-Campus"].summary()
    for metric, value in theirs.items():
        assert ours[metric] == pytest.approx(value, abs=1e-9), metric
