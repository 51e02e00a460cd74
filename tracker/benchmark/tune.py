"""Search for a recipe's settings over the cache, always judged on sequences that the search has not seen.

The sequences are dealt into folds. For every fold a study of its own searches on the others and never sees the
fold; its winner's score on the fold is what such tuning is worth on new data. One more study searches on all
sequences: its winner is the recipe that is written. Each study is one process, with a seed of its own, so that the
same call gives the same recipe whatever else runs.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reid.files import writing
from reid.runtime import sha256
from tracker.association.recipe import Recipe
from tracker.benchmark.cache import Cache, CachedInputs
from tracker.benchmark.dataset import SequenceFolder, base_name
from tracker.benchmark.jobs import Audience, Outcome, Reporter, do_all
from tracker.benchmark.replay import as_predictions, cameras_of, replay
from tracker.benchmark.runner import GT, Look, part_of_gt
from tracker.benchmark.space import Dimension, flatten, with_values
from tracker.config import PipelineSettings
from tracker.errors import ConfigError, DataError, ReacquireError
from tracker.evaluation.benchmarks import Rules, prepare, rules_of
from tracker.evaluation.evaluate import Scores, combine, score_sequence
from tracker.evaluation.read import read_gt
from tracker.evaluation.sequence import compute_similarity
from tracker.extras import needed
from tracker.factory import with_embedder_threshold
from tracker.formats.table import Table
from tracker.run.interruption import interruptible

if TYPE_CHECKING:
    import optuna

ALL = "all"
METRICS = ("HOTA", "IDF1", "MOTA", "AssA", "DetA")
MIX = {"HOTA": 0.5, "IDF1": 0.25, "MOTA": 0.25}
SEED = 0


def read_objective(text: str) -> dict[str, float]:
    """Weights of metrics: a name, `mix`, or as `HOTA=2,IDF1=1`; brought to a sum of one.

    Raises:
        ConfigError: not of that form.
    """
    if text == "mix":
        return dict(MIX)
    names = {name.upper(): name for name in METRICS}
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, _, weight = part.strip().partition("=")
        try:
            value = float(weight or 1)
        except ValueError:
            value = -1.0
        if name.upper() not in names or not 0 < value < float("inf"):
            raise ConfigError(f"objective {text!r}: expected mix, or of {', '.join(METRICS)}, as HOTA or HOTA=2,IDF1=1")
        weights[names[name.upper()]] = value
    return {name: weight / sum(weights.values()) for name, weight in weights.items()}


def deal(names: Sequence[str], folds: int | None) -> dict[str, list[str]]:
    """Sequences held out by each fold. Variants of one sequence stay together: they show the same people.

    Args:
        names: of the sequences.
        folds: how many; None leaves one scene out at a time, up to five.

    Raises:
        DataError: too few sequences to hold any out.
    """
    scenes = list(dict.fromkeys(base_name(name) for name in names))
    count = min(len(scenes), 5) if folds is None else folds
    if len(scenes) < 2 or not 2 <= count <= len(scenes):
        raise DataError(
            f"{len(scenes)} scenes cannot be held out in {count} folds: tuning needs two sequences with ground truth "
            "or more, and from 2 folds up to one a sequence"
        )
    return {f"fold {f + 1}": [n for n in names if scenes.index(base_name(n)) % count == f] for f in range(count)}


@dataclass(frozen=True, slots=True)
class Scene:
    """A sequence as a trial needs it."""

    sequence: SequenceFolder
    seen: CachedInputs
    gt: Table


@dataclass(frozen=True, slots=True)
class Study:
    """One search: which sequences it tunes on, and which are held out."""

    name: str
    tuned_on: tuple[str, ...]
    held_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """The objective on the sequences that were tuned on, and on those held out (None where there are none)."""

    tuned_on: float
    held_out: float | None


@dataclass(frozen=True, slots=True)
class Found:
    """What a study found: the default settings' scores, the winner's, its values, and all trials."""

    default: Pair
    best: Pair
    values: dict[str, Any]
    default_scores: dict[str, Scores]
    best_scores: dict[str, Scores]
    trials: list[dict[str, Any]]
    importances: dict[str, float]


@dataclass
class Search:
    """Work: one study, from where it is to the number of trials."""

    look: Look
    scratch: Path
    sequences: dict[str, SequenceFolder]
    space: list[Dimension]
    objective: dict[str, float]
    trials: int
    storage: Path
    study: str
    rules: str
    _scenes: dict[str, Scene] = field(default_factory=dict, init=False)

    def __call__(self, study: Study, report: Reporter) -> Found:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        names = (*study.tuned_on, *study.held_out)
        settings = self.look.settings
        recipe = with_embedder_threshold(settings.tracker, settings.embedder.weights)
        # A digest: Python's own hash of a text is another one in every process.
        seed = SEED + int(hashlib.sha256(study.name.encode()).hexdigest()[:6], 16)
        search = optuna.create_study(
            study_name=f"{self.study}: {study.name}",
            storage=_storage(self.storage),
            sampler=_sampler(seed),
            direction="maximize",
            load_if_exists=True,
        )
        self._begin(search, recipe, study, report)
        default_scores = self._judge(recipe, names, report)
        while (done := _finished(search)) < self.trials:
            report("trials", done)
            search.sampler = _sampler(seed + done)  # drawn anew each time, so that a search that goes on is the same
            search.optimize(lambda trial: self._trial(trial, recipe, study, report), n_trials=1)
        if all(trial.value is None for trial in search.get_trials(deepcopy=False)):
            raise DataError(f"the recipe allows none of {self.trials} trials; narrow the space, or try more")
        best = search.best_trial
        values = {d.name: _plain(d, best.params[d.name]) for d in self.space}
        best_scores = self._judge(with_values(recipe, values), names, report)
        return Found(
            default=self._pair(default_scores, study),
            best=self._pair(best_scores, study),
            values=values,
            default_scores={n: default_scores[n] for n in study.held_out or study.tuned_on},
            best_scores={n: best_scores[n] for n in study.held_out or study.tuned_on},
            trials=[_row(study.name, trial, self.space) for trial in search.trials if _is_finished(trial)],
            importances=_importances(search),
        )

    def _begin(self, search: optuna.Study, recipe: Recipe, study: Study, report: Reporter) -> None:
        """The default settings come first; a study of something else is refused, since its trials tell nothing here."""
        about = self._about(recipe, study)
        before = search.user_attrs.get("about")
        if before is None:
            search.set_user_attr("about", about)
            known = flatten(recipe.model_dump(mode="json"))
            stored = {d.name: d.stored(known[d.keys[0]]) for d in self.space}
            search.enqueue_trial({name: value for name, value in stored.items() if value is not None})
            return
        known_parts = before if isinstance(before, dict) else {}
        other = [part for part, digest in about.items() if known_parts.get(part) != digest]
        if other:
            raise ConfigError(
                f"the study {self.study!r} in {self.storage} was begun with another {' and '.join(other)}: "
                "give another --study, or another --out"
            )
        if done := _finished(search):
            report.say(f"goes on after {done} trials")

    def _about(self, recipe: Recipe, study: Study) -> dict[str, str]:
        """All that a trial's value depends on, as digests: what differs in one of them is another search."""
        names = (*study.tuned_on, *study.held_out)
        sequences = [self.sequences[name] for name in names]
        kind = "embeddings" if self.look.embed else "detections"
        cache = Cache(self.look.cache)
        parts: dict[str, Any] = {
            "recipe": recipe.model_dump(mode="json"),
            "space": [(d.name, d.low, d.high, d.whole, d.log, d.step, d.choices) for d in self.space],
            "objective": self.objective,
            "benchmark": self.rules,
            "set of sequences": [study.tuned_on, study.held_out],
            "ground truth": [[s.start, s.length, s.rate, sha256(s.gt)] for s in sequences if s.gt is not None],
            "frames or detections": [cache.entry(s, self.look.settings).about(kind) for s in sequences],
        }
        return {part: hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
                for part, value in parts.items()}  # fmt: skip

    def _trial(self, trial: optuna.Trial, recipe: Recipe, study: Study, report: Reporter) -> float:
        import optuna

        values = {d.name: d.suggest(trial) for d in self.space}
        try:
            scores = self._judge(with_values(recipe, values), (*study.tuned_on, *study.held_out), report)
        except ConfigError as error:
            raise optuna.TrialPruned(str(error)) from error
        pair = self._pair(scores, study)
        trial.set_user_attr("held_out", pair.held_out)
        return pair.tuned_on

    def _judge(self, recipe: Recipe, names: Sequence[str], report: Reporter) -> dict[str, Scores]:
        return {name: judge(recipe, self._scene(name, report), rules_of(self.rules)) for name in names}

    def _scene(self, name: str, report: Reporter) -> Scene:
        if name not in self._scenes:
            sequence, rules = self.sequences[name], rules_of(self.rules)
            gt = read_gt(part_of_gt(sequence, self.scratch), rules, length=sequence.length)
            self._scenes[name] = Scene(sequence, self.look(sequence, report), gt)
        return self._scenes[name]

    def _pair(self, scores: Mapping[str, Scores], study: Study) -> Pair:
        def worth(names: Sequence[str]) -> float:
            return objective_of(combine({n: scores[n] for n in names}), self.objective)

        return Pair(worth(study.tuned_on), worth(study.held_out) if study.held_out else None)


