"""Settings shared by all tests: how hard hypothesis tries."""

from __future__ import annotations

import os

from hypothesis import settings

# No deadline per example: on a machine with other work to do it fails tests that are right.
settings.register_profile("dev", max_examples=30, deadline=None)
settings.register_profile("ci", max_examples=30, deadline=None, derandomize=True)
settings.register_profile("deep", max_examples=1500, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "dev"))
