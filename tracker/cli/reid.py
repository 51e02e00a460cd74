"""`reacquire reid`: train, judge and use embedding networks."""

from __future__ import annotations

import typer

from tracker.cli import reid_adapt, reid_calibrate, reid_judge, reid_sequences, reid_ship, reid_train

app = typer.Typer(
    help="Re-identification: train, judge and use networks that turn crops into vectors.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    epilog="Example:  reacquire reid eval --query val/query --gallery val/gallery",
)

app.callback()(reid_sequences.lend_readers)
app.command("train", epilog=reid_train.EPILOG)(reid_train.train)
app.command("eval", epilog=reid_judge.EVAL_EPILOG)(reid_judge.evaluate)
app.command("compare", epilog=reid_judge.COMPARE_EPILOG)(reid_judge.compare)
app.command("adapt", epilog=reid_adapt.EPILOG)(reid_adapt.adapt)
app.command("calibrate", epilog=reid_calibrate.EPILOG)(reid_calibrate.calibrate)
app.command("embed", epilog=reid_ship.EMBED_EPILOG)(reid_ship.embed)
app.command("forget", epilog=reid_ship.FORGET_EPILOG)(reid_ship.forget)
app.command("export", epilog=reid_ship.EXPORT_EPILOG)(reid_ship.export)
