"""`reacquire mot`: trackers over whole data sets of the MOTChallenge kind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tracker.cli.console import print_json, stderr, stdout
from tracker.cli.eval_pictures import PAGES, refuse_name
from tracker.cli.progress import ManyProgress
from tracker.cli.scores import print_table
from tracker.cli.track import pipeline_settings
from tracker.errors import DataError

if TYPE_CHECKING:
    from tracker.benchmark.dataset import SequenceFolder
    from tracker.benchmark.runner import DataSetJob, DataSetOutcome
    from tracker.config import PipelineSettings

app = typer.Typer(
    help="Whole data sets in MOTChallenge's layout: track, keep what was seen, replay, tune, hand in.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    epilog="Example:  reacquire mot track --data MOT17 --split val-half --cache runs/cache",
)
CACHE = Path("runs/mot/cache")
EXIT = {"done": 0, "failed": 1, "interrupted": 130}

Data = Annotated[
    Path, typer.Option("--data", metavar="DIR", help="Data set, a split of it, or one sequence: SEQ/{img1,gt,det}.")
]
SplitName = Annotated[
    str, typer.Option("--split", metavar="NAME", help="train, train-half, val-half, val or test; halves are of train.")
]
Sequences = Annotated[
    list[str] | None, typer.Option("--sequences", metavar="GLOB", help="Only these, as 'MOT17-0*'; may be repeated.")
]
Variant = Annotated[
    str | None,
    typer.Option(
        "--variant",
        metavar="NAME",
        help="Of MOT17: FRCNN, DPM, SDP, all, or one of each. Default: all with public detections, else one.",
    ),
]
Rate = Annotated[
    float | None, typer.Option("--rate", metavar="FPS", min=0.1, max=1000, help="Of sequences that do not say: 30.")
]
Detector = Annotated[
    str | None, typer.Option("--detector", "-d", metavar="WEIGHTS|public", help="Weights, or each SEQ/det/det.txt.")
]
Reid = Annotated[str | None, typer.Option("--reid", "-r", metavar="WEIGHTS|none", help="Re-identification weights.")]
Tracker = Annotated[str | None, typer.Option("--tracker", "-t", metavar="NAME|FILE", help="Recipe.")]
MotionOnly = Annotated[
    bool, typer.Option("--motion-only", help="Leave appearance and camera motion out: needs no frames.")
]
Device = Annotated[str | None, typer.Option("--device", metavar="auto|cpu|cuda:0", help="Where the networks run.")]
Config = Annotated[str, typer.Option("--config", metavar="NAME|FILE", help="Settings of the whole pipeline.")]
Override = Annotated[
    list[str] | None, typer.Option("--set", metavar="key.path=value", help="Change one setting; may be repeated.")
]
Jobs = Annotated[int | None, typer.Option("--jobs", "-j", min=1, metavar="N", help="Processes; as many as help.")]
Benchmark = Annotated[
    str | None, typer.Option("--benchmark", "-b", metavar="NAME", help="Whose rules score; guessed from the names.")
]
Out = Annotated[Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder of results.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run in the same folder.")]
Report = Annotated[Path | None, typer.Option("--report", metavar="FILE.html", help="Write the HTML report too.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]

TRACK_EPILOG = """
[bold]Examples[/]

  reacquire mot track --data MOT17 --split val-half --tracker bytetrack

  reacquire mot track --data MOT15 --detector public --motion-only

  reacquire mot track --data DanceTrack --split val --detector yolo11x.pt --cache runs/mot/cache
