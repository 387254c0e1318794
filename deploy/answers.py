"""Exit status 0 if a server answers at the address: ``python deploy/answers.py ADDRESS``."""

import sys
from urllib.request import urlopen

with urlopen(sys.argv[1], timeout=5) as answer:
    sys.exit(answer.status != 200)
