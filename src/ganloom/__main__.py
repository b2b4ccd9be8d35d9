"""`python -m ganloom` is the command `ganloom`."""

from ganloom.cli import main

if __name__ == "__main__":
    main()
