# SPDX-License-Identifier: Apache-2.0
"""What `model.toml` says, for each family of models."""
