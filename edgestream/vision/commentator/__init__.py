# SPDX-License-Identifier: Apache-2.0
"""The built-in commentator: small, trained for this."""
