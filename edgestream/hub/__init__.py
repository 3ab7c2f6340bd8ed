# SPDX-License-Identifier: Apache-2.0
"""Models come from a hub: looked at, weighed against this machine, fetched."""
