# SPDX-License-Identifier: Apache-2.0
"""One server with the usual model, for all tests that do not change its settings."""

import pytest
from serve_server import running_server


@pytest.fixture(scope="session")
def speech_server():
    with running_server() as running:
        yield running
