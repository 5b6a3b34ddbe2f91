"""Long work: rows, processes and the steps that join computation and state."""
