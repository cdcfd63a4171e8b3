"""`python -m lakelet`: the `lakelet` command where no script is on the path."""

from lakelet.cli.main import main

main()
