"""The actual funnel against the standard one: what differs by more than chance, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import attrs
import numpy as np

from funnel._display import percent
from funnel.diagnosis import _intervals, _wording
from funnel.diagnosis._measured import Measured, of_history, of_pipeline
from funnel.errors import ValidationError
from funnel.kernels.arrays import frozen
from funnel.kernels.labels import texts
from funnel.metrics._groups import check_level
from funnel.results import ResultTable
from funnel.tables import History, Pipeline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.calendars import Horizon, Unit
    from funnel.diagnosis._intervals import Bounds
    from funnel.diagnosis.standard import StandardFunnel
    from funnel.typing import FloatArray, IntArray, StringArray

__all__ = ["STAGE_MEASURES", "WHOLE_MEASURES", "Diagnosis", "diagnose"]

STAGE_MEASURES = ("yield", "backlog", "balance", "speed", "conversion")
"""What is compared stage by stage (产量, 积压, 平衡, 速率, 转化)."""

WHOLE_MEASURES = ("width", "slope", "evenness", "flow")
"""What is compared of the whole shape (粗细, 斜率, 均匀, 流速)."""

VERDICTS = ("low", "normal", "high", "unknown")
SHARES = frozenset({"conversion", "slope", "evenness"})


@attrs.frozen(eq=False)
class Diagnosis(ResultTable):
    """Comparisons of the actual funnel with the standard one; see `diagnose`.

    Arrays have a row for each group and period (c), and s stages. The last axis of `stages` is in
    the order of `STAGE_MEASURES`, that of `whole` in the order of `WHOLE_MEASURES`.

    Parameters
    ----------
    standard : StandardFunnel
        What should be.
    labels : tuple of dict of str to str
        Name of each stage by language, s.
    keys : dict of str to (c,) str
        The groups and periods.
    source : {"history", "snapshot"}
        What was measured.
    level : float
        Chance that all intervals of one group hold together.
    actual, low, high, expected : (c, s, 5) float64
        What is, with its interval, and what should be; NaN unknown. What should be of the backlog
        is the stock by Little's law: actual entries a day x standard days.
    whole_actual, whole_low, whole_high, whole_expected : (c, 4) float64
        The same of the whole.
    notes : tuple of str
        What has to be said.
    """

    standard: StandardFunnel
    labels: tuple[dict[str, str], ...]
    keys: dict[str, StringArray]
    source: Literal["history", "snapshot"]
    level: float
    actual: FloatArray
    low: FloatArray
    high: FloatArray
    expected: FloatArray
    whole_actual: FloatArray
    whole_low: FloatArray
    whole_high: FloatArray
    whole_expected: FloatArray
    notes: tuple[str, ...]

    @property
    def verdicts(self) -> IntArray:
        """-1 lower than the standard by more than chance, 0 not, 1 higher, 2 unknown, (c, s, 5)."""
        return _verdicts(self.actual, self.low, self.high, self.expected)

    @property
    def whole_verdicts(self) -> IntArray:
        """The same of the whole, (c, 4)."""
        return _verdicts(self.whole_actual, self.whole_low, self.whole_high, self.whole_expected)

    def text(self, language: Literal["en", "zh"] = "en") -> str:
        """Name what is wrong and why, one line for each finding.

        Raises
        ------
        ValidationError
            When the language is neither English nor Chinese.
        """
        if language not in _wording.LANGUAGES:
            raise ValidationError.from_value("language", "must be 'en' or 'zh'", language, "")
        told = dict(self.keys)
        if len(set(told.get("period", ()))) == 1:  # nothing to be told apart
            del told["period"]
        lines = []
        for cell in range(len(self.actual)):
            key = ", ".join(f"{name} {column[cell] or '–'}" for name, column in told.items())
            found = _wording.findings(self, cell, language)
            lines += [f"{key}: {finding}" if key else finding for finding in found]
        return "\n".join(lines)

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each group, stage and measure; of the whole, the stage is empty."""
        c, s, m = self.actual.shape
        stages = [*np.repeat(self.standard.stages, m).tolist(), *[""] * len(WHOLE_MEASURES)]
        measures = [*STAGE_MEASURES * s, *WHOLE_MEASURES]
        found: dict[str, Any] = {
            name: np.repeat(column, len(measures)) for name, column in self.keys.items()
        }
        found["stage"] = np.tile(texts(stages), c)
        found["measure"] = np.tile(texts(measures), c)
        for name in ("actual", "low", "high", "expected"):
            parts = getattr(self, name).reshape(c, -1), getattr(self, f"whole_{name}")
            found[name] = np.concatenate(parts, axis=1).ravel()
        verdict = np.concatenate((self.verdicts.reshape(c, -1), self.whole_verdicts), axis=1)
        found["verdict"] = texts(VERDICTS)[verdict.ravel() + 1]
        return found

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Return headers and rows as text: shares as percentages, and what is known only."""
        headers, rows = super()._cells()
        columns = self.to_columns()
        numbers = [headers.index(name) for name in ("actual", "low", "high", "expected")]
        shown = []
        for place, row in enumerate(rows):
            if np.isnan(columns["actual"][place]):
                continue
            if columns["measure"][place] in SHARES:
                for column in numbers:
                    row[column] = percent(float(columns[headers[column]][place]))
            row[headers.index("stage")] = row[headers.index("stage")] or "(whole)"
            shown.append(["∞" if cell == "inf" else cell for cell in row])
        return headers, shown

    @property
    def _title(self) -> str:
        """Return the heading."""
        return self.text()

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what has to be said."""
        return self.notes