def judge(recipe: Recipe, scene: Scene, rules: Rules) -> Scores:
    """Scores of a recipe on one sequence, without a file in between."""
    result = as_predictions(replay(recipe, scene.seen, scene.sequence))
    length = scene.sequence.length
    return score_sequence(compute_similarity(*prepare(scene.gt, result, rules, length), length))


def objective_of(scores: Scores, weights: Mapping[str, float]) -> float:
    """The weighted mean of metrics, 0–1 (MOTA may be below)."""
    numbers = scores.summary()
    return float(sum(weight * numbers[name] for name, weight in weights.items()))


def _sampler(seed: int) -> optuna.samplers.TPESampler:
    """Tree-structured Parzen estimator over all settings together (Bergstra et al., NeurIPS 2011)."""
    import warnings

    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `multivariate` is called experimental
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, warn_independent_sampling=False)


def _plain(dimension: Dimension, stored: Any) -> Any:
    return json.loads(stored) if dimension.choices else stored


def _finished(search: optuna.Study) -> int:
    return sum(map(_is_finished, search.get_trials(deepcopy=False)))


def _is_finished(trial: optuna.trial.FrozenTrial) -> bool:
    """Not one that was killed on its way."""
    return trial.state.name in ("COMPLETE", "PRUNED")


def _row(study: str, trial: optuna.trial.FrozenTrial, space: list[Dimension]) -> dict[str, Any]:
    return {
        "study": study,
        "trial": trial.number,
        "state": "done" if trial.value is not None else "not allowed",
        "tuned_on": trial.value,
        "held_out": trial.user_attrs.get("held_out"),
        **{d.name: _plain(d, trial.params[d.name]) for d in space if d.name in trial.params},
    }


