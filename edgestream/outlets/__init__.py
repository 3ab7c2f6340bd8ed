# SPDX-License-Identifier: Apache-2.0
"""Where events go: a file, a pipe, the terminal, a window, other programs."""
