"""The command that scores forecasts of the past."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import typer

import funnel as fn
from funnel._display import percent
from funnel.calendars import to_date, to_day
from funnel.cli import _output, _screen
from funnel.cli._numbers import length
from funnel.cli._options import listed
from funnel.cli._questions import BacktestOptions, Score
from funnel.cli._reading import check_days, check_models, read_known
from funnel.errors import InsufficientDataError
from funnel.forecasting.api import DEFAULT
from funnel.metrics import Comparison

if TYPE_CHECKING:
    from funnel.backtesting import BacktestReport, Span
    from funnel.typing import DateArray

UNITS = ("week", "month", "quarter", "year")
LONGEST = 53  # weeks that a period can have
FIELDS = tuple(field.name for field in attrs.fields(Comparison))
NAMES = {
    Score.LOG: "log score",
    Score.BRIER: "Brier score",
    Score.WAPE_OPEN: "WAPE (open)",
    Score.WAPE_TOTAL: "WAPE (total)",
    Score.CRPS_TOTAL: "CRPS",
}


@attrs.frozen
class Question:
    """The options, understood: forecasters, days from cutoff to cutoff, and what is forecast."""

    models: tuple[str, ...]
    days: int
    span: Span


@attrs.frozen
class Ranking:
    """The best forecaster, if there is one, and how its scores differ from those of the others."""

    scores: tuple[Score, ...]
    best: str | None
    reason: str
    versus: dict[tuple[str, Score], Comparison | None]


def run(options: BacktestOptions) -> None:
    """Read, backtest and print."""
    question = _question(options)
    by = listed(options.by)
    history = read_known(options, by)
    cutoffs = _cutoffs(history, question, options.first)
    show = not options.as_json
    report = fn.backtest(
        history, question.models, list(cutoffs), horizon=question.span, by=by, progress=show
    )
    ranking = _ranking(report, options.score)
    if options.as_json:
        typer.echo(_output.to_json(_plain(report, ranking)))
    else:
        by_lead = isinstance(question.span, str)
        typer.echo(_text(report, ranking, by_lead=by_lead))


# --- the question --------------------------------------------------------------------------------


def _question(options: BacktestOptions) -> Question:
    """Read the options that are right or wrong whatever the file holds."""
    models = listed(options.models) or (DEFAULT,)
    check_models("--models", models)
    check_days({"--first": options.first})
    days = length(options.every, "--every")
    if options.horizon not in UNITS:
        rule = "must be days or weeks, such as 30d, or week, month, quarter or year"
        return Question(models, days, length(options.horizon, "--horizon", rule))
    if days % 7:
        rule = f"must be whole weeks with --horizon {options.horizon}"
        raise typer.BadParameter(rule, param_hint="--every")
    span: Any = options.horizon
    return Question(models, days, span)


def _cutoffs(history: fn.History, question: Question, first: str | None) -> DateArray:
    """Return the days at whose end forecasts are made."""
    if isinstance(question.span, int):
        return fn.cutoffs_every(history, question.days, horizon=question.span, first=first)
    found = fn.cutoffs_before(history, question.span, weeks=LONGEST)
    middle = (history.observed_from + history.observed_until) // 2
    begin = middle if first is None else to_day(first)
    found = found[found >= np.datetime64(begin, "D")]
    if not len(found):
        what = f"whole periods ({question.span}) from {to_date(begin)} on in the record"
        remedy = "Begin earlier with --first, or choose shorter periods."
        raise InsufficientDataError(what, needed=1, found=0, remedy=remedy)
    # Weeks are counted back from the end of each period.
    make = getattr(fn.Horizon, f"{question.span}s")
    ends = np.array([make(day + 1, 1).end for day in found], dtype="datetime64[D]")
    weeks = (ends - 1 - found).astype(np.int64) // 7
    return np.asarray(found[weeks % (question.days // 7) == 0])


# --- the answer ----------------------------------------------------------------------------------


def _ranking(report: BacktestReport, score: Score) -> Ranking:
    """Find the best forecaster, and compare it with each other one, in money too."""
    scores = tuple(dict.fromkeys((score, Score.WAPE_TOTAL)))
    try:
        best = report.best(score=score.value)
    except InsufficientDataError as error:
        return Ranking(scores, None, str(error), {})
    versus: dict[tuple[str, Score], Comparison | None] = {}
    for name in report.forecasters:
        for one in scores if name != best.forecaster else ():
            try:
                versus[name, one] = report.compare(best.forecaster, name, score=one.value)
            except InsufficientDataError:
                versus[name, one] = None
    return Ranking(scores, best.forecaster, best.reason, versus)


def _text(report: BacktestReport, ranking: Ranking, *, by_lead: bool) -> str:
    """Show scores, scores by lead time, and comparisons."""
    sections = [_screen.result(report)]
    if by_lead and report.records:
        sections.append(_leads(report))
    return _screen.page([*sections, _verdict(ranking)])


def _leads(report: BacktestReport) -> str:
    """Show forecasters side by side, week after week."""
    found = report.by_lead().columns
    rows = [
        [str(week), name, percent(error)]
        for name, week, error in zip(
            *(found[name].tolist() for name in ("forecaster", "lead_weeks", "wape_total")),
            strict=True,
        )
    ]
    cells = _screen.spread((["weeks left", "forecaster", "error"], rows), "forecaster")
    title = "WAPE of all money, by whole weeks to the end of the period"
    return _screen.table(cells, title=title)


def _verdict(ranking: Ranking) -> str:
    """Say which one is best, and which of the others it beats."""
    first = NAMES[ranking.scores[0]]
    if ranking.best is None:
        return f"No best one by {first}: {ranking.reason}"
    headers = ["less that of"]
    for score in ranking.scores:
        headers += [NAMES[score], "90% interval", ""]
    rows = []
    for name in dict.fromkeys(name for name, _ in ranking.versus):
        cells = (_beside(score, ranking.versus[name, score]) for score in ranking.scores)
        rows.append([name, *(cell for part in cells for cell in part)])
    title = f"Best by {first}: {ranking.best}. Its score (below 0 it is better)"
    return _screen.table((headers, rows), title=title)


def _beside(score: Score, found: Comparison | None) -> tuple[str, str, str]:
    """Show one comparison."""
    if found is None:
        return "–", "–", ""
    said = "may be luck"
    if found.decided:
        said = "better" if found.high < 0.0 else "worse"
    estimate, low, high = (_signed(score, x) for x in (found.estimate, found.low, found.high))
    return estimate, f"{low} – {high}", said


def _signed(score: Score, value: float) -> str:
    """Show a difference of scores."""
    if score in {Score.LOG, Score.BRIER}:
        return f"{value:+.4f}"
    return f"{value:+,.0f}" if score is Score.CRPS_TOTAL else f"{100 * value:+.1f}%"


def _plain(report: BacktestReport, ranking: Ranking) -> dict[str, Any]:
    """Return everything as JSON types: each forecast, and what is said of them."""
    comparisons = [
        {"first": ranking.best, "second": name, "score": score.value}
        | (dict.fromkeys(FIELDS) if found is None else attrs.asdict(found))
        for (name, score), found in ranking.versus.items()
    ]
    return {
        **report.to_dict(),
        "scores": report.scores.to_dict()["rows"],
        "scores_by_lead": report.by_lead().to_dict()["rows"] if report.records else [],
        "best": ranking.best,
        "best_by": ranking.scores[0].value,
        "reason": ranking.reason,
        "comparisons": comparisons,
    }
