# SPDX-License-Identifier: Apache-2.0
"""OpenAI's protocols over our sessions: uploads, event streams, and the realtime web socket."""
