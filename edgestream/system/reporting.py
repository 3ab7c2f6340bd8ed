# SPDX-License-Identifier: Apache-2.0
"""The door through which libraries come in: what they would report to their makers is off."""

from __future__ import annotations

import os

# Read by the libraries when they are imported, so each is set before any of them is.
SILENT = {
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime 1.31: a database, a device's id and an upload
    "HF_HUB_DISABLE_TELEMETRY": "1",  # huggingface_hub: what this machine has installed
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",  # and whether there is a newer one
    "RAY_USAGE_STATS_ENABLED": "0",  # Ray: a report each hour, of clusters begun here
    "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9",  # and one that there will be none
    "DO_NOT_TRACK": "1",  # a custom of many: https://consoledonottrack.com
}


def switch_off() -> None:
    """Sets the variables for this process and those that it starts, whatever they were."""
    os.environ.update(SILENT)
