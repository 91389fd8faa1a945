"""`python -m cpengine`."""

from cpengine.cli import main

main()