def _verdicts(
    actual: FloatArray, low: FloatArray, high: FloatArray, expected: FloatArray
) -> IntArray:
    """(...) x 4 -> (...): where the standard lies outside of the interval."""
    unknown = np.isnan(actual) | np.isnan(expected) | np.isnan(low) | np.isnan(high)
    side = np.where(low > expected, 1, np.where(high < expected, -1, 0))
    return np.where(unknown, 2, side)


def diagnose(
    source: History | Pipeline,
    standard: StandardFunnel,
    /,
    *,
    by: Sequence[str] = (),
    period: Unit | Horizon | None = None,
    level: float = 0.95,
) -> Diagnosis:
    """Compare a funnel with the standard one, stage by stage and as a whole.

    Parameters
    ----------
    source : History or Pipeline
        A history shows everything; a snapshot shows stocks and days so far.
    standard : StandardFunnel
        What should be.
    by : sequence of str
        Category columns (owner, region, source): one diagnosis for each of their values. The
        standard is then that of one group, see `StandardFunnel.scaled`.
    period : {"week", "month", "quarter", "year"} or Horizon, optional
        One diagnosis for each period, of what entered in it and of the stock at its end. By default
        all that was observed. A snapshot has no periods.
    level : float
        Chance that all intervals of one group hold together (Bonferroni).

    Returns
    -------
    Diagnosis
        ``print`` shows findings and comparisons; `Diagnosis.text` says the findings in English or
        Chinese.

    Raises
    ------
    UnknownColumnError, UnknownStageError
        When a column or a stage of the standard does not exist.
    ValidationError
        When a period is asked of a snapshot, or a number is wrong.

    Notes
    -----
    ===========  ==============================================  ===============================
    measure      actual                                          interval
    ===========  ==============================================  ===============================
    yield        deals in the stage                              Poisson (Garwood)
    backlog      deals in the stage, against entries a day x     ratio of two Poisson counts
                 standard days (Little's law)
    balance      deals in the stage / in the stage before        ratio of two Poisson counts
    speed        mean days of a stay (Kaplan-Meier)              Greenwood; Poisson for few exits
    conversion   share that goes on (Aalen-Johansen)             complementary log-log, Wilson
    width        entries into the first stage a week             Poisson
    slope        product of the conversions                      of its factors
    evenness     share of deals that should be in other stages   parametric bootstrap
    flow         sum of the days in the stages                   of its terms
    ===========  ==============================================  ===============================

    Stocks are Poisson in the steady state with independent arrivals. In a snapshot, width is the
    number of deals in the first stage. There the days are those of deals that have not left yet:
    being longer than the standard is a sign of deals that do not move, being shorter says nothing.
    A deal that comes back to a stage enters it anew.

    Examples
    --------
    >>> import funnel as fn
    >>> from funnel.diagnosis import StandardFunnel
    >>> ladder = fn.Funnel.template("small-project")
    >>> stages = ["intent"] * 50 + ["solution"] * 31 + ["negotiation"] * 60
    >>> pipeline = fn.Pipeline.from_columns(
    ...     funnel=ladder, as_of="2026-06-30", id=range(141), stage=stages,
    ...     stage_entered=["2026-06-25"] * 81 + ["2026-05-30", "2026-05-28"] * 30,
    ... )
    >>> standard = StandardFunnel.from_template("small-project", weekly_entries=50)
    >>> found = diagnose(pipeline, standard)
    >>> print(found.text())
    a bulge at Negotiation: deals stay 32 days against 7; inflow is normal
    >>> print(found.text("zh"))
    商务谈判阶段积压：平均停留 32 天，标准 7 天；流入正常
    """
    check_level(level)
    codes = np.array([_code(source, name) for name in standard.stages])
    number = len(STAGE_MEASURES) * len(codes) + len(WHOLE_MEASURES)
    each = 1.0 - (1.0 - level) / number
    if isinstance(source, History):
        measured = of_history(source, codes, by=by, period=period, level=each)
    elif period is not None:
        rule, remedy = "must not be given for a snapshot", "Diagnose the history."
        raise ValidationError.from_value("period", rule, period, remedy)
    else:
        measured = of_pipeline(source, codes, by=by, level=each)
    return _compared(source, standard, codes, measured, level=level, each=each)


