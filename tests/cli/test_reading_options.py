# SPDX-License-Identifier: Apache-2.0
"""What --help says of the options for a model that reads along."""

from typing import get_args

import pytest

from edgestream.cli import reading
from edgestream.reader.alert import THRESHOLD
from edgestream.reader.model import WINDOW


@pytest.mark.parametrize(
    ("option", "used"),
    [
        (reading.AlertThreshold, THRESHOLD),
        (reading.Window, WINDOW),
        (reading.ReaderWindow, WINDOW),
    ],
)
def test_the_default_that_is_shown_is_the_one_that_is_used(option, used):
    _, shown = get_args(option)
    assert shown.show_default == str(used)
