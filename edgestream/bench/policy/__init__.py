# SPDX-License-Identifier: Apache-2.0
"""What waiting longer before a word is written gives, and what it costs."""