"""


@app.command("track", epilog=TRACK_EPILOG)
def track(
    data: Data,
    split: SplitName = "train",
    sequences: Sequences = None,
    variant: Variant = None,
    rate: Rate = None,
    detector: Detector = None,
    reid: Reid = None,
    tracker: Tracker = None,
    motion_only: MotionOnly = False,
    device: Device = None,
    config: Config = "default",
    override: Override = None,
    cache: Annotated[
        Path | None, typer.Option("--cache", metavar="DIR", help="Keep detections and embeddings here, and use them.")
    ] = None,
    benchmark: Benchmark = None,
    jobs: Jobs = None,
    out: Out = None,
    overwrite: Overwrite = False,
    report: Report = None,
    as_json: AsJson = False,
) -> None:
    """Track every sequence; results in MOT format, and scores where there is ground truth."""
    settings = _settings(config, override, tracker, detector, reid, device, motion_only)
    found = _sequences(data, split, sequences, variant, rate, settings)
    _run(
        {"data": data, "sequences": found, "settings": settings, "benchmark": benchmark, "cache": cache, "jobs": jobs},
        out, overwrite, report, as_json,
    )  # fmt: skip


@app.command("replay")
def replay(
    data: Data,
    split: SplitName = "train",
    sequences: Sequences = None,
    variant: Variant = None,
    rate: Rate = None,
    detector: Detector = None,
    reid: Reid = None,
    tracker: Tracker = None,
    motion_only: MotionOnly = False,
    config: Config = "default",
    override: Override = None,
    cache: Annotated[Path, typer.Option("--cache", metavar="DIR", help="That `mot cache` has filled.")] = CACHE,
    benchmark: Benchmark = None,
    jobs: Jobs = None,
    out: Out = None,
    overwrite: Overwrite = False,
    report: Report = None,
    as_json: AsJson = False,
) -> None:
    """Run association alone, over what the cache holds: the same results as `mot track`, in seconds."""
    settings = _settings(config, override, tracker, detector, reid, None, motion_only)
    found = _sequences(data, split, sequences, variant, rate, settings)
    job = {"data": data, "sequences": found, "settings": settings, "benchmark": benchmark, "cache": cache, "jobs": jobs}
    _run(job | {"fill": False}, out, overwrite, report, as_json)


@app.command("cache")
def cache(
    data: Data,
    split: SplitName = "train",
    sequences: Sequences = None,
    variant: Variant = None,
    rate: Rate = None,
    detector: Detector = None,
    reid: Reid = None,
    tracker: Tracker = None,
    camera: Annotated[
        list[str] | None,
        typer.Option("--camera", metavar="flow|ecc|orb", help="Measure the camera's motion so too; may be repeated."),
    ] = None,
    motion_only: MotionOnly = False,
    device: Device = None,
    config: Config = "default",
    override: Override = None,
    folder: Annotated[Path, typer.Option("--cache", metavar="DIR", help="Where it is kept.")] = CACHE,
    jobs: Jobs = None,
) -> None:
    """Compute what the recipe needs (detections, embeddings, camera motion) once, and keep it.

    Embeddings are kept if the recipe looks, or for any recipe with --reid WEIGHTS. What is there already, of the same
    frames and weights, is checked and left.
    """
    from tracker.benchmark.replay import cameras_of
    from tracker.benchmark.runner import DataSetJob, cache_all

    settings = _settings(config, override, tracker, detector, reid, device, motion_only)
    found = _sequences(data, split, sequences, variant, rate, settings)
    methods = list(dict.fromkeys([*(camera or []), *cameras_of(settings.tracker)]))
    unknown = [m for m in methods if m not in ("flow", "ecc", "orb")]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]}: expected flow, ecc or orb", param_hint="--camera")
    job = DataSetJob(data=data, sequences=found, settings=settings, cache=folder, jobs=jobs)
    asked = reid not in (None, "none") and not motion_only
    embed = asked or settings.embeds
    with ManyProgress({s.name: s.length for s in found}) as progress:
        outcomes, interrupted = cache_all(job, embed=embed, cameras=methods, audience=progress)
    whole = [o.result for o in outcomes.values() if o.result]
    stdout.print(
        f"{folder}: {len(whole)} of {len(outcomes)} sequences, {sum(f for f, _ in whole)} frames, "
        f"{sum(d for _, d in whole)} detections" + (", interrupted" if interrupted else ""),
        highlight=False,
    )
    raise typer.Exit(130 if interrupted else int(len(whole) < len(outcomes)))


TUNE_EPILOG = """
[bold]Example[/]

  reacquire mot cache --data MOT15 --detector public --motion-only

  reacquire mot tune bytetrack --space configs/tune/bytetrack.yaml --data MOT15 --detector public --trials 200
