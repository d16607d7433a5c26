"""Stages and funnels: what is accepted, what is refused and how, and what the arrays say."""

import copy
import json
import pickle
import threading

import numpy as np
import pytest

from funnel.errors import UnknownStageError, ValidationError
from funnel.stages import ForecastCategory, Funnel, Outcome, Stage, _states

FUNNEL = Funnel(
    [
        Stage("Qualify", win_probability=0.1, standard_days=14),
        Stage("Legal", on_hold=True),
        Stage("Demo", retired=True, win_probability=0.3),
        Stage("Propose", category="best case", labels={"zh": "方案"}, aliases=("Quote",)),
    ],
    lost=("Lost", "Cancelled"),
    name="direct",
)
# Codes: Qualify 0, Legal 1, Demo 2, Propose 3, Won 4, Lost 5, Cancelled 6, Removed 7.


class TestForecastCategory:
    @pytest.mark.parametrize(
        "text", ["Best Case", "best_case", "BestCase", "BEST-CASE", " best  case ", "Ｂｅｓｔ Case"]
    )
    def test_every_usual_spelling_is_read(self, text):
        """Case, width, blanks, hyphens and underscores do not count."""
        assert ForecastCategory.BEST_CASE is ForecastCategory.parse(text)

    def test_members_are_read_too(self):
        """What is a category already stays."""
        assert list(ForecastCategory) == [ForecastCategory.parse(item) for item in ForecastCategory]

    def test_the_order_is_that_of_rising_commitment(self):
        """Codes in tables are positions in this order."""
        assert ["omitted", "pipeline", "best case", "commit"] == list(ForecastCategory)

    def test_a_slip_is_answered_with_the_closest(self):
        """The message says which category was meant."""
        with pytest.raises(ValidationError, match=r"got 'Commmit'\. Did you mean 'commit'"):
            ForecastCategory.parse("Commmit")

    @pytest.mark.parametrize("text", ["", None, 3])
    def test_what_is_no_category_is_refused(self, text):
        """All categories are listed."""
        with pytest.raises(ValidationError, match="Known: 'omitted', 'pipeline'"):
            ForecastCategory.parse(text)


