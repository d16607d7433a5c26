"""Settings shared by all tests: how hard hypothesis tries, and how many threads there are."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

from funnel.kernels import threads

# No deadline per example: on a machine with other work to do it fails tests that are right.
settings.register_profile("dev", max_examples=30, deadline=None)
settings.register_profile("ci", max_examples=30, deadline=None, derandomize=True)
settings.register_profile("deep", max_examples=1500, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "dev"))


@pytest.fixture
def two_threads(monkeypatch):
    """Two threads for tables of any size."""
    before = threads.get()
    monkeypatch.setattr(threads, "LEAST", 1)
    threads.put(2)
    yield
    threads.put(before)