"""


@app.command("tune", epilog=TUNE_EPILOG)
def tune(
    tracker: Annotated[str, typer.Argument(metavar="RECIPE", help="Whose settings are varied.")],
    space: Annotated[Path, typer.Option("--space", metavar="FILE", help="Which, and how far; see configs/tune.")],
    data: Data,
    trials: Annotated[
        int, typer.Option("--trials", metavar="N", min=1, help="Of each study, with earlier ones.")
    ] = 200,
    objective: Annotated[
        str, typer.Option("--objective", metavar="NAME", help="HOTA, IDF1, MOTA, mix, or as HOTA=2,IDF1=1.")
    ] = "HOTA",
    folds: Annotated[
        int | None, typer.Option("--folds", metavar="K", min=2, help="Default: one a sequence, at most 5.")
    ] = None,
    study: Annotated[str, typer.Option("--study", metavar="NAME", help="The same name goes on.")] = "tune",
    split: SplitName = "train",
    sequences: Sequences = None,
    variant: Variant = None,
    rate: Rate = None,
    detector: Detector = None,
    reid: Reid = None,
    motion_only: MotionOnly = False,
    config: Config = "default",
    override: Override = None,
    cache: Annotated[Path, typer.Option("--cache", metavar="DIR", help="That `mot cache` has filled.")] = CACHE,
    benchmark: Benchmark = None,
    jobs: Jobs = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Search for better settings, and say what they are worth on sequences that the search has not seen.

    Writes best.yaml, trials.csv, tune.json and the study itself; run it again to go on where it stopped.
    """
    from tracker.benchmark.dataset import guess_benchmark
    from tracker.benchmark.space import read_space
    from tracker.benchmark.tune import ALL, TuneJob, deal, read_objective
    from tracker.benchmark.tune import tune as search
    from tracker.cli.tuning import print_tuning, write_tuning

    settings = _settings(config, override, tracker, detector, reid, None, motion_only)
    found = [s for s in _sequences(data, split, sequences, variant, rate, settings) if s.gt is not None]
    studies = [*deal([s.name for s in found], folds), ALL]
    folder = out or Path("runs/mot/tune") / settings.tracker.name
    job = TuneJob(
        sequences=found,
        settings=settings,
        cache=cache,
        space=read_space(space, settings.tracker),
        objective=read_objective(objective),
        trials=trials,
        folds=folds,
        storage=folder / "study.sqlite3",
        study=study,
        benchmark=benchmark or guess_benchmark(found),
        jobs=jobs or min(os.cpu_count() or 1, len(studies)),
    )
    with ManyProgress(dict.fromkeys(studies, trials), "trials") as progress:
        tuning = search(job, progress)
    document = write_tuning(job, tuning, folder)
    if as_json:
        print_json(document)
    else:
        print_tuning(job, tuning, folder)
    raise typer.Exit(130 if tuning.interrupted else int(bool(tuning.problems)))


@app.command("submit")
def submit(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run of `mot track`, or of NAME.txt.")],
    benchmark: Annotated[
        str, typer.Option("--benchmark", "-b", metavar="NAME", help="mot15, mot16, mot17, mot20; others with --data.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE.zip", help="The archive.")],
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Expect this data set's sequences, and their lengths.")
    ] = None,
    split: SplitName = "test",
) -> None:
    """Check results and put them into the archive that the server takes, or say what is wrong with them."""
    from tracker.benchmark.dataset import find_dataset
    from tracker.benchmark.submit import submit as hand_in

    expected = None if data is None else find_dataset(data, split=split)
    chosen = hand_in(run, out, benchmark=benchmark, sequences=expected)
    copied = len(chosen) - len(set(chosen.values()))
    again = f", {copied} of them copies for the other detector variants" if copied else ""
    stdout.print(f"{out}: {len(chosen)} sequences{again}", highlight=False, soft_wrap=True)


