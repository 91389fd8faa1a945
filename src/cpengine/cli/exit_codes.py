"""The exit codes of the program."""

OK, SOME_FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
