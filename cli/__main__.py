"""`python -m cli` is `remediator`."""

from cli.main import main

if __name__ == "__main__":
    main()
