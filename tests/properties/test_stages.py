"""Random funnels: what is stored comes back, and arrays say what the stages say."""

import json

import attrs
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from funnel.stages import ForecastCategory, Funnel, Outcome, Stage

letters = st.characters(codec="utf-8", exclude_categories=("C", "Z"))
words = st.text(letters, min_size=1, max_size=4)
probabilities = st.none() | st.floats(0.0, 1.0)
days = st.none() | st.floats(0.001, 1e6)


@st.composite
def stages(draw, number):
    """One open stage; the number in its names keeps them apart from those of the others."""
    standard = draw(days)
    timeout = draw(days)
    return Stage(
        f"{number} {draw(words)}",
        label=draw(st.none() | st.just(f"{number}: {draw(words)}")),
        labels=draw(
            st.dictionaries(
                st.sampled_from(["en", "zh", "pt-br"]), st.just(f"{number}= {draw(words)}")
            )
        ),
        win_probability=draw(probabilities),
        standard_days=standard,
        timeout_days=None if timeout is None else timeout + (standard or 0.0),
        exit_criteria=draw(st.lists(words, max_size=2)),
        role=draw(st.none() | words),
        category=draw(st.none() | st.sampled_from(ForecastCategory)),
        on_hold=draw(st.booleans()),
        retired=draw(st.booleans()),
        aliases=tuple(f"{number}! {word}" for word in draw(st.lists(words, max_size=2))),
    )


@st.composite
def funnels(draw):
    """A funnel of up to four stages, one of which new deals can be in."""
    n = draw(st.integers(1, 4))
    ladder = [draw(stages(number)) for number in range(n)]
    usable = draw(st.integers(0, n - 1))
    ladder[usable] = attrs.evolve(ladder[usable], on_hold=False, retired=False)
    lost = [f"lost {i}" for i in range(draw(st.integers(1, 3)))]
    after = [f"after {i}" for i in range(draw(st.integers(0, 2)))]
    return Funnel(ladder, lost=lost, name=draw(st.just("") | words), after_won=after)


@given(funnels())
def test_stored_funnels_come_back(funnel):
    """From the dict, from JSON, and stage by stage; equal funnels have equal fingerprints."""
    assert funnel == Funnel.from_dict(funnel.to_dict())
    again = Funnel.from_json(funnel.to_json())
    assert funnel == again
    assert (hash(funnel), funnel.fingerprint()) == (hash(again), again.fingerprint())
    assert funnel.states == tuple(Stage.from_dict(state.to_dict()) for state in funnel.states)


@given(funnels())
def test_only_json_types_are_stored(funnel):
    """The text of the dict is the dict."""
    assert funnel.to_dict() == json.loads(json.dumps(funnel.to_dict()))


@given(funnels())
def test_reprs_of_stages_can_be_evaluated(funnel):
    """What is shown is the stage."""
    for stage in funnel.stages:
        assert stage == eval(repr(stage))  # noqa: S307 - our own text


@given(funnels())
def test_codes_undo_ids(funnel):
    """Code of the id of a code is the code, for one and for a column, by every name."""
    codes = list(range(len(funnel.states)))
    assert codes == [funnel.code(name) for name in funnel.ids]
    assert codes == funnel.codes(np.array(funnel.ids)).tolist() == funnel.codes(codes).tolist()
    for code, state in enumerate(funnel.states):
        assert {code} == {funnel.code(name) for name in state.names}


@given(funnels())
def test_a_column_is_its_rows(funnel):
    """Looking up a column gives what looking up every row gives."""
    names = [name for state in funnel.states for name in state.names]
    column = [*names, *reversed(names)]
    assert [funnel.code(name) for name in column] == funnel.codes(column).tolist()


@given(funnels())
def test_arrays_say_what_stages_say(funnel):
    """Each array against the plain definition, stage by stage."""
    order = list(ForecastCategory)
    position = 0
    for code, stage in enumerate(funnel.stages):
        assert Outcome.OPEN == funnel.outcomes[code]
        assert stage.on_hold == funnel.on_hold[code]
        assert (-1 if stage.on_hold else position) == funnel.ladder[code]
        position += not stage.on_hold
        for typed, array in (
            (stage.win_probability, funnel.probabilities),
            (stage.standard_days, funnel.standard_days),
        ):
            assert np.isnan(array[code]) if typed is None else typed == array[code]
        category = -1 if stage.category is None else order.index(stage.category)
        assert category == funnel.categories[code]
    assert position == funnel.ladder[funnel.won_code] == funnel.ladder.max()
    assert Outcome.WON == funnel.outcomes[funnel.won_code]
    assert {Outcome.LOST} == set(funnel.outcomes[list(funnel.lost_codes)].tolist())
    assert Outcome.REMOVED == funnel.outcomes[funnel.removed_code]
    assert len(funnel.states) == funnel.removed_code + 1


@given(funnels(), st.data())
def test_typed_probabilities_replace_those_named_only(funnel, data):
    """All other stages, and all else, stay as they were."""
    new = data.draw(st.dictionaries(st.sampled_from(funnel.ids[: funnel.n_stages]), probabilities))
    changed = funnel.with_probabilities(new)
    for old, stage in zip(funnel.stages, changed.stages, strict=True):
        expected = attrs.evolve(old, win_probability=new.get(old.id, old.win_probability))
        assert expected == stage
    kept = {stage.id: stage.win_probability for stage in funnel.stages}
    assert funnel == changed.with_probabilities(kept)
