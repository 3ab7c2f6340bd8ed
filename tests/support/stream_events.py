# SPDX-License-Identifier: Apache-2.0
"""What a stream says of samples that come in parts."""


def events_of(stream, parts):
    events = [event for part in parts for event in stream.push(part)]
    return events + stream.finish()