class TestStage:
    def test_a_name_is_enough(self):
        """Nothing is typed where nothing was said."""
        stage = Stage("  Qualify ")
        assert ("Qualify", "Qualify") == (stage.id, stage.label)
        assert (None, None, None) == (stage.win_probability, stage.standard_days, stage.category)
        assert (False, False, (), ()) == (stage.on_hold, stage.retired, stage.labels, stage.aliases)

    def test_none_as_label_is_no_label(self):
        """An application may pass what it has."""
        assert Stage("Qualify") == Stage("Qualify", label=None)

    def test_equal_numbers_make_equal_stages_and_fingerprints(self):
        """14 and 14.0, 0.0 and -0.0 are the same, also when stored."""
        one = Stage("a", win_probability=-0.0, standard_days=14)
        other = Stage("a", win_probability=np.float32(0), standard_days=np.int64(14))
        assert one == other
        assert hash(one) == hash(other)
        assert Funnel([one]).fingerprint() == Funnel([other]).fingerprint()

    def test_repr_shows_what_was_said_and_can_be_evaluated(self):
        """Defaults are left out."""
        stage = Stage("a", label="A", labels={"zh": "甲"}, category="commit", aliases=["b"])
        text = "Stage('a', label='A', labels={'zh': '甲'}, category='commit', aliases=['b'])"
        assert text == repr(stage)
        assert stage == eval(text)  # noqa: S307 - the text stands above

    def test_labels_are_found_by_language(self):
        """A region falls back on its language, an unknown language on the label."""
        stage = Stage("a", label="A", labels={"zh_TW": "甲甲", "zh": "甲"})
        assert (("zh", "甲"), ("zh-tw", "甲甲")) == stage.labels
        found = [stage.name_in(code) for code in ("zh", "ZH-cn", "zh-TW", "zh-Hant-HK", "fr")]
        assert ["甲", "甲", "甲甲", "甲", "A"] == found

    def test_names_are_all_it_answers_to(self):
        """Id first, each name once."""
        stage = Stage("a", label="A", labels={"zh": "甲", "de": "A"}, aliases=("b", "a"))
        assert ("a", "A", "甲", "b") == stage.names

    def test_a_bare_text_is_one_entry(self):
        """A text is not taken apart into letters."""
        stage = Stage("a", aliases="old", exit_criteria="budget confirmed")
        assert (("old",), ("budget confirmed",)) == (stage.aliases, stage.exit_criteria)

    @pytest.mark.parametrize(
        "name", ["", "  ", "\u3000", None, 5, "a\nb", "a\x00", "\ud800", "x" * 201]
    )
    @pytest.mark.parametrize("field", ["id", "label", "aliases", "role", "labels"])
    def test_names_are_one_readable_line(self, field, name):
        """Empty, long, broken or unstorable names are refused, whatever they name."""
        if name is None and field in {"label", "role"}:
            return
        value = {"aliases": [name], "labels": {"en": name}}.get(field, name)
        with pytest.raises(ValidationError, match="one line of 1 to 200 characters") as caught:
            Stage(**{"id": "a", field: value})
        assert field == caught.value.column

    def test_the_longest_name_is_accepted(self):
        """200 characters, the limit itself."""
        assert 200 == len(Stage("x" * 200).id)

    @pytest.mark.parametrize(
        ("value", "remedy"),
        [
            (70, "70 is a percentage; write 0.7"),
            (100.0, "100 is a percentage; write 1"),
            (12.5, "12.5 is a percentage; write 0.125"),
            (-0.1, "Write a number such as 0.7"),
            (101, "Write a number such as 0.7"),
            (10**400, "Write a number such as 0.7"),
            (float("nan"), "Write a number such as 0.7"),
            (True, "Write a number such as 0.7"),
            ("0.7", "Write a number such as 0.7"),
        ],
    )
    def test_probabilities_lie_between_0_and_1(self, value, remedy):
        """A percentage is told what it is as a share."""
        with pytest.raises(
            ValidationError, match="of stage 'a' must be a number from 0 to 1"
        ) as caught:
            Stage("a", win_probability=value)
        assert remedy in str(caught.value)
        assert "win_probability" == caught.value.column

    @pytest.mark.parametrize("value", [0, 1, 0.0, 1.0])
    def test_certain_probabilities_are_accepted(self, value):
        """Zero is a probability and not a missing one."""
        assert value == Stage("a", win_probability=value).win_probability

    @pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan"), True, "7"])
    @pytest.mark.parametrize("field", ["standard_days", "timeout_days"])
    def test_days_are_above_0(self, field, value):
        """Days are finite numbers."""
        with pytest.raises(ValidationError, match="must be a number of days above 0") as caught:
            Stage("a", **{field: value})
        assert field == caught.value.column

    def test_a_timeout_is_not_before_the_standard(self):
        """Equal is fine, and so is one without the other."""
        assert 30.0 == Stage("a", standard_days=30, timeout_days=30).timeout_days
        assert 30.0 == Stage("a", timeout_days=30).timeout_days
        with pytest.raises(
            ValidationError, match="not be shorter than its standard stay of 30 days"
        ):
            Stage("a", standard_days=30, timeout_days=29)

    @pytest.mark.parametrize("field", ["on_hold", "retired"])
    @pytest.mark.parametrize("value", [1, "no", None])
    def test_flags_are_true_or_false(self, field, value):
        """The text 'no' does not count as yes."""
        with pytest.raises(ValidationError, match=f"{field} of stage 'a' must be True or False"):
            Stage("a", **{field: value})

    @pytest.mark.parametrize("value", [5, None, {"b"}, {"b": 1}, [3], [""]])
    @pytest.mark.parametrize("field", ["aliases", "exit_criteria"])
    def test_lists_of_texts_are_ordered_texts(self, field, value):
        """A set has no order, so that its fingerprint would change from run to run."""
        with pytest.raises(ValidationError, match=f"{field} of stage 'a' must be text"):
            Stage("a", **{field: value})

    def test_criteria_may_be_sentences(self):
        """Their limit is 2,000 characters."""
        assert ("x" * 2_000,) == Stage("a", exit_criteria=["x" * 2_000]).exit_criteria
        with pytest.raises(ValidationError, match="1 to 2,000 characters"):
            Stage("a", exit_criteria=["x" * 2_001])

    @pytest.mark.parametrize("value", [5, "zh", [1]])
    def test_labels_are_a_mapping(self, value):
        """What else is given gets an example of one."""
        with pytest.raises(ValidationError, match="labels must map language codes to labels"):
            Stage("a", labels=value)

    @pytest.mark.parametrize("code", ["", "中文", "c", None])
    def test_languages_are_codes(self, code):
        """Both where a label is stored and where it is asked for."""
        with pytest.raises(ValidationError, match="language must be a language code"):
            Stage("a", labels={code: "x"})
        with pytest.raises(ValidationError, match="language must be a language code"):
            Stage("a").name_in(code)

    def test_a_language_is_named_once(self):
        """Two spellings of one language would hide a label."""
        with pytest.raises(ValidationError, match="must name every language once"):
            Stage("a", labels={"zh_CN": "x", "zh-cn": "y"})

    def test_a_category_is_parsed(self):
        """A slip is refused."""
        assert ForecastCategory.COMMIT is Stage("a", category="Commit").category
        with pytest.raises(ValidationError, match="Did you mean 'pipeline'"):
            Stage("a", category="pipelin")


