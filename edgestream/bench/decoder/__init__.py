# SPDX-License-Identifier: Apache-2.0
"""The ring beside libllama, on the same file."""
