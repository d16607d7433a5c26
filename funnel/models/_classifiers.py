"""Classifiers of scikit-learn, an extra: which ones a model takes, and how they get their columns.

Everything of scikit-learn is imported inside of functions.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np

from funnel.errors import MissingDependencyError, ValidationError

if TYPE_CHECKING:
    import attrs

__all__ = [
    "boosted_trees",
    "copied",
    "installed",
    "meaning",
    "one_thread",
    "valid",
    "with_plain_columns",
]


def installed() -> str:
    """Return the version of scikit-learn, or say how to install it."""
    try:
        import sklearn  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingDependencyError("scikit-learn", "learn") from error
    return str(sklearn.__version__)


def one_thread() -> Any:  # noqa: ANN401 - a context manager without annotations
    """Keep boosting to one thread: waiting for busy cores costs more than they gain.

    Parallel work is the executor's, and that of whoever runs several fits.
    """
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - an extra

    return threadpool_limits(limits=1, user_api="openmp")


def copied(classifier: Any) -> Any:  # noqa: ANN401 - an estimator
    """Copy an estimator, so that nobody else can change it."""
    return pickle.loads(pickle.dumps(classifier))  # noqa: S301 - pickled on this line


def meaning(classifier: Any) -> object:  # noqa: ANN401
    """Say by what estimators are equal, and hashed: their class and parameters."""
    if classifier is None:
        return None
    parameters = classifier.get_params(deep=True).items()
    return type(classifier), tuple(sorted((name, repr(value)) for name, value in parameters))


def valid(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Demand an estimator that gives probabilities, or None."""
    del instance
    needed = ("fit", "predict_proba", "get_params", "set_params")
    missing = [name for name in needed if not hasattr(value, name)]
    if value is not None and (isinstance(value, type) or missing):
        rule = "must be a scikit-learn classifier with predict_proba, or None"
        remedy = "Write RandomForestClassifier(), or wrap yours in CalibratedClassifierCV()."
        raise ValidationError.from_value(attribute.name, rule, value, remedy)


def boosted_trees(seed: int) -> Any:  # noqa: ANN401
    """Return the default classifier: small trees, large leaves.

    Its own treatment of categories is left alone: it goes through a part of scikit-learn that
    changes the filters of warnings for all threads.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 - an extra

    return HistGradientBoostingClassifier(
        max_iter=100,
        learning_rate=0.1,
        max_leaf_nodes=8,
        min_samples_leaf=100,
        categorical_features=None,
        early_stopping=False,  # it would be judged by other snapshots of the same deals
        random_state=seed,
    )


def with_plain_columns(classifier: Any, categories: list[bool], seed: int) -> Any:  # noqa: ANN401
    """Return an unfitted copy behind what turns unknown values and categories into numbers.

    All that is random in it, and has no seed of its own, gets `seed`.
    """
    from sklearn.base import clone  # noqa: PLC0415 - an extra
    from sklearn.compose import make_column_transformer  # noqa: PLC0415
    from sklearn.impute import SimpleImputer  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import OneHotEncoder, StandardScaler  # noqa: PLC0415

    copy = clone(classifier)
    seeds = {
        name: seed
        for name, value in copy.get_params(deep=True).items()
        if name.rpartition("__")[2] == "random_state" and value is None
    }
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    levels = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = make_column_transformer(
        (numbers, np.flatnonzero(~np.array(categories))), (levels, np.flatnonzero(categories))
    )
    return make_pipeline(columns, copy.set_params(**seeds))
