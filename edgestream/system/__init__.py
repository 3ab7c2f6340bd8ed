# SPDX-License-Identifier: Apache-2.0
"""What the system beneath is asked and told: signals, memory, names, foreign printing."""
