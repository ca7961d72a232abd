"""`python -m prefrl` is `prefrl`."""

from prefrl.cli import main

if __name__ == "__main__":
    main()
