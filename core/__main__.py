"""`python -m core` is `cloud-sync`."""

from core.cli import main

if __name__ == "__main__":
    main()
