# SPDX-License-Identifier: Apache-2.0
"""Pictures to tracks: what is in view, where it goes, and what happens to the view itself."""
