# SPDX-License-Identifier: Apache-2.0
"""An LLM that reads along with a stream: translation, answers, notes, alerts."""
