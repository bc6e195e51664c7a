import sys

from analysis.report import main

sys.exit(main(sys.argv[1:]))
