"""`python -m train`."""

from train.cli import app

if __name__ == "__main__":
    app()
