# SPDX-License-Identifier: Apache-2.0
"""A family in each file: how its checkpoints become a folder that edgestream runs."""
