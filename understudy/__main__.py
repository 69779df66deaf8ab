"""`python -m understudy`: the operator's command line."""

from understudy.cli.main import main

if __name__ == "__main__":
    main()