def _importances(search: optuna.Study) -> dict[str, float]:
    """How much each setting decides between good and middling trials (PED-ANOVA; Watanabe et al., IJCAI 2023)."""
    import warnings

    import optuna

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            evaluator = optuna.importance.PedAnovaImportanceEvaluator()
            return dict(optuna.importance.get_param_importances(search, evaluator=evaluator))
    except (ValueError, RuntimeError):  # too few trials to say
        return {}


@dataclass(slots=True)
class Tuning:
    """How tuning went.

    Attributes:
        found: by study; "all" is the one on all sequences.
        held_out: sequences of each fold.
        default: scores of the default settings on all sequences.
        tuned: held-out scores of the folds' winners, each on the sequences it never saw, together.
        recipe: the winner on all sequences.
        problems: of studies that failed.
        interrupted: the user asked to stop; the next call goes on.
    """

    found: dict[str, Found]
    held_out: dict[str, list[str]]
    default: Scores | None
    tuned: Scores | None
    recipe: Recipe | None
    problems: dict[str, str]
    interrupted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneJob:
    """What one search is asked to do.

    Attributes:
        sequences: with ground truth, in the cache.
        settings: whose recipe is varied.
        cache: filled before.
        space: what may vary.
        objective: weights of metrics.
        trials: of each study.
        folds: see `deal`.
        storage: SQLite file; the same file and study go on.
        study: its name there.
        benchmark: whose rules score.
        jobs: processes.
    """

    sequences: list[SequenceFolder]
    settings: PipelineSettings
    cache: Path
    space: list[Dimension]
    objective: dict[str, float]
    trials: int
    folds: int | None
    storage: Path
    study: str
    benchmark: str
    jobs: int