class TestStored:
    def test_a_stage_is_stored_as_json_types(self):
        """The text of the dict is the dict."""
        stage = Stage(
            "a", labels={"zh": "甲"}, category="commit", aliases=("b",), exit_criteria="c"
        )
        plain = stage.to_dict()
        assert plain == json.loads(json.dumps(plain))
        assert str is type(plain["category"])
        assert stage == Stage.from_dict(plain)

    def test_a_funnel_is_stored_as_json(self):
        """Chinese stays readable, an indent of None gives one line."""
        text = FUNNEL.to_json()
        assert "方案" in text
        assert FUNNEL == Funnel.from_json(text) == Funnel.from_dict(FUNNEL.to_dict())
        assert 1 == len(FUNNEL.to_json(indent=None).splitlines())

    def test_a_funnel_can_be_written_by_hand(self):
        """States are names, or dicts without a schema of their own."""
        text = """{"schema": "funnel.Funnel/1", "won": "Signed", "lost": "Gone",
                   "stages": ["Qualify", {"id": "Propose", "win_probability": 0.5}]}"""
        expected = Funnel(
            ["Qualify", Stage("Propose", win_probability=0.5)], won="Signed", lost="Gone"
        )
        assert expected == Funnel.from_json(text)

    @pytest.mark.parametrize("kind", [Stage, Funnel])
    @pytest.mark.parametrize("schema", [None, "funnel.Stage/2", "funnel.Funnel/0"])
    def test_another_schema_is_refused(self, kind, schema):
        """The message names both."""
        with pytest.raises(ValidationError, match=f"'funnel.{kind.__name__}/1', got {schema!r}"):
            kind.from_dict({"schema": schema, "id": "a", "stages": ["a"]})

    @pytest.mark.parametrize(("kind", "needed"), [(Stage, "id"), (Funnel, "stages")])
    def test_what_is_needed_must_be_there(self, kind, needed):
        """A schema alone is nothing."""
        with pytest.raises(ValidationError, match=f"must have the key '{needed}'"):
            kind.from_dict({"schema": f"funnel.{kind.__name__}/1"})

    def test_unknown_keys_are_named(self):
        """All of them, with the closest known one."""
        plain = {"schema": "funnel.Stage/1", "id": "a", "win_probabilty": 0.5, 3: 4}
        with pytest.raises(
            ValidationError, match=r"'win_probabilty', '3'\. Did you mean 'win_prob"
        ):
            Stage.from_dict(plain)
        with pytest.raises(ValidationError, match="a stored Funnel has unknown keys: 'stage'"):
            Funnel.from_dict({"schema": "funnel.Funnel/1", "stages": ["a"], "stage": []})

    @pytest.mark.parametrize("plain", [None, [], "a", 5])
    def test_a_dict_is_a_dict(self, plain):
        """What else is stored is refused without a traceback of ours."""
        with pytest.raises(ValidationError, match="Funnel must be stored as a dict"):
            Funnel.from_dict(plain)

    @pytest.mark.parametrize(
        "change", [{"stages": None}, {"stages": [5]}, {"won": None}, {"lost": 5}, {"name": None}]
    )
    def test_wrong_values_are_refused(self, change):
        """Each by the rule of its field."""
        with pytest.raises(ValidationError, match="must be"):
            Funnel.from_dict({"schema": "funnel.Funnel/1", "stages": ["a"], **change})

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "Expecting value at line 1, column 1"),
            ('{"schema":\n oops}', "Expecting value at line 2, column 2"),
            ("[" * 100_000, "recursion"),
            (5, "must be str"),
            (b"\xff\xfe\xff", "decode"),
            ("[]", "Funnel must be stored as a dict"),
            ('{"name": "a", "name": "b"}', "'name' stands twice"),
        ],
    )
    def test_a_text_that_is_no_funnel_is_refused(self, text, message):
        """With the place of the first slip; a key given twice is not overwritten."""
        with pytest.raises(ValidationError, match=message):
            Funnel.from_json(text)

    def test_fingerprints_tell_funnels_apart(self):
        """Equal ones have the same, a new label makes another one."""
        again = Funnel.from_json(FUNNEL.to_json())
        assert FUNNEL.fingerprint() == again.fingerprint()
        assert hash(FUNNEL) == hash(again)
        renamed = Funnel([Stage("a", label="A")])
        assert renamed.fingerprint() != Funnel(["a"]).fingerprint()

    @pytest.mark.parametrize(
        "clone",
        [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))],
    )
    def test_copies_are_equal_and_work(self, clone):
        """Process pools send funnels; derived arrays are made again, read-only."""
        assert 3 == FUNNEL.code("quote")
        other = clone(FUNNEL)
        assert other == FUNNEL
        assert 3 == other.code("quote")
        assert not other.outcomes.flags.writeable


