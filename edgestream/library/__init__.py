# SPDX-License-Identifier: Apache-2.0
"""Models on disk: found, checked against their checksums, described by `model.toml`."""
