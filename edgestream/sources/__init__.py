# SPDX-License-Identifier: Apache-2.0
"""Sound and pictures come in, on one clock, with what was lost."""
