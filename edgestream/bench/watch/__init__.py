# SPDX-License-Identifier: Apache-2.0
"""Comments on pictures under measurement."""
