# SPDX-License-Identifier: Apache-2.0
"""The server: many sessions over one copy of the weights, and the protocols that reach them."""