class TestFunnel:
    def test_states_stand_in_one_order(self):
        """Stages as given, won, lost, removed; a code is the position."""
        ids = ("Qualify", "Legal", "Demo", "Propose", "Won", "Lost", "Cancelled", "Removed")
        assert ids == FUNNEL.ids == FUNNEL.labels == tuple(state.id for state in FUNNEL.states)
        assert (4, 4, (5, 6), 7) == (
            FUNNEL.n_stages,
            FUNNEL.won_code,
            FUNNEL.lost_codes,
            FUNNEL.removed_code,
        )

    def test_arrays_say_what_the_states_say(self):
        """Written out by hand from the definition above."""
        assert [0, 0, 0, 0, 1, 2, 2, 3] == FUNNEL.outcomes.tolist()
        assert Outcome.REMOVED == FUNNEL.outcomes[7]
        assert [False, True] + [False] * 6 == FUNNEL.on_hold.tolist()
        assert [0, -1, 1, 2, 3, -1, -1, -1] == FUNNEL.ladder.tolist()
        nan = np.nan
        np.testing.assert_array_equal([0.1, nan, 0.3, nan, 1, 0, 0, 0], FUNNEL.probabilities)
        np.testing.assert_array_equal([14] + [nan] * 7, FUNNEL.standard_days)
        assert [-1, -1, -1, 2, -1, -1, -1, -1] == FUNNEL.categories.tolist()

    @pytest.mark.parametrize(
        ("name", "dtype"),
        [
            ("outcomes", np.int8),
            ("on_hold", np.bool_),
            ("ladder", np.int16),
            ("probabilities", np.float64),
            ("standard_days", np.float64),
            ("categories", np.int8),
        ],
    )
    def test_arrays_are_typed_kept_and_read_only(self, name, dtype):
        """They are made once and nobody can write into them."""
        array = getattr(FUNNEL, name)
        assert dtype == array.dtype
        assert array is getattr(FUNNEL, name)
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1

    def test_one_funnel_serves_many_threads(self):
        """All see the same values, whoever asks first."""
        funnel, found = Funnel([f"stage {i}" for i in range(200)]), []
        barrier = threading.Barrier(8)

        def ask():
            barrier.wait()
            found.append((funnel.code("stage 150"), funnel.ladder.tolist(), funnel.ids))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [(150, [*range(201), -1, -1], funnel.ids)] * 8 == found

    def test_repr_is_one_line(self):
        """Typed probabilities and what is special; the middle of a long ladder is left out."""
        line = (
            "Funnel('direct': Qualify 10% > Legal (on hold) > Demo 30% (retired) > Propose > Won)"
        )
        assert line == repr(FUNNEL)
        assert "Funnel(a 0% > b 12.5% > W)" == repr(
            Funnel([Stage("a", win_probability=0), Stage("b", win_probability=0.125)], won="W")
        )
        assert "Funnel(0 > 1 > 2 > 3 > 4 > 5 > ... 3 more > 9 > Won)" == repr(
            Funnel(map(str, range(10)))
        )

    def test_a_bare_name_is_one_lost_state(self):
        """Not a state for each of its letters."""
        assert (
            Funnel(["a"], lost=["No"])
            == Funnel(["a"], lost="No")
            == Funnel(["a"], lost=Stage("No"))
        )

    def test_what_follows_a_win_is_a_second_funnel(self):
        """Its stages have no code here, may reuse names, and are stored."""
        funnel = Funnel(["Propose"], after_won=["Repeat", "Propose"])
        assert ("Propose", "Won", "Lost", "Removed") == funnel.ids
        assert "Funnel(Repeat > Propose > Won)" == repr(Funnel(funnel.after_won))
        assert funnel == Funnel.from_json(funnel.to_json())
        with pytest.raises(ValidationError, match="'b' is a name of 'B'"):
            Funnel(["a"], after_won=["B", "b"])

    @pytest.mark.parametrize(
        "stages",
        [[], [Stage("a", on_hold=True), Stage("b", retired=True)], [Stage("a", retired=True)]],
    )
    def test_deals_need_a_stage_to_enter(self, stages):
        """On-hold and retired stages alone are no ladder."""
        with pytest.raises(ValidationError, match="neither on hold nor retired") as caught:
            Funnel(stages)
        assert "stages" == caught.value.column

    def test_deals_need_a_way_to_be_lost(self):
        """Without one, every deal would be won or open for ever."""
        with pytest.raises(ValidationError, match="lost must name at least one state"):
            Funnel(["a"], lost=())

    @pytest.mark.parametrize("stages", [5, None, {"a", "b"}, {"a": 0.1}])
    def test_stages_are_a_list(self, stages):
        """A set has no order; the probabilities of a dict would be lost."""
        with pytest.raises(ValidationError, match="must be a list of names or of Stage"):
            Funnel(stages)

    def test_a_bare_name_is_no_ladder(self):
        """It is likely the name of a template."""
        with pytest.raises(ValidationError, match=r"Funnel.template\('project'\)"):
            Funnel("project")

    @pytest.mark.parametrize(
        "wrong", [{"stages": ["a", 5]}, {"won": None}, {"removed": ["x"]}, {"lost": [None]}]
    )
    def test_a_state_is_a_name_or_a_stage(self, wrong):
        """Nothing else is turned into one."""
        with pytest.raises(ValidationError, match="a state must be a name or a Stage"):
            Funnel(**{"stages": ["a"], **wrong})

    @pytest.mark.parametrize("name", [5, None, "a\nb", "x" * 201])
    def test_the_name_of_a_funnel_is_one_line(self, name):
        """It may be empty."""
        assert "" == Funnel(["a"], name="  ").name
        with pytest.raises(ValidationError, match="name of a funnel must be text in one line"):
            Funnel(["a"], name=name)

    @pytest.mark.parametrize(
        ("stages", "others"),
        [
            (["a", "A"], {}),
            (["a", "ａ"], {}),
            (["a", "won "], {}),
            (["a", "b"], {"lost": ("x", "B")}),
            (["a", "b"], {"removed": "a"}),
            (["a", Stage("b", label="A")], {}),
            (["a", Stage("b", labels={"zh": "A"})], {}),
            (["a", Stage("b", aliases=("A",))], {}),
        ],
    )
    def test_a_name_means_one_state(self, stages, others):
        """Ids, labels, languages and aliases clash without case and width; both are named."""
        with pytest.raises(ValidationError, match=r"is a name of '.+' \(position \d\) and of '.+'"):
            Funnel(stages, **others)

    def test_one_stage_may_say_its_name_twice(self):
        """A label that equals the id is no clash."""
        stage = Stage("a", label="A", labels={"de": "a"}, aliases=("ａ",))
        assert 0 == Funnel([stage]).code("A")

    @pytest.mark.parametrize("field", ["on_hold", "standard_days", "timeout_days"])
    @pytest.mark.parametrize("outcome", ["won", "lost", "removed"])
    def test_closed_deals_have_no_clock(self, outcome, field):
        """What is typed about an outcome must make sense there."""
        state = Stage("x", **{field: True if field == "on_hold" else 7})
        with pytest.raises(ValidationError, match=f"{outcome} 'x' must have no on_hold"):
            Funnel(["a"], **{outcome: state})

    @pytest.mark.parametrize(("outcome", "certain"), [("won", 1), ("lost", 0), ("removed", 0)])
    def test_outcomes_are_certain(self, outcome, certain):
        """Won 100 % may be typed, won 90 % may not."""
        state = Stage("x", win_probability=certain)
        assert certain == Funnel(["a"], **{outcome: state}).probabilities[-1 if not certain else 1]
        with pytest.raises(ValidationError, match=f"of {outcome} 'x' must be {certain}, got 0.9"):
            Funnel(["a"], **{outcome: Stage("x", win_probability=0.9)})

    def test_codes_fit_into_16_bits(self, monkeypatch):
        """Far more states than any process has are data in the wrong column."""
        assert np.iinfo(np.int16).max == _states._MOST_STATES
        monkeypatch.setattr(_states, "_MOST_STATES", 5)
        assert 5 == len(Funnel(["a", "b"]).states)
        with pytest.raises(ValidationError, match="at most 5 states; found 6"):
            Funnel(["a", "b", "c"])


