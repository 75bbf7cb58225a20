"""A trial of another reading of sessions, which the program does not use; README.md tells what it found."""
