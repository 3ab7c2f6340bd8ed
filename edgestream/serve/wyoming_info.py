# SPDX-License-Identifier: Apache-2.0
"""What a Wyoming client is told of the server: its models and their languages."""

from __future__ import annotations

from wyoming.info import AsrModel, AsrProgram, Attribution, Info

import edgestream
from edgestream.serve.models import Models

MADE_BY = Attribution(name="edgestream", url="")


def info(models: Models) -> Info:
    """All models as one program; the usual model first, as clients take that."""
    return Info(
        asr=[
            AsrProgram(
                name="edgestream",
                description="Captions while one speaks",
                attribution=MADE_BY,
                installed=True,
                version=edgestream.__version__,
                supports_transcript_streaming=True,
                models=[
                    AsrModel(
                        name=name,
                        description=name,
                        attribution=MADE_BY,
                        installed=True,
                        version=None,
                        languages=models.languages(name),
                    )
                    for name in models.names
                ],
            )
        ]
    )
