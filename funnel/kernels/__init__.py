"""Pure functions on arrays: numpy only, no classes of ours, no checks, no state."""
