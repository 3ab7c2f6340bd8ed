# SPDX-License-Identifier: Apache-2.0
"""The commands: what is typed becomes calls, what goes wrong becomes one line."""
