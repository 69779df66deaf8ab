"""`python -m understudy.agent`: the same as `understudy agent`, without the operator's CLI and its imports."""

from understudy.agent.process import main

if __name__ == "__main__":
    raise SystemExit(main())
