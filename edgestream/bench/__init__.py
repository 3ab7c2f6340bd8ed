# SPDX-License-Identifier: Apache-2.0
"""What this machine and this model really do: errors, delays, cost and memory, measured."""
