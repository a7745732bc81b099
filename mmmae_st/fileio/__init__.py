"""Files that are whole or not there, and run no code."""
