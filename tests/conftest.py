"""Fixtures for the whole suite."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# No deadlines: two cores are shared, and a slow example is no failure.
settings.register_profile("gristmill", deadline=None)
settings.load_profile("gristmill")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = Path(os.environ.get("GRISTMILL_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"NO REAL DATA: {folder} is absent; set GRISTMILL_SHARED_DATA to run this test")
    return folder