class TestCodes:
    @pytest.mark.parametrize(
        "name", ["Propose", "propose", " PROPOSE\t", "方案", "quote", "Ｑuote"]
    )
    def test_every_name_leads_to_the_code(self, name):
        """Id, label by language and alias, without case, width and outer blanks."""
        assert 3 == FUNNEL.code(name)
        assert "Propose" == FUNNEL.stage(name).id
        assert [3] == FUNNEL.codes([name]).tolist()

    def test_an_unknown_name_is_answered_with_the_closest(self):
        """Aliases are proposed too; the attributes hold the facts."""
        with pytest.raises(
            UnknownStageError, match=r"'Quotee' is not in the funnel\. .* 'Quote'"
        ) as caught:
            FUNNEL.code("Quotee")
        assert "Quotee" == caught.value.name
        assert FUNNEL.ids == caught.value.known[:8]
        with pytest.raises(LookupError):
            FUNNEL.stage("Quotee")

    @pytest.mark.parametrize("name", [None, 0, 1.5, b"a"])
    def test_only_text_is_a_name(self, name):
        """The number 0 is not looked up as the text '0'."""
        with pytest.raises(UnknownStageError):
            Funnel(["0", "None", "1.5", "b'a'"]).code(name)

    @pytest.mark.parametrize(
        "make",
        [
            list,
            tuple,
            iter,
            np.array,
            lambda names: np.array(names, dtype=object),
            lambda names: np.array(names, dtype=np.dtypes.StringDType()),
        ],
        ids=["list", "tuple", "iterator", "U", "object", "StringDType"],
    )
    def test_columns_of_text(self, make):
        """Whatever holds the text."""
        codes = FUNNEL.codes(make(["won", "Quote", "won", "Qualify"]))
        assert [4, 3, 4, 0] == codes.tolist()
        assert np.int16 == codes.dtype

    @pytest.mark.parametrize(
        "column",
        [
            [4, 0, 7],
            (np.int8(4), 0, 7),
            np.array([4, 0, 7]),
            np.array([4, 0, 7], dtype=np.uint64),
            np.array([4, 0, 7], dtype=object),
        ],
    )
    def test_columns_of_codes_pass_through(self, column):
        """Checked, as int16."""
        codes = FUNNEL.codes(column)
        assert [4, 0, 7] == codes.tolist()
        assert np.int16 == codes.dtype

    @pytest.mark.parametrize("column", [[], (), np.array([]), np.array([], dtype="U1"), iter([])])
    def test_an_empty_column_is_fine(self, column):
        """Whatever type numpy gave to nothing."""
        codes = FUNNEL.codes(column)
        assert (0,) == codes.shape
        assert np.int16 == codes.dtype

    @pytest.mark.parametrize(
        ("column", "name", "count", "row"),
        [
            (["won", "Quotee", "won", "Quotee"], "Quotee", 2, 1),
            (np.array(["won", "x"]), "x", 1, 1),
            ([0, 8, -1], "8", 2, 1),
            (np.array([0, -1]), "-1", 1, 1),
            ([0, 2**70], str(2**70), 2, 0),
            (["won", None], "None", 1, 1),
            (["won", ""], "", 1, 1),
            (["won", 4], "4", 1, 1),
            ([True], "True", 1, 0),
            (["won", float("nan")], "nan", 1, 1),
            (["won", ["won"]], "['won']", 1, 1),
        ],
    )
    def test_rows_without_a_state_are_counted_and_the_first_is_named(
        self, column, name, count, row
    ):
        """Nothing is coerced: neither None, nor a number among names, nor a truth value."""
        with pytest.raises(UnknownStageError) as caught:
            FUNNEL.codes(column)
        # One huge number makes a column of objects, in which 0 is no name either.
        name = "0" if row == 0 and count == 2 else name
        broken = f"{count} of {len(column)} rows break{'s' if count == 1 else ''} this"
        assert f"{broken} (first: {name!r}, row {row})" in str(caught.value)
        assert name == caught.value.name

    @pytest.mark.parametrize(
        "column",
        [np.array([0.0]), np.array([True]), np.array([b"won"]), np.array(["2026-01-01"], "M8[D]")],
    )
    def test_other_columns_are_refused(self, column):
        """Floats are no codes, bytes are no text."""
        with pytest.raises(ValidationError, match=r"must be names \(text\) or codes"):
            FUNNEL.codes(column)

    @pytest.mark.parametrize("column", ["won", b"Won", 5, None, {"won"}, {"won": 1}])
    def test_a_column_is_a_sequence(self, column):
        """One name has its own method; a set has no rows."""
        with pytest.raises(ValidationError, match=r"must be a sequence.*use code\(name\)"):
            FUNNEL.codes(column)

    @pytest.mark.parametrize("column", [np.zeros((2, 2), dtype=int), np.array("won")])
    def test_a_column_has_one_dimension(self, column):
        """A matrix of codes is a mistake."""
        with pytest.raises(ValidationError, match="stage must be one column"):
            FUNNEL.codes(column)