def _code(source: History | Pipeline, name: str) -> int:
    """Return the code of an open stage."""
    if not isinstance(source, History | Pipeline):
        rule = "must be a History or a Pipeline"
        raise ValidationError.from_value("source", rule, type(source).__name__, "")
    code = source.funnel.code(name)
    if code >= source.funnel.n_stages:
        rule = "must name stages that deals pass, not what they end as"
        raise ValidationError.from_value("stages of the standard", rule, name, "")
    return code


def _compared(
    source: History | Pipeline,
    standard: StandardFunnel,
    codes: IntArray,
    measured: Measured,
    *,
    level: float,
    each: float,
) -> Diagnosis:
    """Set what was measured beside what should be."""
    stages, expected = _by_stage(standard, measured, each)
    whole, whole_expected = _of_whole(standard, measured, each)
    states = [source.funnel.states[code] for code in codes.tolist()]
    return Diagnosis(
        standard=standard,
        labels=tuple({"": state.label, **dict(state.labels)} for state in states),
        keys=measured.keys,
        source="history" if isinstance(source, History) else "snapshot",
        level=level,
        **{
            name: frozen(np.stack([getattr(bounds, name) for bounds in stages], axis=-1))
            for name in ("actual", "low", "high")
        },
        expected=frozen(np.stack(expected, axis=-1)),
        **{
            f"whole_{name}": frozen(np.stack([getattr(bounds, name) for bounds in whole], axis=-1))
            for name in ("actual", "low", "high")
        },
        whole_expected=frozen(np.stack(whole_expected, axis=-1)),
        notes=measured.notes,
    )


def _by_stage(
    standard: StandardFunnel, measured: Measured, level: float
) -> tuple[list[Bounds], list[FloatArray]]:
    """Return each of `STAGE_MEASURES` (c, s) with its interval, and what should be."""
    there = measured.stock
    shape = there.shape
    days = np.full(shape[1], np.nan) if standard.days is None else np.array(standard.days)
    pace = _intervals.odds(there, measured.entries, level)
    entered = np.where(measured.entries > 0.0, measured.entries, np.nan)
    watched = np.where(measured.watched > 0.0, measured.watched, np.nan)[:, None]
    backlog = _intervals.Bounds(
        np.where(np.isnan(entered), np.nan, there), pace.low * entered, pace.high * entered
    )
    before = np.concatenate((np.full((shape[0], 1), np.nan), there[:, :-1]), axis=1)
    step = np.concatenate(([np.nan], standard.shape[1:] / standard.shape[:-1]))
    stages = [
        _intervals.poisson(there, level),
        backlog,
        _intervals.odds(there, before, level),
        measured.days,
        measured.conversion,
    ]
    wanted = [
        standard.stock,
        entered / watched * days,
        step,
        days,
        np.array(standard.conversions),
    ]
    return stages, [np.broadcast_to(values, shape) for values in wanted]


def _of_whole(
    standard: StandardFunnel, measured: Measured, level: float
) -> tuple[list[Bounds], list[FloatArray]]:
    """Return each of `WHOLE_MEASURES` (c,) with its interval, and what should be."""
    there = measured.stock
    if np.isnan(measured.watched).all():
        width, mouth = _intervals.poisson(there[:, 0], level), float(standard.stock[0])
    else:
        weeks = np.where(measured.watched > 0.0, measured.watched, np.nan) / 7.0
        counted = _intervals.poisson(measured.entries[:, 0], level)
        width = _intervals.Bounds(*(values / weeks for values in counted))
        mouth = np.nan if standard.weekly_entries is None else standard.weekly_entries
    counts = np.where(np.isnan(there), 0.0, there)
    whole = [
        width,
        _intervals.product(measured.conversion),
        _intervals.shape_distance(counts, standard.shape, level),
        _intervals.total(measured.days),
    ]
    cycle = np.nan if standard.days is None else sum(standard.days)
    wanted = (mouth, float(np.prod(standard.conversions)), 0.0, cycle)
    return whole, [np.full(len(there), value) for value in wanted]
