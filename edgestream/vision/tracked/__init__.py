# SPDX-License-Identifier: Apache-2.0
"""The built-in watcher: tracks in, comments on them out."""