def _settings(
    config: str,
    override: list[str] | None,
    tracker: str | None,
    detector: str | None,
    reid: str | None,
    device: str | None,
    motion_only: bool,
) -> PipelineSettings:
    """Settings as for `reacquire track`, without appearance where that is asked for."""
    settings = pipeline_settings(config, override or [], tracker=tracker, detector=detector, reid=reid, device=device)
    if settings.detector.weights.startswith("public:"):
        raise DataError("--detector public:FILE is of one sequence: write --detector public for each one's det/det.txt")
    if motion_only:
        from tracker.benchmark.replay import motion_only as without

        settings = settings.model_copy(update={"tracker": without(settings.tracker)})
    return _by_visits(settings)


def _by_visits(settings: PipelineSettings) -> PipelineSettings:
    """Who comes back gets a new id, as in the ground truth that is scored against; unless the settings say it."""
    recipe = settings.tracker
    if recipe.reidentification is None or "memory" in recipe.model_fields_set:
        return settings
    stderr.print(
        "memory: visit, as MOTChallenge's ground truth has it: who leaves the picture and comes back gets a new id "
        "(--set tracker.memory=identity keeps it)"
    )
    return settings.model_copy(update={"tracker": recipe.model_copy(update={"memory": "visit"})})


def _sequences(
    data: Path,
    split: str,
    names: list[str] | None,
    variant: str | None,
    rate: float | None,
    settings: PipelineSettings,
) -> list[SequenceFolder]:
    from tracker.benchmark.dataset import find_dataset

    default = "all" if settings.detector.weights == "public" else "one"
    return find_dataset(data, split=split, names=tuple(names or ()), variant=variant or default, rate=rate)


def _run(options: dict[str, Any], out: Path | None, overwrite: bool, report: Path | None, as_json: bool) -> None:
    from tracker.benchmark.runner import DataSetJob, track_all

    refuse_name(report, PAGES, "--report")
    sequences = options["sequences"]
    name = f"{options['data'].resolve().name}-{sequences[0].split}-{options['settings'].tracker.name}"
    job = DataSetJob(**options, out=out or Path("runs/mot") / name, overwrite=overwrite)
    with ManyProgress({s.name: s.length for s in sequences}) as progress:
        outcome = track_all(job, progress)
    if report is not None:
        _write_report(job, outcome, report)
    if as_json:
        from tracker.benchmark.runner import scores_document

        print_json(outcome.summary() | (scores_document(outcome.scores) if outcome.scores else {}))
    else:
        _print(outcome)
    raise typer.Exit(EXIT[outcome.status])


def _print(outcome: DataSetOutcome) -> None:
    if outcome.scores:
        print_table(outcome.scores, title=f"by the rules of {outcome.benchmark}")
    done = sum(o.result is not None for o in outcome.sequences.values())
    lines = [
        f"{done} of {len(outcome.sequences)} sequences, {outcome.frames} frames in {outcome.seconds:.1f} s "
        f"(association {outcome.rate:.0f} frames a second)",
        f"results in {outcome.folder}",
    ]
    if done < len(outcome.sequences):
        missing = [name for name, o in outcome.sequences.items() if o.result is None]
        lines.insert(1, f"not done: {', '.join(missing)}")
    if not outcome.scores and done:
        lines.append("no ground truth, so no scores")
    for line in lines:
        stdout.print(line, highlight=False, markup=False, soft_wrap=True)


def _write_report(job: DataSetJob, outcome: DataSetOutcome, path: Path) -> None:
    """The page of `reacquire eval --report`, of the sequences that were scored."""
    from tempfile import TemporaryDirectory

    from tracker.benchmark.runner import copy_gt
    from tracker.evaluation.report import write_report

    scored = [s for s in job.sequences if s.name in outcome.scores]
    if not scored:
        stderr.print(f"{path}: not written, no sequence has ground truth", highlight=False)
        return
    # Pictures are found by the numbers of frames, which are other ones in halves.
    pictured = any(s.images for s in scored) and not scored[0].split.endswith("-half")
    frames = scored[0].folder.parent if pictured else None
    with TemporaryDirectory() as folder:
        for sequence in scored:
            copy_gt(sequence, Path(folder))
        results = {outcome.folder.name: outcome.folder}
        write_report(path, Path(folder), results, benchmark=outcome.benchmark, frames=frames)
    stderr.print(f"{path}: why ids switched", highlight=False)
