# SPDX-License-Identifier: Apache-2.0
"""Checkpoints become small models; needs the extra `convert`, running a model does not."""
