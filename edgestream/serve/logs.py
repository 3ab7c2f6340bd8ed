# SPDX-License-Identifier: Apache-2.0
"""What the server tells of itself: one JSON object a line on stderr, and no word of what was said.

With `log_text` the finished lines are told as well.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime, timezone
from typing import Any

from edgestream.errors import shown

logger = logging.getLogger("edgestream.serve")


class JsonLines(logging.Formatter):
    """time, level, event, and the fields that were given."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, timezone.utc).isoformat("T", "milliseconds")
        line = {"time": time, "level": record.levelname.lower(), "event": record.getMessage()}
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def log(event: str, **fields: Any) -> None:
    """What happened, and its figures; those that are None are left out. Text is made one line."""
    given = {k: shown(v) if isinstance(v, str) else v for k, v in fields.items() if v is not None}
    logger.info(event, extra={"fields": given})


def write_to_stderr() -> None:
    """From here on, for this process; also what the libraries under the server say of faults."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name, level in (("edgestream.serve", logging.INFO), ("uvicorn.error", logging.ERROR)):
        each = logging.getLogger(name)
        each.handlers, each.propagate = [handler], False
        each.setLevel(level)
