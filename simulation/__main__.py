"""`python -m simulation`: perform one story or thousands."""

from simulation.command import main

if __name__ == "__main__":
    main()
