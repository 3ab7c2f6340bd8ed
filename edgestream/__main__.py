# SPDX-License-Identifier: Apache-2.0
from edgestream.cli import main

main()