class TestWithProbabilities:
    def test_named_stages_change_and_others_stay(self):
        """By any name; None takes a probability away; the original is untouched."""
        funnel = FUNNEL.with_probabilities({"方案": 0.5, "QUALIFY": None})
        np.testing.assert_array_equal([np.nan, np.nan, 0.3, 0.5], funnel.probabilities[:4])
        assert 0.1 == FUNNEL.probabilities[0]
        assert FUNNEL.ids == funnel.ids
        assert "direct" == funnel.name

    @pytest.mark.parametrize("names", [["Won"], ["cancelled"], ["Propose", "quote"]])
    def test_only_open_stages_and_each_once(self, names):
        """Won is certain, and two names of one stage contradict each other."""
        with pytest.raises(ValidationError, match="must name open stages, each once"):
            FUNNEL.with_probabilities(dict.fromkeys(names, 0.5))

    def test_slips_are_refused(self):
        """An unknown stage, a percentage."""
        with pytest.raises(UnknownStageError, match="Did you mean 'Propose'"):
            FUNNEL.with_probabilities({"Propse": 0.5})
        with pytest.raises(ValidationError, match=r"50 is a percentage; write 0\.5"):
            FUNNEL.with_probabilities({"Propose": 50})


class TestTemplates:
    @pytest.mark.parametrize("name", ["projct", "", None, 5, []])
    def test_an_unknown_template_is_refused(self, name):
        """With the ones there are."""
        with pytest.raises(ValidationError, match=r"template must be a known ladder.*'project'"):
            Funnel.template(name)

    @pytest.mark.parametrize("language", ["de", "cn"])
    def test_an_unknown_language_is_refused(self, language):
        """With the ones there are."""
        with pytest.raises(ValidationError, match=r"must be a known language.*'en', 'zh'"):
            Funnel.template("project", language=language)

    def test_a_region_has_the_labels_of_its_language(self):
        """``zh_CN`` is Chinese."""
        chinese = Funnel.template("project", language="zh")
        assert chinese == Funnel.template("project", language="zh_CN")
