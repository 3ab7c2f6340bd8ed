# SPDX-License-Identifier: Apache-2.0
"""A converted model beside its source, on the same input."""