def tune(job: TuneJob, audience: Audience) -> Tuning:
    """Run all studies, or go on with them.

    Raises:
        ReacquireError: too few sequences, the wrong data, or optuna is not installed.
    """
    named = {s.name: s for s in job.sequences if s.gt is not None}
    held_out = deal(list(named), job.folds)
    studies = {fold: Study(fold, tuple(n for n in named if n not in out), tuple(out)) for fold, out in held_out.items()}
    studies[ALL] = Study(ALL, tuple(named), ())
    scratch = job.storage.parent / GT
    look = Look(job.settings, job.cache, job.settings.embeds, cameras_of(job.settings.tracker), fill=False)
    search = Search(look, scratch, named, job.space, job.objective, job.trials, job.storage, job.study, job.benchmark)
    _storage(job.storage)  # makes its tables here, before several processes want to
    with interruptible() as stopped:
        outcomes = do_all(search, studies, jobs=job.jobs, audience=audience, stopped=stopped)
        return _together(job, outcomes, held_out, stopped())


def _storage(path: Path) -> optuna.storages.RDBStorage:
    """The studies in a SQLite file; several processes may write it, and a commit does not wait for the disk."""
    with needed("tuning", "tune"):
        import optuna
        import sqlalchemy
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    place = os.path.realpath(path)
    if "?" in place:
        raise ConfigError(f"{path}: a search cannot be kept in a folder that has a ? in its name")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        storage = optuna.storages.RDBStorage(f"sqlite:///{place}", engine_kwargs={"connect_args": {"timeout": 60}})
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError, RuntimeError) as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise ReacquireError(f"{path}: no file of studies can be read or written there: {reason}") from error

    def prepare(connection: Any, _: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=OFF")

    sqlalchemy.event.listen(storage.engine, "connect", prepare)
    storage.engine.dispose()  # so that connections are made anew
    return storage


def _together(
    job: TuneJob, outcomes: Mapping[str, Outcome[Found]], held_out: dict[str, list[str]], interrupted: bool
) -> Tuning:
    found = {name: o.result for name, o in outcomes.items() if o.result}
    folds = [found[f] for f in held_out if f in found]
    whole = len(folds) == len(held_out)
    recipe = None
    if ALL in found:
        recipe = with_values(job.settings.tracker, found[ALL].values)
    return Tuning(
        found=found,
        held_out=held_out,
        default=combine({n: s for f in folds for n, s in f.default_scores.items()}) if whole else None,
        tuned=combine({n: s for f in folds for n, s in f.best_scores.items()}) if whole else None,
        recipe=recipe,
        problems={name: o.problem for name, o in outcomes.items() if o.problem},
        interrupted=interrupted,
    )
